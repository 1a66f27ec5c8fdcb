// Goal: one process that looks after several Engines is to the table what a process for each of its hosts would be (ADR 14):
// a lease and a sign for each, and an Engine that hangs holds up nobody but itself (P6).
// Method: two simulated Engines, of which one is made to hang; beside them an observer of one host, before and after.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type FakeEngine, startEngine } from "../../dev/fakes/engine.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, QUICK, useWorld } from "./support.ts";
import { type Observer, runCommand, startObserver, workFolder } from "./support-executable.ts";
import { type Conditions, createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ postgres: 18, keepObservers: true });

let platform: Platform;
let one: FakeEngine;
let two: FakeEngine;
/** Of vm-1 alone, with OBSERVER_HOST. */
let single: Observer;
/** Of both. */
let both: Observer;

const common = (instance: string) => ({
  ...world.settings(platform, QUICK),
  DATABASE_URL: platform.url(instance),
  OBSERVER_INSTANCE: instance,
  OBSERVER_HOST_LOST_AFTER: "4s",
  OBSERVER_LIST_TIMEOUT: "2s",
});
const settingsOfBoth = (instance: string) => ({
  ...common(instance),
  OBSERVER_ENGINES: `vm-1=${one.dockerHost}, vm-2=${two.dockerHost}`,
});

const run = ({ world: engine }: FakeEngine, id: string) => {
  engine.createContainer({ name: `ws-${id}`, volume: `ws-${id}-home` });
  engine.start(`ws-${id}`);
};
const isOn =
  (host: string) =>
  ({ container, volume }: Conditions): boolean =>
    container?.host === host && volume?.host === host && container.running === true;
const isNowhere = ({ container, volume }: Conditions) => container === null && volume === null;

/** By scope, who leads just now. */
async function leaders(): Promise<Record<string, string>> {
  const rows = await platform.sql<{ scope: string; holder: string }[]>`
    select scope, holder from observer_lease where expires_at > clock_timestamp()`;
  return Object.fromEntries(rows.map(({ scope, holder }) => [scope, holder]));
}

/** How old what is known of n2 is. */
async function stoodMs(): Promise<number> {
  const [row] = await platform.sql<{ ms: number }[]>`
    select (extract(epoch from clock_timestamp() - (conditions -> 'observed' ->> 'containers')::timestamptz) * 1000)::float8 as ms
      from workspaces where id = 'n2'`;
  return row!.ms;
}

const metrics = async () => (await both.get("/metrics")).text.split("\n");

beforeAll(async () => {
  platform = await createPlatform(world.postgres, "engines");
  const folder = workFolder();
  [one, two] = (await Promise.all(
    ["one", "two"].map((name) =>
      startEngine({ listen: { unixPath: join(folder, `${name}.sock`) }, idSeed: name }),
    ),
  )) as [FakeEngine, FakeEngine];
  await platform.insert("n1", "n2", "n3");
  run(one, "n1");
  run(two, "n2");
  single = startObserver({ ...common("single"), DOCKER_HOST: one.dockerHost, OBSERVER_HOST: "vm-1" });
  await single.logged("lease.acquired", 2);
  both = startObserver(settingsOfBoth("both"));
}, 60_000);
afterAll(() => Promise.all([one?.stop(), two?.stop()]));

test("Beside a process of one of its hosts it stands by for that one, and takes it over when that ends", async () => {
  await platform.shows("each on its own", ["n1"], isOn("vm-1"));
  await platform.shows("each on its own", ["n2"], isOn("vm-2"));
  await waitFor("it to stand by", 20_000, () =>
    both.log("lease.standby").some(({ host, leader }) => host === "vm-1" && leader === "single"),
  );
  expect(await leaders()).toEqual({ "host:vm-1": "single", "host:vm-2": "both/vm-2", absent: "single" });
  const afterSeq = await platform.lastSeq();
  expect((await single.stop()).code).toBe(0);
  run(one, "n3");
  const shown = await platform.shows("n3 on vm-1", ["n3"], isOn("vm-1"), { afterSeq });
  expect(shown.get("n3")?.writer).toBe("both");
  await waitFor("all leases", 20_000, async () => (await leaders()).absent === "both");
  expect(await leaders()).toEqual({ "host:vm-1": "both/vm-1", "host:vm-2": "both/vm-2", absent: "both" });
});

test("Each host has a sign of its own, and each Engine a place of its own in what the process says", async () => {
  const signs = async () =>
    Object.fromEntries(
      (
        await platform.sql<{ instance: string; host: string | null; role: string }[]>`
          select instance, status -> 'fleet' ->> 'host' as host, status ->> 'role' as role
            from observer_status where instance like 'both%'`
      ).map(({ instance, host, role }) => [instance, [host, role]]),
    );
  const lead = async () => Object.values(await signs()).filter(([, role]) => role === "leader").length;
  await waitFor("all signs", 20_000, async () => (await lead()) === 3);
  await waitFor("it to be well", 20_000, async () =>
    (await both.get("/status")).text.includes('"headline":"All well."'),
  );
  expect(await signs()).toEqual({
    both: [null, "leader"],
    "both/vm-1": ["vm-1", "leader"],
    "both/vm-2": ["vm-2", "leader"],
  });
  const { engines, fleet, verdict } = JSON.parse((await both.get("/status")).text);
  expect(engines).toMatchObject({
    "vm-1": { role: "leader", source: { consecutive_failures: 0 }, events: { up: true } },
    "vm-2": { role: "leader", source: { consecutive_failures: 0 }, events: { up: true } },
  });
  expect(fleet).toMatchObject({ table: { role: "leader", leader: "both" } });
  expect(verdict.state).toBe("well");
  const lines = [
    'observer_is_leader{host="vm-1"} 1',
    'observer_source_up{source="engine",host="vm-2"} 1',
    'observer_resources{kind="container",host="vm-1"} 2',
    'observer_link_up{link="database"} 1',
    'observer_link_up{link="events",host="vm-1"} 1',
    "observer_ready 1",
    'observer_fleet_hosts{state="present"} 2',
  ];
  // Its last whole look may be older than its last glance.
  await waitFor("the metrics", 20_000, async () => {
    const told = await metrics();
    return lines.every((line) => told.includes(line));
  }).catch(async () => expect(await metrics()).toEqual(expect.arrayContaining(lines)));
  expect(await metrics()).not.toContain("observer_is_leader 1");
  expect(
    both
      .log("lease.acquired")
      .map(({ host, unit }) => host ?? unit)
      .sort(),
  ).toEqual(["table", "vm-1", "vm-2"]);
});

test("P6: an Engine that hangs holds up nobody else, is seen to hang, and its host is not lost", async () => {
  const failures = async () =>
    JSON.parse((await both.get("/status")).text).engines["vm-2"].source.failures as number;
  two.faults.set("all", { hang: true });
  two.cutEventStreams("reset");
  two.requests.length = 0;
  await waitFor("a listing that hangs", 20_000, () =>
    two.requests.some(({ route }) => route === "containers"),
  );
  const checking = runCommand(["check", "--json"], {
    ...settingsOfBoth("operator"),
    OBSERVER_LISTEN: "off",
    OBSERVER_LIST_TIMEOUT: "500ms",
  });
  const afterSeq = await platform.lastSeq();
  let changes = 0;
  const change = async () => {
    const id = `h${++changes}`;
    await platform.insert(id);
    run(one, id);
    await platform.shows(`${id} on vm-1`, [id], isOn("vm-1"), { afterSeq });
    one.world.removeContainer(`ws-${id}`, { force: true });
    one.world.removeVolume(`ws-${id}-home`);
    await platform.shows(`${id} gone`, [id], isNowhere, { afterSeq });
  };
  const before = await failures();
  await change();
  await change();
  // All that while one listing of vm-2's was waiting for its answer.
  expect(await failures()).toBe(before);
  await waitFor("it to be told", 20_000, async () =>
    (await both.get("/readyz")).text.includes("vm-2: engine"),
  );
  // vm-2 would be lost by then, if its unit gave no sign.
  await waitFor("it to last", 20_000, async () => (await stoodMs()) > 5_000);
  await change();
  expect((await platform.written(afterSeq)).filter(({ id }) => id === "n2")).toEqual([]);
  const [healthz, readyz] = await Promise.all([both.get("/healthz"), both.get("/readyz")]);
  expect([healthz.status, readyz.status]).toEqual([200, 503]);
  expect(readyz.text).not.toContain("vm-1");
  expect(await both.logged("source.down")).toMatchObject({ host: "vm-2", source: "engine" });
  expect(await metrics()).toContain('observer_source_up{source="engine",host="vm-2"} 0');
  const checked = await checking;
  const { findings } = JSON.parse(checked.stdout) as { findings: { name: string; result: string }[] };
  expect(findings.filter(({ result }) => result === "wrong").map(({ name }) => name)).toEqual([
    "engine of vm-2",
    "containers of vm-2",
    "volumes of vm-2",
    "engine events of vm-2",
  ]);

  two.faults.clear();
  two.world.stop("ws-n2");
  await platform.shows("n2 ended on vm-2", ["n2"], ({ container }) => container?.reason === "Exited", {
    afterSeq,
  });
  await waitFor("it to be ready", 20_000, async () => (await both.get("/readyz")).status === 200);
  expect(both.log("host.lost")).toEqual([]);
});

test("What a command does for one Engine it wants told for which", async () => {
  const command = (...args: string[]) => runCommand(args, settingsOfBoth("operator"));
  const answers = await Promise.all([
    command("once", "--dry-run"),
    command("once", "--dry-run", "--host", "vm-3"),
    command("once", "--dry-run", "--host", "vm-2"),
    command("accept", "engine"),
    command("accept", "engine", "--host", "vm-2"),
    command("status"),
  ]);
  expect(answers.map(({ code }) => code)).toEqual([1, 1, 0, 1, 0, 0]);
  const [asked, unknown, seen, accept, accepted, status] = answers.map(
    ({ stdout, stderr }) => stdout + stderr,
  );
  expect(asked).toContain(
    "Cannot look once: there are several Engines, so say --host with one of vm-1, vm-2",
  );
  expect(unknown).toContain(
    "Cannot look once: these settings name no such host as --host does, but vm-1, vm-2",
  );
  expect(seen).toMatch(/n2 +Exited/);
  expect(accept).toContain("Cannot accept the engine: there are several Engines");
  expect(accepted).toContain("Nothing to accept: the table is written from Engine");
  // Its events may still be on their way back.
  expect(status).toContain("2 of 2 hosts are observed");
});

test("A second process takes all of it over", async () => {
  const next = startObserver(settingsOfBoth("next"));
  await next.logged("lease.standby", 3);
  const afterSeq = await platform.lastSeq();
  const ended = await both.stop();
  expect(ended.code).toBe(0);
  two.world.start("ws-n2");
  const shown = await platform.shows("n2 runs", ["n2"], isOn("vm-2"), { afterSeq });
  expect(shown.get("n2")?.writer).toBe("next");
  await waitFor("all leases", 20_000, async () => Object.keys(await leaders()).length === 3);
  expect(Object.values(await leaders()).sort()).toEqual(["next", "next/vm-1", "next/vm-2"]);
  expect(next.log("host.lost")).toEqual([]);
});

checksOfEverything();
