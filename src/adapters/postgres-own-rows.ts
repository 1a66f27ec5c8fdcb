/**
 * Reading what of `workspaces` is one host's of a fleet: the rows of what its Engine shows, and those that name it. A
 * hundred hosts that each read all rows would read each change a hundred times.
 *
 * What is known is asked for by its ids, and what changed of it is told by `xmin`, as in postgres-rows.ts. Rows that name
 * the host and are not known to it are looked for in all of the table, which is why a whole reading is rare: none but
 * the observers of that host write its name.
 */
import type { WorkspaceId } from "../observer/names.ts";
import type { OwnRows, RowsCursor, RowsRead, RowsReader, WorkspaceRow } from "../observer/ports.ts";
import type { Ask } from "./postgres-client.ts";
import { type Sql, sql } from "./postgres-literals.ts";
import {
  COLUMNS,
  FEW_ROWS,
  IN_SCOPE,
  isNamed,
  type LoadedRow,
  page,
  parseRow,
  readPages,
} from "./postgres-rows.ts";

interface Cursor {
  readonly horizon: string;
  readonly server: string;
}
const cursors = new WeakMap<RowsCursor, Cursor>();

interface Schema {
  readonly idType: string;
  readonly tellsChanges: boolean;
}

interface Head extends Cursor {
  readonly id: null;
  /** How many of the known rows are still to be observed. */
  readonly known: number;
}

const HEAD = sql`
  pg_snapshot_xmin(pg_current_snapshot())::text as horizon, pg_postmaster_start_time()::text as server`;

/**
 * Of a resource that no host is named for it is not known whose it is: it may be from before there were hosts. By paths, which
 * copy no condition out of the document: a pass goes over the rows of all hosts.
 */
const namesHost = (host: string): Sql =>
  sql`(${["container", "volume"].reduce((either, key) => {
    const path = `{${key},host}`;
    return sql`${either} or coalesce(
      conditions #>> ${path} = ${host} or jsonb_typeof(conditions #> ${path}) <> 'string',
      jsonb_typeof(conditions -> ${key}) = 'object')`;
  }, sql`false`)})`;

/** @param since null, or not told what changes: reads all that is the host's */
export async function loadOwnWorkspaces(
  ask: Ask,
  since: RowsCursor | null,
  { idType, tellsChanges }: Schema,
  reader: RowsReader,
  own: OwnRows,
): Promise<RowsRead> {
  const before = since === null ? undefined : cursors.get(since);
  return (
    (before && (await loadChanged(ask, before, idType, own))) ??
    (await loadAll(ask, idType, tellsChanges, reader, own))
  );
}

/** Null: it is another server by now. */
async function loadChanged(
  ask: Ask,
  before: Cursor,
  idType: string,
  { known, seen }: OwnRows,
): Promise<RowsRead | null> {
  const isKnown = isNamed(known, idType) ?? sql`false`;
  const knownIds = new Set(known);
  const isNew = isNamed(new Set(seen).difference(knownIds), idType);
  const answer = await ask<Head | LoadedRow>(sql`
    with known as materialized (
      select id, operation, deleted_at, conditions, observed_at, ${IN_SCOPE} as in_scope,
             age(xmin) <= age(${before.horizon}::xid8::xid) as changed
        from workspaces where ${isKnown}
    )
    select null::text as id, null::bool as in_flight, null::bool as deleted, null::bool as in_scope,
           null::jsonb as conditions, null::text as observed_at,
           ${HEAD}, (select count(*)::int from known where in_scope) as known
    union all
    select ${COLUMNS}, null, null, null from known where changed
    ${
      isNew === null
        ? sql``
        : sql`union all
    select ${COLUMNS}, null, null, null from workspaces where ${isNew} and ${IN_SCOPE}`
    }`);
  const head = answer.find((row): row is Head => row.id === null);
  if (head === undefined) throw new Error("Bug: a reading of a host's workspaces came without its head");
  if (head.server !== before.server) return null;
  const rows: WorkspaceRow[] = [];
  const left = new Set(known);
  const wanted = new Set(seen).union(knownIds);
  for (const loaded of answer) {
    if (loaded.id === null) continue;
    if (!loaded.in_scope) left.delete(loaded.id as WorkspaceId);
    // To a type two names may be one (007 and 7), and only one of them is the row's.
    else rows.push(...parseRow(loaded).filter(({ id }) => wanted.has(id)));
  }
  if (head.known !== left.size) {
    // Some were deleted: who is left is asked once more, and what has come back since is told with the next reading.
    const there = await ask<{ id: WorkspaceId }>(
      sql`select id::text as id from workspaces where ${isKnown} and ${IN_SCOPE}`,
    );
    const found = new Set(there.map(({ id }) => id));
    for (const id of left) if (!found.has(id)) left.delete(id);
  }
  const gone = [...knownIds.difference(left)];
  return { all: null, rows, gone, cursor: cursorOf(head) };
}

async function loadAll(
  ask: Ask,
  idType: string,
  tellsChanges: boolean,
  reader: RowsReader,
  { host, seen }: OwnRows,
): Promise<RowsRead> {
  // Before the rows: what comes or changes in between is told by the next reading.
  const [head] = tellsChanges ? await ask<Cursor>(sql`select ${HEAD}`) : [];
  // Apart from one another, and without an order: in one statement, by id, it takes three times as long, and when many
  // hosts start at once they all ask this.
  const which = sql`${IN_SCOPE} and ${namesHost(host)}`;
  const few = await ask<LoadedRow>(
    sql`select ${COLUMNS} from workspaces where ${which} limit ${FEW_ROWS + 1}`,
  );
  const isFew = few.length <= FEW_ROWS;
  const first = isFew
    ? few
    : await ask<LoadedRow>(sql`select ${COLUMNS} from workspaces where ${page(which, idType, null)}`);
  const naming = await readPages(ask, isFew ? null : which, idType, first, reader, () => true);
  const left = new Set(seen).difference(naming.all);
  const isSeen = isNamed(left, idType);
  const found =
    isSeen === null
      ? []
      : await ask<LoadedRow>(sql`select ${COLUMNS} from workspaces where ${isSeen} and ${IN_SCOPE}`);
  const shown = await readPages(ask, null, idType, found, reader, ({ id }) => left.has(id as WorkspaceId));
  const all = naming.all.union(shown.all);
  const rows = [...naming.rows, ...shown.rows];
  return { all, rows, gone: [], cursor: head === undefined ? null : cursorOf(head) };
}

function cursorOf({ horizon, server }: Cursor): RowsCursor {
  const opaque = {} as RowsCursor;
  cursors.set(opaque, { horizon, server });
  return opaque;
}
