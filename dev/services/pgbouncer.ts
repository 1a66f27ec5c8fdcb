// A private PgBouncer in transaction mode in front of a private PostgreSQL.
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import type { Postgres } from "./postgres.ts";
import { giveToUnprivileged, unprivileged } from "./privileges.ts";
import { type Daemon, startDaemon } from "./process.ts";
import { inScope } from "./scope.ts";
import { canConnect } from "./sockets.ts";

export interface PgBouncerOptions {
  readonly postgres: Postgres;
  readonly poolMode?: "transaction" | "session" | "statement";
  /** Server connections per user and database. Default 5. */
  readonly poolSize?: number;
  /** Further settings of the section [pgbouncer]. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PgBouncer {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly folder: string;
  readonly pid: number;
  /** URL of a database behind it, for the superuser by default. Every role of the server can log in. */
  url(database?: string, user?: string, password?: string): string;
  kill(signal: NodeJS.Signals): void;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer> {
  return await inScope("pgb", async (scope) => {
    const { postgres } = options;
    const port = await freePort();
    const path = join(scope.folder, "pgbouncer.ini");
    const users = join(scope.folder, "users.txt");
    const settings: Record<string, string> = {
      listen_addr: "127.0.0.1",
      listen_port: String(port),
      unix_socket_dir: "",
      pool_mode: options.poolMode ?? "transaction",
      default_pool_size: String(options.poolSize ?? 5),
      max_client_conn: "200",
      // Roles are looked up in the server, so that tests may create them at any time.
      auth_type: postgres.passwords ? "scram-sha-256" : "trust",
      auth_file: users,
      auth_user: postgres.superuser.user,
      // After a restart of the server it would otherwise wait 15 s with the next try.
      server_login_retry: "0.2",
      ...options.settings,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    await writeFile(
      path,
      `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\n${lines.join("\n")}\n`,
    );
    await writeFile(users, `"${postgres.superuser.user}" "${postgres.superuser.password}"\n`, {
      mode: 0o600,
    });
    await chmod(scope.folder, 0o755);
    await giveToUnprivileged(scope.folder);

    const start = () =>
      startDaemon(scope, {
        name: "pgbouncer",
        command: [...unprivileged(), "pgbouncer", path],
        ready: () => canConnect({ host: "127.0.0.1", port }),
      });
    let daemon: Daemon = await start();
    return {
      host: "127.0.0.1",
      port,
      folder: scope.folder,
      get pid() {
        return daemon.pid;
      },
      url(database, user, password) {
        return postgres.url(database, user, password).replace(`:${postgres.port}/`, `:${port}/`);
      },
      kill: (signal) => void daemon.kill(signal),
      async restart() {
        await daemon.stop();
        daemon = await start();
      },
      stop: scope.stop,
    };
  });
}
