/** What went wrong with PostgreSQL, in one sentence: the action, then the state, then what to do. */
import postgres from "postgres";

/** `fatal`: no waiting will mend it; the configuration, the schema or the role has to change. */
export class DatabaseFault extends Error {
  override name = "DatabaseFault";
  constructor(
    message: string,
    /** SQLSTATE or the driver's or system's code. */
    readonly code: string,
    readonly fatal: boolean,
    /** Nothing was done, and another host may do it: this one can't be reached, or can't be written to. */
    readonly isUnasked: boolean = false,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

interface Advice {
  readonly todo: string;
  readonly fatal?: true;
  /** Nothing was done: this server can't be asked, but another may be. */
  readonly unasked?: true;
}

const SCHEMA = "run `observer schema` and apply what it prints";
const COLUMN_TYPE = "a column has another type than docs/contract.md says";
const LOGIN = "check the user and password in DATABASE_URL";
const DATABASE = "check the database name in DATABASE_URL";
const AGAIN = "it is tried again";
const AUTHORITY =
  "nobody whom this machine trusts has signed the certificate: set sslrootcert in DATABASE_URL";
const GRANTS = "run `observer schema --role NAME` and apply the grants it prints";

const ADVICE: Readonly<Record<string, Advice>> = {
  "28P01": { todo: LOGIN, fatal: true },
  "28000": { todo: "check the user in DATABASE_URL and the server's pg_hba.conf", fatal: true },
  "3D000": { todo: DATABASE, fatal: true },
  "42501": { todo: GRANTS, fatal: true },
  "42P01": { todo: SCHEMA, fatal: true },
  "42703": { todo: `the table is not the one of docs/contract.md; ${SCHEMA}`, fatal: true },
  "42804": { todo: COLUMN_TYPE, fatal: true },
  "42883": { todo: COLUMN_TYPE, fatal: true },
  "25006": {
    todo: "the server takes no writes: it is a standby (point DATABASE_URL at the primary), or default_transaction_read_only is on",
    unasked: true,
  },
  "53100": { todo: "the server's disk is full: make room on it; it is tried again" },
  "53300": { todo: "raise max_connections, or put a pooler between" },
  "57P03": { todo: "the server is starting up or shutting down; it is tried again", unasked: true },
  "57P01": { todo: "the connection was terminated by the server; it is tried again" },
  "57014": { todo: "the statement took too long; look for locks in pg_stat_activity" },
  "55P03": { todo: "a lock is held by somebody else; look for it in pg_locks" },
  "25P03": { todo: "this process was paused in mid-write; nothing of it was kept" },
  ECONNREFUSED: {
    todo: "is PostgreSQL running, and the host and port in DATABASE_URL right?",
    unasked: true,
  },
  ENOENT: {
    todo: "there is no such socket: is PostgreSQL running, and the folder in DATABASE_URL right?",
    unasked: true,
  },
  EACCES: { todo: "this user may not open the socket", unasked: true },
  ENOTFOUND: { todo: "the host in DATABASE_URL has no address", unasked: true },
  EAI_AGAIN: { todo: "the name server does not answer; it is tried again", unasked: true },
  EHOSTUNREACH: { todo: "check host and network", unasked: true },
  ENETUNREACH: { todo: "check host and network", unasked: true },
  CONNECT_TIMEOUT: { todo: "the server does not answer: check host, port and firewall", unasked: true },
  ECONNRESET: { todo: AGAIN },
  EPIPE: { todo: AGAIN },
  ETIMEDOUT: { todo: AGAIN },
  CONNECTION_CLOSED: { todo: AGAIN },
  CONNECTION_DESTROYED: { todo: AGAIN },
  CONNECTION_ENDED: { todo: AGAIN },
  SELF_SIGNED_CERT_IN_CHAIN: { todo: AUTHORITY },
  DEPTH_ZERO_SELF_SIGNED_CERT: { todo: AUTHORITY },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: { todo: AUTHORITY },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: { todo: AUTHORITY },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    todo: "the certificate is for another host: correct the host in DATABASE_URL, or use sslmode=verify-ca",
  },
};

/** Where the code alone doesn't say it: PgBouncer answers 08P01 to everything, its server being down included. */
const ADVICE_BY_MESSAGE: readonly (readonly [code: string, message: RegExp, advice: Advice])[] = [
  [
    "08P01",
    /startup parameter/,
    {
      todo: "a pooler between refuses it: leave search_path out of DATABASE_URL and set it for the role",
      fatal: true,
    },
  ],
  ["08P01", /authentication failed|no such user/, { todo: LOGIN, fatal: true }],
  ["08P01", /^database .* does not exist|no such database/, { todo: DATABASE, fatal: true }],
  ["08P01", /./, { todo: "a pooler between has no server to give; it is tried again" }],
  [
    "ECONNRESET",
    /TLS/,
    { todo: "it speaks no TLS, or another protocol: check the port and sslmode in DATABASE_URL" },
  ],
];

/** A host with several addresses fails with an error for each, and with no message of its own. */
function messageOf(cause: unknown): string {
  const { code, message, errors } = (cause ?? {}) as { code?: string; message?: string; errors?: unknown };
  // The driver's word for a connection that this process gave up at a deadline.
  if (code === "CONNECTION_DESTROYED") return "the last connection was given up, for nothing was answered";
  if (message) return message;
  const inner = Array.isArray(errors) ? errors.map(messageOf).filter((text) => text !== "") : [];
  return inner.length > 0 ? [...new Set(inner)].join(", ") : code || String(cause);
}

export function databaseFault(action: string, cause: unknown): DatabaseFault {
  if (cause instanceof DatabaseFault) return cause;
  const { code = "" } = (cause ?? {}) as { code?: string };
  const message = messageOf(cause);
  const advice =
    ADVICE_BY_MESSAGE.find(([ofCode, pattern]) => ofCode === code && pattern.test(message))?.[2] ??
    ADVICE[code];
  const state =
    cause instanceof postgres.PostgresError
      ? `PostgreSQL answered ${code} "${message}"`
      : code === ""
        ? message
        : `PostgreSQL cannot be reached: ${message}`;
  return new DatabaseFault(
    `${action}: ${state}${advice ? `; ${advice.todo}` : ""}`,
    code || "UNKNOWN",
    advice?.fatal === true,
    advice?.unasked === true,
    { cause },
  );
}
