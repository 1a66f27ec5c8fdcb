/** What went wrong with PostgreSQL, in one sentence: the action, then the state, then what to do. */

/** `fatal`: no waiting will mend it; the configuration, the schema or the role has to change. */
export class DatabaseFault extends Error {
  override name = "DatabaseFault";
  constructor(
    message: string,
    /** SQLSTATE or the driver's or system's code. */
    readonly code: string,
    readonly fatal: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

interface Advice {
  readonly todo: string;
  readonly fatal?: true;
}

const SCHEMA = "run `observer schema` and apply what it prints";
const GRANTS = "run `observer schema --role NAME` and apply the grants it prints";

const ADVICE: Readonly<Record<string, Advice>> = {
  "28P01": { todo: "check the user and password in DATABASE_URL", fatal: true },
  "28000": { todo: "check the user in DATABASE_URL and the server's pg_hba.conf", fatal: true },
  "3D000": { todo: "check the database name in DATABASE_URL", fatal: true },
  "42501": { todo: GRANTS, fatal: true },
  "42P01": { todo: SCHEMA, fatal: true },
  "42703": { todo: `the table is not the one of docs/contract.md; ${SCHEMA}`, fatal: true },
  "42804": { todo: "the column has another type than docs/contract.md says", fatal: true },
  "08P01": {
    todo: "a pooler between refuses a startup parameter: leave search_path out of DATABASE_URL and set it for the role",
    fatal: true,
  },
  "25006": { todo: "the server is a read-only standby: point DATABASE_URL at the primary" },
  "53300": { todo: "raise max_connections, or put a pooler between" },
  "57P03": { todo: "the server is starting up or shutting down; it is tried again" },
  "57P01": { todo: "the connection was terminated by the server; it is tried again" },
  "57014": { todo: "the statement took too long; look for locks in pg_stat_activity" },
  "55P03": { todo: "a lock is held by somebody else; look for it in pg_locks" },
  "25P03": { todo: "this process was paused in mid-write; nothing of it was kept" },
  ECONNREFUSED: { todo: "is PostgreSQL running, and the host and port in DATABASE_URL right?" },
  ENOENT: { todo: "there is no such socket: is PostgreSQL running, and the folder in DATABASE_URL right?" },
  EACCES: { todo: "this user may not open the socket" },
  ENOTFOUND: { todo: "the host in DATABASE_URL has no address" },
  CONNECT_TIMEOUT: { todo: "the server does not answer: check host, port and firewall" },
  CONNECTION_CLOSED: { todo: "it is tried again" },
  CONNECTION_DESTROYED: { todo: "it is tried again" },
  CONNECTION_ENDED: { todo: "it is tried again" },
};

export function databaseFault(action: string, cause: unknown): DatabaseFault {
  if (cause instanceof DatabaseFault) return cause;
  const { code = "UNKNOWN", message = String(cause) } = (cause ?? {}) as { code?: string; message?: string };
  const advice = ADVICE[code];
  const state = /^[0-9A-Z]{5}$/.test(code)
    ? `PostgreSQL answered ${code} "${message}"`
    : `PostgreSQL cannot be reached: ${message}`;
  return new DatabaseFault(
    `${action}: ${state}${advice ? `; ${advice.todo}` : ""}`,
    code,
    advice?.fatal === true,
    { cause },
  );
}
