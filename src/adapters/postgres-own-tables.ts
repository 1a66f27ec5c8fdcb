/** Makes the Observer's own tables, and brings those that an older version made to the present layout. */
import type { PostgresClient, Tx } from "./postgres-client.ts";
import { DatabaseFault } from "./postgres-fault.ts";
import { commentDdl, LAYOUTS, notedLayout, type OwnTable } from "./postgres-layout.ts";
import { json, sql } from "./postgres-literals.ts";
import { ADDED_COLUMNS, lackingColumns, OWN_INDEXES, ownTableDdl } from "./postgres-schema.ts";

/** Two instances that start together must not collide; "if not exists" alone does not see to that. */
const LOCK = "select pg_advisory_xact_lock(hashtext('observer: own tables'))";

/** Makes what is missing where the role may; leaves everything as it is where it may not. */
export async function createOwnTables(
  client: PostgresClient,
  signal: AbortSignal,
): Promise<readonly OwnTable[]> {
  const created: OwnTable[] = [];
  // Most starts find them all: one question, instead of a transaction for each. Not by to_regclass(): the server would
  // remember for this session that there is none, and not look again after the lock below.
  const missing = await client.ask<{ name: OwnTable }>(
    "Cannot inspect the schema",
    signal,
    sql`select name from jsonb_array_elements_text(${json(Object.keys(LAYOUTS))}) as tables (name)
         where not exists (select from pg_catalog.pg_class where relname = name and pg_table_is_visible(oid))`,
  );
  const wanted = Object.keys(LAYOUTS).filter((table) => missing.some(({ name }) => name === table));
  for (const table of wanted as OwnTable[]) {
    await client.transaction(`Cannot create ${table}`, signal, async (tx) => {
      await tx.unsafe(LOCK);
      const [row] = await tx<{ wanted: boolean }[]>`
        select to_regclass(${table}) is null
           and coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) as wanted`;
      if (!row?.wanted) return;
      await tx.unsafe(ownTableDdl(table));
      created.push(table);
    });
  }
  return created;
}

export interface Migrated {
  readonly table: OwnTable;
  /** The version that made it; null: one from before layouts were noted. */
  readonly by: string | null;
  readonly from: number;
  readonly to: number;
}

export interface Migration {
  readonly migrated: readonly Migrated[];
  /** Fit for use, but something that helps could not be added: the note, or an index. */
  readonly unfinished: readonly { readonly table: OwnTable; readonly cause: DatabaseFault }[];
}

/**
 * Brings these tables to the present layout, unless somebody else did so meanwhile. An instance that leads goes on
 * beside it: only a column that is missing takes the table's whole lock, and what it waits for that is much less than
 * the lease lives.
 *
 * @param tables that the role may alter
 * @throws DatabaseFault where a column is missing and can't be added
 */
export async function migrateOwnTables(
  client: PostgresClient,
  tables: readonly OwnTable[],
  signal: AbortSignal,
): Promise<Migration> {
  const migrated: Migrated[] = [];
  const unfinished: { table: OwnTable; cause: DatabaseFault }[] = [];
  for (const table of tables) {
    const action = `Cannot bring ${table} to the layout of this version`;
    try {
      const done = await client.transaction(action, signal, (tx) => migrate(tx, table));
      if (done !== null) migrated.push(done);
    } catch (cause) {
      if (!(cause instanceof DatabaseFault)) throw cause;
      const found = await client.transaction(action, signal, (tx) => find(tx, table));
      if (found !== null && lackingColumns(table, found.columns).length > 0) throw cause;
      unfinished.push({ table, cause });
    }
  }
  return { migrated, unfinished };
}

interface Found {
  /** With its schema: whichever comes first in the search_path, this is the one that was found. */
  readonly place: string;
  readonly comment: string | null;
  readonly columns: readonly string[];
  readonly indexes: readonly string[];
}

async function find(tx: Tx, table: OwnTable): Promise<Found | null> {
  const [row] = await tx<Found[]>`
    select format('%I.%I', nspname, relname) as place,
           obj_description(c.oid, 'pg_class') as comment,
           (select coalesce(jsonb_agg(attname), '[]') from pg_catalog.pg_attribute
             where attrelid = c.oid and attnum > 0 and not attisdropped) as columns,
           (select coalesce(jsonb_agg(i.relname), '[]') from pg_catalog.pg_index
              join pg_catalog.pg_class i on i.oid = indexrelid where indrelid = c.oid) as indexes
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = relnamespace
     where c.oid = to_regclass(${table})`;
  return row ?? null;
}

/** Null: there was nothing to do, or nothing that could be. */
async function migrate(tx: Tx, table: OwnTable): Promise<Migrated | null> {
  await tx.unsafe(LOCK);
  const found = await find(tx, table);
  if (found === null) return null;
  const { by, layout: from } = notedLayout(found.comment);
  const to = LAYOUTS[table].layout;
  const lacking = lackingColumns(table, found.columns);
  const known = ADDED_COLUMNS[table];
  if (from > to || (from === to && lacking.length === 0)) return null;
  // Not as any version made it: whoever verifies says so.
  if (lacking.some((column) => !(column in known))) return null;

  for (const column of lacking)
    await tx.unsafe(`alter table ${found.place} add column if not exists ${column} ${known[column]}`);
  for (const [index, columns] of Object.entries(OWN_INDEXES[table]))
    if (!found.indexes.includes(index))
      await tx.unsafe(`create index if not exists ${index} on ${found.place} ${columns}`);
  if (from < to) await tx.unsafe(commentDdl(table, found.place));
  return { table, by, from, to };
}
