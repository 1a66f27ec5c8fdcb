/**
 * Resources without a row. Rows and resources aren't read at one instant, and workspaces come and go in between (the
 * row first and last), so one look proves nothing, and neither do two: the first may have seen a workspace that was just
 * made and the second, late, one that has just been removed. What proves it is a reading of the rows that lies between
 * two listings which show the resource.
 */
import type { Instant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";

export type ResourceKind = "container" | "volume" | "archive";

export interface Orphans {
  /**
   * Not reported yet. Null: listed once. Else the start of the cycle that found no row after that; a listing that was
   * begun later, and shows it still, is the proof.
   */
  readonly suspected: ReadonlyMap<WorkspaceId, Instant | null>;
  readonly confirmed: ReadonlySet<WorkspaceId>;
}

export const noOrphans: Orphans = { suspected: new Map(), confirmed: new Set() };

/** One listing, and the rows as this cycle has read them. */
export interface OrphanLook {
  readonly listed: Iterable<WorkspaceId>;
  /** The database's clock before the listing was begun. */
  readonly stamp: Instant;
  /** The database's clock at the start of this cycle. */
  readonly now: Instant;
  readonly hasRow: (id: WorkspaceId) => boolean;
}

export function trackOrphans(
  before: Orphans,
  { listed, stamp, now, hasRow }: OrphanLook,
): { readonly orphans: Orphans; readonly appeared: WorkspaceId[]; readonly disappeared: WorkspaceId[] } {
  const suspected = new Map<WorkspaceId, Instant | null>();
  const confirmed = new Set<WorkspaceId>();
  const appeared: WorkspaceId[] = [];
  for (const id of listed) {
    if (hasRow(id)) continue;
    const rowlessAt = before.suspected.get(id);
    if (before.confirmed.has(id)) confirmed.add(id);
    else if (rowlessAt === undefined) suspected.set(id, null);
    // One from before the database's clock went back could not be passed for as long.
    else if (rowlessAt === null || rowlessAt > now) suspected.set(id, now);
    else if (stamp > rowlessAt) {
      confirmed.add(id);
      appeared.push(id);
    } else suspected.set(id, rowlessAt);
  }
  return {
    orphans: { suspected, confirmed },
    appeared,
    disappeared: [...before.confirmed].filter((id) => !confirmed.has(id)),
  };
}
