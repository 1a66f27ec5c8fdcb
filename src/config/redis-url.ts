/**
 * `REDIS_URL` → RedisConfig:
 *
 *     redis://[user:password@]host[:6379][/db]          rediss:// with TLS
 *     redis+unix:///path[?db=1], unix:///path           a unix socket
 *     redis-sentinel://[user:password@]host[:26379],…/master-name[/db][?sentinelPassword=…]
 *                                                       rediss-sentinel:// with TLS
 */
import { oneOf, parseHostPort, socketPathProblem } from "./parse.ts";
import type { ConfigSource } from "./source.ts";
import type { RedisConfig } from "./types.ts";
import { unknownParameter } from "./unknown-names.ts";
import { type SplitUrl, splitUrl } from "./url.ts";

const NAME = "REDIS_URL";
const SCHEMES = ["redis", "rediss", "redis+unix", "unix", "redis-sentinel", "rediss-sentinel"];
const HINTS: Readonly<Record<string, string>> = {
  password: "write it before the host, redis://:password@host",
  sentinelpassword: "write sentinelPassword",
  sentinel_password: "write sentinelPassword",
  tls: "use rediss://",
  ssl: "use rediss://",
};

type Problem = (what: string) => void;

/** Null where it is not set, or wrong; then every problem is in `source`. */
export function readRedis(source: ConfigSource): RedisConfig | null {
  const text = source.text(NAME);
  if (text === null) return null;
  const before = source.problems.length;
  const problem: Problem = (what) => source.problem(NAME, `${what} (got ${source.shown(NAME, text)})`);
  const url = splitUrl(text, "redis://", problem);
  if (url === null) return null;
  if (!SCHEMES.includes(url.scheme)) {
    const schemes = oneOf(SCHEMES.map((scheme) => `${scheme}://`));
    source.problem(NAME, `must start with ${schemes}, not ${source.shown(NAME, text)}`);
    return null;
  }
  if (url.user !== null && url.password === null)
    problem("has a user and no password; a password alone is written redis://:password@host");
  const config = url.scheme.endsWith("unix")
    ? readUnix(url, problem)
    : url.scheme.endsWith("-sentinel")
      ? readSentinel(url, problem)
      : readSingle(url, problem);
  return source.problems.length > before ? null : config;
}

function readSingle(url: SplitUrl, problem: Problem): RedisConfig | null {
  checkParameters(url, ["db"], problem);
  if (url.authority.includes(",")) {
    problem("has several hosts; for Sentinels use redis-sentinel://");
    return null;
  }
  const place = parseHostPort(url.authority, 6379);
  if (typeof place === "string") problem(`has ${place}`);
  const inPath = url.path.slice(1);
  if (inPath !== "" && url.parameters.has("db")) problem("names its database twice, in its path and as db");
  const db = readDb(inPath || url.parameters.get("db"), problem);
  if (typeof place === "string") return null;
  const { user: username, password } = url;
  return { kind: "single", ...place, path: null, username, password, db, tls: url.scheme === "rediss" };
}

function readUnix(url: SplitUrl, problem: Problem): RedisConfig {
  checkParameters(url, ["db"], problem);
  if (url.authority !== "") problem("has a host; a socket is written redis+unix:///path, with three slashes");
  const fault = socketPathProblem(url.path);
  if (fault !== null) problem(`has ${fault}`);
  const db = readDb(url.parameters.get("db"), problem);
  const { user: username, password, path } = url;
  return { kind: "single", host: "", port: 0, path, username, password, db, tls: false };
}

function readSentinel(url: SplitUrl, problem: Problem): RedisConfig {
  checkParameters(url, ["sentinelPassword", "db"], problem);
  const sentinels = url.authority.split(",").flatMap((part) => {
    const place = parseHostPort(part, 26_379);
    if (typeof place !== "string") return [place];
    problem(`has ${place}`);
    return [];
  });
  const [, name = "", inPath = "", ...more] = url.path.split("/");
  if (!/^[\x21-\x7e]+$/.test(name))
    problem("names no master; it is written behind the hosts, redis-sentinel://host/master-name");
  if (more.length > 0) problem("has more in its path than master name and database number");
  if (inPath !== "" && url.parameters.has("db")) problem("names its database twice, in its path and as db");
  return {
    kind: "sentinel",
    sentinels,
    name,
    username: url.user,
    password: url.password,
    sentinelPassword: url.parameters.get("sentinelPassword") || null,
    db: readDb(inPath || url.parameters.get("db"), problem),
    tls: url.scheme === "rediss-sentinel",
  };
}

function readDb(text: string | undefined, problem: Problem): number {
  if (text === undefined) return 0;
  if (/^\d{1,5}$/.test(text)) return Number(text);
  problem("has a database that is not a number such as 0");
  return 0;
}

function checkParameters(url: SplitUrl, known: readonly string[], problem: Problem): void {
  for (const name of url.parameters.keys())
    if (!known.includes(name)) problem(unknownParameter(name, known, HINTS));
}
