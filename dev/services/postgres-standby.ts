// A hot standby of a private PostgreSQL server, by streaming replication. Version 15 only: npm's 18 has no pg_basebackup.
import { join } from "node:path";
import { type Postgres, reachablePrograms, servePostgres } from "./postgres.ts";
import { giveToUnprivileged, unprivileged } from "./privileges.ts";
import { runCommand } from "./process.ts";
import { FOLDER_VARIABLE } from "./procfs.ts";
import { inScope } from "./scope.ts";
import { waitFor } from "./wait.ts";

export interface Standby extends Postgres {
  /** Becomes a primary of its own; what it had not received by then is lost. Resolves once it takes writes. */
  promote(): Promise<void>;
  /** Resolves once it has replayed all that the primary has written by now. */
  caughtUp(): Promise<void>;
}

/**
 * Copies the primary and follows it.
 * @param port where the primary is reached: its own, or that of a proxy before it, so that the stream can be cut
 */
export async function startStandby(primary: Postgres, port = primary.port): Promise<Standby> {
  if (primary.version !== 15) throw new Error("Cannot start a standby: only PostgreSQL 15 has pg_basebackup");
  return await inScope("standby", async (scope) => {
    const { folder } = scope;
    const programs = await reachablePrograms(primary.version, folder);
    await giveToUnprivileged(folder);
    await runCommand(
      [
        ...unprivileged(),
        join(programs, "bin/pg_basebackup"),
        `--dbname=host=127.0.0.1 port=${port} user=${primary.superuser.user} password=${primary.superuser.password}`,
        `--pgdata=${join(folder, "data")}`,
        "--wal-method=stream",
        "--checkpoint=fast",
        // standby.signal, and where to stream from.
        "--write-recovery-conf",
        "--no-sync",
      ],
      { cwd: folder, env: { [FOLDER_VARIABLE]: folder } },
    );
    const server = await servePostgres(scope, programs, {
      version: primary.version,
      passwords: primary.passwords,
      // A dead way to the primary is tried again at once, and a silent one is given up.
      settings: { wal_receiver_timeout: "3s", wal_retrieve_retry_interval: "200ms" },
    });
    return {
      ...server,
      get pid() {
        return server.pid;
      },
      async promote() {
        await server.query("select pg_promote()");
        await waitFor("the standby to take writes", 20_000, async () => {
          const [row] = await server.query("select pg_is_in_recovery() as standby");
          return row?.standby === false;
        });
      },
      async caughtUp() {
        const [written] = await primary.query("select pg_current_wal_lsn()::text as lsn");
        await waitFor("the standby to catch up", 20_000, async () => {
          const [row] = await server.query(
            `select pg_last_wal_replay_lsn() >= '${written?.lsn}'::pg_lsn as all_of_it`,
          );
          return row?.all_of_it === true;
        });
      },
    };
  });
}
