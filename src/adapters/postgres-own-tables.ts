/** Makes the Observer's own tables, and brings those that an older version made to the present layout. */
import type { PostgresClient } from "./postgres-client.ts";
import { LAYOUTS, notedLayout, type OwnTable } from "./postgres-layout.ts";
import { json, sql } from "./postgres-literals.ts";
import { OWN_TABLES_DDL } from "./postgres-schema.ts";

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
    sql`select name from jsonb_array_elements_text(${json(Object.keys(OWN_TABLES_DDL))}) as tables (name)
         where not exists (select from pg_catalog.pg_class where relname = name and pg_table_is_visible(oid))`,
  );
  const wanted = Object.keys(OWN_TABLES_DDL).filter((table) => missing.some(({ name }) => name === table));
  for (const table of wanted as OwnTable[]) {
    await client.transaction(`Cannot create ${table}`, signal, async (tx) => {
      await tx.unsafe(LOCK);
      const [row] = await tx<{ wanted: boolean }[]>`
        select to_regclass(${table}) is null
           and coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) as wanted`;
      if (!row?.wanted) return;
      await tx.unsafe(OWN_TABLES_DDL[table]);
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

/**
 * Brings these tables to the present layout, unless somebody else did so meanwhile. An instance that leads goes on
 * beside it: what it waits for the table's lock is much less than its lease lives.
 *
 * @param tables that the role may alter
 */
export async function migrateOwnTables(
  client: PostgresClient,
  tables: readonly OwnTable[],
  signal: AbortSignal,
): Promise<readonly Migrated[]> {
  const migrated: Migrated[] = [];
  for (const table of tables) {
    await client.transaction(`Cannot bring ${table} to the layout of this version`, signal, async (tx) => {
      await tx.unsafe(LOCK);
      const [row] = await tx<{ comment: string | null }[]>`
        select obj_description(to_regclass(${table})::oid, 'pg_class') as comment`;
      const { by, layout: from } = notedLayout(row?.comment ?? null);
      const to = LAYOUTS[table].layout;
      if (from >= to) return;
      await tx.unsafe(OWN_TABLES_DDL[table]);
      migrated.push({ table, by, from, to });
    });
  }
  return migrated;
}
