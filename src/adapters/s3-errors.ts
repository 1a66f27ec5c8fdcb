/** What can go wrong between us and the store, by name, with what to do about it. Never with a secret in it. */
import { BodyTooLong, DeadlinePassed } from "./s3-calls.ts";
import { UnbelievablePage } from "./s3-page.ts";

export type ArchivesFault =
  | "no-bucket"
  | "unknown-key"
  | "wrong-secret"
  | "expired-token"
  | "denied"
  | "clock-skew"
  | "wrong-region"
  | "no-region"
  | "no-credentials"
  | "unreachable"
  | "dns"
  | "tls"
  | "timeout"
  | "unavailable"
  | "not-s3"
  | "incomplete"
  | "refused";

/** A listing that didn't complete. The message is whole: action, state, what to do. */
export class ArchivesError extends Error {
  override readonly name = "ArchivesError";
  readonly fault: ArchivesFault;
  constructor(fault: ArchivesFault, message: string, cause: unknown) {
    super(message, { cause });
    this.fault = fault;
  }
}

/** Where the store is and which secrets its errors must not repeat. */
export interface StoreContext {
  readonly bucket: string;
  /** Scheme, host and port; null: Amazon's own. */
  readonly endpoint: string | null;
  readonly forcePathStyle: boolean;
  readonly pageTimeoutMs: number;
  readonly secrets: readonly string[];
}

interface Diagnosis {
  readonly fault: ArchivesFault;
  readonly state: string;
  readonly advice: string;
}

/** @param page number of the page that failed, from 1 */
export function archivesError(error: unknown, page: number, context: StoreContext): ArchivesError {
  const redact = (text: string) =>
    context.secrets.reduce((rest, secret) => rest.replaceAll(secret, "***"), text);
  const { fault, state, advice } = diagnose(read(error), context);
  const where = `bucket ${JSON.stringify(context.bucket)} at ${context.endpoint ?? "Amazon S3"}, page ${page}`;
  const message = `Cannot list archives (${where}): ${state}. ${advice}`;
  return new ArchivesError(fault, redact(message), bare(error, redact));
}

interface Facts {
  readonly error: unknown;
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly status: number | null;
  readonly bucketRegion: string | null;
}

function read(error: unknown): Facts {
  const e = (typeof error === "object" && error !== null ? error : {}) as {
    name?: unknown;
    code?: unknown;
    message?: unknown;
    Region?: unknown;
    $metadata?: { httpStatusCode?: unknown };
    $response?: { statusCode?: unknown; headers?: Record<string, unknown> };
  };
  const status = e.$metadata?.httpStatusCode ?? e.$response?.statusCode;
  const region = e.$response?.headers?.["x-amz-bucket-region"] ?? e.Region;
  const message = typeof e.message === "string" ? e.message : String(error);
  return {
    error,
    name: typeof e.name === "string" ? bounded(e.name, 100) : "Error",
    code: typeof e.code === "string" ? e.code : "",
    // The SDK appends advice for programmers, and says UnknownError where the store said nothing.
    message: message === "UnknownError" ? "" : bounded(message.split("\n")[0] ?? "", 300),
    status: typeof status === "number" ? status : null,
    bucketRegion: typeof region === "string" && region !== "" ? bounded(region, 100) : null,
  };
}

/** All of it may be the store's own words, which end in logs and on terminals. */
const bounded = (text: string, mostCharacters: number): string =>
  text
    .slice(0, mostCharacters)
    .replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, " ")
    .toWellFormed();

function diagnose(facts: Facts, context: StoreContext): Diagnosis {
  if (facts.error instanceof UnbelievablePage || facts.error instanceof BodyTooLong)
    return found("incomplete", `the answer proves nothing: ${facts.message}`, ADVICE_NOT_S3);
  if (isTimeout(facts))
    return found(
      "timeout",
      `no complete answer within ${context.pageTimeoutMs} ms`,
      "Check that the store is up, reachable and not overloaded, or raise OBSERVER_LIST_TIMEOUT.",
    );
  return byName(facts, context) ?? byCode(facts, context) ?? byStatus(facts) ?? unknown(facts);
}

/** The SDK calls a reset a time-out as well; its code tells. */
const isTimeout = ({ error, name, code }: Facts): boolean =>
  error instanceof DeadlinePassed || code === "ETIMEDOUT" || (name === "TimeoutError" && code === "");

const ADVICE_NOT_S3 =
  "Check that AWS_ENDPOINT_URL_S3 is an S3 store and that no proxy or cache in between answers instead of it.";

function byName(facts: Facts, context: StoreContext): Diagnosis | null {
  const said = facts.message === "" ? facts.name : `${facts.name} "${facts.message}"`;
  const answered = `the store answered ${facts.status ?? "?"} ${said}`;
  switch (facts.name) {
    case "NoSuchBucket":
      return found(
        "no-bucket",
        answered,
        `Create the bucket, or correct S3_BUCKET.${pathStyleHint(context)}`,
      );
    case "InvalidBucketName":
      return found("no-bucket", `S3_BUCKET is no bucket name: ${facts.message}`, "Correct S3_BUCKET.");
    case "InvalidAccessKeyId":
      return found("unknown-key", answered, "Check AWS_ACCESS_KEY_ID: the store doesn't know it.");
    case "SignatureDoesNotMatch":
      return found(
        "wrong-secret",
        answered,
        "Check AWS_SECRET_ACCESS_KEY: it doesn't belong to the access key.",
      );
    case "ExpiredToken":
    case "InvalidToken":
    case "TokenRefreshRequired":
      return found(
        "expired-token",
        answered,
        "Renew the credentials: AWS_SESSION_TOKEN is not valid (any more).",
      );
    case "AccessDenied":
    case "AllAccessDisabled":
    case "AccountProblem":
      return found(
        "denied",
        answered,
        "Grant the access key s3:ListBucket on the bucket; nothing else is needed.",
      );
    case "RequestTimeTooSkewed":
    case "RequestExpired":
      return found(
        "clock-skew",
        answered,
        "Set the clock of this machine (or the store's): they differ too much.",
      );
    case "PermanentRedirect":
    case "TemporaryRedirect":
    case "AuthorizationHeaderMalformed":
    case "IllegalLocationConstraintException":
      return wrongRegion(answered, facts);
    case "CredentialsProviderError":
    case "ProviderError":
    case "TokenProviderError":
      return found(
        "no-credentials",
        `no credentials were found (${facts.message})`,
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give this machine a role.",
      );
    default:
      return /region is missing/i.test(facts.message)
        ? found(
            "no-region",
            "no region is known",
            "Set AWS_REGION, or AWS_ENDPOINT_URL_S3 for another store.",
          )
        : null;
  }
}

function byCode(facts: Facts, context: StoreContext): Diagnosis | null {
  const { code, message } = facts;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return found(
      "dns",
      `its name can't be resolved (${message})`,
      `Check AWS_ENDPOINT_URL_S3, AWS_REGION and the name service of this machine.${pathStyleHint(context)}`,
    );
  if (/^(ECONN|EHOST|ENET|EPIPE|EADDR)/.test(code))
    return found(
      "unreachable",
      `the connection failed (${code}: ${message})`,
      "Check that the store is up and that AWS_ENDPOINT_URL_S3 and the firewall lead to it.",
    );
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO|HOSTNAME_MISMATCH)/.test(code))
    return found(
      "tls",
      `the TLS connection failed (${code}: ${message})`,
      "Check http or https in AWS_ENDPOINT_URL_S3, and name a private authority in NODE_EXTRA_CA_CERTS.",
    );
  if (code.startsWith("HPE_")) return found("not-s3", `it doesn't speak HTTP (${message})`, ADVICE_NOT_S3);
  return null;
}

function byStatus(facts: Facts): Diagnosis | null {
  const { status, name, message } = facts;
  if (status === null) return null;
  const said = ["Error", "Unknown"].includes(name) ? "" : ` ${name}${message === "" ? "" : ` "${message}"`}`;
  const answered = `the store answered ${status}${said}`;
  if (status >= 500 || status === 429 || name === "SlowDown")
    return found("unavailable", answered, "Look at the store's own log; the next look tries again.");
  if (status === 200) return found("incomplete", `the answer is no S3 listing: ${message}`, ADVICE_NOT_S3);
  if (status >= 300 && status < 400) return wrongRegion(answered, facts);
  if (status === 403)
    return found(
      "denied",
      answered,
      "Grant the access key s3:ListBucket on the bucket; nothing else is needed.",
    );
  if (status === 404)
    return found(
      "not-s3",
      answered,
      "Check AWS_ENDPOINT_URL_S3 and S3_BUCKET: nothing of the kind is there.",
    );
  return found("refused", answered, "Check S3_BUCKET, AWS_REGION and AWS_ENDPOINT_URL_S3.");
}

function wrongRegion(answered: string, facts: Facts): Diagnosis {
  const advice =
    facts.bucketRegion === null
      ? "The bucket lives elsewhere: set AWS_REGION (and AWS_ENDPOINT_URL_S3, if set) to its home."
      : `The bucket lives in ${facts.bucketRegion}: set AWS_REGION=${facts.bucketRegion}.`;
  return found("wrong-region", answered, advice);
}

const unknown = ({ name, message }: Facts): Diagnosis =>
  found("refused", `${name}: ${message}`, "Check S3_BUCKET, AWS_REGION and AWS_ENDPOINT_URL_S3.");

const pathStyleHint = (context: StoreContext): string =>
  context.endpoint !== null && !context.forcePathStyle
    ? " Most stores that aren't Amazon's need S3_FORCE_PATH_STYLE=true."
    : "";

const found = (fault: ArchivesFault, state: string, advice: string): Diagnosis => ({ fault, state, advice });

/**
 * The cause without what hangs on the SDK's errors: a refused signature comes with the canonical request, which holds
 * the session token, and a logger prints whatever it finds.
 */
function bare(error: unknown, redact: (text: string) => string): Error {
  const facts = read(error);
  const cause = new Error(redact(facts.message));
  cause.name = facts.name;
  const { code, status } = facts;
  return Object.assign(cause, code === "" ? {} : { code }, status === null ? {} : { status });
}
