// The demo's database: a private PostgreSQL 18 with the product's own schema and its restricted role.
import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { schemaDdl } from "../../src/adapters/postgres-schema.ts";
import { startPostgres } from "../services/postgres.ts";

const DATABASE = "platform";
/** The role of `observer schema --role`: it can write two columns of workspaces and nothing else there. */
const OBSERVER_ROLE = "observer";

/** What a person wants to see of the rows, short enough for a terminal. */
const OVERVIEW = `
create view overview as
select left(id, 8) as id, phase, operation,
  conditions->'container'->>'message' as container,
  conditions->'volume'->>'reason' as volume,
  conditions->'archive'->>'reason' as archive,
  to_char(observed_at, 'HH24:MI:SS.MS') as observed_at
from workspaces
order by created_at`;

export interface DemoDatabase {
  /** For people and the demo's controller: may do everything. */
  readonly url: string;
  /** For the Observer: the restricted role. */
  readonly observerUrl: string;
  readonly sql: postgres.Sql;
}

export async function startDatabase(): Promise<DemoDatabase> {
  const server = await startPostgres({ version: 18, passwords: true });
  const setup = postgres(await server.createDatabase(DATABASE), { max: 1, onnotice: () => {} });
  const passwords: Record<string, string> = {
    [server.superuser.user]: newPassword(),
    [OBSERVER_ROLE]: newPassword(),
  };
  try {
    await setup.unsafe(schemaDdl({ role: OBSERVER_ROLE, schema: null })).simple();
    await setup.unsafe(OVERVIEW);
    // A superuser can start programs as whoever runs the server, so no other user of this machine may become it.
    for (const [role, password] of Object.entries(passwords)) {
      await setup.unsafe(`alter role ${role} password '${password}'`);
    }
  } finally {
    await setup.end({ timeout: 1 });
  }
  const urlOf = (role: string) => server.url(DATABASE, role, passwords[role]);
  const url = urlOf(server.superuser.user);
  return {
    url,
    observerUrl: urlOf(OBSERVER_ROLE),
    sql: postgres(url, { max: 1, onnotice: () => {}, connection: { application_name: "demo" } }),
  };
}

const newPassword = (): string => randomBytes(8).toString("hex");
