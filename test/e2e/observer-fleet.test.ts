// Goal: hosts of a fleet write into one table, each what its own Engine shows (ADR 14): no null by a host that was not the
// reporter, none for a lost one, no flapping between two that have the same workspace; a moved workspace is right within one
// look of its new host; who is gone for good is let go.
// Method: three real Engines, four observers, one PostgreSQL, and deeds on them. A memory of every write and of every sign is
// judged in the end, by what was done (support-fleet.ts).
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Journal } from "../../dev/chaos/journal.ts";
import { openStore, type Store } from "../../dev/chaos/store.ts";
import { Truth } from "../../dev/chaos/truth.ts";
import { type Docker, startDocker } from "../../dev/services/docker.ts";
import { type FaultProxy, startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { judge } from "./judge.ts";
import { checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { type Observer, runCommand, type Settings, startObserver } from "./support-executable.ts";
import { DockerHost, Fleet } from "./support-fleet.ts";
import { type Conditions, createPlatform, type Platform } from "./support-platform.ts";

/** Started beside the services that all files share. */
let starting: Promise<Docker[]>;
beforeAll(() => {
  starting = Promise.all([startDocker(), startDocker()]);
  starting.catch(() => {});
});
const world = useWorld({ docker: true, postgres: 18, s3: true, keepObservers: true });

const LOST_AFTER_MS = 2_000;
const FLEET: Settings = {
  ...QUICK,
  OBSERVER_LIST_TIMEOUT: "2s",
  OBSERVER_WRITE_TIMEOUT: "2s",
  OBSERVER_HOST_LOST_AFTER: `${LOST_AFTER_MS}ms`,
};
/** Of which host each observer is. */
const HOST_OF = { a: "vm-1", a2: "vm-1", b: "vm-2", c: "vm-3" };
type Name = keyof typeof HOST_OF;

let platform: Platform;
let fleet: Fleet;
let store: Store;
/** What is in S3. */
let archives: Truth;
let one: DockerHost;
let two: DockerHost;
let three: DockerHost;
/** The third host's way to PostgreSQL. */
let link: FaultProxy;
let observers: Record<Name, Observer>;

const settingsOf = (name: string, host: DockerHost, url = platform.url(name)): Settings => ({
  ...world.settings(platform, FLEET),
  DATABASE_URL: url,
  DOCKER_HOST: host.docker.dockerHost,
  OBSERVER_INSTANCE: name,
  OBSERVER_HOST: host.name,
});
function start(name: Name): Observer {
  const direct = platform.url(name);
  const url = name === "c" ? direct.replace(`:${world.postgres.port}/`, `:${link.port}/`) : direct;
  const host = [one, two, three].find((it) => it.name === HOST_OF[name])!;
  return startObserver(settingsOf(name, host, url));
}

const isOn =
  ({ name }: DockerHost) =>
  ({ container, volume }: Conditions): boolean =>
    container?.host === name &&
    volume?.host === name &&
    container.unknown !== true &&
    volume.unknown !== true;
const isLost = ({ container, volume }: Conditions) =>
  container?.unknown === true && volume?.unknown === true && container.reason === "HostLost";
const isNowhere = ({ container, volume }: Conditions) => container === null && volume === null;
/** What no look has told yet. */
const isUnseen = async (id: string) => {
  const { conditions } = await platform.row(id);
  return !("container" in conditions) && !("volume" in conditions);
};
const archiveIsTold = (id: string) =>
  platform.shows(`no archive of ${id}`, [id], ({ archive }) => archive === null);

beforeAll(async () => {
  const [second, third] = await starting;
  platform = await createPlatform(world.postgres, "fleet");
  store = openStore(world.s3, world.bucket);
  one = new DockerHost("vm-1", world.docker, store);
  two = new DockerHost("vm-2", second!, store);
  three = new DockerHost("vm-3", third!, store);
  archives = new Truth(new Journal(), world.docker.engine, store);
  const hosts = [one, two, three];
  const options = { hosts, hostOf: HOST_OF, lostAfterMs: LOST_AFTER_MS, archives: archives.journal };
  fleet = new Fleet(platform, options);
  await fleet.watchSigns();
  link = await startFaultProxy({ target: world.postgres });
  // The first leads the table's unit too; all are registered before there is a row.
  const a = start("a");
  await a.logged("lease.acquired", 2);
  const [b, c] = [start("b"), start("c")];
  await Promise.all([b, c].map((it) => it.logged("lease.acquired")));
  observers = { a, b, c, a2: start("a2") };
}, 120_000);
afterAll(async () => {
  store?.close();
  await link?.stop();
  await Promise.all((await starting).map((it) => it.stop()));
}, 60_000);

test("Each host writes what its own Engine shows, and says so; what is nowhere is proven by all; archives by one", async () => {
  const having: [DockerHost, string[]][] = [
    [one, ["m1"]],
    [two, ["m2", "split", "calm"]],
    [three, ["m3", "stray", "gone", "ended"]],
  ];
  await Promise.all(having.map(([host, ids]) => Promise.all(ids.map((id) => host.give(id)))));
  await archives.upload("none");
  await platform.insert("none", ...having.flatMap(([, ids]) => ids));
  for (const [host, ids] of having) {
    for (const id of ids) fleet.arrived(id, host.name);
    await platform.shows(`${ids} on ${host.name}`, ids, isOn(host));
  }
  const shown = await platform.shows(
    "nowhere, with its archive",
    ["none"],
    (conditions) => isNowhere(conditions) && conditions.archive?.exists === true,
  );
  expect(shown.get("none")?.observedAt).not.toBeNull();
  expect(await observers.a2.logged("lease.standby")).toMatchObject({ leader: "a" });
  expect((await observers.a.get("/metrics")).text).toContain('observer_fleet_hosts{state="present"} 3');
  const [kept] = await platform.sql<{ details: { host?: string } }[]>`
    select details from observer_transitions where workspace_id = 'm2' and condition = 'container'
     order by id desc limit 1`;
  expect(kept?.details.host).toBe("vm-2");
});

/** As a controller moves it that knows the table alone: archived on the one, restored on the other. */
async function move(id: string, from: DockerHost, to: DockerHost): Promise<void> {
  const afterSeq = await platform.lastSeq();
  const until = (phase: string, isSo: (conditions: Conditions) => boolean = () => true) =>
    platform.shows(`${id} ${phase}`, [id], (it) => judge(it) === phase && isSo(it), { afterSeq });
  await archives.upload(id);
  await from.truth.killContainer(id);
  await until("stopped");
  await from.take(id);
  await until("archived");
  fleet.moves(id);
  await to.give(id);
  fleet.arrived(id, to.name);
  await until("running", isOn(to));
  await archives.removeArchive(id);
}

test("Workspaces that are moved by archive and restore are right within one look of the new host", async () => {
  await Promise.all([move("m1", one, two), move("m2", two, three), move("m3", three, one)]);
});

test("Two hosts have one workspace: the later claim stands, then the one that runs; nothing flaps, and it is reported", async () => {
  const { a, b } = observers;
  const shows = (what: string, host: DockerHost, afterSeq: number) =>
    platform.shows(what, ["split"], isOn(host), { afterSeq });
  const looks = () => Promise.all([nextLooks(a, 3), nextLooks(b, 3)]);
  let afterSeq = await platform.lastSeq();
  fleet.moves("split");
  await one.give("split");
  await shows("the later one", one, afterSeq);
  expect(await b.logged("host.contested")).toMatchObject({ workspaces: ["split"] });
  expect((await b.get("/metrics")).text).toContain("observer_host_contested_workspaces 1");
  await looks();
  afterSeq = await platform.lastSeq();
  fleet.moves("split");
  await one.truth.killContainer("split");
  await shows("the one that runs", two, afterSeq);
  // Equal again: the one that is in the table stays there.
  await one.truth.startContainer("split");
  await looks();
  expect((await platform.row("split")).conditions.container).toMatchObject({ running: true, host: "vm-2" });
  afterSeq = await platform.lastSeq();
  fleet.moves("split");
  await two.take("split");
  await shows("the other's, when the one is gone", one, afterSeq);
});

test("A frozen Engine: its host's rows stay as they were, what is new stays unknown, and other hosts go on", async () => {
  three.docker.kill("SIGSTOP");
  const silence = three.isSilent();
  const frozen = await platform.row("gone");
  let afterSeq = await platform.lastSeq();
  await platform.insert("new1");
  await archiveIsTold("new1");
  await one.truth.killContainer("m3");
  const hasEnded = ({ container }: Conditions) => container?.reason === "Exited";
  const ended = await platform.shows("m3 ended", ["m3"], hasEnded, { afterSeq });
  expect(ended.get("m3")?.writer).toBe("a");
  await Promise.all([nextLooks(observers.a, 2), nextLooks(observers.b, 2)]);
  expect(await isUnseen("new1")).toBe(true);
  const { container, volume, observed } = (await platform.row("gone")).conditions;
  // Its observer gives signs: it is not lost.
  expect({ container, volume, stamp: observed?.containers }).toEqual({
    container: frozen.conditions.container,
    volume: frozen.conditions.volume,
    stamp: frozen.conditions.observed?.containers,
  });
  afterSeq = await platform.lastSeq();
  silence.ends();
  three.docker.kill("SIGCONT");
  await platform.shows("new1 nowhere", ["new1"], isNowhere, { afterSeq });
  await platform.shows("a fresh stamp", ["gone"], isOn(three), { afterSeq });
});

test("A frozen observer, and one that is cut off from PostgreSQL: lost, not gone; back, they write what is", async () => {
  const onThree = ["m2", "stray", "gone", "ended"];
  const { b, c } = observers;
  const before = await platform.row("ended");
  const afterSeq = await platform.lastSeq();
  b.signal("SIGSTOP");
  link.freeze();
  const silences = [two.isSilent(), three.isSilent()];
  // What becomes of the workspaces there meanwhile, it may say only when it is back; one is restored elsewhere.
  await Promise.all([three.take("stray"), three.take("gone"), three.truth.killContainer("ended")]);
  const lost = await platform.shows("all of both lost", ["m1", "calm", ...onThree], isLost, { afterSeq });
  for (const { writer, conditions } of lost.values()) {
    expect(writer).toBe("a");
    expect(conditions.container).toMatchObject({ running: true, reason: "HostLost", unknown: true });
  }
  expect(lost.get("ended")?.conditions.observed?.containers).toBe(before.conditions.observed?.containers);
  fleet.moves("stray");
  await one.give("stray");
  fleet.arrived("stray", "vm-1");
  await platform.shows("it runs elsewhere", ["stray"], isOn(one), { afterSeq });
  await platform.insert("new2");
  await archiveIsTold("new2");
  await nextLooks(observers.a, 2);
  expect(await isUnseen("new2")).toBe(true);

  const backSeq = await platform.lastSeq();
  for (const silence of silences) silence.ends();
  b.signal("SIGCONT");
  link.thaw();
  await platform.shows("back on vm-2", ["m1", "calm"], isOn(two), { afterSeq: backSeq });
  await platform.shows("back on vm-3", ["m2"], isOn(three), { afterSeq: backSeq });
  await platform.shows("what ended", ["ended"], ({ container }) => container?.reason === "Exited", {
    afterSeq,
  });
  await platform.shows("what is gone, and new", ["gone", "new2"], isNowhere, { afterSeq });
  await nextLooks(c);
  expect(isOn(one)((await platform.row("stray")).conditions)).toBe(true);
});

test("P7: an Engine that was rebuilt proves nothing about what its host had, until it is accepted", async () => {
  const { c } = observers;
  await archives.upload("m2");
  const afterSeq = await platform.lastSeq();
  const beganMs = Date.now();
  await three.docker.restart({ mode: "rebuild" });
  for (const id of ["m2", "ended"])
    for (const kind of ["container", "volume"] as const)
      three.truth.journal.moved(kind, id, "absent", beganMs, Date.now() + 1);
  expect(await c.logged("world.changed")).toMatchObject({ source: "engine" });
  await platform.insert("new3");
  await archiveIsTold("new3");
  await Promise.all([nextLooks(observers.a, 2), nextLooks(c, 3)]);
  for (const id of ["m2", "ended"]) expect(isOn(three)((await platform.row(id)).conditions)).toBe(true);
  expect(await isUnseen("new3")).toBe(true);
  const accepted = await runCommand(["accept", "engine"], settingsOf("operator", three));
  expect(accepted).toMatchObject({ code: 0, stdout: expect.stringContaining("Accepted: Engine ") });
  const gone = await platform.shows("gone with the Engine", ["m2", "ended"], isNowhere, { afterSeq });
  expect([...gone.values()].map(({ writer }) => writer)).toEqual(["c", "c"]);
  await platform.shows("new3 nowhere", ["new3"], isNowhere, { afterSeq });
  // Restored from its archive.
  const goneSeq = gone.get("m2")!.seq;
  await three.give("m2");
  fleet.arrived("m2", "vm-3");
  await platform.shows("restored", ["m2"], isOn(three), { afterSeq: goneSeq });
});

test("All but one are killed at once: it takes over its host and the table; the other hosts are lost, and one is back", async () => {
  const { a, b, c, a2 } = observers;
  const afterSeq = await platform.lastSeq();
  for (const killed of [a, b, c]) killed.signal("SIGKILL");
  const silence = three.isSilent();
  two.isSilent();
  await one.truth.startContainer("m3");
  const shown = await platform.shows("m3 runs", ["m3"], ({ container }) => container?.running === true, {
    afterSeq,
  });
  expect(shown.get("m3")?.writer).toBe("a2");
  const lost = await platform.shows("lost", ["m1", "calm", "m2"], isLost, { afterSeq });
  expect(new Set([...lost.values()].map(({ writer }) => writer))).toEqual(new Set(["a2"]));
  silence.ends();
  observers.c = start("c");
  await platform.shows("back on vm-3", ["m2"], isOn(three), { afterSeq: lost.get("m2")!.seq });
  expect(a2.isRunning()).toBe(true);
}, 30_000);

test("A host that is retired for good is forgotten: what it alone had is then proven absent by the others", async () => {
  const forget = (host: DockerHost, ...more: string[]) =>
    runCommand(["forget", "host", host.name, ...more], settingsOf("operator", one));
  const alive = await forget(three, "--yes");
  expect(alive).toMatchObject({ code: 1, stdout: expect.stringContaining("Not forgotten") });
  const asked = await forget(two);
  expect(asked).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("2 containers and 2 volumes, in 2 rows"),
  });
  expect((await platform.row("calm")).conditions).toHaveProperty("container.unknown", true);
  const afterSeq = await platform.lastSeq();
  two.forgottenMs = Date.now();
  // A row that is being written meanwhile is locked for a moment, and not left.
  let forgetting: ReturnType<typeof forget> | undefined;
  await platform.sql.begin(async (sql) => {
    await sql`select from workspaces where id = 'calm' for update`;
    forgetting = forget(two, "--yes");
    await waitFor("m1 to be forgotten", 20_000, async () => !(await platform.row("m1")).conditions.container);
  });
  expect(await forgetting).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("Forgotten: vm-2, in 2 rows."),
  });
  await platform.shows("nowhere", ["m1", "calm"], isNowhere, { afterSeq });
  expect(await forget(two)).toMatchObject({ code: 1, stdout: expect.stringContaining("Nothing to forget") });
}, 30_000);

test("A single observer doesn't start on a fleet's table", async () => {
  const { OBSERVER_HOST: _, ...single } = settingsOf("single", one);
  const { code, stdout } = await runCommand(["run"], { ...single, OBSERVER_LISTEN: "off" });
  expect([code, stdout]).toEqual([78, expect.stringContaining("a fleet writes it (vm-1, vm-3)")]);
});

test("P1, P2: of all that was written nothing was false, by whom it may not be, or back and forth", async () => {
  const { wrong, seen } = await fleet.judge();
  expect(wrong.slice(0, 10)).toEqual([]);
  // That it had something to judge.
  for (const [what, count] of Object.entries(seen)) expect([what, count > 0]).toEqual([what, true]);
});

checksOfEverything();
