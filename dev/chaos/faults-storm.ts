// Storms: a hundred thousand hints, fifty thousand Engine events. Cadence bounds hold, the last one counts, nothing grows.
import { runCommand } from "../services/process.ts";
import { waitFor } from "../services/wait.ts";
import { eventLines } from "./engine-events.ts";
import type { Context, Fault } from "./fault.ts";
import { ABSENT } from "./journal.ts";
import type { Settings } from "./observer.ts";
import { isWholeList, type World } from "./world.ts";

const GOES_ON = { goesOn: ["containers", "archives"] } as const;

const HINTS = 100_000;
/** Of them, those that come while a deed is done that no other sign tells of. */
const LAST_HINTS = 20_000;
const ENDS = 4;
const EVENTS = 50_000;
const EVENTS_AT_ONCE = 500;
const CUT_EVERY_MS = 10_000;
/** Of a whole storm: looks, second looks and inspections together. */
const MOST_REQUESTS_PER_SECOND = 100;
/** Longer than a look takes, or the machine's pace would be the bound. */
const MIN_INTERVAL_MS = 1_000;
const HELD_BACK: Settings = {
  OBSERVER_MIN_INTERVAL: `${MIN_INTERVAL_MS}ms`,
  OBSERVER_ACTIVE_INTERVAL: `${MIN_INTERVAL_MS}ms`,
};
/** Neither hints nor events: nobody looks sooner of himself. */
const RARE_MS = 10_000;
/** How soon after the last hint an archive must be in the table. */
const HINTED_MS = 4_000;

/** Counts what the Engine is asked from now on. */
function countAsked({ proxies: { engine } }: World) {
  const startedMs = performance.now();
  let looks = 0;
  let requests = 0;
  engine.onRequest = (path) => {
    requests += 1;
    if (isWholeList(path)) looks += 1;
  };
  return {
    judge(context: Context): void {
      engine.onRequest = null;
      const seconds = (performance.now() - startedMs) / 1_000;
      context.note(`${looks} looks and ${requests} requests in ${seconds.toFixed(1)} s`);
      // One at each end of the interval.
      const mostLooks = (seconds * 1_000) / MIN_INTERVAL_MS + 2;
      if (looks > mostLooks)
        context.violation("P8", `${looks} looks in a storm, at most ${Math.floor(mostLooks)} were allowed`);
      if (requests > seconds * MOST_REQUESTS_PER_SECOND)
        context.violation("P8", `${requests} requests in ${seconds} s of a storm`);
    },
  };
}

const publish = ({ redis }: World, hints: number) =>
  runCommand([
    "redis-benchmark",
    ...["-p", String(redis.port), "-c", "4", "-P", "50", "-n", String(hints), "-q"],
    ...["publish", "ob:wake", "x"],
  ]);

/**
 * Ends of a storm: a deed in the middle of its last hints and of the look that they started, then the very last hint.
 * @returns the longest time from there until the table showed the deed
 */
async function msUntilShown(world: World): Promise<number> {
  const { truth, database, proxies } = world;
  // What a look sees of the store is old when it ends.
  proxies.s3.delays = () => ({ beforeMs: 0, afterMs: 400 });
  let slowestMs = 0;
  for (let end = 0; end < ENDS; end++) {
    // So that the first of them starts a look at once, and the last one comes in the middle of it.
    await Bun.sleep(MIN_INTERVAL_MS);
    const raging = publish(world, LAST_HINTS / ENDS);
    await Bun.sleep(world.random() * 300);
    await truth.upload("s4");
    await raging;
    await world.hint();
    const hintedMs = performance.now();
    const key = truth.journal.current("archive", "s4");
    await waitFor("the hinted archive", 2 * RARE_MS, async () => {
      const archive = (await database.rows()).get("s4")?.conditions.archive;
      return key !== ABSENT && (archive as { archive_key?: string } | null)?.archive_key === key;
    }).catch(() => {});
    slowestMs = Math.max(slowestMs, performance.now() - hintedMs);
  }
  proxies.s3.delays = null;
  return slowestMs;
}

export const stormFaults: readonly Fault[] = [
  {
    name: "redis-hint-storm",
    what: `${HINTS.toLocaleString("en")} hints as fast as they go, changes among the last of them, each followed by one hint more`,
    promises: ["P8", "P10", "P12"],
    // Not by way of a proxy: it would be the one to suffer. And nothing but hints makes anybody look at archives.
    settings: ({ redis }) => ({
      ...HELD_BACK,
      REDIS_URL: redis.url,
      OBSERVER_IDLE_INTERVAL: `${RARE_MS}ms`,
      OBSERVER_ACTIVE_INTERVAL: `${RARE_MS}ms`,
    }),
    // The new stamps of all rows come with the next idle look.
    recoveryMs: 8_000 + RARE_MS,
    async run(world, context) {
      const asked = countAsked(world);
      const storm = publish(world, HINTS - LAST_HINTS);
      await context.hold();
      await storm;
      await world.churn.rested();
      const shownMs = await msUntilShown(world);
      asked.judge(context);
      context.note(`seen ${Math.round(shownMs)} ms after the last hint at most`);
      if (shownMs > HINTED_MS)
        context.violation("P8", `The last hint was not followed by a look for ${Math.round(shownMs)} ms`);
    },
  },
  {
    name: "engine-event-storm-injected",
    what: `${EVENTS.toLocaleString("en")} events of containers and volumes, own ones and strangers', and the stream cut every ${CUT_EVERY_MS / 1_000} s`,
    promises: ["P8", "P9", "P10", "P12"],
    ...GOES_ON,
    felt: ["events.down"],
    settings: HELD_BACK,
    durationMs: 22_000,
    async run(world, context) {
      const { engine } = world.proxies;
      const asked = countAsked(world);
      const cutting = setInterval(() => engine.cutStreams(), CUT_EVERY_MS);
      let sent = 0;
      let isOver = false;
      const storm = (async () => {
        // Evenly over the whole time; what meets no stream is not counted, and comes again.
        const everyMs = (context.durationMs * 0.8) / (EVENTS / EVENTS_AT_ONCE);
        while (sent < EVENTS && !isOver) {
          const dueMs = performance.now() + everyMs;
          const streams = await engine.inject(eventLines(EVENTS_AT_ONCE, world.random));
          if (streams > 0) sent += EVENTS_AT_ONCE;
          await Bun.sleep(Math.max(5, dueMs - performance.now()));
        }
      })();
      await context.hold();
      isOver = true;
      await storm;
      clearInterval(cutting);
      asked.judge(context);
      context.note(`${sent} events`);
      // The short form of a fault is shorter, and so is its storm.
      if (sent < EVENTS) context.violation("the fault", `Only ${sent} events met a stream`);
    },
  },
];
