/** What the status endpoint, metrics and `observer_status` may know of the running loop: plain values, no secrets. */
import type { KnownDeath } from "./deaths.ts";
import type { FleetWatch } from "./fleet.ts";
import type { GivenUp } from "./glances.ts";
import type { WorkspaceId } from "./names.ts";
import type { ResourceKind } from "./orphans.ts";
import type { CompleteLook, WorkspaceRow } from "./ports.ts";
import type { CycleReport } from "./report.ts";
import type { SourceHealth, SourceName } from "./source.ts";
import type { ForeignWorld } from "./world.ts";

/** `disconnected`: it led when the database was last heard, and the lease may have gone to somebody else since. */
export type Role = "starting" | "leader" | "standby" | "disconnected";

/** Something that is up or down, and since when (monotonic milliseconds). */
export interface LinkHealth {
  readonly up: boolean | null;
  readonly sinceMs: number;
  readonly lastError: string | null;
  readonly failures: number;
}

export const UNTRIED: LinkHealth = { up: null, sinceMs: 0, lastError: null, failures: 0 };

/** `transitions`: whether what changes is kept in `observer_transitions`, beside the conditions. */
export type LinkName = "database" | "channel" | "events" | "wake" | "transitions";

export interface Totals {
  readonly looks: number;
  readonly deliveries: number;
  /** Looks at the few workspaces that events named. */
  readonly glances: number;
  readonly changed: number;
  readonly stamped: number;
  readonly skipped: number;
  readonly fenced: number;
  /** Rows that somebody else had edited, and that were restored. */
  readonly driftRepaired: number;
  readonly hints: number;
  readonly events: number;
  /** Hints and events that came while a look was already asked for. */
  readonly coalesced: number;
  readonly wakeUps: number;
  readonly takeovers: number;
}

export interface ObserverView {
  readonly instance: string;
  readonly nowMs: number;
  readonly startedMs: number;
  readonly role: Role;
  /** Who holds the lease, as far as known. */
  readonly leader: string | null;
  readonly epoch: string | null;
  readonly cadence: { readonly mode: "idle" | "active"; readonly nextInMs: number | null };
  readonly sources: Readonly<Record<SourceName, SourceHealth | null>>;
  readonly links: Readonly<Record<LinkName, LinkHealth>>;
  /** Last time a cycle, a stand-by check, or a page of rows in a cycle came to its end, whatever it found. */
  readonly progressMs: number | null;
  /** Last time a cycle read and wrote the database without a failure. */
  readonly lastCommitMs: number | null;
  readonly lastCycle: CycleReport | null;
  readonly totals: Totals;
  readonly glancesGivenUp: GivenUp;
  readonly orphans: Readonly<Record<ResourceKind, readonly string[]>>;
  /** Which sources are others than the table was written from: their absences are held. */
  readonly foreign: ForeignWorld;
  /** Why containers exited, the latest last; kept for a while after they are gone. */
  readonly deaths: readonly KnownDeath[];
  readonly held: Readonly<Record<ResourceKind, readonly string[]>>;
  /** Of a host in a fleet: its last whole look of which everything was committed. */
  readonly complete?: CompleteLook | null;
  /** Of a host in a fleet: workspaces that another host's word stands for, by that host. */
  readonly rivals?: ReadonlyMap<WorkspaceId, string>;
  /** Of a process in a fleet as a whole. */
  readonly fleet?: FleetView;
  /**
   * Of a process that looks after several Engines: the table's unit first, then those of the hosts. What all share, as
   * links to the database, is in the first one alone.
   */
  readonly parts?: readonly PartView[];
  /** Of a fleet's table unit: what the hosts said last, and which of them are lost. */
  readonly watch?: Pick<FleetWatch, "reading" | "readMs" | "lost">;
}

export interface PartView {
  /** Null: the table's unit, or the only one there is. */
  readonly host: string | null;
  readonly view: ObserverView;
}

/** What is judged and counted one by one. */
export const partsOf = (view: ObserverView): readonly PartView[] => view.parts ?? [{ host: null, view }];

export interface FleetView {
  /** Null: several, see the parts. */
  readonly host: string | null;
  /** Who writes what no host claims, and looks at archives. */
  readonly table: { readonly role: Role; readonly leader: string | null };
  /** Workspaces that this host has as well, but another one's word stands for. */
  readonly contested: ReadonlyMap<WorkspaceId, string>;
  /** Null: not read yet. */
  readonly hosts: readonly HostLine[] | null;
}

export interface HostLine {
  readonly host: string;
  readonly leader: string | null;
  /** Null: it never gave a sign. */
  readonly seenAgeMs: number | null;
  /** Since its last look of which everything was committed. */
  readonly completeAgeMs: number | null;
  readonly isLost: boolean;
  readonly containers: number | null;
  readonly volumes: number | null;
}

/** A row that is observed, as it was last read or written. The holder stays the same while its row is replaced. */
export interface RowView {
  readonly row: WorkspaceRow;
}

/** The rows that are observed, not a copy of them: they change under a reader who waits in between. */
export interface RowsView {
  readonly size: number;
  get(id: WorkspaceId): RowView | undefined;
  values(): Iterable<RowView>;
}
