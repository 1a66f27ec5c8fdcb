// Goal: what changed is found later: `observer explain` tells what a workspace is, since when, why, what happened before
// and how fresh that is, as the restricted role; and the table of changes holds each commit's changes once.
// Method: a container is killed, one runs out of memory, an archive comes; then the command is asked, in both forms.
import { beforeAll, expect, test } from "bun:test";
import { waitFor } from "../../dev/services/wait.ts";
import type { Explanation } from "../../src/commands/explanation.ts";
import { archiveKey, checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { type Observer, runCommand, type Settings, startObserver } from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 15, redis: true, s3: true, keepObservers: true });

let platform: Platform;
let settings: Settings;
let observer: Observer;

beforeAll(async () => {
  platform = await createPlatform(world.postgres, "explain");
  await platform.insert("killed", "hungry", "kept", "Ünï-“c” 🦊");
  settings = world.settings(platform);
  observer = startObserver({ ...settings, ...QUICK, OBSERVER_INSTANCE: "one" });
  await observer.logged("lease.acquired");
}, 60_000);

const explain = async (id: string, ...flags: string[]) =>
  await runCommand(["explain", id, ...flags], settings);
const asJson = async (id: string, ...flags: string[]): Promise<Explanation> =>
  JSON.parse((await explain(id, "--json", ...flags)).stdout) as Explanation;

test("A container that is killed: what it is, since when, why, and what happened before", async () => {
  const { engine } = world.docker;
  await engine.run({ name: "ws-killed", volume: "ws-killed-home" });
  await platform.shows("running", ["killed"], ({ container }) => container?.running === true);
  await engine.kill("ws-killed");
  await platform.shows("its end", ["killed"], ({ container }) => container?.reason === "Exited");

  const it = await asJson("killed");
  const { conditions } = await platform.row("killed");
  expect(it).toMatchObject({
    workspace: "killed",
    found: true,
    operation: "NONE",
    operation_in_flight: false,
    conditions: { container: conditions.container!, volume: conditions.volume! },
    death: {
      container_id: conditions.container!.container_id,
      exit_code: 137,
      oom_killed: false,
      finished_at: (await engine.inspect("ws-killed")).State.FinishedAt,
    },
    leader: { instance: "one", leads: true },
    sources: { engine: { consecutive_failures: 0, last_error: null } },
    held: [],
    orphan: [],
    near: [],
  });
  expect(it.since.container?.at).toBe(conditions.container!.last_transition_at);
  expect(it.observed.containers!.age_ms).toBeLessThan(30_000);
  const changes = it.transitions!.filter(({ condition }) => condition === "container");
  // Created and absent were seen or not, as the looks fell; but each change begins where the one before it ended.
  const [chain, before] = [changes.map((one) => one.from_reason), changes.map((one) => one.to_reason)];
  expect(chain).toEqual([...before.slice(1), "unknown"]);
  expect(before.slice(0, 2)).toEqual(["Exited", "Running"]);
  expect(changes[0]).toMatchObject({
    at: conditions.container!.last_transition_at,
    message: "exited with code 137",
    details: { exit_code: 137, oom_killed: false, container_id: conditions.container!.container_id },
    instance: "one",
  });

  const { code, stdout } = await explain("killed");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Container +Exited: exited with code 137; since \S+Z, \S+ s ago$/m);
  expect(stdout).toMatch(
    /^ {2}exit code +137\n {2}out of memory +no\n {2}finished +\S+Z by the Engine's clock$/m,
  );
  expect(stdout).toMatch(/^Leader +one, epoch \d+, last heard of \S+ s ago$/m);
  expect(stdout).toMatch(/^Archive +absent, which is proven$/m);
  expect(stdout).toMatch(
    /^\S+Z +\S+ s ago +container +Running → Exited +exited with code 137, [0-9a-f]{12}, /m,
  );
  expect(stdout).not.toContain("\u001b");
});

test("The log says how long it took from the end to the row", async () => {
  const line = await waitFor("the change in the log", 10_000, () =>
    observer.log("condition.changed").find((one) => one.workspace === "killed" && one.to === "Exited"),
  );
  expect(line.lagMs).toBeGreaterThan(-1_000);
  expect(line.lagMs).toBeLessThan(30_000);
  const started = observer.log("condition.changed").find((one) => one.to === "Running");
  expect(started).not.toHaveProperty("lagMs");
});

test("A container that runs out of memory is told so, also after it is gone", async () => {
  const { engine } = world.docker;
  await engine.runOutOfMemory({ name: "ws-hungry", volume: "ws-hungry-home" });
  await platform.shows("OOM", ["hungry"], ({ container }) => container?.reason === "OOMKilled");
  expect((await asJson("hungry")).death).toMatchObject({ oom_killed: true, exit_code: 137 });
  const text = (await explain("hungry")).stdout;
  expect(text).toMatch(/^Container +OOMKilled: exited with code 137, out of memory; since /m);
  expect(text).toMatch(/^ {2}out of memory +yes$/m);

  await engine.remove("ws-hungry");
  await platform.shows("gone", ["hungry"], ({ container }) => container === null);
  const after = await asJson("hungry", "--limit", "2");
  expect(after.conditions.container).toBeNull();
  expect(after.death).toBeNull();
  expect(after.transitions).toHaveLength(2);
  expect(after.transitions![0]).toMatchObject({ from_reason: "OOMKilled", to_reason: "absent" });
  const { container_id } = after.transitions![1]!.details as { container_id: string };
  expect(after.transitions![1]).toMatchObject({ to_reason: "OOMKilled", details: { oom_killed: true } });
  expect(after.transitions![0]!.details).toEqual({ container_id });
});

test("An archive: which one, how large, when; and with a store that fails, since when nobody knows better", async () => {
  await world.putArchive("kept", "op7", "x".repeat(12_345));
  await platform.shows("archive", ["kept"], ({ archive }) => Boolean(archive));
  const key = archiveKey("kept", "op7");
  const it = await asJson("kept");
  expect(it.conditions.archive).toMatchObject({ archive_key: key, size_bytes: 12_345 });
  expect(it.transitions!.find(({ condition }) => condition === "archive")).toMatchObject({
    to_reason: "ArchiveUploaded",
    details: { archive_key: key, size_bytes: 12_345 },
  });
  const { stdout } = await explain("kept");
  expect(stdout).toContain(key);
  expect(stdout).toMatch(/^ {2}size +12\.3 kB \(12345 bytes\)\n {2}uploaded +\S+Z by the store's clock$/m);
  expect(stdout).toMatch(/^Container +absent, which is proven$/m);
  expect(observer.log("condition.changed").find((one) => one.to === "ArchiveUploaded")?.lagMs).toBeNumber();
});

test("An operation in flight; an id that needs care; a row that nobody has observed", async () => {
  await platform.sql`update workspaces set operation = 'STOPPING' where id = 'kept'`;
  expect(await asJson("kept")).toMatchObject({ operation: "STOPPING", operation_in_flight: true });
  expect((await explain("kept")).stdout).toMatch(/^Operation +STOPPING, in flight$/m);
  await platform.sql`update workspaces set operation = 'NONE' where id = 'kept'`;
  expect((await asJson("Ünï-“c” 🦊")).found).toBe(true);

  const broken = { container: [1], observed: { containers: "soon", "\u001b[31m": "\u001b[32m" } };
  await platform.sql`
    insert into workspaces (id, conditions, operation)
    values ('a/b', ${platform.sql.json(broken as never)}, ${"\u001b]0;x\u0007"})`;
  const odd = await explain("a/b");
  expect(odd.code).toBe(0);
  expect(odd.stdout).not.toMatch(/[\u001b\u0007]/);
  expect(odd.stdout).toMatch(/^Container +unreadable\nVolume +not observed$/m);
  await platform.sql`delete from workspaces where id = 'a/b'`;
});

test("No such workspace: 1, ids like it, its orphans, and what happened while it was there", async () => {
  const mistyped = await explain("kiled");
  expect(mistyped.code).toBe(1);
  expect(mistyped.stdout).toMatch(/^Workspace +there is no workspace "kiled"\nPerhaps +killed$/m);
  expect((await asJson("ws-killed")).near).toEqual(["killed"]);

  await world.docker.engine.createVolume("ws-lost-home");
  await observer.logged("orphan.appeared");
  await nextLooks(observer);
  expect(await asJson("lost")).toMatchObject({ found: false, orphan: ["volume"], near: [] });
  expect((await explain("lost")).stdout).toMatch(/^Orphan +volume: there without a row in workspaces$/m);

  await platform.sql`delete from workspaces where id = 'killed'`;
  const gone = await asJson("killed");
  expect(gone.found).toBe(false);
  expect(gone.transitions!.length).toBeGreaterThan(2);
});

test("Each change that was committed is in observer_transitions once, and nothing else is", async () => {
  await nextLooks(observer);
  const kept = await platform.sql<{ workspace: string; condition: string; from: string; to: string }[]>`
    select workspace_id as workspace, condition, from_reason as "from", to_reason as "to"
      from observer_transitions order by id`;
  const text = (one: Record<string, unknown>) => [one.workspace, one.condition, one.from, one.to].join(" ");
  expect([...kept].map(text).sort()).toEqual(observer.log("condition.changed").map(text).sort());
  expect(kept.length).toBeGreaterThan(15);
});

test("When nobody leads it says so; without the tables of its own it tells what is left; usage errors are 64", async () => {
  expect((await observer.stop()).code).toBe(0);
  const alone = await explain("kept");
  expect(alone.code).toBe(0);
  expect(alone.stdout).toMatch(/^Leader +none: the lease of one ran out at \S+Z; nobody looks$/m);

  await platform.sql`revoke all on observer_status, observer_transitions from ${platform.sql(platform.role)}`;
  const blind = await asJson("kept");
  expect(blind).toMatchObject({
    found: true,
    transitions: null,
    sources: null,
    leader: { reported_at: null },
  });
  expect((await explain("kept")).stdout).toContain("What happened before is not kept");

  for (const flags of [["--limit", "0"], ["--limit", "x"], ["more"]]) {
    expect((await explain("kept", ...flags)).code).toBe(64);
  }
  expect((await runCommand(["explain"], settings)).code).toBe(64);
  const nowhere = await runCommand(["explain", "kept"], {
    ...settings,
    DATABASE_URL: platform.url().replace(`:${world.postgres.port}/`, ":1/"),
  });
  expect(nowhere.code).toBe(1);
  expect(nowhere.stderr).toMatch(/^Cannot explain: PostgreSQL cannot be reached: .*\n$/);
});

test("Without observer_transitions it observes all the same, and says so once", async () => {
  const second = startObserver({ ...settings, ...QUICK, OBSERVER_INSTANCE: "two" });
  await second.logged("lease.acquired");
  await world.docker.engine.run({ name: "ws-kept", volume: "ws-kept-home" });
  await platform.shows("running", ["kept"], ({ container }) => container?.running === true);
  expect(second.log("schema.incomplete").map(({ reason }) => reason)).toEqual([
    expect.stringMatching(/observer_status/),
    expect.stringMatching(/observer_transitions/),
  ]);
  expect((await second.stop()).code).toBe(0);
});

checksOfEverything();
