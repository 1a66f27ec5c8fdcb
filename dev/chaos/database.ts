// The table that is observed: the schema as `observer schema --role` prints it, and a memory of every document that was
// written to it, kept by the server itself.
import { randomBytes } from "node:crypto";
import postgres from "postgres";
import type { Postgres } from "../services/postgres.ts";
import { runCommand } from "../services/process.ts";
import { waitFor } from "../services/wait.ts";
import type { Written } from "./check.ts";

const DATABASE = "chaos";
export const ROLE = "observer_chaos";

const AUDIT = `
  create table written (
    seq bigserial primary key, id text not null, role text not null, writer text not null, conditions jsonb not null,
    observed_at timestamptz, trespass boolean not null, at timestamptz not null
  );
  create function note_written() returns trigger language plpgsql security definer set search_path = public as $$
  declare
    row_now workspaces := coalesce(new, old);
  begin
    insert into written (id, role, writer, conditions, observed_at, trespass, at)
    values (row_now.id, session_user, current_setting('application_name'), row_now.conditions, row_now.observed_at,
            tg_op <> 'UPDATE'
              or to_jsonb(old) - 'conditions' - 'observed_at' is distinct from to_jsonb(new) - 'conditions' - 'observed_at',
            clock_timestamp());
    return null;
  end $$;
  create trigger note_written after insert or update or delete on workspaces for each row
    execute function note_written();`;

export interface ChaosDatabase {
  readonly server: Postgres;
  readonly sql: postgres.Sql;
  /** Of the restricted role. */
  readonly password: string;
  /** DATABASE_URL of the restricted role, by way of that port. */
  url(port: number, writer: string): string;
  insert(ids: readonly string[]): Promise<void>;
  written(afterSeq: number): Promise<Written[]>;
  rows(): Promise<Map<string, Row>>;
  /** Ends all sessions of the restricted role. */
  terminateAll(): Promise<number>;
  close(): Promise<void>;
}

export interface Row {
  readonly id: string;
  readonly conditions: Readonly<Record<string, unknown>>;
}

export async function createDatabase(server: Postgres, executable: string): Promise<ChaosDatabase> {
  const password = randomBytes(12).toString("hex");
  await server.createDatabase(DATABASE);
  await server.query(await runCommand([executable, "schema", "--role", ROLE]), DATABASE);
  await server.query(`alter role ${ROLE} password '${password}'; ${AUDIT}`, DATABASE);
  return openDatabase(server, password);
}

/** One that is there already, for instance since its server is the copy of another. */
export function openDatabase(server: Postgres, password: string): ChaosDatabase {
  const sql = postgres(server.url(DATABASE), {
    max: 3,
    onnotice: () => {},
    connect_timeout: 5,
    backoff: () => 0.1,
    connection: { application_name: "chaos" },
  });
  /** The server may have been restarted since the last question. */
  const ask = <T>(question: () => Promise<T>): Promise<T> =>
    waitFor("the database to answer", 30_000, async () => ({ answer: await question() }), 100).then(
      ({ answer }) => answer,
    );
  return {
    server,
    sql,
    password,
    url: (port, writer) =>
      `postgres://${ROLE}:${password}@127.0.0.1:${port}/${DATABASE}?application_name=${writer}`,
    async insert(ids) {
      await sql`insert into workspaces ${sql(ids.map((id) => ({ id })))}`;
    },
    written: (afterSeq) =>
      ask(async () => [
        ...(await sql<Written[]>`
          select seq::int, id, role, writer, conditions, trespass, (extract(epoch from at) * 1000)::float8 as "atMs",
                 to_char(observed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "observedAt"
            from written where seq > ${afterSeq} order by seq`),
      ]),
    rows: () =>
      ask(async () => {
        const rows = await sql<Row[]>`select id, conditions from workspaces`;
        return new Map(rows.map((row) => [row.id, row]));
      }),
    async terminateAll() {
      const ended = await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${ROLE}`;
      return ended.length;
    },
    async close() {
      await sql.end({ timeout: 1 });
    },
  };
}
