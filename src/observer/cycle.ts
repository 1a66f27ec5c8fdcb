/**
 * One look at the world: stamp → list and load → believe → compose → compare → save → wake.
 *
 * Faults of the world become part of the report; nothing here throws but broken invariants. The steps that a glance
 * (glance.ts) has too are in stages.ts.
 */
import type { EngineListing, GuardConfig } from "./absence.ts";
import { believe, type CycleMemory } from "./believe.ts";
import type { CycleKind } from "./cadence.ts";
import { withDeadline } from "./deadline.ts";
import { forgetDeaths, isDoubtful } from "./deaths.ts";
import { type FleetUnit, type TableSight, tableSight } from "./fleet.ts";
import type { Instant } from "./instant.ts";
import { isSameListing, keepUnchanged } from "./listing.ts";
import type {
  ArchiveSeen,
  Clock,
  ConditionsStore,
  InstanceController,
  KnownWorld,
  Leadership,
  Lease,
  Listing,
  Look,
  OwnRows,
  VolumeProvider,
  WakePublisher,
} from "./ports.ts";
import { type CycleReport, ReportBuilder } from "./report.ts";
import type { RowMirror } from "./rows.ts";
import { isSettled } from "./settled.ts";
import type { Observation, Source } from "./source.ts";
import { explainDeaths, readStamp, writeRows } from "./stages.ts";
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
  /** Null in a fleet's table unit, which believes what the hosts say of theirs. */
  readonly engineSource: Source<EngineListing> | null;
  /** Both lists of the engine, of some workspaces. */
  readonly lookAt: (look: Look) => Promise<EngineListing>;
  /** Null: no archive source is configured. */
  readonly archiveSource: Source<Listing<ArchiveSeen>> | null;
  /** Which bucket it is, and under which prefix. */
  readonly archivesIdentity: string | null;
  /** Somebody else in this process observes archives: no row is observed as a whole before they are. */
  readonly countsArchives?: boolean;
  /** Where many hosts write into one table: which unit of a fleet this is. */
  readonly unit?: FleetUnit | undefined;
}

export interface CyclePlan {
  /** Null for a dry run, which writes nothing and needs no lease. */
  readonly lease: Lease | null;
  readonly kind: CycleKind;
  /** The next look comes no later than this. */
  readonly horizonMs: number;
  readonly stop: AbortSignal;
  /** A page of rows was read, or a batch of them written: it goes on. */
  readonly onStep?: () => void;
  /** So many changes are kept for the report: those of a whole table are half a gigabyte. Without it, all. */
  readonly mostChanges?: number;
}

export async function runCycle(
  parts: CycleParts,
  memory: CycleMemory,
  plan: CyclePlan,
): Promise<CycleReport> {
  const report = new ReportBuilder(parts.clock, plan.kind, memory, plan.mostChanges);

  // P2: the stamp is read before the first listing call.
  const stamped = await report.stage("stamp", () => readStamp(parts, plan, memory));
  if (stamped === null) return report.done();
  if (stamped === "lease-lost") return report.leaseLost();
  const { now, known } = stamped;
  report.stamp = now;

  if (plan.kind === "look") {
    parts.engineSource?.want();
    parts.archiveSource?.want();
  }
  const listing = {
    engine: parts.engineSource?.startIfWanted(now, plan.stop, stamped.order) ?? null,
    archives: parts.archiveSource?.startIfWanted(now, plan.stop, stamped.order) ?? null,
  };
  const listed = report.stage("list", () => settle(parts, plan.kind, listing, memory));
  // A host reads the rows of what it sees, and so has to have seen it.
  if (parts.unit?.kind === "host") await listed;
  const named = parts.engineSource?.completed ?? null;
  const [loaded] = await Promise.all([
    report.stage("load", () => loadRows(parts, plan, memory, named?.value)),
    listed,
  ]);
  if (loaded === null || plan.stop.aborted) return report.done();
  report.loaded();
  // They are over, and what they left has been read.
  memory.wake.settled(stamped.settledMark);

  // Of a listing that came while they were read a host doesn't have the rows: the next cycle takes it in.
  const isNamed = parts.unit?.kind !== "host" || parts.engineSource?.completed === named;
  const engine = unchangedEngine(memory, isNamed ? takeComparable(parts.engineSource, now) : null);
  const archives = unchangedArchives(memory, takeComparable(parts.archiveSource, now));
  report.listed(engine, archives);
  const seen = {
    engine: engine?.value.identity ?? null,
    archives: archives === null ? null : parts.archivesIdentity,
  };
  report.foreign = stillForeign(memory.foreign, compareWorld(known, seen), seen);
  await rememberWorld(parts, plan, newlyKnown(known, seen), report);
  const { rows, deaths, vanished } = memory;
  const table = await readFleet(parts, plan, memory, report);
  if (engine !== null && parts.unit?.kind === "host") {
    parts.unit.ownership.answered(engine.value.identity);
    const { latest } = memory.stamps;
    memory.appearances.listed(memory.listed, engine.value, { ...engine, latest });
    for (const id of memory.rivals.keys()) if (!rows.has(id)) memory.rivals.delete(id);
  }
  if (engine !== null) for (const ids of [vanished.container, vanished.volume]) ids.clear();
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

  const sight = { engine: engine?.value ?? null, archives: archives?.value ?? null, table };
  const due = { now, maxAgeMs: parts.config.maxAgeMs, horizonMs: plan.horizonMs };
  const doubtful = new Set([...deaths.values()].filter(isDoubtful).map(({ workspaceId }) => workspaceId));
  const unsettled = [...rows.values()].filter(
    (mirrored) => !isSettled(mirrored, sight, due) || doubtful.has(mirrored.row.id),
  );
  if (engine !== null) {
    await explainDeaths(parts, plan, unsettled, world, deaths, report);
    forgetDeaths(deaths, engine.value.containers.byWorkspace.values(), parts.clock.monotonicMs());
  }
  await writeRows(parts, plan, stamped, unsettled, world, memory, report, table);
  return report.done();
}

function unchangedEngine(
  { listed }: CycleMemory,
  engine: Observation<EngineListing> | null,
): Observation<EngineListing> | null {
  if (engine === null) return null;
  const containers = keepUnchanged(listed.container, engine.value.containers);
  const volumes = keepUnchanged(listed.volume, engine.value.volumes);
  return { ...engine, value: { ...engine.value, containers, volumes } };
}

const unchangedArchives = (
  { listed }: CycleMemory,
  archives: Observation<Listing<ArchiveSeen>> | null,
): Observation<Listing<ArchiveSeen>> | null =>
  archives && { ...archives, value: keepUnchanged(listed.archive, archives.value) };

/** What changed since the last reading, and now and then all of it: the longer that takes, the less often. */
async function loadRows(
  parts: CycleParts,
  plan: CyclePlan,
  { rows }: CycleMemory,
  listing: EngineListing | undefined,
) {
  const { clock, config, store } = parts;
  const since = rows.cursor(clock.monotonicMs());
  const reading = rows.begin(clock.monotonicMs());
  try {
    const read = await withDeadline(
      clock,
      config.writeTimeoutMs,
      "Cannot load workspaces",
      (signal, goesOn) => {
        const onPage = () => {
          goesOn();
          plan.onStep?.();
        };
        return store.load(
          since,
          signal,
          { isKnown: (row) => rows.isKnown(row), onPage },
          ownRows(parts, rows, listing),
        );
      },
      plan.stop,
    );
    rows.merge(read, reading, clock.monotonicMs());
    return read;
  } catch (cause) {
    // It is not known what the server is by now.
    rows.distrust();
    throw cause;
  } finally {
    rows.end(reading);
  }
}

function ownRows({ unit }: CycleParts, rows: RowMirror, listing: EngineListing | undefined): OwnRows | null {
  if (unit?.kind !== "host") return null;
  const seen = new Set([
    ...(listing?.containers.byWorkspace.keys() ?? []),
    ...(listing?.volumes.byWorkspace.keys() ?? []),
  ]);
  return { host: unit.ownership.host, seen: [...seen], known: rows.ids() };
}

/** What the hosts of a fleet say, read after the rows: a look that is complete by then has read them too. */
async function readFleet(
  { clock, config, unit }: CycleParts,
  plan: CyclePlan,
  { rows, watch }: CycleMemory,
  report: ReportBuilder,
): Promise<TableSight | null> {
  if (unit?.kind !== "table") return null;
  const reading = await report.stage("load", () =>
    withDeadline(
      clock,
      config.writeTimeoutMs,
      "Cannot read the signs of the hosts",
      (signal) => unit.registry.read(signal),
      plan.stop,
    ),
  );
  if (reading === null) {
    watch.interrupted();
    return null;
  }
  const lost = watch.read(reading, rows.owners(), clock.monotonicMs(), unit.lostAfterMs);
  rows.readBy(reading.now);
  return tableSight(reading, lost, rows);
}

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

/**
 * Waits for the listings that this look started. Once one has answered, the other gets a little patience and no more:
 * P6 is about time as well. Archives that are asked alone get the same, for their deadline is minutes away. Archives that
 * have news wait for nobody: of what an Engine has to tell its events come first, and of a new archive only a hint. What
 * comes later is taken in by a cycle of its own, which has its answer.
 */
async function settle(
  parts: CycleParts,
  kind: CyclePlan["kind"],
  { engine, archives }: { readonly engine: Promise<void> | null; readonly archives: Promise<void> | null },
  { listed }: CycleMemory,
): Promise<void> {
  const started = [engine, archives].filter((outcome) => outcome !== null);
  if (kind === "delivery" || started.length === 0) return;
  // What took longer than that the last time is not waited for at all.
  const lastMs = parts.archiveSource?.health.lastDurationMs ?? 0;
  const waited = started.filter((outcome) => outcome === engine || lastMs <= parts.config.sourcePatienceMs);
  const patience = new AbortController();
  const first = engine === null ? Promise.resolve() : Promise.race(started);
  const all = Promise.all(waited);
  const hasNews = () => {
    const now = parts.archiveSource?.completed?.value;
    return now !== undefined && listed.archive !== null && !isSameListing(listed.archive, now);
  };
  await Promise.race([
    all,
    archives?.then(() => (hasNews() ? undefined : all)) ?? all,
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
