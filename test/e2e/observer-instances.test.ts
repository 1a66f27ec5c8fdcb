// Goal: one of two instances writes; it is replaced when it dies, hands over when it is asked to end, and whatever an
// earlier leader still has in mind changes nothing that is newer (P3).
// Method: two processes on one database, ended and stopped by signals; the memory of every write says who wrote.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type FaultProxy, startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, QUICK, useWorld } from "./support.ts";
import { type Observer, startObserver } from "./support-executable.ts";
import { type Conditions, createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, redis: true });

/** Between the first instance and the Engine: what it lists can be made to arrive late. */
let proxy: FaultProxy;

beforeAll(async () => {
  proxy = await startFaultProxy({ target: { path: world.docker.socketPath }, listen: "unix" });
}, 60_000);
afterAll(() => proxy.stop());

const start = (platform: Platform, name: string, changes: Record<string, string> = {}): Observer =>
  startObserver({
    ...world.settings(platform, QUICK),
    DATABASE_URL: platform.url(name),
    OBSERVER_INSTANCE: name,
    ...changes,
  });

const isRunning = ({ container }: Conditions) => container?.running === true;
const isEnded = ({ container }: Conditions) => container?.reason === "Exited";

async function twoInstances(name: string, firstSettings: Record<string, string> = {}) {
  const { engine } = world.docker;
  await engine.removeAll();
  const platform = await createPlatform(world.postgres, name);
  await platform.insert("i1", "i2");
  for (const id of ["i1", "i2"]) await engine.run({ name: `ws-${id}`, volume: `ws-${id}-home` });
  const first = start(platform, "first", firstSettings);
  await first.logged("lease.acquired");
  const second = start(platform, "second");
  expect(await second.logged("lease.standby")).toMatchObject({ leader: "first" });
  await platform.shows("both run", ["i1", "i2"], isRunning);
  return { platform, engine, first, second };
}

test("One leads; the other stands by, writes nothing, and is ready", async () => {
  const { platform, first, second } = await twoInstances("pair");
  await waitFor("a status row of both", 20_000, async () => {
    const rows = await platform.sql<{ instance: string; role: string }[]>`
      select instance, status ->> 'role' as role from observer_status order by instance`;
    return (
      JSON.stringify(rows.map(({ instance, role }) => [instance, role])) ===
      '[["first","leader"],["second","standby"]]'
    );
  });
  expect((await first.get("/readyz")).status).toBe(200);
  expect((await second.get("/readyz")).status).toBe(200);
  expect((await second.get("/metrics")).text).toContain("observer_is_leader 0");
  expect(new Set((await platform.written()).map(({ writer }) => writer))).toEqual(new Set(["first"]));

  // A clean end hands over at once: long before the lease of 6 s would expire.
  const handedOverMs = performance.now();
  expect((await first.stop()).code).toBe(0);
  expect(first.log("lease.released")).toHaveLength(1);
  await second.logged("lease.acquired");
  expect(performance.now() - handedOverMs).toBeLessThan(5_000);
});

test("After kill -9 of the leader the other leads within 10 s, and misses nothing", async () => {
  const { platform, engine, first, second } = await twoInstances("killed");
  const killedMs = performance.now();
  first.signal("SIGKILL");
  const afterSeq = await platform.lastSeq();
  await engine.kill("ws-i1");
  await second.logged("lease.acquired");
  expect(performance.now() - killedMs).toBeLessThan(10_000);
  const shown = await platform.shows("the end of i1", ["i1"], isEnded, { afterSeq });
  expect(shown.get("i1")).toMatchObject({ writer: "second", conditions: { container: { exit_code: 137 } } });
});

test("P3: a leader that was stopped past its lease changes nothing that is newer", async () => {
  const { platform, engine, first, second } = await twoInstances("stopped", {
    DOCKER_HOST: `unix://${proxy.path}`,
    // It must still be listing when it wakes up, so that the late answer is one that it takes in.
    OBSERVER_LIST_TIMEOUT: "1m",
  });
  // Its next listing says that both run, and waits in its socket while it is stopped.
  proxy.delayMs = 1_000;
  await waitFor("a listing under way", 20_000, async () => {
    return (await first.status()).sources.engine?.in_flight === true;
  });
  first.signal("SIGSTOP");
  await second.logged("lease.acquired");
  const takenOverSeq = await platform.lastSeq();
  await engine.kill("ws-i1");
  await engine.remove("ws-i2");
  await platform.shows("what is newer", ["i1"], isEnded);
  await platform.shows("what is newer", ["i2"], ({ container, volume }) => container === null && !!volume);

  proxy.delayMs = 0;
  first.signal("SIGCONT");
  await first.logged("lease.lost");
  await waitFor("it to stand by", 20_000, async () => (await first.status()).role === "standby");
  const written = await platform.written(takenOverSeq);
  expect(new Set(written.map(({ writer }) => writer))).toEqual(new Set(["second"]));
  const rows = await platform.rows();
  expect(rows.get("i1")?.conditions.container).toMatchObject({ reason: "Exited", exit_code: 137 });
  expect(rows.get("i2")?.conditions.container).toBeNull();

  // And back: the one that lost the lease leads again when it is its turn.
  expect((await second.stop()).code).toBe(0);
  await first.logged("lease.acquired", 2);
  const afterSeq = await platform.lastSeq();
  await engine.start("ws-i1");
  const shown = await platform.shows("i1 runs again", ["i1"], isRunning, { afterSeq });
  expect(shown.get("i1")?.writer).toBe("first");
});

checksOfEverything();
