// Goal: whatever the server refuses becomes a DatabaseFault whose message names the action, the state and what to
// do, and that is fatal only where no waiting will mend it: a fatal one ends the process.
// Method: each refusal is brought about on a private server that asks for passwords.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type PgBouncer, startPgBouncer } from "../../dev/services/pgbouncer.ts";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { createConditionsStore, createLeadership } from "../../src/adapters/postgres.ts";
import { PostgresClient, type PostgresOptions } from "../../src/adapters/postgres-client.ts";
import type { DatabaseFault } from "../../src/adapters/postgres-fault.ts";
import { schemaDdl } from "../../src/adapters/postgres-schema.ts";
import { verifySchema } from "../../src/adapters/postgres-verify.ts";
import { deadline } from "../contract/engine-support.ts";
import {
  type Database,
  held,
  keepTransitions,
  openDatabase,
  optionsOf,
  write,
} from "../contract/store-support.ts";

const role = "observer_r";
const password = "p ä:@/'\"";
let server: Postgres;
let bouncer: PgBouncer;
let database: Database;
const clients: PostgresClient[] = [];

beforeAll(async () => {
  server = await startPostgres({ version: 18, passwords: true });
  bouncer = await startPgBouncer({ postgres: server });
  database = await openDatabase(server, { ddl: schemaDdl({ role, schema: null }) });
  await database.beside.unsafe(`alter role ${role} password '${password.replaceAll("'", "''")}'`);
  await database.beside`insert into workspaces (id) values ('w')`;
}, 60_000);
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await database?.close();
  await bouncer?.stop();
  await server?.stop();
});

/** As the restricted role, unless changed. */
function connect(changes: Partial<PostgresOptions> & { through?: PgBouncer } = {}): PostgresClient {
  const client = new PostgresClient(
    optionsOf(server, { user: role, password, database: database.name, ...changes }),
  );
  clients.push(client);
  return client;
}

async function faultOf(work: Promise<unknown>): Promise<DatabaseFault> {
  const outcome = await work.then(
    () => new Error("it succeeded"),
    (cause: unknown) => cause,
  );
  expect(outcome).toMatchObject({ name: "DatabaseFault", cause: expect.anything() as never });
  return outcome as DatabaseFault;
}

const askClock = (client: PostgresClient) => createLeadership(client, "a").now(deadline());

/** Changes the database for one test. */
async function whileChanged(change: string, back: string, work: () => Promise<void>): Promise<void> {
  await server.query(change, database.name);
  try {
    await work();
  } finally {
    await server.query(back, database.name);
  }
}

describe("at the door", () => {
  const action = "Cannot read the database's clock: ";

  test("a password of odd characters is accepted", async () => {
    expect(await askClock(connect())).toBeGreaterThan(0);
    expect(await askClock(connect({ through: bouncer }))).toBeGreaterThan(0);
  });

  const cases: readonly (readonly [
    string,
    () => Partial<PostgresOptions> & { through?: PgBouncer },
    string,
    boolean,
  ])[] = [
    [
      "wrong password",
      () => ({ password: "no" }),
      `PostgreSQL answered 28P01 "password authentication failed for user "${role}""; check the user and password in DATABASE_URL`,
      true,
    ],
    [
      "no password",
      () => ({ password: null }),
      `PostgreSQL answered 28P01 "password authentication failed for user "${role}""; check the user and password in DATABASE_URL`,
      true,
    ],
    [
      "missing database",
      () => ({ database: "nope" }),
      'PostgreSQL answered 3D000 "database "nope" does not exist"; check the database name in DATABASE_URL',
      true,
    ],
    [
      "wrong password behind PgBouncer",
      () => ({ password: "no", through: bouncer }),
      'PostgreSQL answered 08P01 "SASL authentication failed"; check the user and password in DATABASE_URL',
      true,
    ],
    [
      "missing database behind PgBouncer",
      // As a user of its own file: to look another up it would need that very database.
      () => ({ database: "nope", through: bouncer, ...server.superuser }),
      'PostgreSQL answered 08P01 "database "nope" does not exist"; check the database name in DATABASE_URL',
      true,
    ],
    [
      "search_path behind PgBouncer",
      () => ({ searchPath: "public", through: bouncer }),
      'PostgreSQL answered 08P01 "unsupported startup parameter: search_path"; ' +
        "a pooler between refuses it: leave search_path out of DATABASE_URL and set it for the role",
      true,
    ],
    [
      "a server without TLS",
      () => ({ tls: "require" }),
      "PostgreSQL cannot be reached: Client network socket disconnected before secure TLS connection was established; " +
        "it speaks no TLS, or another protocol: check the port and sslmode in DATABASE_URL",
      false,
    ],
    [
      "a host without address",
      () => ({ hosts: [{ host: "nowhere.invalid", port: 5432 }] }),
      "PostgreSQL cannot be reached: getaddrinfo ENOTFOUND nowhere.invalid; the host in DATABASE_URL has no address",
      false,
    ],
    [
      "no such socket",
      () => ({ hosts: [{ host: "/nowhere", port: 5432 }] }),
      "PostgreSQL cannot be reached: connect ENOENT /nowhere/.s.PGSQL.5432; " +
        "there is no such socket: is PostgreSQL running, and the folder in DATABASE_URL right?",
      false,
    ],
  ];
  test.each(cases)("%s", async (_, changes, message, fatal) => {
    const fault = await faultOf(askClock(connect(changes())));
    expect(fault.message).toBe(action + message);
    expect(fault.fatal).toBe(fatal);
  });

  test("TLS is used where the server offers it only as far as asked; `prefer` goes without", async () => {
    expect(await askClock(connect({ tls: "prefer" }))).toBeGreaterThan(0);
  });

  test("the unix socket is used without TLS, whatever the mode", async () => {
    const hosts = [{ host: server.folder, port: server.port }];
    expect(await askClock(connect({ hosts, tls: "verify-full" }))).toBeGreaterThan(0);
  });

  test("too many connections: of the role, then of the server", async () => {
    await whileChanged(
      `alter role ${role} connection limit 0`,
      `alter role ${role} connection limit -1`,
      async () => {
        const fault = await faultOf(askClock(connect()));
        expect(fault.message).toBe(
          `${action}PostgreSQL answered 53300 "too many connections for role "${role}""; ` +
            "raise max_connections, or put a pooler between",
        );
        expect(fault.fatal).toBe(false);
      },
    );
    const small = await startPostgres({
      version: 18,
      settings: { max_connections: "6", superuser_reserved_connections: "5" },
    });
    const options = { ...optionsOf(small), user: "plain" };
    await small.query("create role plain login");
    const [first, second] = [new PostgresClient(options), new PostgresClient(options)];
    try {
      await askClock(first);
      const fault = await faultOf(askClock(second));
      expect(fault.code).toBe("53300");
      expect(fault.fatal).toBe(false);
      await first.close();
      await askClock(second).catch(() => askClock(second));
    } finally {
      await Promise.all([first.close(), second.close()]);
      await small.stop();
    }
  }, 60_000);
});

describe("at work", () => {
  const schema = { idType: "text", tellsChanges: true, hasStatusTable: true, hasTransitionsTable: true };
  const storeOf = (client: PostgresClient) =>
    createConditionsStore({ client, instance: "a", schema, transitions: keepTransitions });

  test("read-only: writing says so and is tried again, reading goes on", async () => {
    const change = `alter role ${role} set default_transaction_read_only = on`;
    await whileChanged(change, `alter role ${role} reset default_transaction_read_only`, async () => {
      const client = connect();
      expect((await storeOf(client).load(null, deadline())).rows).toHaveLength(1);
      const fault = await faultOf(createLeadership(client, "a").acquire(deadline()));
      expect(fault.message).toMatch(
        /^Cannot ask for the lease: PostgreSQL answered 25006 "cannot execute SELECT in a read-only transaction"; the server takes no writes: it is a standby \(point DATABASE_URL at the primary\), or default_transaction_read_only is on$/,
      );
      expect(fault.fatal).toBe(false);
      expect((await verifySchema(client, deadline())).readOnly).toBe(true);
    });
  });

  const SCHEMA = "run `observer schema` and apply what it prints";
  const load: Work = (client) => storeOf(client).load(null, deadline());
  const save: Work = async (client) => {
    await database.beside`truncate observer_lease`;
    const lease = await held(createLeadership(database.client, "a"), deadline());
    await storeOf(client).save(lease, [write("w")], deadline());
  };
  type Work = (client: PostgresClient) => Promise<unknown>;
  const cases: readonly (readonly [string, string, string, Work, string])[] = [
    [
      "no table workspaces",
      "alter table workspaces rename to hidden",
      "alter table hidden rename to workspaces",
      load,
      `Cannot load workspaces: PostgreSQL answered 42P01 "relation "workspaces" does not exist"; ${SCHEMA}`,
    ],
    [
      "no table observer_lease",
      "alter table observer_lease rename to hidden",
      "alter table hidden rename to observer_lease",
      (client) => createLeadership(client, "a").acquire(deadline()),
      `Cannot ask for the lease: PostgreSQL answered 42P01 "relation "observer_lease" does not exist"; ${SCHEMA}`,
    ],
    [
      "no table observer_status",
      "alter table observer_status rename to hidden",
      "alter table hidden rename to observer_status",
      (client) => storeOf(client).report({}, deadline()),
      `Cannot write observer_status: PostgreSQL answered 42P01 "relation "observer_status" does not exist"; ${SCHEMA}`,
    ],
    [
      "no column conditions",
      "alter table workspaces rename conditions to hidden",
      "alter table workspaces rename hidden to conditions",
      load,
      `Cannot load workspaces: PostgreSQL answered 42703 "column "conditions" does not exist"; the table is not the one of docs/contract.md; ${SCHEMA}`,
    ],
    [
      "conditions of type json, when reading",
      "alter table workspaces alter conditions drop default, alter conditions type json",
      "alter table workspaces alter conditions type jsonb, alter conditions set default '{}'",
      load,
      'Cannot load workspaces: PostgreSQL answered 42883 "function jsonb_typeof(json) does not exist"; a column has another type than docs/contract.md says',
    ],
    [
      "conditions of type text, when writing",
      "alter table workspaces alter conditions drop default, alter conditions type text",
      "alter table workspaces alter conditions type jsonb using '{}', alter conditions set default '{}'",
      save,
      'Cannot write conditions: PostgreSQL answered 42883 "operator does not exist: text #>> text[]"; a column has another type than docs/contract.md says',
    ],
    [
      "observed_at of type bigint, when writing",
      "alter table workspaces alter observed_at type bigint using null",
      "alter table workspaces alter observed_at type timestamptz using null",
      save,
      'Cannot write conditions: PostgreSQL answered 42804 "column "observed_at" is of type bigint but expression is of type timestamp with time zone"; a column has another type than docs/contract.md says',
    ],
    [
      "no right to read",
      `revoke select (operation) on workspaces from ${role}`,
      `grant select (operation) on workspaces to ${role}`,
      load,
      'Cannot load workspaces: PostgreSQL answered 42501 "permission denied for table workspaces"; run `observer schema --role NAME` and apply the grants it prints',
    ],
    [
      "no right to write",
      `revoke update (conditions) on workspaces from ${role}`,
      `grant update (conditions) on workspaces to ${role}`,
      save,
      'Cannot write conditions: PostgreSQL answered 42501 "permission denied for table workspaces"; run `observer schema --role NAME` and apply the grants it prints',
    ],
  ];
  test.each(cases)("%s", async (_, change, back, work, message) => {
    const client = connect();
    await whileChanged(change, back, async () => {
      const fault = await faultOf(work(client));
      expect(fault.message).toBe(message);
      expect(fault.fatal).toBe(true);
    });
    // And once it is mended the same client goes on.
    await work(client);
  });

  test("a statement that takes too long is ended by the server as well, long before anybody else minds", async () => {
    const client = connect({ timeoutMs: 300 });
    const fault = await faultOf(
      client.transaction("Cannot sleep", deadline(), (tx) => tx`select pg_sleep(20)`),
    );
    expect(fault.message).toBe(
      'Cannot sleep: PostgreSQL answered 57014 "canceling statement due to statement timeout"; ' +
        "the statement took too long; look for locks in pg_stat_activity",
    );
    // The time-outs were the transaction's alone.
    const [row] = await client.statement("Cannot look", deadline(), (sql) => sql`show statement_timeout`);
    expect(row).toEqual({ statement_timeout: "0" });
  });

  test("an error of our own is not blamed on the network", async () => {
    const work = connect().transaction("Cannot count", deadline(), async () => {
      throw new Error("two and two are five");
    });
    expect((await faultOf(work)).message).toBe("Cannot count: two and two are five");
  });
});
