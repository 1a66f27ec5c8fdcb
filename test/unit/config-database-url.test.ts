/**
 * Goal: DATABASE_URL means what libpq makes of it, and what can't be meant or done is an error.
 * Method: a table of URLs, each with the parts that differ from the plainest one, and a table of bad ones.
 */
import { describe, expect, test } from "bun:test";
import type { DatabaseConfig, Environment } from "../../src/config.ts";
import { loadConfig } from "../../src/config.ts";
import { type Files, host, load, problemsOf, readFrom } from "./config-support.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
const files: Files = { "/ca.pem": PEM, "/not.pem": "hello", "/locked.pem": "!EACCES" };

const database = (url: string, env: Environment = {}) => load({ DATABASE_URL: url, ...env }, files).database;

const pg = { PGUSER: "pgu", PGPASSWORD: "pgp", PGDATABASE: "pgd", PGAPPNAME: "pga", PGSSLMODE: "require" };

const plain: DatabaseConfig = {
  hosts: [{ host: "db", port: 5432 }],
  user: "u",
  password: null,
  database: "x",
  tls: "prefer",
  tlsRootCertificate: null,
  searchPath: null,
  applicationName: "observer",
};
const socket = (folder: string, port = 5432) =>
  ({ hosts: [{ host: folder, port }], tls: "disable" }) as const;

describe("DATABASE_URL", () => {
  const good: [string, Partial<DatabaseConfig>, Environment?][] = [
    ["postgres://u@db/x", {}],
    ["postgresql://u:@db:5433/x", { hosts: [{ host: "db", port: 5433 }] }],
    ["POSTGRES://u@db/x", {}],
    ["postgres://u%40v:p%40s%2Fs%3A%23%25@db/a%20b", { user: "u@v", password: "p@s/s:#%", database: "a b" }],
    ["postgres://u:päss@db/x", { password: "päss" }],
    ["postgres://u@db", { database: "u" }],
    ["postgres://u@db/", { database: "u" }],
    ["postgres://db/x", { user: "sys" }],
    ["postgres://:pw@db/x", { user: "sys", password: "pw" }],
    ["postgres://db/x?user=u&password=p%26w", { password: "p&w" }],
    ["postgres://u@db?dbname=x", {}],
    ["postgres://u@[::1]:5433/x", { hosts: [{ host: "::1", port: 5433 }] }],
    ["postgres://u@10.0.0.1/x", { hosts: [{ host: "10.0.0.1", port: 5432 }] }],
    ["postgres://u@a,b:5433,[::1]/x", { hosts: [at("a"), at("b", 5433), at("::1")] }],
    ["postgres://u@/x?host=/run/postgresql", socket("/run/postgresql")],
    ["postgres://u@db/x?host=/tmp&port=5433", socket("/tmp", 5433)],
    ["postgres://u@/x?host=%2Ftmp", socket("/tmp")],
    ["postgres://u@%2Frun%2Fpostgresql/x", socket("/run/postgresql")],
    ["postgres://u@%2ftmp:5433/x?sslmode=require", socket("/tmp", 5433)],
    ["postgres:///x?user=u&host=a,/tmp&port=1,2", { hosts: [at("a", 1), at("/tmp", 2)] }],
    ["postgres:///x?user=u&host=a,b&port=7", { hosts: [at("a", 7), at("b", 7)] }],
    ["postgres:///x?user=u", { hosts: [at("localhost")] }],
    ["postgres:///x?user=u", { hosts: [at("h", 6000)] }, { PGHOST: "h", PGPORT: "6000" }],
    ["postgres://u@db/x", { hosts: [at("db", 6000)] }, { PGHOST: "h", PGPORT: "6000" }],
    [
      "postgres://db",
      { user: "pgu", password: "pgp", database: "pgd", applicationName: "pga", tls: "require" },
      pg,
    ],
    ["postgres://u:p@db/x", { password: "p", applicationName: "pga", tls: "require" }, pg],
    ["postgres://u@db/x?sslmode=disable&application_name=me", { tls: "disable", applicationName: "me" }],
    ["postgres://u@db/x?sslmode=verify-full", { tls: "verify-full" }],
    ["postgres://u@db/x?sslmode=verify-full&sslrootcert=system", { tls: "verify-full" }],
    [
      "postgres://u@db/x?sslmode=verify-full&sslrootcert=/ca.pem",
      { tls: "verify-full", tlsRootCertificate: PEM },
    ],
    ["postgres://u@db/x?sslmode=require&sslrootcert=/ca.pem", { tls: "verify-ca", tlsRootCertificate: PEM }],
    ["postgres://u@db/x?search_path=a,public", { searchPath: "a,public" }],
    ["postgres://u@db/x?options=-csearch_path%3Da,public", { searchPath: "a,public" }],
    ["postgres://u@db/x?options=-c%20search_path%3Da,%5C%20public", { searchPath: "a, public" }],
    ["postgres://u@db/x?options=--search-path%3Da", { searchPath: "a" }],
    ["postgres://u@a,b/x?target_session_attrs=read-write", { hosts: [at("a"), at("b")] }],
  ];
  test.each(good)("%s", (url, differs, env = {}) => {
    expect(database(url, env)).toEqual({ ...plain, ...differs });
  });

  test("connect_timeout is ignored, which is said", () => {
    expect(load({ DATABASE_URL: "postgres://u@db/x?connect_timeout=10" }).warnings).toEqual([
      "DATABASE_URL has connect_timeout, which is ignored: OBSERVER_WRITE_TIMEOUT bounds every attempt",
    ]);
  });

  test("without any name for the user it is an error", () => {
    const nameless = { ...host, user: null };
    expect(() => loadConfig({ DATABASE_URL: "postgres://db/x" }, readFrom({}), nameless)).toThrow(
      "DATABASE_URL names no user, and the system's user has no name",
    );
  });
});

const ENCODE =
  "has characters in its user name or password that must be percent-encoded (@ as %40, / as %2F, : as %3A, ? as %3F, # as %23)";
const HOST = "has a host that is neither a name nor an address";
const PORT = "has a port that is not a number from 1 to 65535";
const MODES = "must have disable, prefer, require, verify-ca or verify-full as sslmode";

describe("DATABASE_URL, bad", () => {
  /** URL, what is wrong with it, and how the URL is shown; null: the problem is already the whole message. */
  const bad: [string, string, string | null][] = [
    ["db", "must be a URL, such as one that begins with postgres://", "***"],
    ["postgres:u:pw@db/x", "must be a URL, such as one that begins with postgres://", "***"],
    ["mysql://u:pw@db/x", 'must start with postgres:// or postgresql://, not "mysql://u:***@db/x"', null],
    ["postgres://u:p w@db/x", "must not contain spaces or control characters", "postgres://u:***@db/x"],
    ["postgres://u:p/w@db/x", ENCODE, "postgres://***"],
    ["postgres://u:p@w@db/x", ENCODE, "postgres://***"],
    ["postgres://u:p?w@db/x", ENCODE, "postgres://***"],
    ["postgres://u:p#w@db/x", ENCODE, "postgres://***"],
    ["postgres://u:pw", PORT, "postgres://***"],
    [
      "postgres://u:5%@db/x",
      "has a broken percent-encoding (a percent sign itself is written %25)",
      "postgres://u:***@db/x",
    ],
    ["postgres://u@db:0/x", PORT, "postgres://***@db:0/x"],
    ["postgres://u@db:70000/x", PORT, "postgres://***@db:70000/x"],
    ["postgres://u@d!b/x", HOST, "postgres://***@d!b/x"],
    ["postgres://u@[::g]/x", HOST, "postgres://***@[::g]/x"],
    ["postgres://u@a,,b/x", "has no host", "postgres://***@a,,b/x"],
    ["postgres://u@::1/x", "has no host", "postgres://***"],
    [
      `postgres://u@/x?host=/${"d".repeat(100)}`,
      "has a socket path longer than 107 bytes",
      `postgres://***@/x?host=/${"d".repeat(100)}`.slice(0, 120).concat("…"),
    ],
    ["postgres://u@db/x?sslmode=allow", `${MODES}, not "allow"`, "postgres://***@db/x?sslmode=allow"],
    [
      "postgres://u@db/x?sslmod=require",
      "has the unknown parameter sslmod; did you mean sslmode?",
      "postgres://***@db/x?sslmod=***",
    ],
    [
      "postgres://u@db/x?schema=a",
      "has the unknown parameter schema; use search_path",
      "postgres://***@db/x?schema=***",
    ],
    [
      "postgres://u@db/x?ssl=true",
      "has the unknown parameter ssl; use sslmode=require or sslmode=verify-full",
      "postgres://***@db/x?ssl=***",
    ],
    [
      "postgres://u@db/x?port=1",
      "has port as a parameter and no host with it; write it behind the host",
      "postgres://***@db/x?port=1",
    ],
    [
      "postgres://u@/x?host=a,b&port=1,2,3",
      "has another number of ports than of hosts",
      "postgres://***@/x?host=a,b&port=1,2,3",
    ],
    [
      "postgres://u@db/x?dbname=y",
      "names the database twice, in its path and as dbname",
      "postgres://***@db/x?dbname=y",
    ],
    ["postgres://u@db/x?user=v&user=w", "has the parameter user twice", "postgres://***@db/x?user=v&user=w"],
    [
      "postgres://u@db/x?target_session_attrs=standby",
      'must have read-write as target_session_attrs, not "standby": the Observer writes',
      "postgres://***@db/x?target_session_attrs=standby",
    ],
    [
      "postgres://u@db/x?connect_timeout=5s",
      'must have whole seconds as connect_timeout, not "5s"',
      "postgres://***@db/x?connect_timeout=5s",
    ],
    [
      "postgres://u@db/x?options=-cstatement_timeout%3D1",
      "has options with something else than -csearch_path=…, the only one that is supported",
      "postgres://***@db/x?options=-cstatement_timeout%3D1",
    ],
    [
      "postgres://u@db/x?search_path=a&options=-csearch_path%3Db",
      "names search_path twice, also in its options",
      "postgres://***@db/x?search_path=a&options=-csearch_path%3Db",
    ],
    [
      "postgres://u@db/x?sslrootcert=/ca.pem",
      "has sslrootcert, which sslmode prefer would not check; use sslmode=verify-full",
      "postgres://***@db/x?sslrootcert=/ca.pem",
    ],
    [
      "postgres://u@db/x?sslmode=require&sslrootcert=system",
      "has sslrootcert=system, which needs sslmode=verify-full",
      "postgres://***@db/x?sslmode=require&sslrootcert=system",
    ],
    [
      "postgres://u@db/x?sslmode=verify-ca&sslrootcert=/nowhere",
      'cannot be used: the sslrootcert file "/nowhere" does not exist',
      null,
    ],
    [
      "postgres://u@db/x?sslmode=verify-ca&sslrootcert=/locked.pem",
      'cannot be used: the sslrootcert file "/locked.pem" may not be read by this user',
      null,
    ],
    [
      "postgres://u@db/x?sslmode=verify-ca&sslrootcert=/not.pem",
      'cannot be used: the sslrootcert file "/not.pem" holds no PEM certificate',
      null,
    ],
  ];
  test.each(bad)("%s: %s", (url, problem, shown) => {
    expect(problemsOf({ DATABASE_URL: url }, files)).toEqual([
      `DATABASE_URL ${problem}${shown === null ? "" : ` (got "${shown}")`}`,
    ]);
  });

  test("missing: says what it looks like", () => {
    for (const DATABASE_URL of ["", undefined])
      expect(problemsOf({ DATABASE_URL })).toEqual([
        "DATABASE_URL is missing; set it to something like postgres://observer:password@db.example:5432/platform, or DATABASE_URL_FILE to a file with it",
      ]);
  });

  test("several at once", () => {
    expect(problemsOf({ DATABASE_URL: "postgres://u@d!b/x?sslmode=no&foo=1" })).toHaveLength(3);
  });

  test("PostgreSQL's own variables are blamed by their names", () => {
    const env = { DATABASE_URL: "postgres://", PGHOST: "a b", PGPORT: "x", PGSSLMODE: "y" };
    expect(problemsOf(env)).toEqual([
      `PGPORT ${PORT}`,
      `PGHOST ${HOST}`,
      'PGSSLMODE must be disable, prefer, require, verify-ca or verify-full, not "y"',
    ]);
  });
});

function at(name: string, port = 5432) {
  return { host: name, port };
}
