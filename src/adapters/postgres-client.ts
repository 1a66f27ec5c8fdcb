/**
 * A small pool of PostgreSQL connections that can't hang.
 *
 * The driver has no deadline of its own: a server that stopped answering holds a query for ever, and cancelling it
 * asks that same server. So whoever runs out of time throws the whole client away, sockets and all, and the next
 * call gets a new one. So does whoever lost the connection: the driver's own way back is not to be trusted. Two connections: one for the cycle, one so that the lease can be renewed beside it.
 */
import postgres from "postgres";
import { DatabaseFault, databaseFault } from "./postgres-fault.ts";
import type { Sql } from "./postgres-literals.ts";

export interface PostgresOptions {
  /** Tried in this order; one that can't be reached or can't be written to is left for the next. */
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

export type Driver = postgres.Sql;
export type Tx = postgres.TransactionSql;

/** Asks one statement: its rows. */
export type Ask = <Row extends object>(statement: Sql) => Promise<Row[]>;

/** How long the server lets a transaction of ours stand open and silent: this process may be stopped in mid-write. */
const IDLE_IN_TRANSACTION_MS = 2_000;
/** Whatever the role's default is: the fence needs the row's latest version, not the snapshot's. */
const BEGIN = "isolation level read committed";
/** What is locked is skipped; this bounds the wait for the lease's own row, and for a lock on the whole table. */
const LOCK_TIMEOUT_MS = 1_000;
/** How long what else runs on a client that lost a connection may go on. */
const RETIRED_MS = 1_000;

export class PostgresClient {
  #sql: Driver | null = null;
  /** Index of the host in use. */
  #host = 0;
  #closed = false;

  constructor(private readonly options: PostgresOptions) {}

  /**
   * Asks one statement, in a transaction and under time-outs of its own: all of it is one message, which the server
   * takes as one transaction, and one answer. Nothing of it can stay open when this process is stopped in the middle.
   *
   * @param action for the message of a fault: `Cannot load workspaces`
   * @throws DatabaseFault
   */
  async ask<Row extends object>(action: string, signal: AbortSignal, statement: Sql): Promise<Row[]> {
    const message = `${titled(action)} set transaction isolation level read committed; ${this.#timeouts}; ${statement.text}`;
    const answers = await this.#guarded(action, signal, (driver) => driver.unsafe(message).simple());
    return answers.at(-1) as unknown as Row[];
  }

  /** The same for several statements, each in a transaction of its own. */
  asker(action: string, signal: AbortSignal): Ask {
    return (statement) => this.ask(action, signal, statement);
  }

  /**
   * As `ask`, for what must not be done any more once nobody waits for it: a frozen server, or a network, may deliver a
   * message long after it was given up. So the commit is a message of its own, sent when the answer is there.
   */
  async write<Row extends object>(action: string, signal: AbortSignal, statement: Sql): Promise<Row[]> {
    const message =
      `${titled(action)} ${this.#timeouts}; set local idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS};` +
      ` ${statement.text}`;
    const answers = await this.#guarded(action, signal, (driver) =>
      driver.begin(BEGIN, (tx) => tx.unsafe(message).simple()),
    );
    return answers.at(-1) as unknown as Row[];
  }

  writer(action: string, signal: AbortSignal): Ask {
    return (statement) => this.write(action, signal, statement);
  }

  /** Set anew in each transaction, since a pooler in transaction mode keeps no session state. */
  get #timeouts(): string {
    return `set local statement_timeout = ${this.options.timeoutMs}; set local lock_timeout = ${LOCK_TIMEOUT_MS}`;
  }

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
        sql.begin(BEGIN, async (tx) => {
          // Executed here, or the driver would send it after the first statement of `work`: queries are lazy. Nobody
          // waits for its answer before `work` goes on; a failure of either ends the transaction.
          const timeouts = tx
            .unsafe(
              `${this.#timeouts}; set local idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}`,
            )
            .execute();
          const [result] = await Promise.all([work(tx), timeouts]);
          return result;
        }) as Promise<T>,
    );
  }

  /** One statement in a transaction of its own, for what is too small to need time-outs on the server's side. */
  async statement<T>(action: string, signal: AbortSignal, work: (sql: Driver) => Promise<T>): Promise<T> {
    return this.#guarded(action, signal, work);
  }

  /** Where one host can't be asked, the next one is: each gets one try. */
  async #guarded<T>(action: string, signal: AbortSignal, work: (sql: Driver) => Promise<T>): Promise<T> {
    for (let triesLeft = this.options.hosts.length; ; triesLeft--) {
      if (this.#closed) throw new DatabaseFault(`${action}: the client is closed`, "CONNECTION_ENDED", false);
      if (signal.aborted) throw signal.reason;
      this.#sql ??= postgres(clientOptions(this.options, 2, this.#host));
      const sql = this.#sql;
      try {
        return await this.#attempt(sql, signal, work);
      } catch (cause) {
        if (signal.aborted) throw signal.reason;
        const fault = databaseFault(action, cause);
        if (fault.isUnasked) this.#retire(sql, RETIRED_MS, "next host");
        else if (!isAnswer(cause)) this.#retire(sql, RETIRED_MS, "same host");
        if (!fault.isUnasked || triesLeft === 1) throw fault;
      }
    }
  }

  async #attempt<T>(sql: Driver, signal: AbortSignal, work: (sql: Driver) => Promise<T>): Promise<T> {
    let abort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      abort = () => {
        this.#retire(sql, 0, "next host");
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
    });
    const working = work(sql);
    working.catch(() => {});
    aborted.catch(() => {});
    try {
      return await Promise.race([working, aborted]);
    } finally {
      if (abort) signal.removeEventListener("abort", abort);
    }
  }

  /**
   * A client whose connection failed is not asked again: the driver would answer the next statement with the error
   * of the last one, and connect later and later.
   */
  #retire(sql: Driver, graceMs: number, then: "same host" | "next host"): void {
    if (this.#sql === sql) {
      this.#sql = null;
      if (then === "next host") this.#host = (this.#host + 1) % this.options.hosts.length;
    }
    void sql.end({ timeout: graceMs / 1000 }).catch(() => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    const sql = this.#sql;
    this.#sql = null;
    // Half a second for a polite goodbye.
    if (sql !== null) await sql.end({ timeout: 0.5 }).catch(() => {});
  }
}

/**
 * One host for each client: given several, the driver tries them for ever without a pause and never says why none
 * will do.
 */
export function clientOptions(
  options: PostgresOptions,
  max: number,
  hostIndex: number,
): postgres.Options<Record<string, postgres.PostgresType>> {
  const { host, port } = options.hosts[hostIndex]!;
  return {
    host,
    port,
    user: options.user,
    // A function, so that the driver's own fallback to the environment can't come in between.
    password: () => options.password ?? "",
    database: options.database,
    ssl: tls(options, host),
    max,
    // A pooler in transaction mode may give each transaction another session.
    prepare: false,
    fetch_types: false,
    // In whole seconds; together the hosts have the time of one statement.
    connect_timeout: Math.max(1, Math.ceil(options.timeoutMs / 1000 / options.hosts.length)),
    onnotice: () => {},
    connection: {
      application_name: options.applicationName,
      ...(options.searchPath === null ? {} : { search_path: options.searchPath }),
    },
  };
}

/** Whoever looks into `pg_stat_activity` sees the first thousand characters of a message: what it is for stands there. */
const titled = (action: string): string =>
  `/* observer: ${action.replace("Cannot ", "").replaceAll("*/", "")} */`;

/** An error of a statement, after which the connection is as good as before. */
export const isAnswer = (cause: unknown): boolean =>
  cause instanceof postgres.PostgresError && cause.severity === "ERROR";

function tls(options: PostgresOptions, host: string): boolean | "prefer" | "require" | object {
  if (host.startsWith("/")) return false;
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
