/**
 * Goal: REDIS_URL names one server, a unix socket or Sentinels, with TLS, credentials and database.
 * Method: a table of URLs, each with the parts that differ from the plainest one, and a table of bad ones.
 */
import { describe, expect, test } from "bun:test";
import type { RedisConfig } from "../../src/config.ts";
import { load, problemsOf } from "./config-support.ts";

const nobody = { username: null, password: null };
const single = { kind: "single", host: "r", port: 6379, path: null, ...nobody, db: 0, tls: false };
const socket = { ...single, host: "", port: 0, path: "/run/r.sock" };
const sentinel = {
  kind: "sentinel",
  sentinels: [{ host: "a", port: 26_379 }],
  name: "main",
  ...nobody,
  sentinelPassword: null,
  db: 0,
  tls: false,
};

describe("REDIS_URL", () => {
  const good: [string, object][] = [
    ["redis://r", single],
    ["redis://r/", single],
    ["rediss://r:6380/3", { ...single, port: 6380, db: 3, tls: true }],
    ["redis://r?db=3", { ...single, db: 3 }],
    ["redis://:p%40w@r", { ...single, password: "p@w" }],
    ["redis://me:pw@[::1]", { ...single, host: "::1", username: "me", password: "pw" }],
    ["unix:///run/r.sock", socket],
    ["redis+unix:///run/r.sock?db=2", { ...socket, db: 2 }],
    ["redis+unix://me:pw@/run/r.sock", { ...socket, username: "me", password: "pw" }],
    ["redis-sentinel://a/main", sentinel],
    [
      "rediss-sentinel://me:pw@a,b:1,[::1]/main/4?sentinelPassword=p%26w",
      {
        ...sentinel,
        sentinels: [...sentinel.sentinels, { host: "b", port: 1 }, { host: "::1", port: 26_379 }],
        username: "me",
        password: "pw",
        sentinelPassword: "p&w",
        db: 4,
        tls: true,
      },
    ],
  ];
  test.each(good)("%s", (url, config) => {
    expect(load({ REDIS_URL: url }).redis).toEqual(config as RedisConfig);
  });
});

describe("REDIS_URL, bad", () => {
  const schemes = "redis://, rediss://, redis+unix://, unix://, redis-sentinel:// or rediss-sentinel://";
  const bad: [string, string][] = [
    ["r:6379", 'must be a URL, such as one that begins with redis:// (got "***")'],
    ["http://me:pw@r", `must start with ${schemes}, not "http://me:***@r"`],
    [
      "redis://secret@r",
      'has a user and no password; a password alone is written redis://:password@host (got "redis://***@r")',
    ],
    ["redis://", 'has no host (got "redis://")'],
    ["redis://r:x", 'has a port that is not a number from 1 to 65535 (got "redis://***")'],
    ["redis://r/x", 'has a database that is not a number such as 0 (got "redis://r/x")'],
    ["redis://r/1?db=2", 'names its database twice, in its path and as db (got "redis://r/1?db=2")'],
    ["redis://a,b", 'has several hosts; for Sentinels use redis-sentinel:// (got "redis://a,b")'],
    [
      "redis://r?password=pw",
      'has the unknown parameter password; write it before the host, redis://:password@host (got "redis://r?password=***")',
    ],
    ["redis://r?foo=pw", 'has the unknown parameter foo; did you mean db? (got "redis://r?foo=***")'],
    [
      "unix://r.sock",
      'has a host; a socket is written redis+unix:///path, with three slashes (got "unix://r.sock")',
    ],
    [
      "redis-sentinel://a",
      'names no master; it is written behind the hosts, redis-sentinel://host/master-name (got "redis-sentinel://a")',
    ],
    [
      "redis-sentinel://a/main/0/x",
      'has more in its path than master name and database number (got "redis-sentinel://a/main/0/x")',
    ],
    [
      "redis-sentinel://a/main?sentinelpassword=pw",
      'has the unknown parameter sentinelpassword; write sentinelPassword (got "redis-sentinel://a/main?sentinelpassword=***")',
    ],
  ];
  test.each(bad)("%s: %s", (url, problem) => {
    // `unix://name` is wrong twice; what was meant comes first.
    expect(problemsOf({ REDIS_URL: url })[0]).toBe(`REDIS_URL ${problem}`);
    expect(problemsOf({ REDIS_URL: url }).length).toBeLessThanOrEqual(url === "unix://r.sock" ? 2 : 1);
  });
});
