/**
 * A look at the few workspaces that events named, while everything else stays as it was last seen: stamp → list and load
 * those alone → believe → compose → compare → save → wake. Still a look at the world, and a write under the same fence:
 * an event only tells where to look. What a glance misses, the next whole look finds (P9).
 *
 * It believes less than a whole look: where that had doubts (another engine, a guard that holds something back, a source
 * that fails), and where so much vanishes between two whole looks that the guard would not believe it either (P7).
 */
import type { EngineListing } from "./absence.ts";
import type { CycleMemory } from "./believe.ts";
import { isJsonObject } from "./conditions.ts";
import type { CycleParts, CyclePlan } from "./cycle.ts";
import { withDeadline } from "./deadline.ts";
import { limits } from "./limits.ts";
import type { WorkspaceId } from "./names.ts";
import { type CycleReport, ReportBuilder } from "./report.ts";
import type { MirroredRow } from "./rows.ts";
import { explainDeaths, readStamp, writeRows } from "./stages.ts";
import { compareWorld } from "./world.ts";

export interface GlanceTarget {
  readonly ids: ReadonlySet<WorkspaceId>;
  /** Full ids of the containers that the events named. */
  readonly containers: ReadonlySet<string>;
}

export interface Glanced {
  readonly report: CycleReport;
  /** False: the events are not done with, and a whole look has to follow. */
  readonly isEnough: boolean;
}

/** Whether the last whole look leaves nothing to doubt. */
export function mayGlance({ engineSource }: CycleParts, memory: CycleMemory): boolean {
  return (
    engineSource !== null &&
    memory.listed.container !== null &&
    engineSource.health.consecutiveFailures === 0 &&
    memory.foreign.engine === null &&
    memory.held.container.length === 0 &&
    memory.held.volume.length === 0 &&
    // The barrier after a save of unknown outcome is a cycle's business.
    !memory.wake.isUnsettled
  );
}

export async function runGlance(
  parts: CycleParts,
  memory: CycleMemory,
  target: GlanceTarget,
  plan: Pick<CyclePlan, "lease" | "horizonMs" | "stop">,
): Promise<Glanced> {
  const report = new ReportBuilder(parts.clock, "glance", memory);
  const done = (isEnough: boolean): Glanced => ({ report: report.done(), isEnough });

  await waitForEngine(parts, plan, target);
  // P2: the stamp is read before the first listing call.
  const stamped = await report.stage("stamp", () => readStamp(parts, plan, memory));
  if (stamped === null) return done(false);
  if (stamped === "lease-lost") return { report: report.leaseLost(), isEnough: false };
  report.stamp = stamped.now;

  const [rows, seen] = await Promise.all([
    report.stage("load", () => loadRows(parts, plan, memory, target)),
    report.stage("list", () => lookAt(parts, plan, memory, target)),
  ]);
  if (rows === null || seen === null || plan.stop.aborted) return done(false);
  if (compareWorld(stamped.known, { engine: seen.identity, archives: null }).engine !== null)
    return done(false);

  const { latest } = memory.stamps;
  const look = { stamp: stamped.now, order: stamped.order, latest };
  memory.appearances.glanced(target.ids, memory.listed, seen, look);
  const vanished = vanishedOf(parts, memory, rows, seen);
  const believed = rows.filter(({ row }) => !vanished.doubted.has(row.id));
  const pair = (id: WorkspaceId) => ({
    stamp: stamped.now,
    order: stamped.order,
    container: seen.containers.byWorkspace.get(id),
    volume: seen.volumes.byWorkspace.get(id),
  });
  const world = { pair, archive: () => null };
  await explainDeaths(parts, plan, believed, world, memory.deaths, report);
  await writeRows(parts, plan, stamped, believed, world, memory, report);
  for (const kind of KINDS) for (const id of vanished[kind]) memory.vanished[kind].add(id);
  const isComplete = vanished.doubted.size === 0 && report.moving === 0;
  return done(isComplete && !report.hasFailed);
}

const KINDS = ["container", "volume"] as const;

async function loadRows(
  { clock, config, store }: CycleParts,
  plan: Pick<CyclePlan, "stop">,
  { rows }: CycleMemory,
  { ids }: GlanceTarget,
): Promise<MirroredRow[]> {
  const reading = rows.begin(clock.monotonicMs());
  try {
    const read = await withDeadline(
      clock,
      config.writeTimeoutMs,
      "Cannot load workspaces",
      (signal) => store.loadOnly(ids, signal),
      plan.stop,
    );
    rows.mergeSome(read, reading);
    return read.flatMap(({ id }) => rows.get(id) ?? []);
  } finally {
    rows.end(reading);
  }
}

/**
 * An Engine holds a container while it publishes its event, and an inspect waits until it lets go. That has to be over
 * before the clock is read: a whole look that is stamped meanwhile would else be the newer one, though it was answered
 * before, with what the container was until then. What is told is of no interest, nor whether it is refused.
 */
async function waitForEngine(
  { clock, engine, config }: CycleParts,
  { stop }: Pick<CyclePlan, "stop">,
  { containers }: GlanceTarget,
): Promise<void> {
  const deadlineMs = Math.min(config.listTimeoutMs, limits.glanceMs);
  const ask = (signal: AbortSignal) =>
    Promise.all([...containers].map((id) => engine.explainDeath(id, signal).catch(() => null)));
  await withDeadline(clock, deadlineMs, "Cannot look into containers", ask, stop).catch(() => null);
}

/**
 * By the ids that events named, and by those that the rows hold: of these it is to be told whether they are still there.
 * Of what was never observed no id is known: only a list by names proves that it is absent (P1).
 */
function lookAt(
  parts: CycleParts,
  plan: Pick<CyclePlan, "stop">,
  { rows }: CycleMemory,
  { ids, containers }: GlanceTarget,
): Promise<EngineListing> {
  const containersOf = [...ids].map((id) => rows.get(id)?.row.conditions.container);
  const held = containersOf.flatMap((container) =>
    isJsonObject(container) && typeof container.container_id === "string" ? [container.container_id] : [],
  );
  const isNamed = (short: string) => [...containers].some((full) => full.startsWith(short));
  const named = containersOf.includes(undefined)
    ? {}
    : { named: new Set([...containers, ...held.filter((short) => !isNamed(short))]) };
  return withDeadline(
    parts.clock,
    Math.min(parts.config.listTimeoutMs, limits.glanceMs),
    "Cannot look at the workspaces that events named",
    (signal) => parts.lookAt({ signal, only: ids, ...named }),
    plan.stop,
  );
}

interface Vanished extends Readonly<Record<(typeof KINDS)[number], readonly WorkspaceId[]>> {
  /** Together with what glances saw vanish since the last whole look it is too much to be believed (P7). */
  readonly doubted: ReadonlySet<WorkspaceId>;
}

function vanishedOf(
  { config: { guard } }: CycleParts,
  memory: CycleMemory,
  rows: readonly MirroredRow[],
  seen: EngineListing,
): Vanished {
  const listings = { container: seen.containers, volume: seen.volumes };
  const doubted = new Set<WorkspaceId>();
  const vanished = { container: [] as WorkspaceId[], volume: [] as WorkspaceId[] };
  for (const kind of KINDS) {
    for (const { row } of rows) {
      const isMissing = memory.rows.holds(row, kind) && !listings[kind].byWorkspace.has(row.id);
      if (isMissing) vanished[kind].push(row.id);
    }
    const all = new Set([...memory.vanished[kind], ...vanished[kind]]);
    if (!guard.enabled || vanished[kind].length === 0 || all.size < guard.min) continue;
    // What has vanished is not present in the table any more, but was when the last whole look was over.
    if (all.size <= guard.ratio * (memory.rows.presentCount(kind) + memory.vanished[kind].size)) continue;
    for (const id of vanished[kind]) doubted.add(id);
    vanished[kind] = [];
  }
  return { ...vanished, doubted };
}
