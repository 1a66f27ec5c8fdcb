// Faults of the Observer's own processes: paused, killed, cut off, asked to end at a bad moment.
import type { Context, Fault } from "./fault.ts";
import { STOP_MS } from "./judge-processes.ts";
import type { ObserverProcess } from "./observer.ts";
import { isWholeList, type World, waitForLeader } from "./world.ts";

async function endsInTime(world: World, context: Context): Promise<void> {
  for (const { code, tookMs } of await world.stopObservers()) {
    if (code !== 0) context.violation("P12", `Asked to end, it ended with ${code}`);
    if (tookMs > STOP_MS) context.violation("P12", `It took ${Math.round(tookMs)} ms to end`);
  }
}

/** Starts the second instance, on its own way to the database. */
async function withSecond(world: World): Promise<readonly [ObserverProcess, ObserverProcess]> {
  const first = await waitForLeader(world);
  const { database, proxies } = world;
  const second = world.startObserver("b", { DATABASE_URL: database.url(proxies.postgresToo.port, "b") });
  await second.logged("lease.standby");
  return [first, second];
}

/** One instance, as every fault begins. */
async function alone(world: World, context: Context): Promise<void> {
  await endsInTime(world, context);
  await world.startObserver("a").logged("lease.acquired");
}

export const observerFaults: readonly Fault[] = [
  {
    name: "observer-paused",
    what: "SIGSTOP for 4 s, less than a lease",
    promises: ["P2", "P3"],
    durationMs: 4_000,
    async run(world, context) {
      const leader = await waitForLeader(world);
      leader.signal("SIGSTOP");
      const [health] = await Promise.all([leader.health(), context.hold()]);
      leader.signal("SIGCONT");
      if (health !== 1)
        context.violation("P12", `\`observer health\` of a stopped process ended with ${health}`);
    },
  },
  {
    name: "observer-paused-past-lease",
    what: "SIGSTOP in the middle of a listing, past its lease, while a second instance takes over; then SIGCONT",
    promises: ["P3"],
    durationMs: 3_000,
    // It must still be listening when it wakes up, so that the late answer is one that it takes in.
    settings: { OBSERVER_LIST_TIMEOUT: "1m" },
    felt: ["lease.lost"],
    ends: 2,
    async run(world, context) {
      const { engine } = world.proxies;
      const [first, second] = await withSecond(world);
      engine.delays = () => ({ beforeMs: 0, afterMs: 1_500 });
      await Bun.sleep(4_000);
      const listing = Promise.withResolvers<void>();
      // A whole one: what events call for has a deadline that is over when it wakes up.
      engine.onRequest = (path) => isWholeList(path) && listing.resolve();
      await listing.promise;
      engine.onRequest = null;
      await Bun.sleep(200);
      first.signal("SIGSTOP");
      await second.logged("lease.acquired");
      engine.delays = null;
      await context.hold();
      first.signal("SIGCONT");
      await first.logged("lease.lost");
      await Bun.sleep(2_000);
      await alone(world, context);
    },
  },
  {
    name: "observer-killed",
    what: "the leader kill -9; a second instance takes over",
    promises: ["P3", "P9", "P12"],
    durationMs: 3_000,
    ends: 2,
    async run(world, context) {
      const [first, second] = await withSecond(world);
      const killedMs = performance.now();
      first.signal("SIGKILL");
      await second.logged("lease.acquired");
      context.note(`the second leads after ${((performance.now() - killedMs) / 1000).toFixed(1)} s`);
      if (performance.now() - killedMs > 10_000) context.violation("P9", "Nobody led for ten seconds");
      await context.hold();
      world.observers.splice(world.observers.indexOf(first), 1);
      await first.stop();
      await alone(world, context);
    },
  },
  {
    name: "observers-both-killed",
    what: "two instances kill -9 at once, over and over, started again at once",
    promises: ["P1", "P3", "P9"],
    durationMs: 1_000,
    recoveryMs: 12_000,
    ends: 6,
    async run(world, context) {
      for (let round = 0; round < 3; round++) {
        if (world.observers.length < 2) await withSecond(world);
        await Bun.sleep(300 + world.random() * 1_000);
        await world.stopObservers("SIGKILL");
        world.startObserver("a");
        world.startObserver("b");
        await waitForLeader(world);
      }
      await context.hold();
      await world.stopObservers("SIGKILL");
      world.startObserver("a");
    },
  },
  {
    name: "observer-ended-in-mid-write",
    what: "SIGTERM at any moment of a look, while each of the database's answers takes 40 ms, over and over",
    promises: ["P3", "P9", "P12"],
    durationMs: 500,
    ends: 7,
    async run(world, context) {
      world.proxies.postgres.delayMs = 20;
      for (let round = 0; round < 6; round++) {
        await Bun.sleep(world.random() * 800);
        await endsInTime(world, context);
        await world.startObserver("a").logged("lease.acquired");
      }
      await context.hold();
      world.proxies.postgres.delayMs = 0;
    },
  },
  {
    name: "observer-ended-with-all-down",
    what: "SIGTERM while Engine, S3, PostgreSQL and Redis all hang",
    promises: ["P12"],
    ends: 1,
    durationMs: 4_000,
    async run(world, context) {
      const { proxies } = world;
      proxies.engine.faults.set("all", { hang: true });
      proxies.s3.faults.set("all", { hang: true });
      proxies.postgres.freeze();
      proxies.redis.freeze();
      await context.hold();
      await endsInTime(world, context);
      proxies.postgres.cut();
      proxies.postgres.thaw();
      proxies.redis.thaw();
      await proxies.engine.heal();
      await proxies.s3.heal();
      world.startObserver("a");
    },
    recoveryMs: 12_000,
  },
  {
    name: "observer-partitioned",
    what: "the leader's way to the database is frozen, a second instance takes over; then all that was frozen arrives",
    promises: ["P3"],
    durationMs: 3_000,
    felt: ["lease.lost"],
    ends: 2,
    async run(world, context) {
      const [first, second] = await withSecond(world);
      world.proxies.postgres.freeze();
      await second.logged("lease.acquired");
      await context.hold();
      world.proxies.postgres.thaw();
      await first.logged("lease.lost");
      await Bun.sleep(1_000);
      await alone(world, context);
    },
  },
  {
    name: "all-at-once",
    what: "late lists, 503 from S3, backends killed, Redis flapping, the event stream cut",
    promises: ["P1", "P2", "P3", "P5", "P12"],
    durationMs: 12_000,
    async run(world, context) {
      const { proxies, database, random } = world;
      proxies.engine.delays = (route) => ({
        beforeMs: route === "containers" ? random() * 1_000 : 0,
        afterMs: route === "volumes" ? random() * 1_000 : 0,
      });
      proxies.s3.faults.set("list", { status: 503, times: 5 });
      const timer = setInterval(() => {
        proxies.engine.cutStreams();
        proxies.redis.cut();
        void database.terminateAll();
        if (random() < 0.3) proxies.s3.faults.set("list", { truncateAfterBytes: 500, times: 2 });
        if (random() < 0.3) proxies.engine.faults.set("volumes", { reset: true, times: 1 });
      }, 1_500);
      await context.hold();
      clearInterval(timer);
      proxies.s3.faults.clear();
      proxies.engine.faults.clear();
      proxies.engine.delays = null;
    },
  },
  {
    name: "calm",
    what: "nothing happens at all, for ten seconds",
    promises: ["P10"],
    churn: false,
    durationMs: 10_000,
    settings: { OBSERVER_MAX_AGE: "5s" },
    async run(world, context) {
      const [before] = await world.database.sql<
        { seq: number }[]
      >`select coalesce(max(seq), 0)::int as seq from written`;
      await context.hold();
      const rows = (await world.database.rows()).size;
      const writes = (await world.database.written(before!.seq)).length;
      // Each row once per maximum age less the longest pause between two looks.
      const most = rows * Math.ceil(context.durationMs / 4_000 + 1);
      context.note(`${writes} stamps of ${rows} rows`);
      if (writes > most)
        context.violation("P10", `${writes} writes in ten calm seconds, at most ${most} were due`);
    },
  },
];
