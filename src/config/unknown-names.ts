/** Names that nobody reads: mistyped settings, and those that other programs use for the same thing. */
import { closest, distance } from "fastest-levenshtein";
import { fileSecretNames, knownNames, type SettingName, settings } from "./settings.ts";
import type { ConfigSource, Environment } from "./source.ts";
import { safeName } from "./url.ts";

/**
 * Kubernetes and Docker links put these beside a service that is called `observer` or `observer-…`; nobody wrote
 * them, so they can't be mistakes.
 */
const SERVICE_LINK =
  /^OBSERVER(?:_[A-Z0-9_]+)?_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;

const isServiceLink = (name: string, value: string): boolean =>
  SERVICE_LINK.test(name) ||
  (/^OBSERVER_(?:[A-Z0-9_]+_)?PORT$/.test(name) && /^(?:tcp|udp|sctp):\/\//.test(value));

/** What other programs call it. Only looked at where the right name is not set. */
const S3_ALIASES: Readonly<Record<string, string>> = {
  S3_ENDPOINT: "AWS_ENDPOINT_URL_S3",
  S3_ENDPOINT_URL: "AWS_ENDPOINT_URL_S3",
  S3_URL: "AWS_ENDPOINT_URL_S3",
  AWS_S3_ENDPOINT: "AWS_ENDPOINT_URL_S3",
  AWS_S3_ENDPOINT_URL: "AWS_ENDPOINT_URL_S3",
  S3_REGION: "AWS_REGION",
  S3_ACCESS_KEY: "AWS_ACCESS_KEY_ID",
  S3_ACCESS_KEY_ID: "AWS_ACCESS_KEY_ID",
  S3_SECRET_KEY: "AWS_SECRET_ACCESS_KEY",
  S3_SECRET_ACCESS_KEY: "AWS_SECRET_ACCESS_KEY",
  S3_SESSION_TOKEN: "AWS_SESSION_TOKEN",
  S3_PATH_STYLE: "S3_FORCE_PATH_STYLE",
  S3_USE_PATH_STYLE: "S3_FORCE_PATH_STYLE",
};
const BUCKET_ALIASES = ["S3_BUCKET_NAME", "AWS_S3_BUCKET", "AWS_BUCKET"];

const ownNames = knownNames.filter((name) => name.startsWith("OBSERVER_"));

export function checkNames(source: ConfigSource, env: Environment): void {
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || knownNames.includes(name)) continue;
    if (name.startsWith("OBSERVER_")) {
      if (!isServiceLink(name, value)) source.problem(printable(name), notASetting(name));
    } else if (value !== "" && /^S3_/.test(name)) checkS3Name(source, env, name);
    else if (value !== "" && Object.hasOwn(S3_ALIASES, name)) checkS3Name(source, env, name);
  }
  if (!env.S3_BUCKET)
    for (const name of BUCKET_ALIASES)
      if (env[name]) source.warn(name, "is not read; the bucket of the archives is named by S3_BUCKET");
}

function notASetting(name: string): string {
  const plain = name.replace(/_FILE$/, "");
  if (plain !== name && knownNames.includes(plain))
    return `is not a setting: only secrets are read from files, so set ${plain}`;
  const nearest = closest(name, ownNames);
  return distance(name, nearest) <= 6
    ? `is not a setting; did you mean ${nearest}?`
    : `is not a setting; the nearest is ${nearest} (observer --help lists all)`;
}

/** Other programs may have S3_ names in the same environment, so it must be clear that we were meant. */
function checkS3Name(source: ConfigSource, env: Environment, name: string): void {
  const meant = Object.hasOwn(S3_ALIASES, name)
    ? env.S3_BUCKET && S3_ALIASES[name]
    : ["S3_BUCKET", "S3_FORCE_PATH_STYLE"].find((known) => distance(name, known) <= 2);
  if (!meant || isSet(env, meant)) return;
  source.problem(printable(name), `is not a setting; did you mean ${meant}?`);
}

function isSet(env: Environment, name: string): boolean {
  const also: Readonly<Record<string, string>> = {
    AWS_ENDPOINT_URL_S3: "AWS_ENDPOINT_URL",
    AWS_REGION: "AWS_DEFAULT_REGION",
  };
  const names = [name, `${name}_FILE`, also[name] ?? name];
  return (
    names.some((other) => Boolean(env[other])) ||
    (env.CREDENTIALS_DIRECTORY !== undefined && isFileSecret(name))
  );
}

const isFileSecret = (name: string): boolean => fileSecretNames.some((secret) => secret === name);

const printable = (name: string): string => name.replace(/[^\x21-\x7e]/g, "?").slice(0, 80);

/** Follows the URL's name: `has the unknown parameter sslmod; did you mean sslmode?` */
export function unknownParameter(
  name: string,
  known: readonly string[],
  hints: Readonly<Record<string, string>>,
): string {
  const lower = name.toLowerCase();
  const nearest = known.length === 0 ? null : closest(lower, known);
  const hint = Object.hasOwn(hints, lower)
    ? `; ${hints[lower]}`
    : nearest !== null && distance(lower, nearest) <= 3
      ? `; did you mean ${nearest}?`
      : known.length === 0
        ? "; it takes none"
        : `; known are ${known.join(", ")}`;
  return `has the unknown parameter ${safeName(name)}${hint}`;
}

/** Settings that do nothing without a bucket. */
export const bucketOnly: readonly SettingName[] = settings
  .map(({ name }) => name)
  .filter((name) => /^(?:S3_FORCE|AWS_ENDPOINT_URL_S3|OBSERVER_ARCHIVE_)/.test(name));
