// Goal: hosts of a fleet write into one table, each what its own Engine shows (ADR 14): no null by a host that was not the
// reporter, none for a lost one, no flapping between two that have the same workspace; who is gone for good is let go.
// Method: two real Engines, three observers, one PostgreSQL. What is judged is the memory of every write, by its writer.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Docker, startDocker } from "../../dev/services/docker.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, useWorld } from "./support.ts";
import { type Observer, runCommand, startObserver } from "./support-executable.ts";
import { type Conditions, createPlatform, type Platform, type Written } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, s3: true, keepObservers: true });

const FLEET = {
  OBSERVER_IDLE_INTERVAL: "400ms",
  OBSERVER_ACTIVE_INTERVAL: "200ms",
  OBSERVER_MIN_INTERVAL: "50ms",
  OBSERVER_ACTIVE_DURATION: "2s",
  OBSERVER_HOST_LOST_AFTER: "2s",
};

let other: Docker;
let platform: Platform;
/** Of vm-1, its second, and of vm-2. */
let a: Observer;
let standby: Observer;
let b: Observer;

const settingsOf = (name: string, host: string, docker: Docker) => ({
  ...world.settings(platform, FLEET),
  DATABASE_URL: platform.url(name),
  DOCKER_HOST: docker.dockerHost,
  OBSERVER_INSTANCE: name,
  OBSERVER_HOST: host,
});
const start = (name: string, host: string, docker: Docker): Observer =>
  startObserver(settingsOf(name, host, docker));

beforeAll(async () => {
  other = await startDocker();
  platform = await createPlatform(world.postgres, "fleet");
  await platform.insert("f1", "f2", "f3");
  const one = { name: "ws-f1", volume: "ws-f1-home" };
  const two = { name: "ws-f2", volume: "ws-f2-home" };
  await Promise.all([world.docker.engine.run(one), other.engine.run(two)]);
  await world.putArchive("f3");
  // The first leads the table's unit too.
  a = start("a", "vm-1", world.docker);
  await a.logged("lease.acquired", 2);
  b = start("b", "vm-2", other);
  standby = start("a2", "vm-1", world.docker);
}, 120_000);
afterAll(() => other?.stop());

const hostOf = (conditions: Conditions, key: "container" | "volume") => conditions[key]?.host;
const isOn =
  (host: string) =>
  (conditions: Conditions): boolean =>
    hostOf(conditions, "container") === host && hostOf(conditions, "volume") === host;
const isLost = ({ container, volume }: Conditions) =>
  container?.unknown === true && volume?.unknown === true && container.reason === "HostLost";
const isNowhere = ({ container, volume }: Conditions) => container === null && volume === null;

/** By whom, of which row, a key became null that was an object or missing. */
async function nullsOf(id: string, afterSeq: number): Promise<string[]> {
  const writes = (await platform.written()).filter((write) => write.id === id);
  return writes.flatMap((write: Written, n) =>
    (["container", "volume"] as const).flatMap((key) =>
      write.seq > afterSeq && write.conditions[key] === null && writes[n - 1]?.conditions[key] !== null
        ? [`${key} by ${write.writer}, of ${String(writes[n - 1]?.conditions[key]?.host)}`]
        : [],
    ),
  );
}

const remove = async ({ engine }: Docker, id: string) => {
  await engine.remove(`ws-${id}`);
  await engine.removeVolume(`ws-${id}-home`);
};

test("Each host writes what its own Engine shows, and says so; what is nowhere is proven by all; archives by one", async () => {
  await platform.shows("f1 on vm-1", ["f1"], isOn("vm-1"));
  await platform.shows("f2 on vm-2", ["f2"], isOn("vm-2"));
  const shown = await platform.shows(
    "f3 nowhere, with its archive",
    ["f3"],
    (conditions) => isNowhere(conditions) && conditions.archive?.exists === true,
  );
  expect(shown.get("f3")?.observedAt).not.toBeNull();
  expect(await standby.logged("lease.standby")).toMatchObject({ leader: "a" });
  // Before the second host had looked, nobody could say so.
  const [first] = await platform.sql<{ at: number }[]>`
    select extract(epoch from min(at))::float8 * 1000 as at from observer_transitions where instance = 'b'`;
  for (const write of await platform.written())
    if (write.id === "f3" && write.conditions.container === null)
      expect(write.atMs).toBeGreaterThan((first?.at ?? Number.NaN) - 2_000);
  const [kept] = await platform.sql<{ details: { host?: string } }[]>`
    select details from observer_transitions where workspace_id = 'f2' and condition = 'container'
     order by id desc limit 1`;
  expect(kept?.details.host).toBe("vm-2");
});

test("A moved workspace is right within a cycle; the null in between is its reporter's", async () => {
  const afterSeq = await platform.lastSeq();
  await remove(world.docker, "f1");
  await platform.shows("f1 gone", ["f1"], isNowhere, { afterSeq });
  await other.engine.run({ name: "ws-f1", volume: "ws-f1-home" });
  await platform.shows("f1 on vm-2", ["f1"], isOn("vm-2"), { afterSeq });
  expect(await nullsOf("f1", afterSeq)).toEqual(["container by a, of vm-1", "volume by a, of vm-1"]);
});

test("Two hosts have one workspace: the later claim stands, nothing flaps, and it is reported", async () => {
  const afterSeq = await platform.lastSeq();
  await world.docker.engine.run({ name: "ws-f2", volume: "ws-f2-home" });
  await platform.shows("f2 on vm-1", ["f2"], isOn("vm-1"), { afterSeq });
  expect(await b.logged("host.contested")).toMatchObject({ workspaces: ["f2"] });
  const exposition = (await b.get("/metrics")).text;
  expect(exposition).toContain("observer_host_contested_workspaces 1");
  expect((await a.get("/metrics")).text).toContain('observer_fleet_hosts{state="present"} 2');
  // Some looks of both later it is the same, though the one that lost would restart.
  const looks = async () =>
    Math.min(...(await Promise.all([a, b].map(async (one) => (await one.status()).totals.looks ?? 0))));
  const before = await looks();
  await waitFor("more looks of both", 20_000, async () => (await looks()) >= before + 4, 50);
  const hosts = (await platform.written(afterSeq))
    .filter(({ id }) => id === "f2")
    .map(({ conditions }) => hostOf(conditions, "container"));
  expect(hosts.filter((host, n) => host !== hosts[n - 1])).toEqual(
    hosts[0] === "vm-1" ? ["vm-1"] : ["vm-2", "vm-1"],
  );
  // When the winner's is gone, the other's is seen again.
  await remove(world.docker, "f2");
  await platform.shows("f2 on vm-2 again", ["f2"], isOn("vm-2"), { afterSeq: await platform.lastSeq() });
  expect((await nullsOf("f2", afterSeq)).every((line) => line.endsWith("by a, of vm-1"))).toBe(true);
});

test("A frozen host is lost, not gone; what nobody has seen stays unknown; when it is back it takes over", async () => {
  const afterSeq = await platform.lastSeq();
  b.signal("SIGSTOP");
  const marked = await platform.shows("both of vm-2 lost", ["f1", "f2"], isLost, { afterSeq });
  const { conditions, writer } = marked.get("f2") as Written;
  expect(conditions.container).toMatchObject({
    running: true,
    host: "vm-2",
    reason: "HostLost",
    unknown: true,
  });
  expect(writer).toBe("a");
  const stamp = conditions.observed?.containers;
  await platform.insert("f4");
  await waitFor("f4's archive", 20_000, async () => (await platform.row("f4")).conditions.archive === null);
  expect((await platform.row("f4")).conditions).not.toHaveProperty("container");
  expect((await platform.row("f2")).conditions.observed?.containers).toBe(stamp);

  const backSeq = await platform.lastSeq();
  b.signal("SIGCONT");
  await platform.shows("both of vm-2 back", ["f1", "f2"], (it) => isOn("vm-2")(it) && !isLost(it), {
    afterSeq: backSeq,
  });
  await platform.shows("f4 nowhere", ["f4"], isNowhere, { afterSeq });
  expect([...(await nullsOf("f1", afterSeq)), ...(await nullsOf("f2", afterSeq))]).toEqual([]);
});

test("A killed observer is replaced by the second of its host, and by any for the table", async () => {
  await world.docker.engine.run({ name: "ws-f3", volume: "ws-f3-home" });
  const afterSeq = await platform.lastSeq();
  await platform.shows("f3 on vm-1", ["f3"], isOn("vm-1"), { afterSeq: afterSeq - 5 });
  a.signal("SIGKILL");
  await world.docker.engine.kill("ws-f3");
  const shown = await platform.shows("f3 ended", ["f3"], ({ container }) => container?.reason === "Exited", {
    afterSeq,
  });
  expect(shown.get("f3")?.writer).toBe("a2");
});

test("A host that is retired for good is forgotten: what it alone had is then proven absent by the others", async () => {
  const forget = (...more: string[]) =>
    runCommand(["forget", "host", "vm-2", ...more], settingsOf("operator", "vm-1", world.docker));
  const alive = await forget("--yes");
  expect(alive).toMatchObject({ code: 1, stdout: expect.stringContaining("Not forgotten") });
  await b.stop();
  const afterSeq = await platform.lastSeq();
  await platform.shows("vm-2 lost", ["f1", "f2"], isLost, { afterSeq });
  const asked = await forget();
  expect(asked).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("2 containers and 2 volumes, in 2 rows"),
  });
  expect((await platform.rows()).get("f1")?.conditions).toHaveProperty("container.unknown", true);
  expect(await forget("--yes")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("Forgotten: vm-2, in 2 rows."),
  });
  await platform.shows("f1 and f2 nowhere", ["f1", "f2"], isNowhere, { afterSeq });
  expect(await forget()).toMatchObject({ code: 1, stdout: expect.stringContaining("Nothing to forget") });
}, 30_000);

test("A single observer doesn't start on a fleet's table", async () => {
  const { OBSERVER_HOST: _, ...single } = settingsOf("single", "vm-1", world.docker);
  const { code, stdout } = await runCommand(["run"], { ...single, OBSERVER_LISTEN: "off" });
  expect([code, stdout]).toEqual([78, expect.stringContaining("a fleet writes it (vm-1)")]);
});

checksOfEverything();
