/** What a cycle and a glance do alike, each step with its deadline. */
import { isSuspicious, lookAgain, type Pair } from "./absence.ts";
import type { CycleMemory } from "./believe.ts";
import {
  type ComposeContext,
  type ComposedRow,
  composeRow,
  elapsedSince,
  type SeenByEngine,
  type SeenInArchives,
} from "./compose.ts";
import { contestedWith, type FleetContext } from "./compose-fleet.ts";
import type { CycleParts, CyclePlan } from "./cycle.ts";
import { withDeadline } from "./deadline.ts";
import { type Deaths, hasNewlyDied, isDoubtful, learnDeaths, rememberDeaths } from "./deaths.ts";
import type { TableSight } from "./fleet.ts";
import type { Instant } from "./instant.ts";
import { limits } from "./limits.ts";
import type { WorkspaceId } from "./names.ts";
import type { KnownWorld, Lease, SaveOutcome } from "./ports.ts";
import type { ReportBuilder } from "./report.ts";
import type { MirroredRow } from "./rows.ts";
import { settle } from "./settled.ts";
import type { WakeDebt } from "./wake-debt.ts";

export interface Stamped {
  /** The database's clock. */
  readonly now: Instant;
  readonly known: KnownWorld;
  /** The monotonic clock when it was read. */
  readonly readAtMs: number;
  /** One more with every stamp that is read. */
  readonly order: number;
  /** Saves of unknown outcome up to this mark (WakeDebt) are over. */
  readonly settledMark: number;
}

/**
 * The database's clock, and with it the proof that the lease is still ours. After a save whose outcome is not known the
 * lease is renewed, for that waits until the save is over.
 */
export const readStamp = (
  parts: CycleParts,
  plan: Pick<CyclePlan, "lease" | "stop">,
  memory: CycleMemory,
): Promise<Stamped | "lease-lost"> =>
  // One at a time, or nobody could tell which of two is the older when the database's clock went back between them.
  memory.stamps.take((order) => askForStamp(parts, plan, memory.wake, order));

async function askForStamp(
  { clock, config, leadership }: CycleParts,
  { lease, stop }: Pick<CyclePlan, "lease" | "stop">,
  wake: WakeDebt,
  order: number,
): Promise<Stamped | "lease-lost"> {
  const settledMark = wake.unsettledMark;
  const mustWait = wake.isUnsettled;
  const ask = async (signal: AbortSignal) => {
    if (lease === null) return { now: await leadership.now(signal), known: await leadership.known(signal) };
    const answer = await (mustWait ? leadership.renew(lease, signal) : leadership.confirm(lease, signal));
    return answer.kind === "held" ? answer : null;
  };
  const answer = await withDeadline(clock, config.writeTimeoutMs, "Cannot confirm the lease", ask, stop);
  if (answer === null) return "lease-lost";
  return { now: answer.now, known: answer.known, readAtMs: clock.monotonicMs(), order, settledMark };
}

/** What is believed of the rows that are to be composed. */
export interface Believed {
  readonly pair: (id: WorkspaceId) => SeenByEngine | null;
  readonly archive: (id: WorkspaceId) => SeenInArchives | null;
}

/** Looks into the containers that newly exited, before their rows are written. */
export async function explainDeaths(
  parts: CycleParts,
  plan: Pick<CyclePlan, "stop">,
  rows: readonly MirroredRow[],
  believed: Believed,
  deaths: Deaths,
  report: ReportBuilder,
): Promise<void> {
  const dead = rows.flatMap(({ row }) => {
    const container = believed.pair(row.id)?.container;
    if (container === undefined) return [];
    const { containerId } = container;
    const known = deaths.get(containerId);
    const isConfirmed = known !== undefined && isDoubtful(known);
    // Asked once more, and if there is no answer it stays what it was.
    if (isConfirmed) deaths.set(containerId, { ...known, isConfirmed });
    return isConfirmed || hasNewlyDied(row, container)
      ? [{ workspaceId: row.id, containerId, isConfirmed }]
      : [];
  });
  if (dead.length === 0) return;
  const nowMs = parts.clock.monotonicMs();
  const learnt = await report.stage("inspect", () =>
    withDeadline(
      parts.clock,
      limits.deathsMs,
      "Cannot look into exited containers",
      (signal) => learnDeaths(parts.engine, dead, nowMs, signal),
      plan.stop,
    ),
  );
  rememberDeaths(deaths, learnt ?? []);
}

const withDeath = (pair: SeenByEngine, deaths: Deaths): SeenByEngine => ({
  ...pair,
  death: pair.container && deaths.get(pair.container.containerId),
});

/**
 * Composes the rows and writes what has to be: what changed, tells of it, and only then renews what is merely due. Pairs
 * that may never have been true are looked at again, they alone, after everything else has been written (P5).
 */
export async function writeRows(
  parts: CycleParts,
  plan: Pick<CyclePlan, "lease" | "horizonMs" | "stop" | "onStep">,
  { now, readAtMs }: Stamped,
  rows: readonly MirroredRow[],
  believed: Believed,
  memory: CycleMemory,
  report: ReportBuilder,
  table: TableSight | null = null,
): Promise<void> {
  const fleet = fleetContext(parts, memory, table);
  const context = (): ComposeContext => ({
    now,
    changedAt: elapsedSince(now, readAtMs, parts.clock.monotonicMs()),
    archivesConfigured: parts.archiveSource !== null || parts.countsArchives === true,
    maxAgeMs: parts.config.maxAgeMs,
    horizonMs: plan.horizonMs,
    fleet,
  });
  const suspects = new Map<WorkspaceId, { readonly mirrored: MirroredRow; readonly pair: SeenByEngine }>();
  const { deaths, turns, wake } = memory;
  const seenOf: SeenOf = (mirrored) => {
    const { row } = mirrored;
    const pair = believed.pair(row.id);
    if (pair !== null && isSuspicious(row, pair)) {
      suspects.set(row.id, { mirrored, pair });
      return null;
    }
    return { pair: pair && withDeath(pair, deaths), archive: believed.archive(row.id) };
  };
  const unchanged: MirroredRow[] = [];
  await composeAndSave(rows, seenOf, unchanged);
  await announce(parts, plan, report);
  await composeAndSave(unchanged, seenOf);
  if (suspects.size === 0 || report.lostLease) return;

  const settled = await report.stage("again", () => secondLook(parts, plan, suspects));
  report.moving = suspects.size - (settled?.size ?? 0);
  report.leftOut([...suspects.keys()].filter((id) => settled?.has(id) !== true));
  for (const [id, pair] of settled ?? []) {
    const { stamp, order = 0 } = suspects.get(id)!.pair;
    memory.appearances.saw(id, memory.listed, pair, { stamp, order, latest: memory.stamps.latest });
  }
  const suspicious = [...suspects.values()].map(({ mirrored }) => mirrored);
  await composeAndSave(suspicious, ({ row: { id } }) => {
    const pair = settled?.get(id);

    return {
      pair: pair === undefined ? null : withDeath({ ...suspects.get(id)!.pair, ...pair }, deaths),
      archive: believed.archive(id),
    };
  });
  await announce(parts, plan, report);

  /** In turn with whoever else writes, so that what is composed is compared with what the table really holds. */
  async function composeAndSave(
    some: readonly MirroredRow[],
    seenOf: SeenOf,
    left?: MirroredRow[],
  ): Promise<void> {
    if (some.length === 0 || report.lostLease) return;
    return turns.take(async () => {
      // A save of somebody else may still come: nobody knows what to compare with.
      if (wake.isUnsettled) report.isBarred = true;
      else
        await saveRows(
          parts,
          plan,
          composeRows(some, context(), seenOf, memory.rivals, report, left),
          report,
        );
    });
  }
}

function fleetContext(
  { unit }: CycleParts,
  { appearances }: CycleMemory,
  table: TableSight | null,
): FleetContext | undefined {
  if (unit?.kind === "host") {
    const { ownership } = unit;
    return { kind: "host", ownership, appearedAt: (key, id) => appearances.at(key, id) };
  }
  if (unit === undefined) return undefined;
  return { kind: "table", sight: table ?? { isLost: () => false, absentSince: () => null } };
}

type SeenOf = (
  row: MirroredRow,
) => { readonly pair: SeenByEngine | null; readonly archive: SeenInArchives | null } | null;

/**
 * What has to be written, a statement's worth at a time, composed when the one before is written: as a whole, what a
 * first look writes of 100,000 rows would take half a gigabyte.
 *
 * @param seenOf what is known of a row; null leaves it for later
 * @param left gets the rows of which nothing has changed, instead of their being written: a stamp that is due can wait, and
 *   hundreds of them take longer than the change that somebody waits for
 */
function* composeRows(
  rows: readonly MirroredRow[],
  context: ComposeContext,
  seenOf: SeenOf,
  rivals: CycleMemory["rivals"],
  report: Pick<ReportBuilder, "leftOut">,
  left?: MirroredRow[],
): Generator<readonly ComposedRow[]> {
  // A small one first: of a whole table that is written for the first time something is there soon.
  let most: number = limits.rowsInFirstStatement;
  let composed: ComposedRow[] = [];
  for (const mirrored of rows) {
    const seen = seenOf(mirrored);
    if (seen === null) continue;
    // P3: what was listed before what the row holds is older, even where the database's clock went back in between.
    const isOvertaken = (seen.pair?.order ?? Number.POSITIVE_INFINITY) < mirrored.engineOrder;
    const pair = isOvertaken ? null : seen.pair;
    // What overtook it may not have been written.
    if (isOvertaken) report.leftOut([mirrored.row.id]);
    if (pair !== null && context.fleet?.kind === "host") {
      const rival = contestedWith(mirrored.row, pair, context.fleet.ownership);
      if (rival === null) rivals.delete(mirrored.row.id);
      else rivals.set(mirrored.row.id, rival);
    }
    const result = composeRow(mirrored.row, pair, seen.archive, context);
    if (result === null) settle(mirrored, pair, seen.archive, context);
    else if (left !== undefined && result.changes.length === 0) left.push(mirrored);
    else composed.push({ ...result, order: pair?.order });
    if (composed.length === most) {
      yield composed;
      composed = [];
      most = limits.rowsPerStatement;
    }
  }
  if (composed.length > 0) yield composed;
}

const secondLook = (
  parts: CycleParts,
  plan: Pick<CyclePlan, "stop">,
  suspects: ReadonlyMap<WorkspaceId, { readonly pair: Pair }>,
): Promise<ReadonlyMap<WorkspaceId, Pair>> =>
  withDeadline(
    parts.clock,
    parts.config.listTimeoutMs,
    "Cannot look at suspicious workspaces again",
    (signal) =>
      lookAgain(
        parts.engine,
        parts.config.prefix,
        new Map([...suspects].map(([id, { pair }]) => [id, pair])),
        signal,
      ),
    plan.stop,
  );

async function saveRows(
  parts: CycleParts,
  { lease, onStep }: Pick<CyclePlan, "lease" | "onStep">,
  batches: Iterable<readonly ComposedRow[]>,
  report: ReportBuilder,
): Promise<void> {
  for (const batch of batches) {
    if (lease === null) {
      report.wouldSave(batch);
      continue;
    }
    const outcome = await report.stage("save", () => save(parts, lease, batch));
    if (outcome === null) report.saveUnknown(batch);
    else report.saved(batch, outcome);
    onStep?.();
    if (report.lostLease) return;
  }
}

async function announce(
  parts: CycleParts,
  { lease }: Pick<CyclePlan, "lease">,
  report: ReportBuilder,
): Promise<void> {
  const owed = report.announcement;
  if (lease === null || owed === null) return;
  const woke = await report.stage("wake", () =>
    withDeadline(parts.clock, limits.wakeTimeoutMs, "Cannot publish the wake-up", async (signal) => {
      await parts.wake.publish(signal);
      return true;
    }),
  );
  if (woke) report.announced(owed);
}

const save = (parts: CycleParts, lease: Lease, batch: readonly ComposedRow[]): Promise<SaveOutcome> =>
  withDeadline(parts.clock, parts.config.writeTimeoutMs, "Cannot write conditions", (signal) =>
    parts.store.save(
      lease,
      batch.map(({ write }) => write),
      signal,
    ),
  );
