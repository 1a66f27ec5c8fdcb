/**
 * One look at the world: stamp → list and load → compose → compare → save → wake.
 *
 * Faults of the world become part of the report; nothing here throws but broken invariants.
 */
import { type EngineListing, type GuardConfig, isSuspicious, lookAgain, type Pair } from "./absence.ts";
import { type BelievedWorld, believe, type CycleMemory } from "./believe.ts";
import {
  type ComposeContext,
  type ComposedRow,
  composeRow,
  elapsedSince,
  type SeenByEngine,
  type SeenInArchives,
} from "./compose.ts";
import { withDeadline } from "./deadline.ts";
import { type Deaths, hasNewlyDied, learnDeaths, rememberDeaths } from "./deaths.ts";
import type { Instant } from "./instant.ts";
import { limits } from "./limits.ts";
import type { WorkspaceId } from "./names.ts";
import type {
  ArchiveSeen,
  Clock,
  ConditionsStore,
  InstanceController,
  KnownWorld,
  Leadership,
  Lease,
  Listing,
  SaveOutcome,
  VolumeProvider,
  WakePublisher,
  WorkspaceRow,
} from "./ports.ts";
import { type CycleReport, ReportBuilder } from "./report.ts";
import type { Observation, Source } from "./source.ts";
import { compareWorld, type ForeignWorld, newlyKnown, type SeenWorld } from "./world.ts";

export interface CycleConfig {
  readonly prefix: string;
  readonly maxAgeMs: number;
  readonly listTimeoutMs: number;
  readonly writeTimeoutMs: number;
  /** Once one source has answered, how long the others may delay what it saw. */
  readonly sourcePatienceMs: number;
  readonly guard: GuardConfig;
}

export interface CycleParts {
  readonly config: CycleConfig;
  readonly clock: Clock;
  readonly store: ConditionsStore;
  readonly leadership: Leadership;
  readonly engine: InstanceController & VolumeProvider;
  readonly wake: WakePublisher;
  readonly engineSource: Source<EngineListing>;
  /** Null: no archive source is configured. */
  readonly archiveSource: Source<Listing<ArchiveSeen>> | null;
  /** Which bucket it is, and under which prefix. */
  readonly archivesIdentity: string | null;
}

export interface CyclePlan {
  /** Null for a dry run, which writes nothing and needs no lease. */
  readonly lease: Lease | null;
  readonly kind: "look" | "delivery";
  /** The next look comes no later than this. */
  readonly horizonMs: number;
  readonly stop: AbortSignal;
}

export async function runCycle(
  parts: CycleParts,
  memory: CycleMemory,
  plan: CyclePlan,
): Promise<CycleReport> {
  const report = new ReportBuilder(parts.clock, plan.kind, memory);

  // P2: the stamp is read before the first listing call.
  const stamped = await report.stage("stamp", () => readStamp(parts, plan));
  if (stamped === null) return report.done();
  if (stamped === "lease-lost") return report.leaseLost();
  const { now, known, readAtMs } = stamped;
  report.stamp = now;

  if (plan.kind === "look") {
    parts.engineSource.want();
    parts.archiveSource?.want();
  }
  const listing = {
    engine: parts.engineSource.startIfWanted(now, plan.stop),
    archives: parts.archiveSource?.startIfWanted(now, plan.stop) ?? null,
  };
  const [rows] = await Promise.all([
    report.stage("load", () => loadRows(parts, plan)),
    report.stage("list", () => settle(parts, plan.kind, listing)),
  ]);
  if (rows === null || plan.stop.aborted) return report.done();
  report.loaded(rows);

  const engine = takeComparable(parts.engineSource, now);
  const archives = takeComparable(parts.archiveSource, now);
  report.listed(engine, archives);
  const seen = {
    engine: engine?.value.identity ?? null,
    archives: archives === null ? null : parts.archivesIdentity,
  };
  report.foreign = stillForeign(memory.foreign, compareWorld(known, seen), seen);
  await rememberWorld(parts, plan, newlyKnown(known, seen), report);
  const world = believe(
    rows,
    engine,
    archives,
    memory,
    report.foreign,
    parts.config.guard,
    parts.clock.monotonicMs(),
    now,
  );
  report.believed(world);

  const deaths = await explainDeaths(parts, plan, rows, world, engine, memory, report);
  const context = (): ComposeContext => ({
    now,
    changedAt: elapsedSince(now, readAtMs, parts.clock.monotonicMs()),
    archivesConfigured: parts.archiveSource !== null,
    maxAgeMs: parts.config.maxAgeMs,
    horizonMs: plan.horizonMs,
  });
  const suspects = new Map<WorkspaceId, { readonly row: WorkspaceRow; readonly pair: Pair }>();
  const writes = composeRows(rows, context(), (row) => {
    const pair = world.pair(row);
    if (pair !== null && isSuspicious(row, pair)) {
      suspects.set(row.id, { row, pair });
      return null;
    }
    return { pair: pair && withDeath(pair, deaths), archive: world.archive(row) };
  });
  await saveAndWake(parts, plan, writes, report);

  // P5: the suspicious pairs alone are looked at again, after everything else has been written.
  if (suspects.size > 0 && engine !== null && !report.lostLease) {
    const pairs = new Map([...suspects].map(([id, { pair }]) => [id, pair]));
    const settled = await report.stage("again", () => secondLook(parts, plan, pairs));
    const suspiciousRows = [...suspects.values()].map(({ row }) => row);
    const rewrites = composeRows(suspiciousRows, context(), (row) => {
      const pair = settled?.get(row.id);
      return {
        pair: pair === undefined ? null : withDeath({ stamp: engine.stamp, ...pair }, deaths),
        archive: world.archive(row),
      };
    });
    report.moving = suspects.size - (settled?.size ?? 0);
    await saveAndWake(parts, plan, rewrites, report);
  }
  return report.done();
}

/** Looks into the containers that newly exited, before their rows are written, and remembers what it learnt. */
async function explainDeaths(
  parts: CycleParts,
  plan: CyclePlan,
  rows: readonly WorkspaceRow[],
  world: BelievedWorld,
  engine: Observation<EngineListing> | null,
  memory: CycleMemory,
  report: ReportBuilder,
): Promise<Deaths> {
  if (engine === null) return memory.deaths;
  const dead = rows.flatMap((row) => {
    const container = world.pair(row)?.container;
    return container !== undefined && hasNewlyDied(row, container)
      ? [{ workspaceId: row.id, containerId: container.containerId }]
      : [];
  });
  const nowMs = parts.clock.monotonicMs();
  const learnt =
    dead.length === 0
      ? []
      : await report.stage("inspect", () =>
          withDeadline(
            parts.clock,
            limits.deathsMs,
            "Cannot look into exited containers",
            (signal) => learnDeaths(parts.engine, dead, nowMs, signal),
            plan.stop,
          ),
        );
  const listed = engine.value.containers.byWorkspace.values();
  report.deaths = rememberDeaths(memory.deaths, learnt ?? [], listed, nowMs);
  return report.deaths;
}

const withDeath = (pair: SeenByEngine, deaths: Deaths): SeenByEngine => ({
  ...pair,
  death: pair.container && deaths.get(pair.container.containerId),
});

/** A source that did not answer this time is what it was. */
const stillForeign = (before: ForeignWorld, now: ForeignWorld, seen: SeenWorld): ForeignWorld => ({
  engine: seen.engine === null ? before.engine : now.engine,
  archives: seen.archives === null ? before.archives : now.archives,
});

/** The first world that is observed is the one that the table is written from. */
async function rememberWorld(
  parts: CycleParts,
  plan: CyclePlan,
  fresh: KnownWorld | null,
  report: ReportBuilder,
): Promise<void> {
  const { lease } = plan;
  if (fresh === null || lease === null) return;
  await report.stage("save", () =>
    withDeadline(
      parts.clock,
      parts.config.writeTimeoutMs,
      "Cannot note which world is observed",
      (signal) => parts.leadership.remember(lease, fresh, signal),
      plan.stop,
    ),
  );
}

/** @param seenOf what is known of a row; null leaves it for later */
function composeRows(
  rows: Iterable<WorkspaceRow>,
  context: ComposeContext,
  seenOf: (row: WorkspaceRow) => { pair: SeenByEngine | null; archive: SeenInArchives | null } | null,
): ComposedRow[] {
  const composed: ComposedRow[] = [];
  for (const row of rows) {
    const seen = seenOf(row);
    const result = seen && composeRow(row, seen.pair, seen.archive, context);
    if (result !== null) composed.push(result);
  }
  return composed;
}

/** The database's clock, and with it the proof that the lease is still ours. */
async function readStamp(
  parts: CycleParts,
  plan: CyclePlan,
): Promise<{ readonly now: Instant; readonly known: KnownWorld; readonly readAtMs: number } | "lease-lost"> {
  const { lease } = plan;
  const ask = async (signal: AbortSignal) => {
    if (lease === null) {
      return { now: await parts.leadership.now(signal), known: await parts.leadership.known(signal) };
    }
    const answer = await parts.leadership.renew(lease, signal);
    return answer.kind === "held" ? answer : null;
  };
  const answer = await withDeadline(
    parts.clock,
    parts.config.writeTimeoutMs,
    "Cannot renew the lease",
    ask,
    plan.stop,
  );
  if (answer === null) return "lease-lost";
  return { now: answer.now, known: answer.known, readAtMs: parts.clock.monotonicMs() };
}

const loadRows = (parts: CycleParts, plan: CyclePlan): Promise<WorkspaceRow[]> =>
  withDeadline(
    parts.clock,
    parts.config.writeTimeoutMs,
    "Cannot load workspaces",
    (signal) => parts.store.load(signal),
    plan.stop,
  );

/**
 * Waits for the listings that this look started. Once one has answered, the other gets a little patience and no more:
 * P6 is about time as well. Archives that are asked alone get the same, for their deadline is minutes away. What comes
 * later is taken in by a cycle of its own, which has its answer and so waits for nobody.
 */
async function settle(
  parts: CycleParts,
  kind: CyclePlan["kind"],
  { engine, archives }: { readonly engine: Promise<void> | null; readonly archives: Promise<void> | null },
): Promise<void> {
  const started = [engine, archives].filter((outcome) => outcome !== null);
  if (kind === "delivery" || started.length === 0) return;
  const patience = new AbortController();
  const first = engine === null ? Promise.resolve() : Promise.race(started);
  await Promise.race([
    Promise.all(started),
    first.then(() => parts.clock.sleep(parts.config.sourcePatienceMs, patience.signal)),
  ]);
  patience.abort();
}

/**
 * The answer that a source has ready. One with a stamp in the database's future was asked for before that clock went
 * back: whether it is older than what is stored nobody can tell any more (P3), so it is asked for again.
 */
function takeComparable<T>(source: Source<T> | null, now: Instant): Observation<T> | null {
  const taken = source?.take() ?? null;
  if (taken === null || taken.stamp <= now) return taken;
  source?.want();
  return null;
}

const secondLook = (
  parts: CycleParts,
  plan: CyclePlan,
  suspects: ReadonlyMap<WorkspaceId, Pair>,
): Promise<ReadonlyMap<WorkspaceId, Pair>> =>
  withDeadline(
    parts.clock,
    parts.config.listTimeoutMs,
    "Cannot look at suspicious workspaces again",
    (signal) => lookAgain(parts.engine, parts.config.prefix, suspects, signal),
    plan.stop,
  );

async function saveAndWake(
  parts: CycleParts,
  plan: CyclePlan,
  composed: readonly ComposedRow[],
  report: ReportBuilder,
): Promise<void> {
  const { lease } = plan;
  if (lease === null) {
    report.wouldSave(composed);
    return;
  }
  for (let start = 0; start < composed.length && !report.lostLease; start += limits.rowsPerStatement) {
    const batch = composed.slice(start, start + limits.rowsPerStatement);
    const outcome = await report.stage("save", () => save(parts, lease, batch));
    if (outcome === null) report.saveUnknown(batch);
    else report.saved(batch, outcome);
  }
  if (!report.mayAnnounce) return;
  const woke = await report.stage("wake", () =>
    withDeadline(parts.clock, limits.wakeTimeoutMs, "Cannot publish the wake-up", async (signal) => {
      await parts.wake.publish(signal);
      return true;
    }),
  );
  if (woke) report.announced();
}

const save = (parts: CycleParts, lease: Lease, batch: readonly ComposedRow[]): Promise<SaveOutcome> =>
  withDeadline(parts.clock, parts.config.writeTimeoutMs, "Cannot write conditions", (signal) =>
    parts.store.save(
      lease,
      batch.map(({ write }) => write),
      signal,
    ),
  );
