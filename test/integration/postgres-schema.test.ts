// Goal: the schema that `observer schema` prints can be applied to anything again and again; its role can do all of
// the Observer's work and nothing else (P4); what is wrong with a schema is found and said.
// Method: the DDL is applied to private servers, the adapter runs as the role, and what it must not do is tried.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import { createConditionsStore, createLeadership } from "../../src/adapters/postgres.ts";
import { PostgresClient } from "../../src/adapters/postgres-client.ts";
import { createPostgresHints, createPostgresWake } from "../../src/adapters/postgres-hints.ts";
import { createOwnTables } from "../../src/adapters/postgres-own-tables.ts";
import { schemaDdl, WORKSPACES_DDL } from "../../src/adapters/postgres-schema.ts";
import { verifySchema } from "../../src/adapters/postgres-verify.ts";
import { deadline, listenTo } from "../contract/engine-support.ts";
import { held, id, keepTransitions, loadAll, optionsOf, write } from "../contract/store-support.ts";

const odd = { role: `obs-"erver's`, schema: `work "spaces's` };

for (const version of [15, 18] as const) {
  describe(`PostgreSQL ${version}`, () => {
    let server: Postgres;
    let databases = 0;
    const clients: PostgresClient[] = [];
    beforeAll(async () => {
      server = await startPostgres({ version });
    }, 60_000);
    afterAll(async () => {
      await Promise.all(clients.map((client) => client.close()));
      await server?.stop();
    });

    async function fresh(...ddl: readonly string[]): Promise<string> {
      const name = `db${++databases}`;
      await server.createDatabase(name);
      for (const text of ddl) await server.query(text, name);
      return name;
    }
    function connect(database: string, changes: Parameters<typeof optionsOf>[1] = {}): PostgresClient {
      const client = new PostgresClient(optionsOf(server, { ...changes, database }));
      clients.push(client);
      return client;
    }
    const verify = (client: PostgresClient) => verifySchema(client, deadline());

    test("schemaDdl(): applied again it changes nothing, and a table that is there stays as it is", async () => {
      const own =
        "create table workspaces (id uuid primary key, extra text, operation text, deleted_at timestamptz)";
      const add = "alter table workspaces add conditions jsonb, add observed_at timestamptz";
      const ddl = schemaDdl({ role: "observer_a", schema: null });
      const name = await fresh(own, add, ddl);
      const shape = () =>
        server.query(
          `select c.relname, c.relacl::text, a.attname, a.attacl::text, format_type(atttypid, atttypmod) as type
             from pg_attribute a join pg_class c on c.oid = attrelid
            where relnamespace = 'public'::regnamespace and attnum > 0 order by 1, attnum`,
          name,
        );
      const before = await shape();
      expect(before.find((row) => row.attname === "extra")).toBeDefined();
      await server.query(ddl, name);
      expect(await shape()).toEqual(before);
      const findings = await verify(connect(name, { user: "observer_a" }));
      expect(findings).toMatchObject({ problems: [], missing: [], excess: [], idType: "uuid" });
    });

    test("schemaDdl() with a role and a schema of odd names: the role finds it without being told where", async () => {
      const ddl = schemaDdl(odd);
      const name = await fresh(ddl, ddl);
      const findings = await verify(connect(name, { user: odd.role }));
      expect(findings).toEqual({
        serverVersion: expect.stringMatching(version === 15 ? /^15\./ : /^18\./) as never,
        place: `${name}, search_path "work ""spaces's"`,
        role: odd.role,
        readOnly: false,
        problems: [],
        idType: "text",
        tellsChanges: true,
        hasStatusTable: true,
        hasTransitionsTable: true,
        outdated: [],
        missing: [],
        excess: [],
      });
      // Whoever is told where finds it as well.
      const searchPath = '"work ""spaces\'s"';
      expect((await verify(connect(name, { searchPath }))).problems).toEqual([]);
      expect((await verify(connect(name))).problems).toHaveLength(2);
    });

    describe("P4: the restricted role", () => {
      const role = `observer_p4`;
      let name: string;
      let client: PostgresClient;
      beforeAll(async () => {
        name = await fresh(
          schemaDdl({ role, schema: null }),
          "insert into workspaces (id) values ('w'), ('v')",
          `insert into observer_status values ('silent', now() - interval '2 days', '{}')`,
        );
        client = connect(name, { user: role });
      });

      test("can do everything that the Observer does", async () => {
        expect(await createOwnTables(client, deadline())).toEqual([]);
        const findings = await verify(client);
        expect(findings).toMatchObject({ role, problems: [], missing: [], excess: [], hasStatusTable: true });
        const store = createConditionsStore({
          client,
          instance: "a",
          schema: findings,
          transitions: keepTransitions,
        });
        const leadership = createLeadership(client, "a");
        const lease = await held(leadership, deadline());
        expect(await leadership.renew(lease, deadline())).toMatchObject({ kind: "held" });
        const rows = await loadAll(store);
        const writes = rows.map((row) => write(row.id, { set: { container: null }, drop: ["archive"] }));
        expect(await store.save(lease, writes, deadline())).toMatchObject({
          written: new Set([id("w"), id("v")]),
        });
        await store.report({ role: "leader" }, deadline());
        await store.report({ role: "leader" }, deadline());
        expect(await server.query("select instance from observer_status", name)).toEqual([{ instance: "a" }]);
        const ear = listenTo(
          createPostgresHints({
            connection: optionsOf(server, { database: name, user: role }),
            channel: "wc:wake",
            clock: systemClock,
            random: Math.random,
          }),
        );
        await ear.heard({ ups: 1 });
        await createPostgresWake(client, "wc:wake").publish(deadline());
        await ear.heard({ hints: 1 });
        await ear.stop();
        await leadership.release(lease, deadline());
        expect(await leadership.acquire(deadline())).toMatchObject({ kind: "held" });
      });

      const forbidden = [
        "update workspaces set phase = 'RUNNING'",
        "update workspaces set id = 'x' where id = 'w'",
        "update workspaces set operation = 'NONE', conditions = '{}'",
        "update workspaces set deleted_at = now()",
        "insert into workspaces (id) values ('x')",
        "insert into workspaces (id, conditions) values ('w', '{}') on conflict (id) do update set conditions = '{}'",
        "delete from workspaces where id = 'w'",
        "truncate workspaces",
        "drop table workspaces",
        "alter table workspaces add column mine text",
        "alter table workspaces disable trigger all",
        "create index on workspaces (id)",
        "create table mine (id text)",
        "do $$ begin lock table workspaces in access exclusive mode; end $$",
        "select home_ctx from workspaces",
        "select * from workspaces",
        "delete from observer_lease",
        "truncate observer_lease",
        "drop table observer_status",
        "update observer_transitions set message = 'never happened'",
        "truncate observer_transitions",
        "create role mine",
      ];
      test.each(forbidden)("is refused: %s", async (statement) => {
        const sql = postgres(server.url(name, role), { max: 1, onnotice: () => {} });
        try {
          await expect(sql.unsafe(statement).execute()).rejects.toMatchObject({ code: "42501" });
        } finally {
          await sql.end({ timeout: 1 });
        }
      });
    });

    describe("createOwnTables()", () => {
      const workspaces = WORKSPACES_DDL;

      test("makes what is missing, once", async () => {
        const name = await fresh(workspaces);
        const client = connect(name);
        expect((await verify(client)).problems).toEqual([
          `there is no table observer_lease in ${name}, search_path "$user", public; run \`observer schema | psql\` as the owner`,
        ]);
        expect(await createOwnTables(client, deadline())).toEqual([
          "observer_lease",
          "observer_status",
          "observer_transitions",
        ]);
        expect(await createOwnTables(client, deadline())).toEqual([]);
        expect(await verify(client)).toMatchObject({ problems: [], missing: [], hasStatusTable: true });
        for (const table of ["observer_status", "observer_transitions"] as const) {
          await server.query(`drop table ${table}`, name);
          const { missing } = await verify(client);
          expect([missing.length, missing[0]]).toEqual([
            1,
            expect.stringMatching(new RegExp(`^there is no table ${table}`)),
          ]);
          expect(await createOwnTables(client, deadline())).toEqual([table]);
        }
      });

      test("makes nothing where the role may not, and verifySchema() says what to run", async () => {
        const name = await fresh(workspaces, "create role nobody_special login");
        const client = connect(name, { user: "nobody_special" });
        expect(await createOwnTables(client, deadline())).toEqual([]);
        const { problems } = await verify(client);
        expect(problems).toContain(
          "nobody_special may not update workspaces.conditions; run `observer schema --role NAME | psql` as the owner",
        );
        expect(problems.at(-1)).toStartWith("there is no table observer_lease");
      });

      test("of many instances that start together, one makes each table and none fails", async () => {
        for (let round = 0; round < 3; round++) {
          const name = await fresh(workspaces);
          const made = await Promise.all(
            Array.from({ length: 6 }, () => createOwnTables(connect(name), deadline())),
          );
          expect(made.flat().sort()).toEqual(["observer_lease", "observer_status", "observer_transitions"]);
        }
      });
    });

    describe("verifySchema()", () => {
      const broken: readonly (readonly [what: string, ddl: string, problem: string])[] = [
        [
          "no conditions",
          "alter table workspaces drop conditions",
          "workspaces has no column conditions; alter table workspaces add column conditions jsonb",
        ],
        [
          "no operation",
          "alter table workspaces drop operation",
          "workspaces has no column operation; alter table workspaces add column operation text",
        ],
        [
          "json",
          "alter table workspaces alter conditions drop default, alter conditions type json",
          "workspaces.conditions is json, but has to be jsonb",
        ],
        [
          "text",
          "alter table workspaces alter conditions drop default, alter conditions type text",
          "workspaces.conditions is text, but has to be jsonb",
        ],
        [
          "observed_at without time zone",
          "alter table workspaces alter observed_at type timestamp",
          "workspaces.observed_at is timestamp without time zone, but has to be timestamp with time zone",
        ],
        [
          "deleted_at is a flag",
          "alter table workspaces drop deleted_at, add deleted_at boolean",
          "workspaces.deleted_at is boolean, but has to be timestamp with time zone",
        ],
        ["no table", "drop table workspaces", "there is no table workspaces in"],
      ];
      test.each(broken)("finds: %s", async (_, ddl, problem) => {
        const name = await fresh(schemaDdl({ role: null, schema: null }), ddl);
        const { problems } = await verify(connect(name));
        expect(problems).toHaveLength(1);
        expect(problems[0]).toStartWith(problem);
      });

      test("finds each missing right of the role, and what it may do beyond its job", async () => {
        const role = "observer_rights";
        const name = await fresh(schemaDdl({ role, schema: null }));
        const client = connect(name, { user: role });
        const apply = "; run `observer schema --role NAME | psql` as the owner";
        const withRights = async (sql: string) => {
          await server.query(sql, name);
          const findings = await verify(client);
          await server.query(schemaDdl({ role, schema: null }), name);
          return findings;
        };
        expect((await withRights(`revoke update (observed_at) on workspaces from ${role}`)).problems).toEqual(
          [`${role} may not update workspaces.observed_at${apply}`],
        );
        expect((await withRights(`revoke select (operation) on workspaces from ${role}`)).problems).toEqual([
          `${role} may not select workspaces.operation${apply}`,
        ]);
        expect((await withRights(`revoke insert on observer_lease from ${role}`)).problems).toEqual([
          `${role} may not select, insert and update observer_lease${apply}`,
        ]);
        // Without "delete" the removal of silent instances would fail, and the report with it.
        expect(await withRights(`revoke delete on observer_status from ${role}`)).toMatchObject({
          problems: [],
          missing: [`${role} may not write observer_status${apply}`],
          hasStatusTable: false,
          hasTransitionsTable: true,
        });
        expect(await withRights(`revoke insert on observer_transitions from ${role}`)).toMatchObject({
          problems: [],
          missing: [`${role} may not write observer_transitions${apply}`],
          hasStatusTable: true,
          hasTransitionsTable: false,
        });
        expect((await withRights(`grant update (phase, operation) on workspaces to ${role}`)).excess).toEqual(
          [`${role} may also update workspaces.phase, operation: use a role of its own${apply}`],
        );
        // Applying the schema again has put all of it right.
        expect(await verify(client)).toMatchObject({ problems: [], missing: [], excess: [] });
      });

      test("says so when nothing can be written here", async () => {
        const name = await fresh(schemaDdl({ role: null, schema: null }));
        await server.query(`alter database ${name} set default_transaction_read_only = on`);
        expect(await verify(connect(name))).toMatchObject({ readOnly: true, problems: [] });
      });
    });
  });
}
