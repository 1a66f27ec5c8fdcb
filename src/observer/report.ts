/** What one cycle did: the value that logs, metrics, `observer once` and the loop's next decision are made of. */
import type { EngineListing } from "./absence.ts";
import type { BelievedWorld, CycleMemory, OrphanChange } from "./believe.ts";
import type { CycleKind } from "./cadence.ts";
import type { Change, ComposedRow } from "./compose.ts";
import type { Instant } from "./instant.ts";
import { limits } from "./limits.ts";
import type { WorkspaceId } from "./names.ts";
import type { ArchiveSeen, Clock, CompleteLook, Listing, RowWrite, SaveOutcome } from "./ports.ts";
import type { Observation } from "./source.ts";
import type { ForeignWorld } from "./world.ts";

/** A glance asks for the few workspaces that events named: glance.ts. */
export type ReportKind = CycleKind | "glance";

export type Stage = "stamp" | "list" | "load" | "inspect" | "save" | "again" | "wake";

export interface CycleReport {
  readonly kind: ReportKind;
  readonly stamp: Instant | null;
  readonly durationMs: number;
  readonly stagesMs: Readonly<Partial<Record<Stage, number>>>;
  /** Which sources contributed a completed listing. */
  readonly sources: readonly string[];
  readonly counts: {
    /** Null: they could not be read. */
    readonly rows: number | null;
    readonly containers: number | null;
    readonly volumes: number | null;
    readonly archives: number | null;
    readonly written: number;
    readonly changed: number;
    readonly stamped: number;
    readonly skipped: number;
    readonly fenced: number;
    readonly held: number;
    readonly moving: number;
  };
  /** Committed changes, no more than were asked for; in a dry run those that would be. */
  readonly changes: readonly Change[];
  /** How many more there were. */
  readonly unnamedChanges: number;
  /** In a dry run, what would be written to the rows, of each the latest; empty otherwise. */
  readonly wouldWrite: ReadonlyMap<WorkspaceId, RowWrite>;
  readonly contested: readonly WorkspaceId[];
  /** Edited by somebody else, and restored. */
  readonly repaired: readonly WorkspaceId[];
  readonly orphanChanges: readonly OrphanChange[];
  /** Null: the rows could not be read. */
  readonly operationInFlight: boolean | null;
  readonly leaseLost: boolean;
  readonly woke: boolean;
  /** Null: not all that the engine showed is committed. */
  readonly complete: CompleteLook | null;
  /** What failed on the way; the sources' own failures are in their health. */
  readonly failures: readonly { readonly stage: Stage; readonly cause: unknown }[];
  readonly memory: CycleMemory;
}

/** Collects what happened; every stage is timed, and a stage that fails is noted and answers null. */
export class ReportBuilder {
  stamp: Instant | null = null;
  lostLease = false;
  moving = 0;
  /** Something was left unwritten, since a save of unknown outcome may still come. */
  isBarred = false;
  foreign: ForeignWorld;
  readonly #repaired = new Set<WorkspaceId>();
  readonly #startedMs: number;
  readonly #stagesMs: Partial<Record<Stage, number>> = {};
  readonly #failures: { stage: Stage; cause: unknown }[] = [];
  readonly #changes: Change[] = [];
  readonly #wouldWrite = new Map<WorkspaceId, RowWrite>();
  #unnamedChanges = 0;
  #isLoaded = false;
  #world: BelievedWorld | null = null;
  #engine: Observation<EngineListing> | null = null;
  #archives: Observation<Listing<ArchiveSeen>> | null = null;
  #written = 0;
  #changed = 0;
  #skipped = 0;
  #fenced = 0;
  #woke = false;
  readonly #leftOut: WorkspaceId[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly kind: ReportKind,
    private readonly before: CycleMemory,
    private readonly mostChanges = Number.POSITIVE_INFINITY,
  ) {
    this.#startedMs = clock.monotonicMs();
    this.foreign = before.foreign;
  }

  async stage<T>(stage: Stage, work: () => Promise<T>): Promise<T | null> {
    const startedMs = this.clock.monotonicMs();
    try {
      return await work();
    } catch (cause) {
      this.#failures.push({ stage, cause });
      return null;
    } finally {
      this.#stagesMs[stage] = (this.#stagesMs[stage] ?? 0) + this.clock.monotonicMs() - startedMs;
    }
  }

  loaded() {
    this.#isLoaded = true;
  }

  listed(engine: Observation<EngineListing> | null, archives: Observation<Listing<ArchiveSeen>> | null) {
    this.#engine = engine;
    this.#archives = archives;
  }

  believed(world: BelievedWorld) {
    this.#world = world;
  }

  wouldSave(composed: readonly ComposedRow[]) {
    this.#count(composed);
    for (const { write } of composed) this.#wouldWrite.set(write.id, write);
  }

  saved(composed: readonly ComposedRow[], outcome: SaveOutcome) {
    if (outcome.kind === "lease-lost") {
      this.lostLease = true;
      return;
    }
    this.#skipped += outcome.skipped.length;
    this.#fenced += outcome.fenced.length;
    this.leftOut([...outcome.skipped, ...outcome.fenced]);
    const written = composed.filter(({ write }) => outcome.written.has(write.id));
    this.#count(written);
    const { rows, wake } = this.before;
    for (const row of written) {
      if (rows.wrote(row)) this.#repaired.add(row.write.id);
      if (row.changes.length > 0) wake.owe();
    }
    rows.doubt(outcome.fenced);
  }

  #count(rows: readonly ComposedRow[]) {
    for (const { changes } of rows) {
      this.#written += 1;
      if (changes.length === 0) continue;
      this.#changed += 1;
      const room = Math.max(0, this.mostChanges - this.#changes.length);
      this.#changes.push(...changes.slice(0, room));
      this.#unnamedChanges += Math.max(0, changes.length - room);
    }
  }

  /** What was seen of these is not written. */
  leftOut(ids: readonly WorkspaceId[]) {
    this.#leftOut.push(...ids);
  }

  /** A whole look of which everything is committed, or nearly: the few rows that it could not write are named. */
  #complete(held: CycleMemory["held"]): CompleteLook | null {
    const isWhole =
      this.#engine !== null &&
      this.#isLoaded &&
      this.kind !== "glance" &&
      this.foreign.engine === null &&
      held.container.length + held.volume.length === 0 &&
      !this.lostLease &&
      !this.isBarred &&
      !this.#failures.some(({ stage }) => stage !== "wake" && stage !== "inspect") &&
      this.#leftOut.length <= limits.leftOutNamed;
    return isWhole && this.#engine !== null ? { stamp: this.#engine.stamp, except: this.#leftOut } : null;
  }

  /**
   * The commit may have happened even if its answer got lost, or may happen yet. Then the next cycle finds nothing to
   * change, and only this keeps the wake-up from being lost with the answer.
   */
  saveUnknown(composed: readonly ComposedRow[]) {
    const { rows, wake } = this.before;
    wake.unsettled();
    rows.mayHaveWritten(composed);
    if (composed.some(({ changes }) => changes.length > 0)) wake.owe();
  }

  /** Null: nothing is owed, or it must not be told yet. */
  get announcement(): number | null {
    const { wake } = this.before;
    return wake.isOwed && !wake.isUnsettled ? wake.mark : null;
  }

  announced(mark: number) {
    this.#woke = true;
    this.before.wake.paid(mark);
  }

  get hasFailed(): boolean {
    return this.#failures.length > 0;
  }

  leaseLost(): CycleReport {
    this.lostLease = true;
    return this.done();
  }

  done(): CycleReport {
    const engine = this.#engine?.value;
    const archives = this.#archives?.value;
    const world = this.#world;
    const held = world?.held ?? this.before.held;
    return {
      kind: this.kind,
      stamp: this.stamp,
      durationMs: this.clock.monotonicMs() - this.#startedMs,
      stagesMs: this.#stagesMs,
      sources: [...(engine ? ["engine"] : []), ...(archives ? ["archives"] : [])],
      counts: {
        rows: this.#isLoaded ? this.before.rows.size : null,
        containers: engine?.containers.byWorkspace.size ?? null,
        volumes: engine?.volumes.byWorkspace.size ?? null,
        archives: archives?.byWorkspace.size ?? null,
        written: this.#written,
        changed: this.#changed,
        stamped: this.#written - this.#changed,
        skipped: this.#skipped,
        fenced: this.#fenced,
        held: new Set([...held.container, ...held.volume, ...held.archive]).size,
        moving: this.moving,
      },
      changes: this.#changes,
      unnamedChanges: this.#unnamedChanges,
      wouldWrite: this.#wouldWrite,
      contested: [
        ...(engine?.containers.contested ?? []),
        ...(engine?.volumes.contested ?? []),
        ...(archives?.contested ?? []),
      ],
      repaired: [...this.#repaired],
      orphanChanges: world?.orphanChanges ?? [],
      operationInFlight: this.#isLoaded ? this.before.rows.operationInFlight : null,
      leaseLost: this.lostLease,
      woke: this.#woke,
      complete: this.#complete(held),
      failures: this.#failures,
      memory: {
        ...this.before,
        listed: {
          container: engine?.containers ?? this.before.listed.container,
          volume: engine?.volumes ?? this.before.listed.volume,
          archive: archives ?? this.before.listed.archive,
        },
        suspicions: world?.suspicions ?? this.before.suspicions,
        orphans: world?.orphans ?? this.before.orphans,
        held,
        foreign: this.foreign,
      },
    };
  }
}
