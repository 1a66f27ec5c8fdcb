// One database of a benchmark: the product's schema and restricted role, and a twin table for the other strategies.
import postgres from "postgres";
import type { Postgres } from "../services/postgres.ts";
import { runCommand } from "../services/process.ts";
import { workspaceIds } from "./names.ts";

const ROLE = "observer_bench";

export interface Table {
  readonly sql: postgres.Sql;
  readonly database: string;
  readonly workspaces: number;
  /** DATABASE_URL of the restricted role. */
  readonly observerUrl: string;
  close(): Promise<void>;
}

/** `workspaces` belongs to the Observer; the others write `naive`, so that neither sees the other as drift. */
export async function openTable(
  server: Postgres,
  executable: string,
  database: string,
  workspaces: number,
): Promise<Table> {
  await server.createDatabase(database);
  await server.query(await runCommand([executable, "schema", "--role", ROLE]), database);
  const sql = postgres(server.url(database), { max: 3, onnotice: () => {}, connect_timeout: 10 });
  const ids = workspaceIds(workspaces);
  for (let start = 0; start < ids.length; start += 10_000) {
    await sql`insert into workspaces (id) select unnest(${ids.slice(start, start + 10_000)}::text[])`;
  }
  await sql.unsafe("create table naive (like workspaces including all) with (fillfactor = 70)");
  await sql`insert into naive select * from workspaces`;
  await sql.unsafe("vacuum analyze workspaces, naive");
  return {
    sql,
    database,
    workspaces,
    observerUrl: server.url(database, ROLE),
    async close() {
      await sql.end({ timeout: 1 });
    },
  };
}
