/**
 * What the domain needs from the world. An adapter implements one of these, parses what is foreign into these
 * types, or fails by name; the domain never checks twice. All times of the world are the database's (`Instant`),
 * all durations the monotonic clock's.
 *
 * Every call gets an AbortSignal and must settle soon after it fires, with nothing left running.
 */
import type { ConditionKey, JsonObject } from "./conditions.ts";
import type { Instant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";

export type Health = "healthy" | "unhealthy" | "starting" | "none";

/** One container of a workspace, as a listing shows it. Nothing in it ticks by itself. */
export interface ContainerSeen {
  /** The Engine's word, lower case: created running paused restarting removing exited dead … */
  readonly state: string;
  readonly health: Health;
  /** Null while there is none: a running container has not exited. */
  readonly exitCode: number | null;
  /** The first 12 hexadecimal digits. */
  readonly containerId: string;
  readonly image: string;
  /** An engine's own reason, where it has one that tells more than the state; starts with a capital. */
  readonly reason?: string;
  /** Stable text for people, where `reason` is given: no ages, no clocks, no counts. */
  readonly message?: string;
  /** How often it was started again, where a listing tells. It ticks: only transitions tell it. */
  readonly restarts?: number;
}

export interface VolumeSeen {
  readonly name: string;
  readonly driver: string;
  /** It exists, and there is more to say; both or neither. */
  readonly reason?: string;
  readonly message?: string;
}

/** The newest complete archive of a workspace. */
export interface ArchiveSeen {
  readonly key: string;
  readonly sizeBytes: number;
  /** RFC 3339, UTC, from the store's clock. */
  readonly uploadedAt: string;
}

/**
 * A listing that completed: every page, every byte. What is not in it is absent (P1). A call that can't promise
 * that rejects instead.
 */
export interface Listing<Seen> {
  readonly byWorkspace: ReadonlyMap<WorkspaceId, Seen>;
  /** Workspaces for which more than one resource claims the place; the listing holds the one that counts. */
  readonly contested: readonly WorkspaceId[];
}

export interface Look {
  readonly signal: AbortSignal;
  /** Only these are asked for. The answer proves nothing about others. */
  readonly only?: ReadonlySet<WorkspaceId>;
  /** Ids of containers, whole or their beginnings, that events named or rows hold: an engine may find them sooner by these. */
  readonly named?: ReadonlySet<string>;
}

/** Why a container no longer runs: what no listing tells. */
export interface ContainerDeath {
  readonly oomKilled: boolean;
  readonly exitCode: number;
  /** The Engine's own words, empty where it has none. */
  readonly error: string;
  /** RFC 3339, from the Engine's clock. */
  readonly finishedAt: string | null;
  readonly restartCount: number;
}

/** What runs workspaces: a Docker Engine, or a Kubernetes namespace, whose pods are containers and whose claims are volumes. */
export interface InstanceController {
  listAll(prefix: string, look: Look): Promise<Listing<ContainerSeen>>;
  /** Null when it is gone, or runs again. Answers when the engine has let go of it: then a list shows what an event told. */
  explainDeath(containerId: string, signal: AbortSignal): Promise<ContainerDeath | null>;
}

/** What keeps workspaces. Volumes live with the engine and archives in S3, so each half has its adapter. */
export interface VolumeProvider {
  listVolumes(prefix: string, look: Look): Promise<Listing<VolumeSeen>>;
}
export interface ArchiveProvider {
  listArchives(prefix: string, look: Look): Promise<Listing<ArchiveSeen>>;
}
export type StorageProvider = VolumeProvider & ArchiveProvider;

/** Both lists, and which engine they are of. */
export interface EngineLists {
  readonly containers: Listing<ContainerSeen>;
  readonly volumes: Listing<VolumeSeen>;
  /** Null where it doesn't tell. */
  readonly engineId: string | null;
}

export interface EngineInfo {
  /** Unique to the installation; empty where there is none. */
  readonly id: string;
  readonly serverVersion: string;
  /** The one that is spoken. */
  readonly apiVersion: string;
  /** The engine's host, or where it is. */
  readonly name: string;
}

export interface Engine extends InstanceController, VolumeProvider {
  /** Both lists at once, or neither: when one call fails, the others are aborted and waited for. */
  listBoth(prefix: string, look: Look): Promise<EngineLists>;
  info(signal: AbortSignal): Promise<EngineInfo>;
}

/** One row of `workspaces` that is to be observed. */
export interface WorkspaceRow {
  readonly id: WorkspaceId;
  /** `operation <> 'NONE'`: the WC waits for an outcome. */
  readonly operationInFlight: boolean;
  readonly deleted: boolean;
  /** As stored, whoever wrote it. */
  readonly conditions: JsonObject;
  readonly observedAt: Instant | null;
}

/** A condition in two words: its reason, `absent`, or `unknown` where the row said nothing. */
export interface Summary {
  readonly reason: string;
  readonly message: string;
}

/** A condition that a write changes. */
export interface Transition {
  readonly key: ConditionKey;
  readonly from: Summary;
  readonly to: Summary;
  /** The database's clock when the change was seen. */
  readonly at: Instant;
  /** What of the new condition explains it; of a resource that is gone, which one it was. */
  readonly details: JsonObject;
}

/** What one row gets. Keys that are not named keep their value. */
export interface RowWrite {
  readonly id: WorkspaceId;
  /** Merged into `conditions`; null is proven absence. */
  readonly set: JsonObject;
  /** Merged into `conditions.observed`, and the fence: no stamp here may be older than the stored one (P3). */
  readonly observed: Readonly<Record<string, string>>;
  /** Keys taken out of `conditions` and of `conditions.observed`: nobody observes them any more. */
  readonly drop: readonly string[];
  /** The row's `observed_at` after this write. */
  readonly observedAt: Instant | null;
  /** What this write changes: kept by the same commit, where the database has a place for it. */
  readonly transitions: readonly Transition[];
  /** In a fleet: all of these have to hold of the row as it is when it is locked, or it is left alone. */
  readonly claims?: readonly Claim[];
}

/** Why a key of a row may be written, where many hosts write into one table: ownership.ts, ADR 14. */
export type Claim = PresenceClaim | AbsenceClaim | TableClaim<"unclaimed"> | TableClaim<"lost">;

interface Claiming {
  readonly key: "container" | "volume";
  /** Of the claimant; of a lost one where that is marked; empty for what no host claims. */
  readonly host: string;
}
export interface PresenceClaim extends Claiming {
  readonly kind: "present";
  readonly running: boolean;
  /** When the host saw the resource appear, as a stamp; null: it was there at its first look. */
  readonly since: string | null;
  /** Of a volume: the same write claims the container. */
  readonly withContainer: boolean;
}
export interface AbsenceClaim extends Claiming {
  readonly kind: "absent";
  /** What no host is named for was written from this very Engine. */
  readonly adopts: boolean;
}
/** Of the table's unit: holds while the key's stored stamp is this one. */
export interface TableClaim<Kind extends "unclaimed" | "lost"> extends Claiming {
  readonly kind: Kind;
  readonly stamp: string | null;
}

export type SaveOutcome =
  | {
      readonly kind: "saved";
      readonly written: ReadonlySet<WorkspaceId>;
      /** Locked by somebody else, or gone: retried with the next look (P11). */
      readonly skipped: readonly WorkspaceId[];
      /** The row already holds a newer observation (P3), or a claim doesn't hold. */
      readonly fenced: readonly WorkspaceId[];
    }
  /** The lease belongs to somebody else by now: nothing was written. */
  | { readonly kind: "lease-lost" };

/** Where a reading of the rows stood. Only the store that gave it can read it. */
export interface RowsCursor {
  readonly __brand: "RowsCursor";
}

/** The rows that are to be observed: those not deleted, and deleted ones whose conditions still show a resource. */
export interface RowsRead {
  /** The ids of all rows (a host's: of all that are its own), if all were read; null: only what changed since the cursor was. */
  readonly all: ReadonlySet<WorkspaceId> | null;
  /** Without those that the reader knows just as they are. */
  readonly rows: readonly WorkspaceRow[];
  /** Changed as well, and not to be observed any more. */
  readonly gone: readonly WorkspaceId[];
  /** For the next reading; null where the store can't tell what changes. */
  readonly cursor: RowsCursor | null;
}

/** Who reads rows. A reading may come in many pages, and must not hold them all: 100,000 rows are 150 MB. */
export interface RowsReader {
  /** Need not be told. */
  isKnown(row: WorkspaceRow): boolean;
  /** A page has come. */
  onPage(): void;
}

/** What of the rows is for one host of a fleet to read: those whose resources its engine shows, and those that name it. */
export interface OwnRows {
  readonly host: string;
  /** The engine shows something of theirs. */
  readonly seen: readonly WorkspaceId[];
  /** Read before: of these only what changed is told, if the store can tell it. */
  readonly known: readonly WorkspaceId[];
}

export interface ConditionsStore {
  /** All rows, or what changed since the last reading, if the store can tell it; with `own` as if there were no others. */
  load(
    since: RowsCursor | null,
    signal: AbortSignal,
    reader?: RowsReader,
    own?: OwnRows | null,
  ): Promise<RowsRead>;
  /** Those of the given rows that are to be observed. */
  loadOnly(ids: ReadonlySet<WorkspaceId>, signal: AbortSignal): Promise<WorkspaceRow[]>;
  /** One statement: renews the lease and writes, or does neither. */
  save(lease: Lease, writes: readonly RowWrite[], signal: AbortSignal): Promise<SaveOutcome>;
  /**
   * This instance's row in `observer_status`; a database without that table ignores it. Now and then also forgets the
   * oldest transitions, some at a time.
   */
  report(status: JsonObject, signal: AbortSignal): Promise<void>;
}

/** The right to write, until somebody else's epoch is higher. */
export interface Lease {
  readonly scope: string;
  readonly holder: string;
  /** Grows with every change of hands, and never comes again. */
  readonly epoch: string;
}

/**
 * Which world the table was written from: the identity of each source when it was first observed, or last accepted
 * by an operator. Kept with the lease, so that a restart with another socket or bucket is noticed (P7).
 */
export interface KnownWorld {
  readonly engine?: string;
  readonly archives?: string;
}

export type LeaseAnswer =
  | { readonly kind: "held"; readonly lease: Lease; readonly now: Instant; readonly known: KnownWorld }
  | { readonly kind: "standby"; readonly holder: string; readonly now: Instant };

export interface Leadership {
  /** Which lease it is about. */
  readonly scope: string;
  /** Takes the lease if it is free or has expired. */
  acquire(signal: AbortSignal): Promise<LeaseAnswer>;
  /** Reads the database's clock, and whether the lease is still ours; waits for nobody, and writes nothing. */
  confirm(lease: Lease, signal: AbortSignal): Promise<LeaseAnswer>;
  /** Extends the lease and reads the database's clock, in one statement. Waits for a save that is under way. */
  renew(lease: Lease, signal: AbortSignal): Promise<LeaseAnswer>;
  release(lease: Lease, signal: AbortSignal): Promise<void>;
  /** Adds to the known world, if the lease is still ours. */
  remember(lease: Lease, known: KnownWorld, signal: AbortSignal): Promise<void>;
  /** The database's clock, for who has no lease. */
  now(signal: AbortSignal): Promise<Instant>;
  /** The known world, for who has no lease. */
  known(signal: AbortSignal): Promise<KnownWorld>;
}

/** What the hosts of a fleet say of themselves. */
export interface FleetRegistry {
  read(signal: AbortSignal): Promise<FleetReading>;
}

export interface FleetReading {
  /** The database's clock. */
  readonly now: Instant;
  readonly hosts: readonly HostSign[];
  /** A single observer, not of a fleet, leads on this table: nothing of it is the fleet's. */
  readonly isSingleLed: boolean;
}

/** A registered host. */
export interface HostSign {
  readonly host: string;
  /** When one of its observers last wrote its row of observer_status or renewed the host's lease; null: none did. */
  readonly seenAt: Instant | null;
  /** Who holds its lease. */
  readonly leader: string | null;
  /** Of the leader: its last whole look of which everything was committed. */
  readonly complete: CompleteLook | null;
  /** What it counts as its own. */
  readonly counts: { readonly containers: number | null; readonly volumes: number | null };
}

/** A whole listing of an engine was taken in, and what it showed is committed. */
export interface CompleteLook {
  /** The database's clock before the listing. */
  readonly stamp: Instant;
  /** But for these rows, which could not be written. */
  readonly except: readonly WorkspaceId[];
}

/** What an event is about. What it says of that is ignored: it only tells where to look. */
export interface Subject {
  readonly workspace: WorkspaceId;
  /** Its full id; null where it is about something else. */
  readonly containerId: string | null;
}

/** Hears of hints: the `ob:wake` channel, or the Engine's event stream. */
export interface HintListener {
  /**
   * @param subjects what alone may have changed; undefined: anything may have
   * @param host of a fleet, whom alone it is meant for; undefined: all
   */
  onHint(subjects?: readonly Subject[], host?: string): void;
  /** Connected, for the first time or again: something may have been missed, so look once. */
  onUp(): void;
  /** At every try that fails: how often people are told is not the source's to decide. */
  onDown(cause: unknown): void;
}

export interface HintSource {
  /** Listens, and reconnects with back-off, until the signal fires; resolves when all is closed. Never rejects. */
  listen(listener: HintListener, signal: AbortSignal): Promise<void>;
}

export interface WakePublisher {
  /** Publishes `wc:wake`. */
  publish(signal: AbortSignal): Promise<void>;
}

export interface Clock {
  /** Milliseconds that never go back. */
  monotonicMs(): number;
  /** Resolves after `ms`, or as soon as the signal fires. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** One constant message per fact, with a stable name, and fields beside it. */
export interface Log {
  debug(event: string, message: string, fields?: Record<string, unknown>): void;
  info(event: string, message: string, fields?: Record<string, unknown>): void;
  warn(event: string, message: string, fields?: Record<string, unknown>): void;
  error(event: string, message: string, fields?: Record<string, unknown>): void;
}

/** A configuration that can never work, whatever the world does: the process says why and ends. */
export class UnworkableError extends Error {
  override name = "UnworkableError";
}
