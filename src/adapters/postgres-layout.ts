/**
 * Which version made a table of the Observer's own, and which may use it. Noted in the table's comment: whoever may
 * change a table may comment on it, in one transaction with the change; whoever may only select, insert and update can
 * read the comment and not falsify it; and a dump keeps it.
 *
 * A layout is a number that grows with every change of a table. A change that older executables don't mind (a new column
 * with a default) leaves `since` as it is, so that old and new run beside each other, and the way back stays open.
 */
import { build } from "../build-info.ts";

export interface Layout {
  readonly layout: number;
  /** Executables that know this layout, or a newer one, may use the table. */
  readonly since: number;
}

export interface NotedLayout extends Layout {
  /** The version that noted it; null for a table from before layouts were noted. */
  readonly by: string | null;
}

export type OwnTable = "observer_lease" | "observer_status" | "observer_transitions";

/** What this executable makes, and knows. 0: without a note. */
export const LAYOUTS: Readonly<Record<OwnTable, Layout>> = {
  observer_lease: { layout: 1, since: 1 },
  observer_status: { layout: 1, since: 1 },
  observer_transitions: { layout: 1, since: 1 },
};

/** What is not our note is none: some of it may be an operator's. */
export function notedLayout(comment: string | null): NotedLayout {
  const match = /^Observer (\S{1,50}): layout (\d{1,6}), since (\d{1,6})$/.exec(comment ?? "");
  return match === null
    ? { layout: 0, since: 0, by: null }
    : { layout: Number(match[2]), since: Number(match[3]), by: match[1] as string };
}

export const layoutNote = ({ layout, since }: Layout, version: string = build.version): string =>
  `Observer ${version}: layout ${layout}, since ${since}`;

/**
 * SQL that notes the layout, unless a newer one is noted: an older `observer schema`, applied again, takes nothing back. No
 * backslash in it: what that means in a literal is a setting of the server's.
 */
export function noteLayoutDdl(table: OwnTable): string {
  const { layout } = LAYOUTS[table];
  return `do $do$ begin
  if coalesce(substring(obj_description('${table}'::regclass, 'pg_class') from '^Observer [^ ]+: layout ([0-9]{1,6}),')::int, 0) < ${layout} then
    ${commentDdl(table)};
  end if;
end $do$;`;
}

/** @param place where the table is, for whoever doesn't leave it to the search_path */
export const commentDdl = (table: OwnTable, place: string = table): string =>
  `comment on table ${place} is '${layoutNote(LAYOUTS[table]).replaceAll("'", "''")}'`;

/** Null: this executable may use it. */
export function layoutProblem(table: OwnTable, noted: NotedLayout): string | null {
  const own = LAYOUTS[table];
  if (noted.since <= own.layout) return null;
  return (
    `${table} is too new for this version: Observer ${noted.by} made it (layout ${noted.layout}, for versions that know ` +
    `layout ${noted.since}), and this one, ${build.version}, knows layout ${own.layout}; run Observer ${noted.by} or newer`
  );
}
