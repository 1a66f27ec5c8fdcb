// Goal: the Observer's own tables know who made them; an older one is brought up to date once, whoever else starts or
// leads, a newer one is used only where it says that it may be, and `workspaces` is never altered.
// Method: tables as older and newer versions would leave them, on a private server; the adapter starts on them.
import { afterAll, beforeAll, expect, test } from "bun:test";
import postgres from "postgres";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { createLeadership } from "../../src/adapters/postgres.ts";
import { PostgresClient } from "../../src/adapters/postgres-client.ts";
import { DatabaseFault } from "../../src/adapters/postgres-fault.ts";
import { LAYOUTS, layoutNote } from "../../src/adapters/postgres-layout.ts";
import { createOwnTables, migrateOwnTables } from "../../src/adapters/postgres-own-tables.ts";
import { schemaDdl } from "../../src/adapters/postgres-schema.ts";
import { verifySchema } from "../../src/adapters/postgres-verify.ts";
import { deadline } from "../contract/engine-support.ts";
import { held, holdOpen, optionsOf } from "../contract/store-support.ts";

const ROLE = "observer_layout";
const TABLES = ["observer_lease", "observer_status", "observer_transitions"];
/** As the first versions made them: no `known`, and no note. */
const OLD = `alter table observer_lease drop column known; ${TABLES.map((table) => `comment on table ${table} is null;`).join(" ")}`;
const note = (table: string, layout: number, since: number) =>
  `comment on table ${table} is '${layoutNote({ layout, since }, "7.1.0")}'`;

const NOTHING = { migrated: [], unfinished: [] };
const OWN_TABLES = TABLES as (keyof typeof LAYOUTS)[];

let server: Postgres;
let databases = 0;
const clients: PostgresClient[] = [];
beforeAll(async () => {
  server = await startPostgres({ version: 15 });
}, 60_000);
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await server?.stop();
});

async function fresh(...ddl: readonly string[]) {
  const name = `layout${++databases}`;
  await server.createDatabase(name);
  for (const text of [schemaDdl({ role: ROLE, schema: null }), ...ddl]) await server.query(text, name);
  const connect = (user?: string, searchPath: string | null = null) => {
    const client = new PostgresClient(
      optionsOf(server, { database: name, searchPath, ...(user && { user }) }),
    );
    clients.push(client);
    return client;
  };
  return {
    owner: connect(),
    restricted: connect(ROLE),
    connect,
    query: (text: string) => server.query(text, name),
    /** Somebody else's transaction holds this lock on the lease, until the function returned is called. */
    async lock(mode: string) {
      const session = postgres(server.url(name), { max: 1 });
      const release = await holdOpen(session, (tx) => tx.unsafe(`lock table observer_lease in ${mode} mode`));
      return async () => {
        await release();
        await session.end();
      };
    },
  };
}

/** Everything that a definition of `workspaces` consists of. */
const DEFINITION = `
  select relname, reloptions, relacl::text, obj_description(c.oid) as comment, attname, attacl::text, attnotnull,
         format_type(atttypid, atttypmod) as type, pg_get_expr(adbin, adrelid) as fallback,
         pg_relation_filenode(c.oid) as file
    from pg_class c join pg_attribute on attrelid = c.oid left join pg_attrdef on adrelid = c.oid and adnum = attnum
   where relname = 'workspaces' and attnum > 0 order by attnum`;

test("what was made now is noted, and found fit by the owner and by the restricted role", async () => {
  const { owner, restricted, query } = await fresh();
  for (const client of [owner, restricted])
    expect(await verifySchema(client, deadline())).toMatchObject({ problems: [], missing: [], outdated: [] });
  await query("drop table observer_status");
  expect(await createOwnTables(owner, deadline())).toEqual(["observer_status"]);
  const [row] = await query("select obj_description('observer_status'::regclass) as comment");
  expect(row).toEqual({ comment: layoutNote(LAYOUTS.observer_status) });
});

test("older tables are brought up to date once, with what they hold, and workspaces stays as it is", async () => {
  const { owner, connect, query } = await fresh();
  const lease = await held(createLeadership(owner, "old"), deadline());
  await query(OLD);
  const before = await query(DEFINITION);
  const { problems, outdated } = await verifySchema(owner, deadline());
  expect(problems).toEqual([
    "observer_lease was made by an older version and lacks known; `observer run` adds that",
  ]);
  expect(outdated).toEqual(["observer_lease", "observer_status", "observer_transitions"]);

  const made = await Promise.all(
    Array.from({ length: 6 }, () => migrateOwnTables(connect(), outdated, deadline())),
  );
  expect(
    made
      .flatMap(({ migrated }) => migrated)
      .map(({ table }) => table as string)
      .sort(),
  ).toEqual(TABLES);
  expect(made.flatMap(({ unfinished }) => unfinished)).toEqual([]);
  expect(made.flatMap(({ migrated }) => migrated)[0]).toMatchObject({ by: null, from: 0, to: 1 });
  expect(await verifySchema(owner, deadline())).toMatchObject({ problems: [], missing: [], outdated: [] });
  expect(await query(DEFINITION)).toEqual(before);
  // Whoever led goes on.
  expect(await createLeadership(owner, "old").renew(lease, deadline())).toMatchObject({ kind: "held" });
});

test("where the role may not alter them: what fits is used, and what doesn't is the operator's", async () => {
  const { restricted, query } = await fresh(OLD);
  const { problems, outdated } = await verifySchema(restricted, deadline());
  expect([problems, outdated]).toEqual([
    [
      `observer_lease was made by an older version and lacks known; ${ROLE} may not alter it: run \`observer schema | psql\` as the owner`,
    ],
    [],
  ]);
  await query(schemaDdl({ role: null, schema: null }));
  expect(await verifySchema(restricted, deadline())).toMatchObject({
    problems: [],
    missing: [],
    outdated: [],
  });
  // A dump without comments, say.
  await query("comment on table observer_lease is null");
  expect(await verifySchema(restricted, deadline())).toMatchObject({
    problems: [],
    missing: [],
    outdated: [],
  });
});

test("a newer table is used where it says so, and refused by name where not", async () => {
  const { owner, query } = await fresh(note("observer_lease", 9, 1));
  expect(await verifySchema(owner, deadline())).toMatchObject({ problems: [], outdated: [] });

  await query(note("observer_lease", 9, 9));
  const { problems } = await verifySchema(owner, deadline());
  expect(problems).toEqual([
    "observer_lease is too new for this version: Observer 7.1.0 made it (layout 9, for versions that know layout 9), " +
      "and this one, 0.0.0-dev, knows layout 1; run Observer 7.1.0 or newer",
  ]);
  // The history and the status row are no reason not to observe.
  await query(note("observer_lease", 9, 1));
  for (const table of ["observer_status", "observer_transitions"]) await query(note(table, 9, 9));
  const { missing, ...rest } = await verifySchema(owner, deadline());
  expect(rest).toMatchObject({ problems: [], hasStatusTable: false, hasTransitionsTable: false });
  expect(missing.map((text) => text.slice(0, 40))).toEqual([
    "observer_status is too new for this vers",
    "observer_transitions is too new for this",
  ]);
});

test("an older `observer schema`, applied again, takes nothing back", async () => {
  const { owner, query } = await fresh(note("observer_lease", 9, 9));
  await query(schemaDdl({ role: ROLE, schema: null }));
  expect(await migrateOwnTables(owner, ["observer_lease"], deadline())).toEqual(NOTHING);
  expect((await verifySchema(owner, deadline())).problems).toHaveLength(1);
});

test("only the tables that were found are altered: no second set in a schema that comes first", async () => {
  const { connect, query } = await fresh(
    "create schema first",
    OLD,
    "drop index observer_transitions_workspace_id_at",
  );
  const client = connect(undefined, "first, public");
  const { migrated, unfinished } = await migrateOwnTables(client, OWN_TABLES, deadline());
  expect([migrated.map(({ table }) => table), unfinished]).toEqual([OWN_TABLES, []]);
  expect(await verifySchema(client, deadline())).toMatchObject({ problems: [], missing: [], outdated: [] });
  expect(
    await query(`select relnamespace::regnamespace::text as schema, relname as name from pg_class
                  where relname like 'observer%' and relkind in ('r', 'i') and relname !~ 'pkey' order by 2`),
  ).toEqual([...TABLES, "observer_transitions_workspace_id_at"].map((name) => ({ schema: "public", name })));
});

test("an owner that may not create is enough for a column and a note; an index it goes without", async () => {
  const owner = `owner_${databases + 1}`;
  const { connect, query } = await fresh(
    OLD,
    `create role ${owner} login`,
    ...TABLES.map((table) => `alter table ${table} owner to ${owner}`),
    `grant select, update on workspaces to ${owner}`,
    "revoke create on schema public from public",
  );
  const client = connect(owner);
  const { migrated, unfinished } = await migrateOwnTables(client, OWN_TABLES, deadline());
  expect([migrated.map(({ table }) => table), unfinished]).toEqual([OWN_TABLES, []]);
  expect(await verifySchema(client, deadline())).toMatchObject({ problems: [], missing: [], outdated: [] });

  await query(
    "drop index observer_transitions_workspace_id_at; comment on table observer_transitions is null",
  );
  const without = await migrateOwnTables(client, OWN_TABLES, deadline());
  expect([without.migrated, without.unfinished.map(({ table }) => table)]).toEqual([
    [],
    ["observer_transitions"],
  ]);
  expect(await verifySchema(client, deadline())).toMatchObject({ problems: [], missing: [] });
});

test("where no column is missing, neither migration nor script waits for a reader, or for ever", async () => {
  const { owner, restricted, query, lock } = await fresh("comment on table observer_lease is null");
  // As pg_dump holds it.
  let release = await lock("access share");
  const script = schemaDdl({ role: ROLE, schema: null });
  await query(`set lock_timeout = 500; ${script}; comment on table observer_lease is null`);
  expect(await migrateOwnTables(owner, ["observer_lease"], deadline())).toMatchObject({
    migrated: [{ table: "observer_lease" }],
    unfinished: [],
  });
  await release();

  // As a VACUUM holds it.
  await query("comment on table observer_lease is null");
  release = await lock("share update exclusive");
  const unfinished = async (client: PostgresClient) => {
    const migration = await migrateOwnTables(client, ["observer_lease"], deadline());
    expect(migration.migrated).toEqual([]);
    return migration.unfinished.map(({ table, cause }) => [table, cause.code]);
  };
  expect(await unfinished(owner)).toEqual([["observer_lease", "55P03"]]);
  await release();
  expect(await unfinished(restricted)).toEqual([["observer_lease", "42501"]]);
});

test("a missing column that can't be added is said, with what to do", async () => {
  const { owner, restricted, query, lock } = await fresh("alter table observer_lease drop column known");
  // The note alone is no proof that nothing is missing.
  expect(await verifySchema(owner, deadline())).toMatchObject({ outdated: ["observer_lease"] });
  const release = await lock("access share");
  for (const [client, code, todo] of [
    [owner, "55P03", "look for it in pg_locks"],
    [restricted, "42501", "run `observer schema --role NAME` and apply the grants it prints"],
  ] as const) {
    const fault = await migrateOwnTables(client, ["observer_lease"], deadline()).catch((cause) => cause);
    expect(fault).toBeInstanceOf(DatabaseFault);
    expect([fault.code, fault.message]).toEqual([code, expect.stringContaining(todo)]);
  }
  await release();
  expect((await migrateOwnTables(owner, ["observer_lease"], deadline())).migrated).toHaveLength(1);
  expect(await verifySchema(owner, deadline())).toMatchObject({ problems: [], outdated: [] });

  await query("alter table observer_lease drop column epoch");
  expect(await migrateOwnTables(owner, ["observer_lease"], deadline())).toEqual(NOTHING);
  expect((await verifySchema(owner, deadline())).problems).toEqual([
    "observer_lease lacks epoch, as no version of it does; rename it, and run `observer schema | psql` as the owner",
  ]);
});
