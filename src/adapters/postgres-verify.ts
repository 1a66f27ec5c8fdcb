/**
 * Are the tables there, of the right shape, and may this role do what it has to? Asked of the catalog, so that
 * nothing has to be tried out. Used at start, and item by item by `observer check`.
 */
import type { PostgresClient, Tx } from "./postgres-client.ts";
import { LAYOUTS, layoutProblem, notedLayout, type OwnTable } from "./postgres-layout.ts";
import { ADDED_COLUMNS, lackingColumns, WORKSPACES_READ, WORKSPACES_WRITTEN } from "./postgres-schema.ts";

export interface SchemaFindings {
  readonly serverVersion: string;
  /** Database and search_path, for messages. */
  readonly place: string;
  readonly role: string;
  /** A standby, or default_transaction_read_only. */
  readonly readOnly: boolean;
  /** What keeps the Observer from working at all: one sentence each, with what to do. */
  readonly problems: readonly string[];
  /** The type of `workspaces.id`, as the catalog spells it. */
  readonly idType: string;
  /** Whether `workspaces.xmin` may be read, and tells what changed. */
  readonly tellsChanges: boolean;
  readonly hasStatusTable: boolean;
  readonly hasTransitionsTable: boolean;
  /** Own tables that an older version made, and that this role may bring to the present layout. */
  readonly outdated: readonly OwnTable[];
  /** What it does without. */
  readonly missing: readonly string[];
  /** What the role may do beyond its job: it works, but nothing but our word keeps P4. */
  readonly excess: readonly string[];
}

interface ColumnRow {
  readonly table_name: string;
  readonly name: string;
  readonly type: string;
  readonly may_select: boolean;
  readonly may_update: boolean;
}
interface TableRow {
  readonly table_name: string;
  readonly exists: boolean;
  readonly may_select: boolean;
  readonly may_insert: boolean;
  readonly may_update: boolean;
  readonly may_delete: boolean;
  readonly may_alter: boolean;
  readonly comment: string | null;
  readonly columns: readonly string[];
}

const APPLY = "run `observer schema | psql` as the owner";
const GRANT = "run `observer schema --role NAME | psql` as the owner";

export async function verifySchema(client: PostgresClient, signal: AbortSignal): Promise<SchemaFindings> {
  return client.transaction("Cannot inspect the schema", signal, inspect);
}

async function inspect(tx: Tx): Promise<SchemaFindings> {
  const tables = await tx<TableRow[]>`
    select name as table_name, oid is not null as exists,
           coalesce(has_table_privilege(oid, 'SELECT'), false) as may_select,
           coalesce(has_table_privilege(oid, 'INSERT'), false) as may_insert,
           coalesce(has_table_privilege(oid, 'UPDATE'), false) as may_update,
           coalesce(has_table_privilege(oid, 'DELETE'), false) as may_delete,
           coalesce((select pg_has_role(relowner, 'USAGE') from pg_catalog.pg_class where pg_class.oid = found.oid), false)
             as may_alter,
           obj_description(oid, 'pg_class') as comment,
           -- As JSON: of an array the driver knows no type, and gives its text.
           (select coalesce(jsonb_agg(attname), '[]') from pg_catalog.pg_attribute
             where attrelid = found.oid and attnum > 0 and not attisdropped) as columns
      from unnest(array['workspaces', 'observer_lease', 'observer_status', 'observer_transitions']) as name,
           lateral (select to_regclass(name)::oid as oid) as found`;
  const columns = await tx<ColumnRow[]>`
    select 'workspaces' as table_name, attname::text as name,
           -- Without the length, but as -1 and not as null: that spells char(36) "character", which is char(1).
           format_type(atttypid, -1) as type,
           has_column_privilege(attrelid, attnum, 'SELECT') as may_select,
           has_column_privilege(attrelid, attnum, 'UPDATE') as may_update
      from pg_catalog.pg_attribute
     where attrelid = to_regclass('workspaces') and attnum > 0 and not attisdropped`;
  // Of a view or a foreign table rows have no such column, and before PostgreSQL 13 a snapshot has no 64-bit form.
  const [changes] = await tx<{ are_told: boolean }[]>`
    select case when relkind in ('r', 'p') and current_setting('server_version_num')::int >= 130000
                then has_column_privilege(oid, 'xmin', 'SELECT') else false end as are_told
      from pg_catalog.pg_class where oid = to_regclass('workspaces')`;
  const [server] = await tx<{ place: string; role: string; version: string; read_only: boolean }[]>`
    select current_database() || ', search_path ' || current_setting('search_path') as place,
           current_user::text as role,
           current_setting('server_version') as version,
           current_setting('transaction_read_only') = 'on' as read_only`;
  const { place, role, version, read_only: readOnly } = server!;
  const table = (name: string) => tables.find((row) => row.table_name === name && row.exists);
  const problems: string[] = [];
  const missing: string[] = [];

  if (!table("workspaces")) problems.push(`there is no table workspaces in ${place}; ${APPLY}`);
  else problems.push(...columnProblems(columns, role));

  const unfit = (name: OwnTable) => unfitness(name, table(name)!, role);
  const outdated = (Object.keys(LAYOUTS) as OwnTable[]).filter((name) => {
    const found = table(name);
    if (!found?.may_alter) return false;
    const older = LAYOUTS[name].layout - notedLayout(found.comment).layout;
    return older > 0 || (older === 0 && lackingColumns(name, found.columns).length > 0);
  });
  const lease = table("observer_lease");
  if (!lease) problems.push(`there is no table observer_lease in ${place}; ${APPLY}`);
  else if (unfit("observer_lease")) problems.push(unfit("observer_lease")!);
  else if (!(lease.may_select && lease.may_insert && lease.may_update)) {
    problems.push(`${role} may not select, insert and update observer_lease; ${GRANT}`);
  }
  const status = table("observer_status");
  const hasStatusTable = !!(
    status &&
    !unfit("observer_status") &&
    status.may_select &&
    status.may_insert &&
    status.may_update &&
    status.may_delete
  );
  if (!status)
    missing.push(`there is no table observer_status, so nobody can read there who observes; ${APPLY}`);
  else if (unfit("observer_status")) missing.push(unfit("observer_status")!);
  else if (!hasStatusTable) missing.push(`${role} may not write observer_status; ${GRANT}`);
  const transitions = table("observer_transitions");
  const hasTransitionsTable = !!(
    transitions &&
    !unfit("observer_transitions") &&
    transitions.may_select &&
    transitions.may_insert &&
    transitions.may_delete
  );
  if (!transitions)
    missing.push(`there is no table observer_transitions, so what changed is in the log only; ${APPLY}`);
  else if (unfit("observer_transitions")) missing.push(unfit("observer_transitions")!);
  else if (!hasTransitionsTable) missing.push(`${role} may not write observer_transitions; ${GRANT}`);
  const tellsChanges = changes?.are_told ?? false;
  if (!tellsChanges)
    missing.push(`${role} may not select workspaces.xmin, so every look reads the whole table; ${GRANT}`);
  const writable = columns
    .filter(({ name, may_update }) => may_update && !(WORKSPACES_WRITTEN as readonly string[]).includes(name))
    .map(({ name }) => name);
  const excess =
    writable.length === 0
      ? []
      : [`${role} may also update workspaces.${writable.join(", ")}: use a role of its own; ${GRANT}`];
  return {
    serverVersion: version,
    place,
    role,
    readOnly,
    problems,
    missing,
    excess,
    idType: columns.find(({ name }) => name === "id")?.type ?? "text",
    tellsChanges,
    hasStatusTable,
    hasTransitionsTable,
    outdated,
  };
}

/** Made by a version that is too new, or too old: a sentence with what to do. Null: it can be used. */
function unfitness(name: OwnTable, { comment, columns, may_alter }: TableRow, role: string): string | null {
  const noted = notedLayout(comment);
  const tooNew = layoutProblem(name, noted);
  const lacking = lackingColumns(name, columns);
  if (tooNew !== null || lacking.length === 0) return tooNew;
  const maker = noted.by === null ? "an older version" : `Observer ${noted.by}`;
  if (lacking.some((column) => !(column in ADDED_COLUMNS[name])))
    return `${name} lacks ${lacking.join(", ")}, as no version of it does; rename it, and ${APPLY}`;
  const todo = may_alter ? "`observer run` adds that" : `${role} may not alter it: ${APPLY}`;
  return `${name} was made by ${maker} and lacks ${lacking.join(", ")}; ${todo}`;
}

/** Column → what its type has to be; null: any that can be read as text. */
const COLUMN_TYPES: Readonly<Record<(typeof WORKSPACES_READ)[number], readonly string[] | null>> = {
  id: null,
  operation: null,
  deleted_at: ["timestamp with time zone", "timestamp without time zone"],
  conditions: ["jsonb"],
  observed_at: ["timestamp with time zone"],
};

function columnProblems(columns: readonly ColumnRow[], role: string): string[] {
  const problems: string[] = [];
  for (const name of WORKSPACES_READ) {
    const column = columns.find((candidate) => candidate.name === name);
    const types = COLUMN_TYPES[name];
    if (column === undefined) {
      const type = types?.[0] ?? "text";
      problems.push(`workspaces has no column ${name}; alter table workspaces add column ${name} ${type}`);
      continue;
    }
    if (types !== null && !types.includes(column.type)) {
      problems.push(`workspaces.${name} is ${column.type}, but has to be ${types[0]}`);
    }
    if (!column.may_select) problems.push(`${role} may not select workspaces.${name}; ${GRANT}`);
    if ((WORKSPACES_WRITTEN as readonly string[]).includes(name) && !column.may_update) {
      problems.push(`${role} may not update workspaces.${name}; ${GRANT}`);
    }
  }
  return problems;
}
