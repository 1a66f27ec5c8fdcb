/** The table's unit of a process that is one of a fleet: its loop, and what both units are together. */
import { systemClock } from "../adapters/clock.ts";
import { readFleet } from "../adapters/postgres-fleet.ts";
import type { Config } from "../config.ts";
import type { JsonObject } from "../observer/conditions.ts";
import type { CycleParts } from "../observer/cycle.ts";
import { withDeadline } from "../observer/deadline.ts";
import { Loop, type LoopParts } from "../observer/loop.ts";
import type { HintSource, Log } from "../observer/ports.ts";
import { sharedHints, silence } from "../observer/shared-hints.ts";
import type { ObserverView, RowsView } from "../observer/view.ts";
import { type FleetViews, fleetViewOf, hostSign } from "../status/fleet-view.ts";
import type { World } from "../wire.ts";

export interface Member {
  /** For the host's unit. */
  readonly channel: HintSource;
  readonly prepare: LoopParts["prepare"];
  sign(own: ObserverView): JsonObject;
  view(own: ObserverView): ObserverView;
  rows(): RowsView | null;
  run(stop: AbortSignal): Promise<void>;
}

/** How often a member that doesn't write the table's part reads what the hosts say, for who asks it. */
const READ_EVERY_MS = 10_000;

export function openFleet(
  config: Config,
  world: World,
  cycle: CycleParts,
  log: Log,
  reported: Pick<LoopParts, "onReport" | "onProgress">,
): Member | null {
  const { fleet } = config;
  if (fleet === null) return null;
  const { first, second } = sharedHints(world.channel);
  /** The database is prepared once, for both. */
  const prepared = Promise.withResolvers<void>();
  const loop = new Loop({
    ...reported,
    instance: config.instance,
    cadence: config.cadence,
    cycle,
    channel: second,
    events: silence,
    log: ofUnit(log, "table"),
    prepare: (signal) => Promise.race([prepared.promise, aborted(signal)]),
    describe: null,
  });
  let latest: FleetViews["reading"] = null;

  async function keepReading(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await systemClock.sleep(READ_EVERY_MS, stop);
      if (stop.aborted || loop.view().role !== "standby") continue;
      const reading = await withDeadline(
        systemClock,
        config.writeTimeoutMs,
        "Cannot read the signs of the hosts",
        (signal) => readFleet(world.database.asker("Cannot read the signs of the hosts", signal)),
        stop,
        // The loops say what ails the database.
      ).catch(() => null);
      if (reading !== null) latest = { reading, atMs: systemClock.monotonicMs() };
    }
  }

  return {
    channel: first,
    async prepare(signal) {
      await world.prepare(signal);
      prepared.resolve();
    },
    sign: (own) => hostSign(own, fleet.host) as JsonObject,
    view(own) {
      const table = loop.view();
      const { reading } = table.watch ?? { reading: null };
      if (reading !== null && reading !== latest?.reading)
        latest = { reading, atMs: table.watch?.readMs ?? table.nowMs };
      return fleetViewOf(own, table, { ...fleet, reading: latest });
    },
    rows: () => loop.rows(),
    async run(stop) {
      await Promise.all([loop.run(stop), keepReading(stop)]);
    },
  };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/** The same log, with the unit in each line. */
function ofUnit(log: Log, unit: string): Log {
  const note =
    (level: keyof Log): Log["info"] =>
    (event, message, fields) =>
      log[level](event, message, { unit, ...fields });
  return { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
}
