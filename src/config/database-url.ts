/**
 * `DATABASE_URL` → DatabaseConfig, as libpq reads a connection URI
 * (https://www.postgresql.org/docs/current/libpq-connect.html), but stricter: what it would ignore or what this
 * program can't do is an error.
 */
import { isIPv6 } from "node:net";
import { isHostName, oneOf, parseHostPort, parsePort, quote, socketPathProblem } from "./parse.ts";
import { searchPathOf } from "./search-path.ts";
import type { NameOf } from "./settings.ts";
import type { ConfigSource } from "./source.ts";
import type { DatabaseConfig, DatabaseHost, DatabaseTls } from "./types.ts";
import { unknownParameter } from "./unknown-names.ts";
import { percentDecode, type SplitUrl, splitUrl } from "./url.ts";

const NAME = "DATABASE_URL";
const EXAMPLE = "postgres://observer:password@db.example:5432/platform";
const TLS_MODES: readonly DatabaseTls[] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

const KNOWN = [
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "application_name",
  "search_path",
  "options",
  "target_session_attrs",
  "connect_timeout",
];

/** What other drivers and tools call it. */
const HINTS: Readonly<Record<string, string>> = {
  schema: "use search_path",
  currentschema: "use search_path",
  ssl: "use sslmode=require or sslmode=verify-full",
  sslcert: "client certificates are not supported; use a password",
  sslkey: "client certificates are not supported; use a password",
  pgbouncer: "leave it out, PgBouncer needs no setting",
  statement_timeout: "use OBSERVER_WRITE_TIMEOUT",
};

type Problem = (what: string) => void;

/** Null where something is wrong; every problem is then in `source`. */
export function readDatabase(source: ConfigSource, osUser: string | null): DatabaseConfig | null {
  const text = source.text(NAME);
  if (text === null) {
    if (!source.isWrong(NAME))
      source.problem(
        NAME,
        `is missing; set it to something like ${EXAMPLE}, or ${NAME}_FILE to a file with it`,
      );
    return null;
  }
  const before = source.problems.length;
  const problem: Problem = (what) => source.problem(NAME, `${what} (got ${source.shown(NAME, text)})`);
  const url = splitUrl(text, "postgres://", problem);
  if (url === null) return null;
  if (url.scheme !== "postgres" && url.scheme !== "postgresql") {
    source.problem(NAME, `must start with postgres:// or postgresql://, not ${source.shown(NAME, text)}`);
    return null;
  }
  checkParameters(source, url, problem);
  const hosts = readHosts(source, url, problem);
  const user = url.user ?? fallback(source, url, "user", "PGUSER") ?? osUser;
  if (user === null) problem("names no user, and the system's user has no name");
  const database = readDatabaseName(source, url, problem) ?? user;
  const { tls, tlsRootCertificate } = readTls(source, url, problem);
  const config: DatabaseConfig = {
    hosts,
    user: user ?? "",
    password: url.password ?? url.parameters.get("password") ?? source.text("PGPASSWORD"),
    database: database ?? "",
    tls: hosts.every(({ host }) => host.startsWith("/")) ? "disable" : tls,
    tlsRootCertificate,
    searchPath: searchPathOf(url.parameters, problem),
    applicationName: fallback(source, url, "application_name", "PGAPPNAME") ?? "observer",
  };
  if (
    [config.user, config.database, config.applicationName].some((part) => /[\u0000-\u001f\u007f]/.test(part))
  )
    problem("has a control character in its user, database or application_name");
  return source.problems.length > before ? null : config;
}

/** The URL's parameter, else PostgreSQL's own variable, else that variable's default. */
function fallback(
  source: ConfigSource,
  url: SplitUrl,
  parameter: string,
  name: NameOf<"text">,
): string | null {
  return url.parameters.get(parameter) || source.word(name);
}

function checkParameters(source: ConfigSource, url: SplitUrl, problem: Problem): void {
  for (const name of url.parameters.keys())
    if (!KNOWN.includes(name)) problem(unknownParameter(name, KNOWN, HINTS));
  const connectTimeout = url.parameters.get("connect_timeout");
  if (connectTimeout !== undefined) {
    if (/^\d{1,6}$/.test(connectTimeout))
      source.warn(NAME, "has connect_timeout, which is ignored: OBSERVER_WRITE_TIMEOUT bounds every attempt");
    else problem(`must have whole seconds as connect_timeout, not ${quote(connectTimeout)}`);
  }
  // With several hosts the one that takes writes is wanted, whether or not the URL says so.
  const attributes = url.parameters.get("target_session_attrs") ?? "read-write";
  if (!["read-write", "primary"].includes(attributes))
    problem(`must have read-write as target_session_attrs, not ${quote(attributes)}: the Observer writes`);
}

/** `?host=` before the authority before PGHOST, as in libpq; socket folders start with `/`. */
function readHosts(source: ConfigSource, url: SplitUrl, problem: Problem): DatabaseHost[] {
  const portText = url.parameters.get("port");
  const hostText = url.parameters.get("host");
  if (hostText || url.authority === "") {
    const fromUrl = hostText || null;
    const hosts = (fromUrl ?? source.textOrDefault("PGHOST") ?? "").split(",");
    const ports = (portText || source.textOrDefault("PGPORT") || "").split(",");
    const say: Problem = fromUrl === null ? (what) => source.problem("PGHOST", what) : problem;
    if (ports.length > 1 && ports.length !== hosts.length) say("has another number of ports than of hosts");
    return hosts.flatMap((host, i) => {
      const port = parsePort(ports[i] ?? ports[0] ?? "");
      if (port === null)
        (portText ? problem : (what: string) => source.problem("PGPORT", what))(
          "has a port that is not a number from 1 to 65535",
        );
      const fault = hostFault(host);
      if (fault !== null) say(`has ${fault}`);
      return port === null || fault !== null ? [] : [{ host, port }];
    });
  }
  if (portText) problem("has port as a parameter and no host with it; write it behind the host");
  const defaultPort = url.authority.split(",").every((host) => /:\d+$/.test(host)) ? 5432 : pgPort(source);
  return url.authority.split(",").flatMap((part) => {
    const host = parseUrlHost(part, defaultPort);
    if (typeof host !== "string") return [host];
    problem(`has ${host}`);
    return [];
  });
}

function pgPort(source: ConfigSource): number {
  const port = parsePort(source.textOrDefault("PGPORT") ?? "");
  if (port === null) source.problem("PGPORT", "must be a number from 1 to 65535");
  return port ?? 5432;
}

function hostFault(host: string): string | null {
  if (host.startsWith("/")) return socketPathProblem(`${host}/.s.PGSQL.65535`);
  return isHostName(host) || isIPv6(host) ? null : "a host that is neither a name nor an address";
}

/** Also `%2Frun%2Fpostgresql` and `%2Frun%2Fpostgresql:5433`. */
function parseUrlHost(text: string, defaultPort: number): DatabaseHost | string {
  if (!/^%2f/i.test(text)) return parseHostPort(text, defaultPort);
  const [folder = "", portText] = text.split(":");
  const host = percentDecode(folder);
  if (host === null) return "a broken percent-encoding in its host";
  const port = portText === undefined ? defaultPort : parsePort(portText);
  if (port === null) return "a port that is not a number from 1 to 65535";
  return hostFault(host) ?? { host, port };
}

function readDatabaseName(source: ConfigSource, url: SplitUrl, problem: Problem): string | null {
  const inPath = url.path.replace(/^\//, "");
  if (inPath !== "" && url.parameters.has("dbname"))
    problem("names the database twice, in its path and as dbname");
  return inPath || fallback(source, url, "dbname", "PGDATABASE");
}

function readTls(
  source: ConfigSource,
  url: SplitUrl,
  problem: Problem,
): Pick<DatabaseConfig, "tls" | "tlsRootCertificate"> {
  const inUrl = url.parameters.get("sslmode");
  const mode = inUrl ?? source.textOrDefault("PGSSLMODE") ?? "";
  let tls = TLS_MODES.find((known) => known === mode) ?? null;
  if (tls === null) {
    if (inUrl === undefined) source.problem("PGSSLMODE", `must be ${oneOf(TLS_MODES)}, not ${quote(mode)}`);
    else problem(`must have ${oneOf(TLS_MODES)} as sslmode, not ${quote(mode)}`);
  }
  const path = fallback(source, url, "sslrootcert", "PGSSLROOTCERT");
  if (path === null || tls === null) return { tls: tls ?? "disable", tlsRootCertificate: null };
  if (path === "system") {
    if (tls !== "verify-full") problem("has sslrootcert=system, which needs sslmode=verify-full");
    return { tls, tlsRootCertificate: null };
  }
  // libpq's rule: whoever names an authority wants it checked.
  if (tls === "require") tls = "verify-ca";
  if (tls === "disable" || tls === "prefer") {
    if (url.parameters.has("sslrootcert"))
      problem(`has sslrootcert, which sslmode ${tls} would not check; use sslmode=verify-full`);
    return { tls, tlsRootCertificate: null };
  }
  const owner = url.parameters.has("sslrootcert") ? NAME : "PGSSLROOTCERT";
  const pem = source.file(owner, path, "the sslrootcert file");
  if (pem !== null && !pem.includes("-----BEGIN CERTIFICATE-----"))
    source.problem(owner, `cannot be used: the sslrootcert file ${quote(path)} holds no PEM certificate`);
  return { tls, tlsRootCertificate: pem };
}
