// Goal: two versions run beside each other: one is swapped for the other and back, nobody reads anything wrong meanwhile,
// tables of an older version are brought up to date under a leader that goes on, and those of a newer one are refused.
// Method: the same source built as an older version; the memory of every write says who wrote what.
import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import manifest from "../../package.json";
import { checksOfEverything, QUICK, useWorld } from "./support.ts";
import { type Observer, runCommand, startObserver, workFolder } from "./support-executable.ts";
import { type Conditions, createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, redis: true, keepObservers: true });
const OLD_VERSION = "0.0.9";

let oldExecutable: string;
let platform: Platform;
let oldOne: Observer;
let newOne: Observer;
beforeAll(async () => {
  oldExecutable = join(workFolder(), "observer-old");
  const building = Bun.spawn(
    [
      process.execPath,
      join(import.meta.dir, "../../dev/build.ts"),
      `--release-version=${OLD_VERSION}`,
      `--outfile=${oldExecutable}`,
    ],
    { stdout: "ignore", stderr: "inherit" },
  );
  platform = await createPlatform(world.postgres, "upgrade");
  await platform.insert("u1", "u2");
  for (const id of ["u1", "u2"]) await world.docker.engine.run({ name: `ws-${id}`, volume: `ws-${id}-home` });
  expect(await building.exited).toBe(0);
}, 120_000);

const start = (name: string, version: "old" | "new", url = platform.url(name)): Observer =>
  startObserver(
    { ...world.settings(platform, QUICK), DATABASE_URL: url, OBSERVER_INSTANCE: name },
    version === "old" ? { launch: () => [oldExecutable] } : {},
  );
const isRunning = ({ container }: Conditions) => container?.running === true;
const isEnded = ({ container }: Conditions) => container?.running === false;

test("the old one leads, the new one stands by; each says its version", async () => {
  oldOne = start("old-1", "old");
  expect(await oldOne.logged("observer.starting")).toMatchObject({ version: OLD_VERSION });
  await oldOne.logged("lease.acquired");
  newOne = start("new-1", "new");
  expect(await newOne.logged("observer.starting")).toMatchObject({ version: manifest.version });
  expect(await newOne.logged("lease.standby")).toMatchObject({ leader: "old-1" });
  const shown = await platform.shows("both run", ["u1", "u2"], isRunning);
  expect(shown.get("u1")?.writer).toBe("old-1");
});

test("swapped: the new one takes over and sees what changes; and back, to the old one", async () => {
  const { engine } = world.docker;
  expect((await oldOne.stop()).code).toBe(0);
  await newOne.logged("lease.acquired");
  await engine.kill("ws-u1");
  const ended = await platform.shows("u1 ended", ["u1"], isEnded);
  expect(ended.get("u1")?.writer).toBe("new-1");

  oldOne = start("old-2", "old");
  expect(await oldOne.logged("lease.standby")).toMatchObject({ leader: "new-1" });
  expect((await newOne.stop()).code).toBe(0);
  await oldOne.logged("lease.acquired");
  const afterSeq = await platform.lastSeq();
  await engine.start("ws-u1");
  const runs = await platform.shows("u1 runs again", ["u1"], isRunning, { afterSeq });
  expect(runs.get("u1")?.writer).toBe("old-2");
});

test("older tables are brought up to date under a leader that goes on", async () => {
  await platform.sql`comment on table observer_lease is null`;
  await platform.sql`comment on table observer_transitions is 'Observer 0.0.1: layout 0, since 0'`;
  newOne = start("new-2", "new", `${world.postgres.url(platform.name)}?application_name=new-2`);
  await newOne.logged("lease.standby");
  expect(newOne.log("schema.migrated").map(({ table, by, from, to }) => [table, by, from, to])).toEqual([
    ["observer_lease", null, 0, 1],
    ["observer_transitions", "0.0.1", 0, 1],
  ]);
  const afterSeq = await platform.lastSeq();
  await world.docker.engine.kill("ws-u1");
  const ended = await platform.shows("u1 ended again", ["u1"], isEnded, { afterSeq });
  expect(ended.get("u1")?.writer).toBe("old-2");
  expect(oldOne.log("lease.lost")).toEqual([]);
  expect((await newOne.stop()).code).toBe(0);
});

test("nothing wrong was ever written, whoever led", async () => {
  const written = await platform.written();
  expect(new Set(written.map(({ writer }) => writer))).toEqual(new Set(["old-1", "new-1", "old-2"]));
  for (const { id, conditions } of written)
    expect([id, conditions.volume?.exists, conditions.container?.workspace_id]).toEqual([id, true, id]);
  const ran = written.filter(({ id }) => id === "u1").map(({ conditions }) => conditions.container?.running);
  expect(ran.filter((running, index) => running !== ran[index - 1])).toEqual([true, false, true, false]);
  const steady = written.filter(({ id }) => id === "u2");
  expect(steady.every(({ conditions }) => conditions.container?.running)).toBe(true);
});

test("a lease of a newer layout is refused, with what to do; check says the same", async () => {
  expect((await oldOne.stop()).code).toBe(0);
  await platform.sql`comment on table observer_lease is 'Observer 7.1.0: layout 9, since 9'`;
  const refused = await runCommand(["run"], { ...world.settings(platform, QUICK), OBSERVER_LISTEN: "off" });
  expect(refused.code).toBe(78);
  const why = "observer_lease is too new for this version: Observer 7.1.0 made it";
  expect(refused.stdout).toContain(why);
  expect(refused.stdout).toContain("run Observer 7.1.0 or newer");
  const check = await runCommand(["check"], world.settings(platform, { OBSERVER_LISTEN: "off" }));
  expect([check.code, check.stdout]).toEqual([1, expect.stringContaining(why)]);
});

checksOfEverything();
