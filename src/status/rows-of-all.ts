import type { WorkspaceId } from "../observer/names.ts";
import type { RowsView, RowView } from "../observer/view.ts";

/** The rows that several units keep, as one. What two of them keep is told once, as the first one knows it. */
export function rowsOfAll(keepers: readonly { rows(): RowsView | null }[]): RowsView {
  const all: RowsView = {
    get size() {
      const kept = keepers.flatMap((keeper) => keeper.rows() ?? []);
      if (kept.length === 1) return kept[0]!.size;
      let size = 0;
      for (const _ of all.values()) size += 1;
      return size;
    },
    get(id: WorkspaceId): RowView | undefined {
      for (const keeper of keepers) {
        const row = keeper.rows()?.get(id);
        if (row !== undefined) return row;
      }
      return undefined;
    },
    *values() {
      for (const keeper of keepers)
        for (const row of keeper.rows()?.values() ?? []) if (all.get(row.row.id) === row) yield row;
    },
  };
  return all;
}
