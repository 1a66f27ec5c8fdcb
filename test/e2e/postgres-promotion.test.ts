// Goal: P1, P3, P9, when a standby becomes the primary: the history of the promoted server holds no older observation over a
// newer one and no false absence, whatever the old server and connections to it still believe; one instance leads in the end.
// Method: a real primary with a real streaming standby, the executable on a way to the database that can be led elsewhere, a
// real Engine on which workspaces come and go, and the judge of `bun run chaos`: every document of the promoted server is
// compared with a journal of what was really there. Replication is asynchronous: what the standby never got is lost, and
// may be. Which servers are on which side of the fault is the scenarios' difference.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { Checker, claimOf } from "../../dev/chaos/check.ts";
import { type ChaosDatabase, createDatabase, openDatabase, ROLE } from "../../dev/chaos/database.ts";
import { HttpProxy } from "../../dev/chaos/http-proxy.ts";
import { ABSENT, Journal } from "../../dev/chaos/journal.ts";
import { ensureExecutable, ObserverProcess } from "../../dev/chaos/observer.ts";
import { NO_STORE } from "../../dev/chaos/store.ts";
import { Truth } from "../../dev/chaos/truth.ts";
import { seededRandom } from "../../dev/fakes/random.ts";
import { type Docker, startDocker } from "../../dev/services/docker.ts";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { type Standby, startStandby } from "../../dev/services/postgres-standby.ts";
import { openScope, type Scope } from "../../dev/services/scope.ts";
import { type FaultProxy, startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { type Switch, startSwitch } from "./support-switch.ts";

const IDS = Array.from({ length: 6 }, (_, index) => `p${index}`);
const executable = process.env.E2E_EXECUTABLE ?? ensureExecutable();
const random = seededRandom(1);
/** No archives here. */

let scope: Scope;
let docker: Docker;
let engine: HttpProxy<"events" | "other">;

let primary: Postgres;
let standby: Standby;
/** What the standby streams through, and what clients of the old primary go through. */
let replication: FaultProxy;
let toPrimary: FaultProxy;
let database: ChaosDatabase;
let promoted: ChaosDatabase | null;
/** Each instance's way to the database. */
let ways: { a: Switch; b: Switch };
let journal: Journal;
let truth: Truth;
let observers: ObserverProcess[];

beforeAll(async () => {
  scope = openScope("promotion");
  docker = await startDocker();
  engine = new HttpProxy({
    listen: { path: join(scope.folder, "engine.sock") },
    target: { path: docker.socketPath },
    routeOf: (path) => (path.includes("/events") ? "events" : "other"),
    stream: "events",
  });
  await engine.accept();
}, 120_000);
afterAll(async () => {
  await engine?.refuse();
  await docker?.stop();
  await scope?.stop();
}, 60_000);

beforeEach(async () => {
  observers = [];
  promoted = null;
  primary = await startPostgres({ version: 15, passwords: true });
  database = await createDatabase(primary, executable);
  await database.insert(IDS);
  replication = await startFaultProxy({ target: { host: "127.0.0.1", port: primary.port } });
  toPrimary = await startFaultProxy({ target: { host: "127.0.0.1", port: primary.port } });
  standby = await startStandby(primary, replication.port);
  ways = { a: await startSwitch(toPrimary.port), b: await startSwitch(toPrimary.port) };
  await docker.engine.removeAll();
  journal = new Journal();
  truth = new Truth(journal, docker.engine, NO_STORE);
  for (const id of IDS) await bringUp(id);
}, 60_000);
afterEach(async () => {
  await Promise.all(observers.map((observer) => observer.stop("SIGKILL")));
  for (const way of Object.values(ways)) way.stop();
  await database.close();
  await promoted?.close();
  for (const service of [toPrimary, replication, standby, primary]) await service.stop();
}, 60_000);

async function bringUp(id: string): Promise<void> {
  await truth.createVolume(id);
  await truth.createContainer(id);
  await truth.startContainer(id);
}

/** Workspaces end, start, come and go, one deed after the other, until it is told to rest. */
function churn(): { rest(): Promise<void> } {
  let isOver = false;
  const worker = (async () => {
    while (!isOver) {
      const id = IDS[Math.floor(random() * IDS.length)]!;
      if (truth.container(id) === ABSENT) await bringUp(id);
      else if (!truth.isRunning(id)) await truth.startContainer(id);
      else if (random() < 0.7) await truth.killContainer(id);
      else {
        await truth.removeContainer(id);
        // What depends on one another is told apart by a clock that counts milliseconds.
        await Bun.sleep(5);
        await truth.removeVolume(id);
      }
      await Bun.sleep(random() * 150);
    }
  })();
  worker.catch(() => {});
  return {
    async rest() {
      isOver = true;
      await worker;
    },
  };
}

function startObserver(name: "a" | "b", changes: Record<string, string> = {}): ObserverProcess {
  const observer = new ObserverProcess(name, executable, scope.folder, {
    DATABASE_URL: database.url(ways[name].port, name),
    DOCKER_HOST: `unix://${docker.socketPath}`,
    OBSERVER_IDLE_INTERVAL: "500ms",
    OBSERVER_ACTIVE_INTERVAL: "300ms",
    OBSERVER_MIN_INTERVAL: "100ms",
    OBSERVER_WRITE_TIMEOUT: "2s",
    ...changes,
  });
  observers.push(observer);
  return observer;
}

/** From now on the standby is the primary, and new connections of these instances lead there. */
async function promote(...names: readonly ("a" | "b")[]): Promise<ChaosDatabase> {
  await standby.promote();
  for (const name of names) ways[name].targetPort = standby.port;
  promoted = openDatabase(standby, database.password);
  return promoted;
}

/** Every row of the promoted server says what is so, observed since then. */
async function isRight(server: ChaosDatabase, sinceMs: number): Promise<void> {
  const since = new Date(sinceMs).toISOString().replace("Z", "000Z");
  await waitFor("the table of the promoted server to be right", 30_000, async () => {
    const rows = await server.rows();
    return IDS.every((id) => {
      const { observed, ...conditions } = rows.get(id)?.conditions ?? {};
      const stamp = (observed as Record<string, string> | undefined)?.containers ?? "";
      return (
        stamp >= since &&
        (["container", "volume"] as const).every(
          (kind) => claimOf(kind, conditions[kind]) === journal.current(kind, id),
        )
      );
    });
  });
}

/** Judges the whole history of the promoted server. Returns who wrote in it after that sequence number. */
async function judge(server: ChaosDatabase, afterSeq: number): Promise<string[]> {
  const written = await server.written(0);
  const checker = new Checker(journal, ROLE);
  expect(checker.take(written).map(({ promise, text }) => `${promise}: ${text}`)).toEqual([]);
  expect(checker.checked).toBeGreaterThan(IDS.length);
  return [...new Set(written.filter(({ seq }) => seq > afterSeq).map(({ writer }) => writer))];
}

const lastSeq = async (server: ChaosDatabase) => (await server.written(0)).at(-1)?.seq ?? 0;

/** Of all of an instance's events of the lease, the last one. */
const leaseOf = ({ lines }: ObserverProcess) =>
  lines.findLast(({ event }) => event.startsWith("lease."))?.event ?? "none";

test("P3: the primary freezes, the standby is promoted, and the old server wakes up again", async () => {
  const leader = startObserver("a");
  await leader.logged("lease.acquired");
  const second = startObserver("b");
  await second.logged("lease.standby");
  const deeds = churn();
  await Bun.sleep(2_000);
  // Some are in the middle of a statement.
  await primary.pause();
  await Bun.sleep(500);
  const server = await promote("a", "b");
  const beforeSeq = await lastSeq(server);
  await waitFor(
    "somebody to write to the promoted server",
    30_000,
    async () => (await lastSeq(server)) > beforeSeq,
  );
  // All that the old server and the old connections still had in mind arrives now.
  primary.resume();
  await Bun.sleep(3_000);
  await deeds.rest();
  await isRight(server, Date.now());
  expect(observers.map(leaseOf).sort()).toEqual(["lease.acquired", "lease.standby"]);
  await judge(server, beforeSeq);
}, 120_000);

test("P3: the old primary lives on, cut off with its leader, while another leads on the promoted one; then both meet", async () => {
  const before = startObserver("a");
  await before.logged("lease.acquired");
  await before.stop();
  observers = [];
  await standby.caughtUp();
  // What is committed from here on is lost with the old primary: the epoch of its leader too.
  replication.freeze();
  const first = startObserver("a", {
    DOCKER_HOST: `unix://${join(scope.folder, "engine.sock")}`,
    OBSERVER_LIST_TIMEOUT: "10s",
  });
  await first.logged("lease.acquired");
  // Whatever it observes it writes late.
  engine.delays = (route) => ({ beforeMs: 0, afterMs: route === "other" ? 1_000 : 0 });
  const deeds = churn();
  const server = await promote("b");
  const second = startObserver("b");
  await second.logged("lease.acquired");
  const beforeSeq = await lastSeq(server);
  await Bun.sleep(2_000);
  expect([leaseOf(first), leaseOf(second)]).toEqual(["lease.acquired", "lease.acquired"]);
  expect(await judge(server, beforeSeq)).toEqual(["b"]);

  ways.a.targetPort = standby.port;
  toPrimary.cut();
  await waitFor("one of two leaders to give way", 30_000, () =>
    observers.map(leaseOf).includes("lease.standby"),
  );
  const oneSeq = await lastSeq(server);
  await Bun.sleep(3_000);
  engine.delays = null;
  await deeds.rest();
  await isRight(server, Date.now());
  expect(await judge(server, oneSeq)).toHaveLength(1);
  expect(observers.map(leaseOf).sort()).toEqual(["lease.acquired", "lease.standby"]);
}, 120_000);

test("P3: the leader freezes with the primary in mid-listing, and wakes up on the promoted one", async () => {
  const first = startObserver("a", {
    DOCKER_HOST: `unix://${join(scope.folder, "engine.sock")}`,
    OBSERVER_LIST_TIMEOUT: "1m",
  });
  await first.logged("lease.acquired");
  const second = startObserver("b");
  await second.logged("lease.standby");
  const deeds = churn();
  engine.delays = (route) => ({ beforeMs: 0, afterMs: route === "other" ? 1_500 : 0 });
  await Bun.sleep(2_000);
  const asked = engine.requests;
  await waitFor("a listing under way", 20_000, () => engine.requests > asked);
  first.signal("SIGSTOP");
  await primary.pause();
  const server = await promote("a", "b");
  await second.logged("lease.acquired");
  const beforeSeq = await lastSeq(server);
  await Bun.sleep(2_000);
  engine.delays = null;
  first.signal("SIGCONT");
  primary.resume();
  // What its old connections had in mind arrives, at the old server; then that is fenced off, as a failover has to.
  await Bun.sleep(1_000);
  toPrimary.cut();
  await waitFor("it to stand by", 30_000, () => leaseOf(first) === "lease.standby");
  await deeds.rest();
  await isRight(server, Date.now());
  expect(await judge(server, beforeSeq)).toEqual(["b"]);
}, 120_000);
