// Faults of Redis and of the way to it: hints only make the next look come sooner.
import { waitFor } from "../services/wait.ts";
import type { Fault } from "./fault.ts";
import { ABSENT } from "./journal.ts";

const GOES_ON = { goesOn: ["containers", "archives"] } as const;

/** How soon after a hint an archive must be in the table, where nothing else would make anybody look for 20 s. */
const HINTED_MS = 4_000;

export const redisFaults: readonly Fault[] = [
  {
    name: "redis-killed",
    what: "kill -9, 5 s later started again",
    promises: ["P6", "P9"],
    ...GOES_ON,
    durationMs: 5_000,
    felt: ["channel.down"],
    async run({ redis }, context) {
      redis.kill("SIGKILL");
      await context.hold();
      await redis.restart();
    },
  },
  {
    name: "redis-flapping",
    what: "connections cut and refused once a second",
    promises: ["P6", "P8", "P9"],
    ...GOES_ON,
    durationMs: 8_000,
    felt: ["channel.down"],
    async run({ proxies }, context) {
      let isOver = false;
      const flapping = (async () => {
        while (!isOver) {
          await proxies.redis.refuse();
          proxies.redis.cut();
          await Bun.sleep(500);
          await proxies.redis.accept();
          await Bun.sleep(500);
        }
      })();
      await context.hold();
      isOver = true;
      await flapping;
    },
  },
  {
    name: "redis-stopped",
    what: "SIGSTOP: accepts, never answers",
    promises: ["P6", "P9", "P12"],
    ...GOES_ON,
    async run({ redis }, context) {
      redis.kill("SIGSTOP");
      await context.hold();
      redis.kill("SIGCONT");
    },
  },
  {
    name: "redis-last-hint",
    what: "idle at 20 s, and each change is followed by one hint, at any moment of a look",
    promises: ["P8"],
    settings: {
      OBSERVER_IDLE_INTERVAL: "20s",
      OBSERVER_ACTIVE_INTERVAL: "20s",
      OBSERVER_LIST_TIMEOUT: "2s",
    },
    churn: false,
    durationMs: 100,
    async run(world, context) {
      const { truth, database, proxies } = world;
      // A listing takes a while, so that most hints come in its middle.
      proxies.s3.delays = () => ({ beforeMs: 0, afterMs: 300 });
      let slowestMs = 0;
      for (let round = 0; round < 6; round++) {
        await world.hint();
        await Bun.sleep(world.random() * 400);
        await truth.upload("s4");
        await world.hint();
        const hintedMs = performance.now();
        const key = truth.journal.current("archive", "s4");
        const isShown = async () => {
          const archive = (await database.rows()).get("s4")?.conditions.archive as {
            archive_key?: string;
          } | null;
          return key !== ABSENT && archive?.archive_key === key;
        };
        await waitFor("the hinted archive", 15_000, isShown).catch(() => {});
        slowestMs = Math.max(slowestMs, performance.now() - hintedMs);
      }
      proxies.s3.delays = null;
      context.note(`seen ${Math.round(slowestMs)} ms after the last hint at most`);
      if (slowestMs > HINTED_MS)
        context.violation("P8", `The last hint was not followed by a look for ${slowestMs} ms`);
      await context.hold();
      // Back to a short interval, or the wait for new stamps would be a long one.
      await world.stopObservers();
      await world.startObserver("a").logged("lease.acquired");
    },
    ends: 1,
  },
];
