/**
 * A small pool of PostgreSQL connections that can't hang.
 *
 * The driver has no deadline of its own: a server that stopped answering holds a query for ever, and cancelling it
 * asks that same server. So whoever runs out of time throws the whole client away, sockets and all, and the next
 * call gets a new one. Two connections: one for the cycle, one so that the lease can be renewed beside it.
 */
import postgres from "postgres";
import { DatabaseFault, databaseFault } from "./postgres-fault.ts";

export interface PostgresOptions {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly password: string | null;
  readonly database: string;
  readonly tls: "disable" | "prefer" | "require" | "verify-ca" | "verify-full";
  readonly tlsRootCertificate: string | null;
  readonly searchPath: string | null;
  readonly applicationName: string;
  /** Deadline of a connection attempt and of each statement. */
  readonly timeoutMs: number;
}

export type Sql = postgres.Sql;
export type Tx = postgres.TransactionSql;

/** How long the server lets a transaction of ours stand open and silent: this process may be stopped in mid-write. */
const IDLE_IN_TRANSACTION_MS = 2_000;
/** What is locked is skipped; this bounds the wait for the lease's own row, and for a lock on the whole table. */
const LOCK_TIMEOUT_MS = 1_000;

export class PostgresClient {
  #sql: Sql | null = null;
  #closed = false;

  constructor(private readonly options: PostgresOptions) {}

  /**
   * Runs statements in one short transaction, under the server's own time-outs as well. Those are set per
   * transaction, since a pooler in transaction mode keeps no session state and refuses startup parameters.
   *
   * @param action for the message of a fault: `Cannot load workspaces`
   * @throws DatabaseFault
   */
  async transaction<T>(action: string, signal: AbortSignal, work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#guarded(
      action,
      signal,
      (sql) =>
        // Read committed whatever the role's default is: the fence needs the row's latest version, not the snapshot's.
        sql.begin("isolation level read committed", async (tx) => {
          const timeouts = tx.unsafe(
            `set local statement_timeout = ${this.options.timeoutMs}; set local lock_timeout = ${LOCK_TIMEOUT_MS};` +
              ` set local idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}`,
          );
          // Sent in one go with what follows; a failure of either ends the transaction.
          const [result] = await Promise.all([work(tx), timeouts]);
          return result;
        }) as Promise<T>,
    );
  }

  /** One statement in a transaction of its own, for what is too small to need time-outs on the server's side. */
  async statement<T>(action: string, signal: AbortSignal, work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#guarded(action, signal, work);
  }

  async #guarded<T>(action: string, signal: AbortSignal, work: (sql: Sql) => Promise<T>): Promise<T> {
    if (this.#closed) throw new DatabaseFault(`${action}: the client is closed`, "CONNECTION_ENDED", false);
    if (signal.aborted) throw signal.reason;
    this.#sql ??= postgres(clientOptions(this.options, 2));
    const sql = this.#sql;
    let abort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      abort = () => {
        this.#discard(sql);
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
    });
    const working = work(sql);
    working.catch(() => {});
    aborted.catch(() => {});
    try {
      return await Promise.race([working, aborted]);
    } catch (cause) {
      throw signal.aborted ? signal.reason : databaseFault(action, cause);
    } finally {
      if (abort) signal.removeEventListener("abort", abort);
    }
  }

  #discard(sql: Sql): void {
    if (this.#sql === sql) this.#sql = null;
    void sql.end({ timeout: 0 }).catch(() => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    const sql = this.#sql;
    this.#sql = null;
    // Half a second for a polite goodbye.
    if (sql !== null) await sql.end({ timeout: 0.5 }).catch(() => {});
  }
}

export function clientOptions(
  options: PostgresOptions,
  max: number,
): postgres.Options<Record<string, postgres.PostgresType>> {
  const hosts = options.hosts.map(({ host }) => host);
  return {
    // The driver takes lists too, though its types don't say so; a unix socket only by itself.
    host: (hosts.length === 1 ? hosts[0] : hosts) as string,
    port: (options.hosts.length === 1
      ? options.hosts[0]?.port
      : options.hosts.map(({ port }) => port)) as number,
    user: options.user,
    // A function, so that the driver's own fallback to the environment can't come in between.
    password: () => options.password ?? "",
    database: options.database,
    ssl: tls(options),
    max,
    // A pooler in transaction mode may give each transaction another session.
    prepare: false,
    fetch_types: false,
    connect_timeout: Math.max(1, Math.ceil(options.timeoutMs / 1000)),
    // Back within a second of the server's return; the driver's default would take eight.
    backoff: (retries: number) => Math.min(retries * 0.2, 1),
    ...(options.hosts.length > 1 ? { target_session_attrs: "read-write" as const } : {}),
    onnotice: () => {},
    connection: {
      application_name: options.applicationName,
      ...(options.searchPath === null ? {} : { search_path: options.searchPath }),
    },
  };
}

function tls(options: PostgresOptions): boolean | "prefer" | "require" | object {
  if (options.hosts.every(({ host }) => host.startsWith("/"))) return false;
  const ca = options.tlsRootCertificate === null ? {} : { ca: options.tlsRootCertificate };
  switch (options.tls) {
    case "disable":
      return false;
    case "prefer":
      return "prefer";
    case "require":
      return options.tlsRootCertificate === null
        ? "require"
        : { ...ca, checkServerIdentity: () => undefined };
    case "verify-ca":
      return { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "verify-full":
      return { ...ca, rejectUnauthorized: true };
  }
}
