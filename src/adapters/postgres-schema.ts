/** The DDL that `observer schema` prints: for a new installation and for an older one, and safe to apply again. */
import { noteLayoutDdl, type OwnTable } from "./postgres-layout.ts";

export interface SchemaOptions {
  /** The restricted role to create and grant to; null prints no grants. */
  readonly role: string | null;
  /** The schema that holds the tables; null leaves it to the session's search_path. */
  readonly schema: string | null;
}

export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const quoteLiteral = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Columns that the Observer reads and writes; the grants are made of these, and `observer check` looks for them. */
export const WORKSPACES_READ = ["id", "operation", "deleted_at", "conditions", "observed_at"] as const;
export const WORKSPACES_WRITTEN = ["conditions", "observed_at"] as const;

/** What the statements name. An own table that lacks one was made by an older version. */
export const OWN_COLUMNS: Readonly<Record<OwnTable, readonly string[]>> = {
  observer_lease: ["scope", "holder", "epoch", "expires_at", "known"],
  observer_status: ["instance", "updated_at", "status"],
  observer_transitions: [
    "at",
    "workspace_id",
    "condition",
    "from_reason",
    "to_reason",
    "message",
    "details",
    "instance",
  ],
};

/**
 * What the tables of older versions lack, and how it is added. Apart from the creation: `create table if not exists` looks
 * only where it would create, and asks for the right to create even where there is nothing to do.
 */
export const ADDED_COLUMNS: Readonly<Record<OwnTable, Readonly<Record<string, string>>>> = {
  observer_lease: { known: "jsonb not null default '{}'" },
  observer_status: {},
  observer_transitions: {},
};

export const OWN_INDEXES: Readonly<Record<OwnTable, Readonly<Record<string, string>>>> = {
  observer_lease: {},
  observer_status: {},
  observer_transitions: { observer_transitions_workspace_id_at: "(workspace_id, at)" },
};

/** Of those that the statements name. */
export const lackingColumns = (table: OwnTable, columns: readonly string[]): readonly string[] =>
  OWN_COLUMNS[table].filter((column) => !columns.includes(column));

const TABLES_DDL: Readonly<Record<OwnTable, string>> = {
  observer_lease: `create table if not exists observer_lease (
  scope      text        primary key,
  holder     text        not null,
  epoch      bigint      not null,
  expires_at timestamptz not null,
  known      jsonb       not null default '{}'
) with (fillfactor = 50);`,
  observer_status: `create table if not exists observer_status (
  instance   text        primary key,
  updated_at timestamptz not null,
  status     jsonb       not null
) with (fillfactor = 50);`,
  observer_transitions: `create table if not exists observer_transitions (
  id           bigint      generated always as identity primary key,
  at           timestamptz not null,
  workspace_id text        not null,
  condition    text        not null,
  from_reason  text        not null,
  to_reason    text        not null,
  message      text        not null,
  details      jsonb       not null,
  instance     text        not null
);`,
};

/** Makes the table where there is none, and brings one that an older version made to the present layout. */
export const ownTableDdl = (table: OwnTable): string =>
  [
    TABLES_DDL[table],
    ...Object.entries(ADDED_COLUMNS[table]).map(([column, type]) => addColumnDdl(table, column, type)),
    ...Object.entries(OWN_INDEXES[table]).map(
      ([index, columns]) => `create index if not exists ${index} on ${table} ${columns};`,
    ),
    noteLayoutDdl(table),
  ].join("\n");

/** Asks first: `add column if not exists` locks out every reader and writer, even where there is nothing to add. */
const addColumnDdl = (table: OwnTable, column: string, type: string): string => `do $do$ begin
  if not exists (select from pg_catalog.pg_attribute
                  where attrelid = '${table}'::regclass and attname = '${column}' and not attisdropped) then
    alter table ${table} add column ${column} ${type};
  end if;
end $do$;`;

export const WORKSPACES_DDL = `-- Where a platform has its own table, this one is left as it is: it needs these columns, and may have more.
-- The fill factor leaves room on each page, so that an update of conditions stays on it and touches no index.
create table if not exists workspaces (
  id            text        primary key,
  phase         text        not null default 'PENDING',
  operation     text        not null default 'NONE',
  op_started_at timestamptz,
  op_id         text,
  archive_key   text,
  error_count   integer     not null default 0,
  error_reason  text,
  home_ctx      jsonb,
  conditions    jsonb       not null default '{}',
  observed_at   timestamptz,
  created_at    timestamptz not null default now(),
  deleted_at    timestamptz
) with (fillfactor = 70);`;

export function schemaDdl({ role, schema }: SchemaOptions): string {
  const parts = [
    '-- Tables of the Observer. Safe to apply again: observer schema | psql "$DATABASE_URL"',
    "begin;",
    ...(schema === null
      ? []
      : [
          `create schema if not exists ${quoteIdentifier(schema)};`,
          `set local search_path = ${quoteIdentifier(schema)};`,
        ]),
    WORKSPACES_DDL,
    "-- Who writes: one row per lease. Lost or emptied, it is made anew at the next start.",
    ownTableDdl("observer_lease"),
    "-- What each instance says of itself, at one row per cycle.",
    ownTableDdl("observer_status"),
    "-- What changed, when and why: a row per change, for as long as OBSERVER_TRANSITIONS_MAX_AGE says.",
    ownTableDdl("observer_transitions"),
    ...(role === null ? [] : [roleDdl(role, schema)]),
    "commit;",
  ];
  return `${parts.join("\n\n")}\n`;
}

function roleDdl(role: string, schema: string | null): string {
  const name = quoteIdentifier(role);
  const lines = [
    `-- The restricted role. It can write two columns of workspaces and nothing else there.`,
    `do $do$ begin
  if not exists (select from pg_catalog.pg_roles where rolname = ${quoteLiteral(role)}) then
    create role ${name} login;
  end if;
end $do$;`,
    schema === null
      ? `do $do$ begin
  execute format('grant usage on schema %I to %I', current_schema(), ${quoteLiteral(role)});
end $do$;`
      : `grant usage on schema ${quoteIdentifier(schema)} to ${name};`,
    `revoke all on workspaces, observer_lease, observer_status, observer_transitions from ${name};`,
    // xmin: which transaction wrote a row last, so that a look reads only what changed.
    `grant select (${WORKSPACES_READ.join(", ")}, xmin) on workspaces to ${name};`,
    `grant update (${WORKSPACES_WRITTEN.join(", ")}) on workspaces to ${name};`,
    `grant select, insert, update on observer_lease to ${name};`,
    `grant select, insert, update, delete on observer_status to ${name};`,
    `grant select, insert, delete on observer_transitions to ${name};`,
    ...(schema === null ? [] : [`alter role ${name} set search_path = ${quoteIdentifier(schema)};`]),
    `-- Then give it a password: \\password ${role.replaceAll("\n", " ")}`,
  ];
  return lines.join("\n");
}
