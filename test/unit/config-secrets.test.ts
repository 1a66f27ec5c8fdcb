/**
 * Goal: secrets come from the environment, from NAME_FILE or from the credentials folder, and never go into a
 * message, whatever the environment looks like.
 * Method: tables for the order; for the rest random environments with a mark in every secret, in URLs too, well
 * encoded or not, and a search for the mark in what is said.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fileSecretNames, knownNames, settings } from "../../src/config/settings.ts";
import { maskUrl } from "../../src/config/url.ts";
import { ConfigError, type Environment, loadConfig } from "../../src/config.ts";
import { databaseUrl, type Files, host, load, problemsOf, readFrom } from "./config-support.ts";
import { atLeast } from "./fuzz-runs.ts";

const C = "/run/credentials/observer.service";
const token = (env: Environment, files: Files) => load(env, files).status.token;

describe("where secrets come from", () => {
  const order: [Environment, Files, string | null][] = [
    [{ OBSERVER_STATUS_TOKEN: "env" }, {}, "env"],
    [{ OBSERVER_STATUS_TOKEN_FILE: "/t" }, { "/t": "file\n" }, "file"],
    [{ OBSERVER_STATUS_TOKEN_FILE: "/t" }, { "/t": "file\r\n" }, "file"],
    [{ CREDENTIALS_DIRECTORY: C }, { [`${C}/OBSERVER_STATUS_TOKEN`]: "cred" }, "cred"],
    [{ CREDENTIALS_DIRECTORY: `${C}/` }, { [`${C}/observer-status-token`]: "cred\n" }, "cred"],
    [{ CREDENTIALS_DIRECTORY: C }, {}, null],
    [
      { OBSERVER_STATUS_TOKEN: "env", CREDENTIALS_DIRECTORY: C },
      { [`${C}/OBSERVER_STATUS_TOKEN`]: "!EACCES" },
      "env",
    ],
    [
      { OBSERVER_STATUS_TOKEN_FILE: "/t", CREDENTIALS_DIRECTORY: C },
      { "/t": "file", [`${C}/OBSERVER_STATUS_TOKEN`]: "cred" },
      "file",
    ],
    [{ OBSERVER_STATUS_TOKEN: "", OBSERVER_STATUS_TOKEN_FILE: "/t" }, { "/t": "file" }, "file"],
  ];
  test.each(order)("%j, files %j: %s", (env, files, value) => {
    expect(token(env, files)).toBe(value);
  });

  test("a URL may come from a file too", () => {
    const config = load({ DATABASE_URL: undefined, DATABASE_URL_FILE: "/d" }, { "/d": `${databaseUrl}\n` });
    expect(config.database).toEqual(load().database);
  });

  test("all secrets come from files as well", () => {
    const good: Readonly<Record<string, string>> = { DATABASE_URL: databaseUrl, REDIS_URL: "redis://r" };
    const files = Object.fromEntries(
      fileSecretNames.map((name) => [`/secrets/${name}`, good[name] ?? `text-${name}`]),
    );
    const env = Object.fromEntries(fileSecretNames.map((name) => [`${name}_FILE`, `/secrets/${name}`]));
    const config = load({ ...env, DATABASE_URL: undefined, S3_BUCKET: "archives", AWS_REGION: "r" }, files);
    expect(config.archives?.credentials).toEqual({
      accessKeyId: "text-AWS_ACCESS_KEY_ID",
      secretAccessKey: "text-AWS_SECRET_ACCESS_KEY",
      sessionToken: "text-AWS_SESSION_TOKEN",
    });
    expect(config.redis).toMatchObject({ host: "r" });
  });

  test("a credential that is not used and differs is a warning", () => {
    const files = { [`${C}/OBSERVER_STATUS_TOKEN`]: "cred" };
    expect(load({ OBSERVER_STATUS_TOKEN: "env", CREDENTIALS_DIRECTORY: C }, files).warnings).toEqual([
      `OBSERVER_STATUS_TOKEN is set in the environment, so the credential "${C}/OBSERVER_STATUS_TOKEN" is not used`,
    ]);
    expect(load({ OBSERVER_STATUS_TOKEN: "cred", CREDENTIALS_DIRECTORY: C }, files).warnings).toEqual([]);
  });

  const bad: [Environment, Files, string][] = [
    [
      { DATABASE_URL_FILE: "/d" },
      { "/d": databaseUrl },
      "DATABASE_URL_FILE and DATABASE_URL are both set; keep one of them",
    ],
    [
      { DATABASE_URL: undefined, DATABASE_URL_FILE: "/none" },
      {},
      'DATABASE_URL_FILE cannot be used: the file "/none" does not exist',
    ],
    [
      { OBSERVER_STATUS_TOKEN_FILE: "/locked", OBSERVER_LISTEN: ":1" },
      { "/locked": "!EACCES" },
      'OBSERVER_STATUS_TOKEN_FILE cannot be used: the file "/locked" may not be read by this user',
    ],
    [
      { REDIS_URL_FILE: "/dir" },
      { "/dir": "!EISDIR" },
      'REDIS_URL_FILE cannot be used: the file "/dir" is a folder',
    ],
    [
      { REDIS_URL_FILE: "/io" },
      { "/io": "!EIO" },
      'REDIS_URL_FILE cannot be used: the file "/io" cannot be read (EIO)',
    ],
    [{ REDIS_URL_FILE: "/e" }, { "/e": "\n" }, 'REDIS_URL_FILE names an empty file, "/e"'],
    [
      { REDIS_URL_FILE: "redis://:secret@r" },
      {},
      "REDIS_URL_FILE must be the absolute path of a file, not ***",
    ],
    [
      { CREDENTIALS_DIRECTORY: C },
      { [`${C}/redis-url`]: "!EACCES" },
      `REDIS_URL cannot be used: the credential "${C}/redis-url" may not be read by this user`,
    ],
    [
      { CREDENTIALS_DIRECTORY: C },
      { [`${C}/redis-url`]: "" },
      `REDIS_URL cannot be used: the credential "${C}/redis-url" is empty`,
    ],
    [
      { OBSERVER_STATUS_TOKEN_FILE: "/t" },
      { "/t": "two\nlines\n" },
      "OBSERVER_STATUS_TOKEN must be visible ASCII characters without spaces, not ***",
    ],
  ];
  test.each(bad)("%j: %s", (env, files, problem) => {
    expect(problemsOf(env, files)).toEqual([problem]);
  });
});

describe("maskUrl()", () => {
  test.each([
    ["postgres://u:pw@h:1,g/x?sslmode=no&password=pw", "postgres://u:***@h:1,g/x?sslmode=no&password=***"],
    ["redis://:pw@h", "redis://:***@h"],
    ["redis://pw@h", "redis://***@h"],
    ["redis://h:6379/0", "redis://h:6379/0"],
    ["redis-sentinel://h/m?sentinelPassword=pw&pw", "redis-sentinel://h/m?sentinelPassword=***&***"],
    ["postgres://u:pw", "postgres://***"],
    ["postgres://u:p/w@h/x", "postgres://***"],
    ["postgres://u:p@w@h/x", "postgres://***"],
    ["postgres://u:p#w@h/x", "postgres://***"],
    ["u:pw@h", "***"],
    ["", "***"],
  ])("%s → %s", (url, masked) => {
    expect(maskUrl(url)).toBe(masked);
  });
});

/** In every secret, so that a piece of one is found too. */
const MARK = "hush7Q";

const piece = fc.string({ unit: fc.constantFrom(..."a1@:/?#%&=+,[] \n\u0000é\ud83d"), maxLength: 4 });
const secret = fc.tuple(piece, piece).map(([a, b]) => `${MARK}${a}${MARK}${b}${MARK}`);
const lenientEncode = (text: string): string => encodeURIComponent(text.toWellFormed());
const password = fc.oneof(secret, secret.map(lenientEncode));
const scheme = fc.constantFrom(
  ...[
    "postgres",
    "postgresql",
    "redis",
    "rediss",
    "redis-sentinel",
    "redis+unix",
    "unix",
    "tcp",
    "http",
    "mysql",
    "",
  ],
);
const url = fc
  .tuple(
    scheme,
    fc.constantFrom("://", ":", "//", ":///"),
    fc.constantFrom("u", "", "u%40"),
    password,
    fc.constantFrom("@db", "@db:5432", "@[::1]", "@a,b:x", "@%2Ftmp", "@", ""),
    fc.constantFrom("", "/x", "/main/0", "/a b"),
    fc.oneof(
      fc.constantFrom("", "?sslmode=no", "?x", "?=", "?host=/tmp&port=y"),
      password.map((text) => `?sentinelPassword=${lenientEncode(text)}`),
      password.map((text) => `?password=${lenientEncode(text)}&sslmode=no`),
    ),
  )
  .map(([s, separator, user, pass, place, path, query]) => {
    // With an @ of its own and no host after it, the rest of a password *is* the host, and can't be told from one.
    const written = place === "" ? pass.replaceAll("@", "%40") : pass;
    return `${s}${separator}${user}:${written}${place}${path}${query}`;
  });
const urlNames = new Set<string>(settings.filter(({ type }) => type.kind === "url").map(({ name }) => name));
const secretNames = new Set<string>(
  settings.filter((row) => "secret" in row && row.secret).map(({ name }) => name),
);
const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom(
    "10s",
    "1ms",
    "on",
    "5",
    "0.5",
    ":9464",
    "off",
    "info",
    "/dir",
    "ws-",
    "us-east-1",
    "archives",
  ),
);

const textFor = (name: string): fc.Arbitrary<string> => {
  if (urlNames.has(name)) return fc.oneof(url, anyText);
  // The secret itself where its file's path belongs, as people do.
  if (name.endsWith("_FILE")) return fc.oneof(fc.constantFrom("/f", "/none"), url, secret);
  return secretNames.has(name) ? fc.oneof(secret, anyText) : anyText;
};
const environment = fc.record(
  Object.fromEntries(
    [...knownNames, "OBSERVER_STATUS_TOKN", "OBSERVER_X"].map((name) => [name, textFor(name)]),
  ),
  { requiredKeys: [] },
);
const fileText = fc.oneof(
  url,
  secret,
  secret.map((text) => `${text}\n`),
  fc.constantFrom("", "!EACCES", "!EWEIRD"),
);

test("random environments: a Config or a ConfigError, and no secret in any message", () => {
  let refused = 0;
  fc.assert(
    fc.property(environment, fileText, fileText, (env, file, credential) => {
      const files: Files = { "/f": file, "/dir/REDIS_URL": credential, "/dir/database-url": credential };
      const said = (): string => {
        try {
          return loadConfig(env, readFrom(files), host).warnings.join("\n");
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          refused += 1;
          return `${error.message}\n${error.problems.join("\n")}\n${error.stack}`;
        }
      };
      expect(said()).not.toContain(MARK);
    }),
    atLeast(300),
  );
  expect(refused).toBeGreaterThan(100);
});

test("a random URL in any place for one: no secret in any message", () => {
  fc.assert(
    fc.property(fc.constantFrom(...urlNames), url, (name, text) => {
      const env = { DATABASE_URL: databaseUrl, S3_BUCKET: "archives", AWS_REGION: "r", [name]: text };
      expect(problemsOf(env).join("\n")).not.toContain(MARK);
    }),
    atLeast(3000),
  );
});
