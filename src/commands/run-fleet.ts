/** What a process that is one of a fleet is as a whole: the units of its hosts, and the one of the table. */
import { systemClock } from "../adapters/clock.ts";
import { readFleet } from "../adapters/postgres-fleet.ts";
import type { Config, FleetConfig } from "../config.ts";
import { withFields } from "../log-fields.ts";
import { withDeadline } from "../observer/deadline.ts";
import { Loop } from "../observer/loop.ts";
import type { Log } from "../observer/ports.ts";
import { sharedHints, silence } from "../observer/shared-hints.ts";
import { type FleetViews, fleetViewOf, hostSign } from "../status/fleet-view.ts";
import { rowsOfAll } from "../status/rows-of-all.ts";
import type { EngineUnit, World } from "../wire.ts";
import type { Units, UnitsParts } from "./run-units.ts";

/** How often a process that doesn't write the table's part reads what the hosts say, for who asks it. */
const READ_EVERY_MS = 10_000;

export function openFleet(
  config: Config,
  world: World,
  fleet: FleetConfig,
  table: NonNullable<World["table"]>,
  log: Log,
  parts: UnitsParts,
): Units {
  const { instance, cadence } = config;
  const { transitions } = world;
  const hosts = world.units.map(hostOf);
  const hintsFor = sharedHints(world.channel);
  /** The database is prepared once, for all. */
  const prepared = Promise.withResolvers<void>();
  const isPrepared = (signal: AbortSignal) => Promise.race([prepared.promise, aborted(signal)]);
  const prepare = async (signal: AbortSignal) => {
    await world.prepare(signal);
    prepared.resolve();
  };
  const own = world.units.map((unit, index) => {
    const host = hostOf(unit);
    const onReport = parts.onReport(world.units.length > 1 ? host : null);
    const loop = new Loop({
      ...unit,
      cadence,
      random: Math.random,
      channel: hintsFor([host]),
      transitions,
      prepare: index === 0 ? prepare : isPrepared,
      onReport,
      onProgress: parts.onProgress,
      describe: (view) => parts.describe(view, hostSign(view, host)),
    });
    return { host, loop };
  });
  const tableLoop = new Loop({
    instance,
    cadence,
    random: Math.random,
    cycle: table,
    channel: hintsFor(hosts),
    transitions,
    events: silence,
    log: withFields(log, { unit: "table" }),
    prepare: isPrepared,
    onReport: parts.onReport(null),
    onProgress: parts.onProgress,
    // The row of a process with one host is that host's.
    describe: world.units.length > 1 ? () => parts.describe(viewOf()) : null,
  });
  let latest: FleetViews["reading"] = null;

  async function keepReading(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await systemClock.sleep(READ_EVERY_MS, stop);
      if (stop.aborted || tableLoop.view().role !== "standby") continue;
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

  function viewOf() {
    const view = tableLoop.view();
    const { reading } = view.watch ?? { reading: null };
    if (reading !== null && reading !== latest?.reading)
      latest = { reading, atMs: view.watch?.readMs ?? view.nowMs };
    const hostViews = own.map(({ host, loop }) => ({ host, view: loop.view() }));
    return fleetViewOf(hostViews, view, { ...fleet, instance, reading: latest });
  }

  const hostLoops = own.map(({ loop }) => loop);
  const ofHosts = rowsOfAll(hostLoops);
  return {
    view: viewOf,
    // A host knows its own rows alone, the table's unit all of them.
    rows: () => tableLoop.rows() ?? (hostLoops.some((loop) => loop.rows() !== null) ? ofHosts : null),
    runs: [...[...hostLoops, tableLoop].map((loop) => (stop: AbortSignal) => loop.run(stop)), keepReading],
  };
}

function hostOf({ host }: EngineUnit): string {
  if (host === null) throw new Error("Bug: an Engine of a fleet without a host");
  return host;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
