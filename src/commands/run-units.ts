/** The loops of a process: one, or in a fleet one for each of its hosts and one for the table. */
import type { Config } from "../config.ts";
import type { JsonObject } from "../observer/conditions.ts";
import { Loop } from "../observer/loop.ts";
import type { Log } from "../observer/ports.ts";
import type { CycleReport } from "../observer/report.ts";
import type { ObserverView, RowsView } from "../observer/view.ts";
import type { World } from "../wire.ts";
import { openFleet } from "./run-fleet.ts";

export interface UnitsParts {
  /** @param host null where there is but one, and for the table's unit */
  onReport(host: string | null): (report: CycleReport) => void;
  onProgress(): void;
  /** @param sign of a host in a fleet */
  describe(view: ObserverView, sign?: JsonObject): JsonObject;
}

export interface Units {
  view(): ObserverView;
  rows(): RowsView | null;
  /** None goes on without the others. */
  readonly runs: readonly ((stop: AbortSignal) => Promise<void>)[];
}

export function openUnits(config: Config, world: World, log: Log, parts: UnitsParts): Units {
  const { fleet, cadence } = config;
  const [unit] = world.units;
  if (fleet !== null && world.table !== null) return openFleet(config, world, fleet, world.table, log, parts);
  if (unit === undefined) throw new Error("Bug: there is no Engine to look at");
  const loop = new Loop({
    ...unit,
    cadence,
    random: Math.random,
    channel: world.channel,
    transitions: world.transitions,
    prepare: world.prepare,
    onReport: parts.onReport(null),
    onProgress: parts.onProgress,
    describe: (view) => parts.describe(view),
  });
  return { view: () => loop.view(), rows: () => loop.rows(), runs: [(stop) => loop.run(stop)] };
}
