/**
 * Reading `workspaces`: all of it, or what changed since the last reading.
 *
 * A change is told by the row version's own transaction, `xmin`: whatever became visible after a snapshot was written
 * by a transaction that had not ended when the snapshot was taken, so its number is no smaller than the snapshot's
 * `xmin`. One pass over the table compares numbers and sends only what is new: 100,000 rows in some 40 ms, where sending
 * them all takes seconds. What is gone can't be seen like that, but counted: if the number of rows is not what it should
 * be, all of it is read. So it is by another server than the last time (a promoted standby may use numbers again).
 */
import type { JsonObject } from "../observer/conditions.ts";
import { parseInstant } from "../observer/instant.ts";
import { parseWorkspaceId, type WorkspaceId } from "../observer/names.ts";
import type { RowsCursor, RowsRead, RowsReader, WorkspaceRow } from "../observer/ports.ts";
import type { Ask } from "./postgres-client.ts";
import { json, type Sql, sql, verbatim } from "./postgres-literals.ts";
import { utc } from "./postgres-statements.ts";

interface Cursor {
  /** No transaction below this number can show anything new. */
  readonly horizon: string;
  /** Which server, by its start. */
  readonly server: string;
  /** Ids of the rows that are not deleted, those that can't be observed included. */
  readonly live: Set<string>;
}

/** Opaque to everybody else. */
const cursors = new WeakMap<RowsCursor, Cursor>();

interface Head {
  readonly id: null;
  readonly horizon: string;
  readonly server: string;
  readonly live: number;
}
export interface LoadedRow {
  readonly id: string;
  readonly in_flight: boolean;
  readonly deleted: boolean;
  readonly in_scope: boolean;
  readonly conditions: unknown;
  readonly observed_at: string | null;
}

/** Deleted rows are observed as long as they show a resource, so that the WC can see the deletion finish. */
export const IN_SCOPE = verbatim(`(deleted_at is null
  or 'object' in (jsonb_typeof(conditions -> 'container'),
                  jsonb_typeof(conditions -> 'volume'),
                  jsonb_typeof(conditions -> 'archive')))`);

export const COLUMNS = sql`
  id::text as id,
  coalesce(operation::text, 'NONE') <> 'NONE' as in_flight,
  deleted_at is not null as deleted,
  ${IN_SCOPE} as in_scope,
  conditions,
  ${utc(verbatim("observed_at"))} as observed_at`;

/** One snapshot for both halves: the head, and the rows. */
const read = (where: Sql): Sql => sql`
  select null::text as id, null::bool as in_flight, null::bool as deleted, null::bool as in_scope,
         null::jsonb as conditions, null::text as observed_at,
         pg_snapshot_xmin(pg_current_snapshot())::text as horizon, pg_postmaster_start_time()::text as server,
         (select count(*)::int from workspaces where deleted_at is null) as live
  union all
  (select ${COLUMNS}, null, null, null from workspaces where ${where})`;

/** Rows come in the order of their ids, so many at a time: as one answer 100,000 of them would need half a gigabyte. */
const PAGE_ROWS = 2_000;
/** So many are taken as one answer, for that takes one pass: the stamps that are due in a look at 100,000 rows. */
export const FEW_ROWS = 5_000;
export const page = (which: Sql, idType: string, after: string | null): Sql => {
  const isAfter = after === null ? sql`true` : sql`workspaces.id > ${after}::${verbatim(idType)}`;
  return sql`${which} and ${isAfter} order by workspaces.id limit ${PAGE_ROWS}`;
};

/**
 * Reads id, operation, deleted_at, conditions, observed_at, and with a cursor xmin.
 *
 * @param since null: reads all of it
 */
export async function loadWorkspaces(
  ask: Ask,
  since: RowsCursor | null,
  idType: string,
  reader: RowsReader,
): Promise<RowsRead> {
  const before = since === null ? undefined : cursors.get(since);
  if (before !== undefined) {
    const changed = sql`age(xmin) <= age(${before.horizon}::xid8::xid)`;
    // Without an order one pass over the table tells them. Where they are many they come in pages, in the order of their ids.
    const few = split(await ask<Head | LoadedRow>(read(sql`${changed} limit ${FEW_ROWS + 1}`)));
    const isFew = few.rows.length <= FEW_ROWS;
    const { head, rows: first } = isFew
      ? few
      : split(await ask<Head | LoadedRow>(read(page(changed, idType, null))));
    const gone: WorkspaceId[] = [];
    const { rows } = await readPages(ask, isFew ? null : changed, idType, first, reader, (row) => {
      if (row.deleted) before.live.delete(row.id);
      else before.live.add(row.id);
      if (!row.in_scope) gone.push(row.id as WorkspaceId);
      return row.in_scope;
    });
    if (head.server === before.server && head.live === before.live.size)
      return { all: null, rows, gone, cursor: cursorOf({ ...before, horizon: head.horizon }) };
  }
  // What comes or changes while the pages are read has a number from the horizon on, and is told by the next reading.
  const { head, rows: first } = split(await ask<Head | LoadedRow>(read(page(IN_SCOPE, idType, null))));
  const live = new Set<string>();
  const { all, rows } = await readPages(ask, IN_SCOPE, idType, first, reader, ({ id, deleted }) => {
    if (!deleted) live.add(id);
    return true;
  });
  return { all, rows, gone: [], cursor: cursorOf({ horizon: head.horizon, server: head.server, live }) };
}

/** Where a row version's transaction can't be read (a view, a role without that grant), a reading is always whole. */
export async function loadAllWorkspaces(ask: Ask, idType: string, reader: RowsReader): Promise<RowsRead> {
  const first = await ask<LoadedRow>(
    sql`select ${COLUMNS} from workspaces where ${page(IN_SCOPE, idType, null)}`,
  );
  const { all, rows } = await readPages(ask, IN_SCOPE, idType, first, reader, () => true);
  return { all, rows, gone: [], cursor: null };
}

/**
 * The first page and all that follow.
 *
 * @param which null: there is only the first
 * @param see whether a row is to be observed
 */
export async function readPages(
  ask: Ask,
  which: Sql | null,
  idType: string,
  first: readonly LoadedRow[],
  reader: RowsReader,
  see: (row: LoadedRow) => boolean,
): Promise<{ readonly all: Set<WorkspaceId>; readonly rows: WorkspaceRow[] }> {
  const all = new Set<WorkspaceId>();
  const rows: WorkspaceRow[] = [];
  for (let loaded = first; ; ) {
    for (const one of loaded) {
      if (!see(one)) continue;
      for (const row of parseRow(one)) {
        all.add(row.id);
        if (!reader.isKnown(row)) rows.push(row);
      }
    }
    reader.onPage();
    if (which === null || loaded.length < PAGE_ROWS) return { all, rows };
    const next = page(which, idType, loaded.at(-1)!.id);
    loaded = await ask<LoadedRow>(sql`select ${COLUMNS} from workspaces where ${next}`);
  }
}

/** An event names strangers as well, and a name that is no id of that type would fail the cast for all. */
function isOfType(idType: string, id: string): boolean {
  if (idType === "uuid") return /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(id);
  const bits = INTEGER_BITS[idType];
  if (bits === undefined) return true;
  return /^-?\d{1,19}$/.test(id) && BigInt.asIntN(bits, BigInt(id)) === BigInt(id);
}
const INTEGER_BITS: Readonly<Record<string, number>> = { smallint: 16, integer: 32, bigint: 64 };

/** Null: there can be none. */
export function isNamed(ids: Iterable<WorkspaceId>, idType: string): Sql | null {
  const possible = [...ids].filter((id) => isOfType(idType, id));
  return possible.length === 0
    ? null
    : sql`id in (select given.id::${verbatim(idType)} from jsonb_array_elements_text(${json(possible)}) as given (id))`;
}

/** Those of the given that are to be observed. */
export async function loadSomeWorkspaces(
  ask: Ask,
  ids: ReadonlySet<WorkspaceId>,
  idType: string,
): Promise<WorkspaceRow[]> {
  const named = isNamed(ids, idType);
  if (named === null) return [];
  const rows = await ask<LoadedRow>(sql`select ${COLUMNS} from workspaces where ${named} and ${IN_SCOPE}`);
  // To a type two names may be one (007 and 7): a row that was not named by its own would seem to have nothing.
  return rows.flatMap(parseRow).filter(({ id }) => ids.has(id));
}

function cursorOf(cursor: Cursor): RowsCursor {
  const opaque = {} as RowsCursor;
  cursors.set(opaque, cursor);
  return opaque;
}

function split(answer: readonly (Head | LoadedRow)[]): { readonly head: Head; readonly rows: LoadedRow[] } {
  const rows = answer.filter((row): row is LoadedRow => row.id !== null);
  const head = answer.find((row): row is Head => row.id === null);
  if (head === undefined) throw new Error("Bug: a reading of workspaces came without its head");
  return { head, rows };
}

/** An id that no resource can be named after (one with a slash, say) can't be observed, so its row is left alone. */
export function parseRow(row: LoadedRow): WorkspaceRow[] {
  const id = parseWorkspaceId(row.id);
  if (id === null) return [];
  const isObject =
    typeof row.conditions === "object" && row.conditions !== null && !Array.isArray(row.conditions);
  return [
    {
      id,
      operationInFlight: row.in_flight,
      deleted: row.deleted,
      conditions: isObject ? (row.conditions as JsonObject) : {},
      observedAt: parseInstant(row.observed_at),
    },
  ];
}
