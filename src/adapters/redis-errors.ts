/** What can go wrong between us and Redis, by name, with what to do about it. Never with a password in it. */
import { storableText } from "../observer/names.ts";

export type RedisFault =
  | "unreachable"
  | "dns"
  | "tls"
  | "timeout"
  | "password"
  | "denied"
  | "no-master"
  | "loading"
  | "lost"
  | "not-redis"
  | "refused";

/** The message is whole: action, state, what to do. */
export class RedisError extends Error {
  override readonly name = "RedisError";
  readonly fault: RedisFault;
  constructor(fault: RedisFault, message: string, cause: unknown) {
    super(message, { cause });
    this.fault = fault;
  }
}

export interface RedisContext {
  /** `listen for hints on "ob:wake"` */
  readonly action: string;
  /** `Redis at 127.0.0.1:6379` */
  readonly server: string;
  readonly secrets: readonly string[];
}

export function redisError(error: unknown, context: RedisContext): RedisError {
  const redact = (text: string) =>
    storableText(context.secrets.reduce((rest, secret) => rest.replaceAll(secret, "***"), text));
  const { name, code, message } = read(error);
  const { fault, state, advice } = diagnose(name, code, message);
  const text = `Cannot ${context.action}: ${context.server} ${state}. ${advice}`;
  // ioredis hangs the failed command on its errors, which for AUTH is the password: only text and code go on.
  const cause = Object.assign(new Error(redact(message)), code === "" ? {} : { code });
  cause.name = name;
  return new RedisError(fault, redact(text), cause);
}

function read(error: unknown): { name: string; code: string; message: string } {
  if (!(error instanceof Error)) return { name: "Error", code: "", message: String(error) };
  // A name with several addresses fails with one error for each.
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  const told = inner instanceof Error ? inner : error;
  const code = "code" in told && typeof told.code === "string" ? told.code : "";
  return { name: told.name, code, message: (told.message.split("\n")[0] ?? "").slice(0, 300) };
}

interface Diagnosis {
  readonly fault: RedisFault;
  readonly state: string;
  readonly advice: string;
}

const found = (fault: RedisFault, state: string, advice: string): Diagnosis => ({ fault, state, advice });

const ADVICE_REACH = "Check that it runs and that REDIS_URL leads to it.";

function diagnose(name: string, code: string, message: string): Diagnosis {
  if (/sentinel/i.test(message))
    return found(
      "no-master",
      `names no master (${message})`,
      "Check the Sentinels' addresses, password and the master's name in REDIS_URL.",
    );
  return byCode(code, message) ?? byReply(name, message);
}

function byCode(code: string, message: string): Diagnosis | null {
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return found("dns", `has a name that can't be resolved (${message})`, "Check the host in REDIS_URL.");
  if (code === "ETIMEDOUT") return found("timeout", "doesn't answer in time", ADVICE_REACH);
  if (code === "EACCES")
    return found("unreachable", `may not be opened (${message})`, "Check the socket's owner and mode.");
  if (code === "ENOENT" || /^(ECONN|EHOST|ENET|EPIPE|EADDR)/.test(code))
    return found("unreachable", `can't be reached (${code}: ${message})`, ADVICE_REACH);
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO|HOSTNAME_MISMATCH)/.test(code))
    return found(
      "tls",
      `has no acceptable TLS (${code}: ${message})`,
      "Check redis: or rediss: in REDIS_URL, and name a private authority in NODE_EXTRA_CA_CERTS.",
    );
  return null;
}

function byReply(name: string, message: string): Diagnosis {
  if (/^(WRONGPASS|NOAUTH)|invalid password/i.test(message))
    return found("password", `answered "${message}"`, "Check user and password in REDIS_URL.");
  if (message.startsWith("NOPERM"))
    return found(
      "denied",
      `answered "${message}"`,
      "Grant the user +subscribe +ping on the hint channel and +publish on the wake channel (ACL SETUSER … &channel).",
    );
  if (message.startsWith("LOADING"))
    return found("loading", `answered "${message}"`, "It is starting; this mends itself.");
  if (message === "Command timed out" || name === "DeadlinePassed")
    return found("timeout", "doesn't answer in time", ADVICE_REACH);
  if (name === "ParserError" || message.startsWith("Protocol error"))
    return found("not-redis", `doesn't speak Redis (${message})`, "Check host and port in REDIS_URL.");
  if (/connection (is |was )?closed|isn't writeable|reset before/i.test(message))
    return found("lost", "closed the connection", ADVICE_REACH);
  return found("refused", `answered "${message}"`, "Look at its log.");
}
