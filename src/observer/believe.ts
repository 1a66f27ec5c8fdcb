/** What of the listings may be believed, row by row, after the sudden-emptiness guard (P7); and who is an orphan. */
import {
  type EngineListing,
  type GuardConfig,
  judgeEmptiness,
  noSuspicion,
  type Suspicion,
} from "./absence.ts";
import type { SeenByEngine, SeenInArchives } from "./compose.ts";
import { isJsonObject } from "./conditions.ts";
import type { Deaths } from "./deaths.ts";
import type { ExpectedRows } from "./drift.ts";
import type { Instant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";
import { noOrphans, type Orphans, type ResourceKind, trackOrphans } from "./orphans.ts";
import type { ArchiveSeen, Listing, WorkspaceRow } from "./ports.ts";
import type { Observation } from "./source.ts";
import { type ForeignWorld, ownWorld } from "./world.ts";

/** What one cycle remembers for the next. */
export interface CycleMemory {
  readonly suspicions: Readonly<Record<ResourceKind, Suspicion>>;
  readonly orphans: Readonly<Record<ResourceKind, Orphans>>;
  /** Absences that the guard holds back, from the last listing of each kind. */
  readonly held: Readonly<Record<ResourceKind, readonly WorkspaceId[]>>;
  /** Which sources are others than the table was written from. */
  readonly foreign: ForeignWorld;
  /** Why the containers that exited did. */
  readonly deaths: Deaths;
  /** What the rows hold if nobody else wrote them. */
  readonly expected: ExpectedRows;
  /** A commit that changed a condition has not been announced: it must not be forgotten. */
  readonly wakeOwed: boolean;
}

export const emptyMemory: CycleMemory = {
  suspicions: { container: noSuspicion, volume: noSuspicion, archive: noSuspicion },
  orphans: { container: noOrphans, volume: noOrphans, archive: noOrphans },
  held: { container: [], volume: [], archive: [] },
  foreign: ownWorld,
  deaths: new Map(),
  expected: new Map(),
  wakeOwed: false,
};

export interface OrphanChange {
  readonly kind: ResourceKind;
  readonly appeared: readonly WorkspaceId[];
  readonly disappeared: readonly WorkspaceId[];
}

export interface BelievedWorld {
  readonly pair: (row: WorkspaceRow) => SeenByEngine | null;
  readonly archive: (row: WorkspaceRow) => SeenInArchives | null;
  readonly suspicions: CycleMemory["suspicions"];
  readonly held: CycleMemory["held"];
  readonly orphans: CycleMemory["orphans"];
  readonly orphanChanges: readonly OrphanChange[];
}

export function believe(
  rows: readonly WorkspaceRow[],
  engine: Observation<EngineListing> | null,
  archives: Observation<Listing<ArchiveSeen>> | null,
  memory: CycleMemory,
  foreign: ForeignWorld,
  guard: GuardConfig,
  nowMs: number,
  now: Instant,
): BelievedWorld {
  const suspicions = { ...memory.suspicions };
  const held = { ...memory.held };
  const orphans = { ...memory.orphans };
  const orphanChanges: OrphanChange[] = [];
  const ids = new Set(rows.map((row) => row.id));
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
    const present = rows.filter((row) => isJsonObject(row.conditions[kind]));
    const missing = present.filter((row) => !listing.byWorkspace.has(row.id)).map((row) => row.id);
    // What came in between may have shown it all: then this is the first of a new row.
    const before = afterUnseen ? noSuspicion : memory.suspicions[kind];
    const verdict = isForeign
      ? { suspicion: noSuspicion, held: missing }
      : judgeEmptiness(present.length, missing, before, nowMs, guard);
    suspicions[kind] = verdict.suspicion;
    held[kind] = verdict.held;
    doubted[kind] = new Set(verdict.held);
    // A listing that is doubted proves no absence of what was never observed either: a new row stays unknown.
    if (isForeign || verdict.held.length > 0) {
      for (const row of rows) {
        if (
          !isJsonObject(row.conditions[kind]) &&
          row.conditions[kind] !== null &&
          !listing.byWorkspace.has(row.id)
        )
          doubted[kind].add(row.id);
      }
    }
    const tracked = trackOrphans(memory.orphans[kind], {
      listed: listing.byWorkspace.keys(),
      stamp,
      now,
      hasRow: (id) => ids.has(id),
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
    pair: ({ id }) =>
      engine === null || doubted.container.has(id) || doubted.volume.has(id)
        ? null
        : {
            stamp: engine.stamp,
            container: engine.value.containers.byWorkspace.get(id),
            volume: engine.value.volumes.byWorkspace.get(id),
          },
    archive: ({ id }) =>
      archives === null || doubted.archive.has(id)
        ? null
        : { stamp: archives.stamp, archive: archives.value.byWorkspace.get(id) },
  };
}
