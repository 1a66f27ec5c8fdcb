/** What of the listings may be believed, row by row, after the sudden-emptiness guard (P7); and who is an orphan. */
import {
  type EngineListing,
  type GuardConfig,
  judgeEmptiness,
  noSuspicion,
  type Suspicion,
} from "./absence.ts";
import { Appearances } from "./appearances.ts";
import type { SeenByEngine, SeenInArchives } from "./compose.ts";
import type { Deaths } from "./deaths.ts";
import { type FleetUnit, FleetWatch } from "./fleet.ts";
import type { Instant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";
import { noOrphans, type Orphans, type ResourceKind, trackOrphans } from "./orphans.ts";
import type { ArchiveSeen, ContainerSeen, Listing, VolumeSeen, WorkspaceRow } from "./ports.ts";
import { RowMirror } from "./rows.ts";
import type { Observation } from "./source.ts";
import { Turns } from "./turns.ts";
import { WakeDebt } from "./wake-debt.ts";
import { type ForeignWorld, ownWorld } from "./world.ts";

/** What one cycle remembers for the next. */
export interface CycleMemory {
  /** Shared with what writes beside the cycle, as are the wake-up debt and the deaths. */
  readonly rows: RowMirror;
  readonly wake: WakeDebt;
  /** To read the database's clock, and to write. */
  readonly stamps: Turns;
  readonly turns: Turns;
  /** Why the containers that exited did. */
  readonly deaths: Deaths;
  /** What glances wrote the absence of since the last whole listing. */
  readonly vanished: { readonly container: Set<WorkspaceId>; readonly volume: Set<WorkspaceId> };
  /** The last listing of each kind that was taken in. */
  readonly listed: {
    readonly container: Listing<ContainerSeen> | null;
    readonly volume: Listing<VolumeSeen> | null;
    readonly archive: Listing<ArchiveSeen> | null;
  };
  readonly suspicions: Readonly<Record<ResourceKind, Suspicion>>;
  readonly orphans: Readonly<Record<ResourceKind, Orphans>>;
  /** Absences that the guard holds back, from the last listing of each kind. */
  readonly held: Readonly<Record<ResourceKind, readonly WorkspaceId[]>>;
  /** Which sources are others than the table was written from. */
  readonly foreign: ForeignWorld;
  /** Of a fleet: when resources were seen to appear; with whom a workspace is contested; the signs of the hosts. */
  readonly appearances: Appearances;
  readonly rivals: Map<WorkspaceId, string>;
  readonly watch: FleetWatch;
}

export const emptyMemory = (unit?: FleetUnit): CycleMemory => ({
  rows: new RowMirror(unit),
  wake: new WakeDebt(),
  stamps: new Turns(),
  turns: new Turns(),
  deaths: new Map(),
  vanished: { container: new Set(), volume: new Set() },
  listed: { container: null, volume: null, archive: null },
  suspicions: { container: noSuspicion, volume: noSuspicion, archive: noSuspicion },
  orphans: { container: noOrphans, volume: noOrphans, archive: noOrphans },
  held: { container: [], volume: [], archive: [] },
  foreign: ownWorld,
  appearances: new Appearances(),
  rivals: new Map(),
  watch: new FleetWatch(),
});

/** All that are to be observed. */
export interface Rows {
  has(id: WorkspaceId): boolean;
  /** Whether it holds that resource as present; in a fleet, as this host's own. */
  holds(row: WorkspaceRow, kind: ResourceKind): boolean;
  values(): Iterable<{ readonly row: WorkspaceRow }>;
}

export interface OrphanChange {
  readonly kind: ResourceKind;
  readonly appeared: readonly WorkspaceId[];
  readonly disappeared: readonly WorkspaceId[];
}

export interface BelievedWorld {
  /** Null: nothing of it may be believed this time. */
  readonly pair: (id: WorkspaceId) => SeenByEngine | null;
  readonly archive: (id: WorkspaceId) => SeenInArchives | null;
  readonly suspicions: CycleMemory["suspicions"];
  readonly held: CycleMemory["held"];
  readonly orphans: CycleMemory["orphans"];
  readonly orphanChanges: readonly OrphanChange[];
}

export function believe(
  rows: Rows,
  engine: Observation<EngineListing> | null,
  archives: Observation<Listing<ArchiveSeen>> | null,
  memory: Pick<CycleMemory, "suspicions" | "held" | "orphans">,
  foreign: ForeignWorld,
  guard: GuardConfig,
  nowMs: number,
  now: Instant,
): BelievedWorld {
  const suspicions = { ...memory.suspicions };
  const held = { ...memory.held };
  const orphans = { ...memory.orphans };
  const orphanChanges: OrphanChange[] = [];
  const doubted = {
    container: new Set<WorkspaceId>(),
    volume: new Set<WorkspaceId>(),
    archive: new Set<WorkspaceId>(),
  };

  const judge = (
    kind: ResourceKind,
    listing: Listing<unknown> | undefined,
    {
      stamp,
      afterUnseen,
      isForeign,
    }: { readonly stamp: Instant; readonly afterUnseen: boolean; readonly isForeign: boolean },
  ) => {
    if (listing === undefined) return;
    const missing: WorkspaceId[] = [];
    const unknown: WorkspaceId[] = [];
    let present = 0;
    for (const { row } of rows.values()) {
      const isPresent = rows.holds(row, kind);
      if (isPresent) present += 1;
      if (listing.byWorkspace.has(row.id)) continue;
      if (isPresent) missing.push(row.id);
      else if (row.conditions[kind] !== null) unknown.push(row.id);
    }
    // What came in between may have shown it all: then this is the first of a new row.
    const before = afterUnseen ? noSuspicion : memory.suspicions[kind];
    const verdict = isForeign
      ? { suspicion: noSuspicion, held: missing }
      : judgeEmptiness(present, missing, before, nowMs, guard);
    suspicions[kind] = verdict.suspicion;
    held[kind] = verdict.held;
    doubted[kind] = new Set(verdict.held);
    // A listing that is doubted proves no absence of what was never observed either: a new row stays unknown.
    if (isForeign || verdict.held.length > 0) for (const id of unknown) doubted[kind].add(id);
    const tracked = trackOrphans(memory.orphans[kind], {
      listed: listing.byWorkspace.keys(),
      stamp,
      now,
      hasRow: (id) => rows.has(id),
    });
    orphans[kind] = tracked.orphans;
    if (tracked.appeared.length + tracked.disappeared.length > 0) orphanChanges.push({ kind, ...tracked });
  };
  const ofEngine = {
    stamp: engine?.stamp ?? now,
    afterUnseen: engine?.afterUnseen === true,
    isForeign: guard.enabled && foreign.engine !== null,
  };
  const ofArchives = {
    stamp: archives?.stamp ?? now,
    afterUnseen: archives?.afterUnseen === true,
    isForeign: guard.enabled && foreign.archives !== null,
  };
  judge("container", engine?.value.containers, ofEngine);
  judge("volume", engine?.value.volumes, ofEngine);
  judge("archive", archives?.value, ofArchives);

  return {
    suspicions,
    held,
    orphans,
    orphanChanges,
    pair: (id) =>
      engine === null || doubted.container.has(id) || doubted.volume.has(id)
        ? null
        : {
            stamp: engine.stamp,
            order: engine.order,
            container: engine.value.containers.byWorkspace.get(id),
            volume: engine.value.volumes.byWorkspace.get(id),
          },
    archive: (id) =>
      archives === null || doubted.archive.has(id)
        ? null
        : { stamp: archives.stamp, archive: archives.value.byWorkspace.get(id) },
  };
}
