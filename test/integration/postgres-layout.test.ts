// Goal: the Observer's own tables know who made them; an older one is brought up to date once, whoever else starts or
// leads, a newer one is used only where it says that it may be, and `workspaces` is never altered.
// Method: tables as older and newer versions would leave them, on a private server; the adapter starts on them.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { createLeadership } from "../../src/adapters/postgres.ts";
import { PostgresClient } from "../../src/adapters/postgres-client.ts";
import { LAYOUTS, layoutNote } from "../../src/adapters/postgres-layout.ts";
import { createOwnTables, migrateOwnTables } from "../../src/adapters/postgres-own-tables.ts";
import { schemaDdl } from "../../src/adapters/postgres-schema.ts";
import { verifySchema } from "../../src/adapters/postgres-verify.ts";
import { deadline } from "../contract/engine-support.ts";
import { held, optionsOf } from "../contract/store-support.ts";

const ROLE = "observer_layout";
const TABLES = ["observer_lease", "observer_status", "observer_transitions"];
/** As the first versions made them: no `known`, and no note. */
const OLD = `alter table observer_lease drop column known; ${TABLES.map((table) => `comment on table ${table} is null;`).join(" ")}`;
const note = (table: string, layout: number, since: number) =>
  `comment on table ${table} is '${layoutNote({ layout, since }, "7.1.0")}'`;

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
  const connect = (user?: string) => {
    const client = new PostgresClient(optionsOf(server, { database: name, ...(user && { user }) }));
    clients.push(client);
    return client;
  };
  return {
    owner: connect(),
    restricted: connect(ROLE),
    connect,
    query: (text: string) => server.query(text, name),
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
      .flat()
      .map(({ table }) => table as string)
      .sort(),
  ).toEqual(TABLES);
  expect(made.flat()[0]).toMatchObject({ by: null, from: 0, to: 1 });
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
  expect(await migrateOwnTables(owner, ["observer_lease"], deadline())).toEqual([]);
  expect((await verifySchema(owner, deadline())).problems).toHaveLength(1);
});
