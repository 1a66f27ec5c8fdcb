// Goal: P12: SIGTERM and SIGINT end the process with code 0 within 5 s, whatever it is doing, and leave nothing half-written.
// Method: a simulated Engine that can hang, and a real PostgreSQL that is stopped, or locked in mid-write.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { type FakeEngine, startEngine } from "../../dev/fakes/engine.ts";
import { type FaultProxy, startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { type Observer, type Settings, startObserver, workFolder } from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ postgres: 18 });
const ids = Array.from({ length: 100 }, (_, index) => `t${index}`);
const LIMIT_MS = 5_000;

let engine: FakeEngine;
let proxy: FaultProxy;
let platform: Platform;
let settings: Settings;

beforeAll(async () => {
  proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: world.postgres.port } });
  engine = await startEngine({ listen: { unixPath: join(workFolder(), "engine.sock") } });
  for (const id of ids) {
    engine.world.createContainer({ name: `ws-${id}`, image: "image", volume: `ws-${id}-home` });
  }
  platform = await createPlatform(world.postgres, "shutdown");
  await platform.insert(...ids);
  settings = {
    ...QUICK,
    DATABASE_URL: platform.url().replace(`:${world.postgres.port}/`, `:${proxy.port}/`),
    DOCKER_HOST: engine.dockerHost,
    OBSERVER_WRITE_TIMEOUT: "2s",
  };
}, 60_000);
afterAll(async () => {
  await engine.stop();
  await proxy.stop();
});
beforeEach(async () => {
  engine.faults.clear();
  proxy.thaw();
  // One that could not hand its lease over would keep the next from starting for six seconds.
  await platform.sql`delete from observer_lease`;
});

async function startAndSettle(): Promise<Observer> {
  const observer = startObserver(settings);
  await observer.logged("lease.acquired");
  await nextLooks(observer);
  return observer;
}

async function endsInTime(observer: Observer, signal: NodeJS.Signals): Promise<void> {
  const { code, durationMs } = await observer.stop(signal);
  expect(code).toBe(0);
  expect(durationMs).toBeLessThan(LIMIT_MS);
  expect(observer.log().at(-1)).toMatchObject({ event: "observer.stopped" });
}

test.each(["SIGTERM", "SIGINT"] as const)("Idle: %s hands the lease over and ends", async (signal) => {
  const observer = await startAndSettle();
  await endsInTime(observer, signal);
  expect(observer.log("lease.released")).toHaveLength(1);
  const [lease] = await platform.sql`select expires_at <= clock_timestamp() as free from observer_lease`;
  expect(lease?.free).toBe(true);
});

test.each(["containers", "volumes"] as const)(
  "In the middle of listing %s, the Engine hanging",
  async (route) => {
    const observer = await startAndSettle();
    engine.faults.set(route, { hang: true });
    await waitFor("a listing that hangs", 20_000, async () => {
      return (await observer.status()).sources.engine?.in_flight === true;
    });
    await endsInTime(observer, "SIGTERM");
  },
);

test("While it starts, the database not answering", async () => {
  proxy.freeze();
  const observer = startObserver(settings);
  await observer.logged("status.listening");
  await endsInTime(observer, "SIGTERM");
});

test("With PostgreSQL frozen between two statements", async () => {
  const observer = await startAndSettle();
  await world.postgres.pause();
  try {
    await observer.logged("database.down");
    await endsInTime(observer, "SIGTERM");
    expect(observer.log("lease.release_failed")).toHaveLength(1);
  } finally {
    world.postgres.resume();
  }
});

test("In mid-write: all of the write is there afterwards, or nothing", async () => {
  const observer = await startAndSettle();
  const locked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  // Every row that is written is noted in another table by a trigger, so this holds the write up after its first row.
  const holding = platform.sql.begin(async (tx) => {
    await tx`lock table written in exclusive mode`;
    locked.resolve();
    await release.promise;
  });
  await locked.promise;
  for (const id of ids) engine.world.start(`ws-${id}`);
  await waitFor("a write under way", 20_000, async () => {
    const [row] = await platform.sql<{ count: number }[]>`
      select count(*)::int from pg_stat_activity
       where usename = ${platform.role} and wait_event_type = 'Lock' and query like '%write conditions%'`;
    return row?.count === 1;
  });
  await endsInTime(observer, "SIGTERM");
  release.resolve();
  await holding;
  await waitFor("no session of its own", 20_000, async () => {
    const [row] = await platform.sql<{ count: number }[]>`
      select count(*)::int from pg_stat_activity where usename = ${platform.role}`;
    return row?.count === 0;
  });
  const rows = [...(await platform.rows()).values()];
  expect(new Set(rows.map(({ conditions }) => conditions.container?.reason)).size).toBe(1);
  // The next one writes it.
  startObserver(settings);
  await platform.shows("all of it", ids, ({ container }) => container?.running === true);
});

test("A second signal ends it at once", async () => {
  const observer = await startAndSettle();
  await world.postgres.pause();
  try {
    observer.signal("SIGTERM");
    observer.signal("SIGINT");
    const { code, durationMs } = await observer.stop("SIGINT");
    expect(code === 0 || code === 1).toBe(true);
    expect(durationMs).toBeLessThan(LIMIT_MS);
  } finally {
    world.postgres.resume();
  }
});

checksOfEverything();
