// Goal and method: the contracts of store.ts and store-postgres-*.ts on the oldest and the newest PostgreSQL, directly
// and through PgBouncer in transaction mode, where each transaction may run in another session. The tests of a suite
// share one database, emptied before each.
import { afterAll, beforeAll, describe } from "bun:test";
import { type PgBouncer, startPgBouncer } from "../../dev/services/pgbouncer.ts";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { storeContract } from "./store.ts";
import { postgresColumnsContract } from "./store-postgres-columns.ts";
import { postgresLocksContract } from "./store-postgres-locks.ts";
import { postgresTransitionsContract } from "./store-postgres-transitions.ts";
import { emptiedWorld } from "./store-postgres-world.ts";
import { type Database, type DatabaseSettings, openDatabase } from "./store-support.ts";

for (const version of [15, 18] as const) {
  for (const pooled of [false, true]) {
    const name = `PostgreSQL ${version} ${pooled ? "behind PgBouncer" : "itself"}`;
    describe(name, () => {
      let server: Postgres;
      let bouncer: PgBouncer | undefined;
      let shared: Database;
      const open = (settings: DatabaseSettings = {}) =>
        openDatabase(server, bouncer === undefined ? settings : { ...settings, through: bouncer });

      beforeAll(async () => {
        server = await startPostgres({ version });
        if (pooled) bouncer = await startPgBouncer({ postgres: server });
        shared = await open();
      }, 60_000);
      afterAll(async () => {
        await shared?.close();
        await bouncer?.stop();
        await server?.stop();
      }, 60_000);

      storeContract(name, () => emptiedWorld(shared));
      postgresLocksContract(name, { shared: () => shared, open });
      postgresColumnsContract(name, { shared: () => shared, open });
      postgresTransitionsContract(name, { shared: () => shared, open });
    });
  }
}
