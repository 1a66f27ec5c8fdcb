/** Resources without a row. Reported when seen in two listings in a row: rows and resources aren't read at one instant. */
import type { WorkspaceId } from "./names.ts";

export type ResourceKind = "container" | "volume" | "archive";

export interface Orphans {
  /** Seen once: not reported yet. */
  readonly suspected: ReadonlySet<WorkspaceId>;
  readonly confirmed: ReadonlySet<WorkspaceId>;
}

export const noOrphans: Orphans = { suspected: new Set(), confirmed: new Set() };

export function trackOrphans(
  before: Orphans,
  listed: Iterable<WorkspaceId>,
  hasRow: (id: WorkspaceId) => boolean,
): { readonly orphans: Orphans; readonly appeared: WorkspaceId[]; readonly disappeared: WorkspaceId[] } {
  const suspected = new Set<WorkspaceId>();
  const confirmed = new Set<WorkspaceId>();
  const appeared: WorkspaceId[] = [];
  for (const id of listed) {
    if (hasRow(id)) continue;
    if (before.confirmed.has(id)) confirmed.add(id);
    else if (before.suspected.has(id)) {
      confirmed.add(id);
      appeared.push(id);
    } else suspected.add(id);
  }
  return {
    orphans: { suspected, confirmed },
    appeared,
    disappeared: [...before.confirmed].filter((id) => !confirmed.has(id)),
  };
}
