/**
 * Goal: the environment becomes a frozen Config with the documented defaults, or one error with every problem.
 * Method: tables of environments and what they must lead to, on files that exist in memory only.
 */

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Config, ConfigError, loadConfig } from "../../src/config.ts";
import { databaseUrl, load, problemsOf, readFrom } from "./config-support.ts";

describe("loadConfig() defaults", () => {
  test("only DATABASE_URL is required", () => {
    expect(load()).toEqual({
      prefix: "ws-",
      instance: "vm-3-4711",
      database: {
        hosts: [{ host: "db", port: 5432 }],
        user: "observer",
        password: "pw",
        database: "platform",
        tls: "prefer",
        tlsRootCertificate: null,
        searchPath: null,
        applicationName: "observer",
      },
      redis: null,
      engines: [{ host: null, endpoint: { kind: "unix", socketPath: "/var/run/docker.sock" } }],
      archives: null,
      cadence: { idleIntervalMs: 10_000, activeIntervalMs: 2_000, minIntervalMs: 250, activeForMs: 30_000 },
      maxAgeMs: 10_000,
      listTimeoutMs: 5_000,
      writeTimeoutMs: 5_000,
      hintChannel: "ob:wake",
      wakeChannel: "wc:wake",
      guard: { enabled: true, min: 5, ratio: 0.5, confirm: 3 },
      fleet: null,
      transitionsMaxAgeMs: 30 * 24 * 3_600_000,
      status: { listen: { hostname: "127.0.0.1", port: 9464 }, token: null },
      telemetry: null,
      log: { level: "info", format: "auto", journalStream: null },
      supervisor: null,
      warnings: [],
    });
  });

  test("an empty value counts as not set", () => {
    const empty = {
      REDIS_URL: "",
      OBSERVER_IDLE_INTERVAL: "",
      OBSERVER_GUARD: "",
      S3_BUCKET: "",
      DOCKER_HOST: "",
    };
    expect(load(empty)).toEqual(load());
  });

  test("the maximum age follows the idle interval", () => {
    expect(load({ OBSERVER_IDLE_INTERVAL: "1m" }).maxAgeMs).toBe(60_000);
    expect(load({ OBSERVER_IDLE_INTERVAL: "1m", OBSERVER_MAX_AGE: "1h" }).maxAgeMs).toBe(3_600_000);
  });

  test("a host's name becomes one word", () => {
    const instance = (hostname: string) =>
      loadConfig({ DATABASE_URL: databaseUrl }, readFrom({}), { hostname, pid: 1 }).instance;
    expect(instance("my host\n")).toBe("my_host_-1");
    expect(instance("")).toBe("observer-1");
  });

  test("the result is frozen all the way down", () => {
    const config = load({
      REDIS_URL: "redis-sentinel://a,b/main",
      S3_BUCKET: "archives",
      AWS_REGION: "r",
      AWS_ACCESS_KEY_ID: "a",
      AWS_SECRET_ACCESS_KEY: "b",
    });
    const unfrozen = (value: unknown): boolean =>
      typeof value === "object" &&
      value !== null &&
      (!Object.isFrozen(value) || Object.values(value).some((part) => unfrozen(part)));
    expect(unfrozen(config)).toBe(false);
    expect(() => {
      (config.cadence as { idleIntervalMs: number }).idleIntervalMs = 1;
    }).toThrow(TypeError);
  });

  test("configFromProcess() reads the process's environment", () => {
    const script = `import { configFromProcess } from "./src/config.ts";
      const { database, instance } = configFromProcess();
      console.log(JSON.stringify([database.database, instance.endsWith("-" + process.pid)]));`;
    const child = Bun.spawnSync([process.execPath, "-e", script], {
      cwd: join(import.meta.dir, "../.."),
      env: { DATABASE_URL: "postgres://someone@db/fromprocess" },
    });
    expect(child.stdout.toString()).toBe('["fromprocess",true]\n');
  }, 60_000);
});

describe("loadConfig() good values", () => {
  const good: [string, string, (config: Config) => unknown, unknown][] = [
    ["OBSERVER_IDLE_INTERVAL", "5m", (c) => c.cadence.idleIntervalMs, 300_000],
    ["OBSERVER_MIN_INTERVAL", "500ms", (c) => c.cadence.minIntervalMs, 500],
    ["OBSERVER_ACTIVE_DURATION", "1h", (c) => c.cadence.activeForMs, 3_600_000],
    ["OBSERVER_GUARD", "OFF", (c) => c.guard.enabled, false],
    ["OBSERVER_GUARD", "true", (c) => c.guard.enabled, true],
    ["OBSERVER_GUARD_RATIO", "0.99", (c) => c.guard.ratio, 0.99],
    ["OBSERVER_GUARD_RATIO", ".25", (c) => c.guard.ratio, 0.25],
    ["OBSERVER_LOG_LEVEL", "WARN", (c) => c.log.level, "warn"],
    ["OBSERVER_PREFIX", "tenant_1.ws-", (c) => c.prefix, "tenant_1.ws-"],
    ["OBSERVER_INSTANCE", "a/b", (c) => c.instance, "a/b"],
    ["OBSERVER_LISTEN", "[::1]:9464", (c) => c.status.listen, { hostname: "::1", port: 9464 }],
    ["OBSERVER_LISTEN", "localhost:0", (c) => c.status.listen, { hostname: "localhost", port: 0 }],
    ["OBSERVER_LISTEN", "off", (c) => c.status.listen, null],
  ];
  test.each(good)("%s=%s", (name, text, pick, value) => {
    expect(pick(load({ [name]: text }))).toEqual(value);
  });

  test("OBSERVER_LISTEN beyond loopback, with a token", () => {
    const status = (listen: string) =>
      load({ OBSERVER_LISTEN: listen, OBSERVER_STATUS_TOKEN: "0123456789abcdef" }).status;
    expect(status(":9464")).toEqual({
      listen: { hostname: "0.0.0.0", port: 9464 },
      token: "0123456789abcdef",
    });
    expect(status("[::]:80").listen).toEqual({ hostname: "::", port: 80 });
    expect(load({ OBSERVER_LISTEN: ":1", OBSERVER_STATUS_TOKEN: "short" }).warnings).toEqual([
      "OBSERVER_STATUS_TOKEN has fewer than 16 characters, so it can be guessed",
    ]);
  });
});

const DURATION = "must be a duration such as 10s or 500ms, not";
const ADDRESS = "must be an address such as 127.0.0.1:9464, [::1]:9464 or :9464, or off, not";
const WORD_63 = "must be 1 to 63 visible ASCII characters without spaces, not";

describe("loadConfig() bad values", () => {
  test.each([
    ["OBSERVER_IDLE_INTERVAL", "soon", `${DURATION} "soon"`],
    ["OBSERVER_IDLE_INTERVAL", "10", `${DURATION} "10"`],
    ["OBSERVER_IDLE_INTERVAL", "1.5s", `${DURATION} "1.5s"`],
    ["OBSERVER_IDLE_INTERVAL", " 10s", `${DURATION} " 10s"`],
    ["OBSERVER_IDLE_INTERVAL", "-1s", `${DURATION} "-1s"`],
    ["OBSERVER_IDLE_INTERVAL", "99h", 'must be a duration from 100ms to 1h, not "99h"'],
    ["OBSERVER_MIN_INTERVAL", "0s", 'must be a duration from 10ms to 1m, not "0s"'],
    ["OBSERVER_LIST_TIMEOUT", "6m", 'must be a duration from 50ms to 5m, not "6m"'],
    ["OBSERVER_WRITE_TIMEOUT", "6s", 'must be shorter than the lease lives, 6s, not "6s"'],
    ["OBSERVER_PREFIX", "", 'must not be empty; leave it out for "ws-"'],
    [
      "OBSERVER_PREFIX",
      "-ws/",
      'must be up to 100 letters, digits, _, . and - that start with a letter or digit, not "-ws/"',
    ],
    ["OBSERVER_INSTANCE", "a b", 'must be 1 to 128 visible ASCII characters without spaces, not "a b"'],
    ["OBSERVER_HINT_CHANNEL", "a\nb", `${WORD_63} "a\\nb"`],
    ["OBSERVER_WAKE_CHANNEL", "x".repeat(64), `${WORD_63} "${"x".repeat(64)}"`],
    ["OBSERVER_WAKE_CHANNEL", "ob:wake", 'must not be the same as OBSERVER_HINT_CHANNEL, "ob:wake"'],
    ["OBSERVER_ARCHIVE_SUFFIX", "", 'must not be empty; leave it out for "/home.tar.zst"'],
    [
      "OBSERVER_ARCHIVE_SUFFIX",
      "home.tar",
      'must be the end of an object key that starts with a slash, such as /home.tar.zst, not "home.tar"',
    ],
    [
      "OBSERVER_ARCHIVE_COMMIT_SUFFIX",
      "/x",
      'must be the end of an object key without slashes, such as .meta, not "/x"',
    ],
    ["OBSERVER_GUARD", "maybe", 'must be on or off, not "maybe"'],
    ["OBSERVER_GUARD_MIN", "0", 'must be a whole number from 1 to 1000000, not "0"'],
    ["OBSERVER_GUARD_MIN", "1e3", 'must be a whole number from 1 to 1000000, not "1e3"'],
    ["OBSERVER_GUARD_RATIO", "50%", 'must be a number above 0 and below 1, such as 0.5, not "50%"'],
    ["OBSERVER_GUARD_RATIO", "0", 'must be a number above 0 and below 1, such as 0.5, not "0"'],
    ["OBSERVER_GUARD_RATIO", "1", 'must be a number above 0 and below 1, such as 0.5, not "1"'],
    ["OBSERVER_GUARD_CONFIRM", "-1", 'must be a whole number from 1 to 1000, not "-1"'],
    ["OBSERVER_LOG_LEVEL", "trace", 'must be debug, info, warn or error, not "trace"'],
    ["OBSERVER_LOG_FORMAT", "xml", 'must be json, pretty or auto, not "xml"'],
    ["OBSERVER_LISTEN", "9464", `${ADDRESS} "9464"`],
    ["OBSERVER_LISTEN", "::1:9464", `${ADDRESS} "::1:9464"`],
    ["OBSERVER_LISTEN", "127.0.0.1:99999", `${ADDRESS} "127.0.0.1:99999"`],
    ["OBSERVER_LISTEN", "127.1:80", `${ADDRESS} "127.1:80"`],
    ["OBSERVER_STATUS_TOKEN", "two words", "must be visible ASCII characters without spaces, not ***"],
  ])("%s=%j", (name, text, problem) => {
    expect(problemsOf({ [name]: text })).toEqual([`${name} ${problem}`]);
  });

  test.each(["0.0.0.0:9464", ":9464", "[::]:9464", "observer.example:80"])("%s demands a token", (listen) => {
    expect(problemsOf({ OBSERVER_LISTEN: listen })).toEqual([
      `OBSERVER_STATUS_TOKEN is missing: OBSERVER_LISTEN "${listen}" can be reached from other machines; set one, or listen on 127.0.0.1:9464`,
    ]);
  });

  test("a long value is shortened", () => {
    expect(problemsOf({ OBSERVER_GUARD: "x".repeat(5000) })[0]!.length).toBeLessThan(200);
  });

  test.each([
    [
      { OBSERVER_MIN_INTERVAL: "3s" },
      'OBSERVER_MIN_INTERVAL must be at most OBSERVER_ACTIVE_INTERVAL, which is 2s by default, not "3s"',
    ],
    [
      { OBSERVER_IDLE_INTERVAL: "1s" },
      'OBSERVER_IDLE_INTERVAL must be at least OBSERVER_ACTIVE_INTERVAL, which is 2s by default, not "1s"',
    ],
    [
      { OBSERVER_ACTIVE_INTERVAL: "1m", OBSERVER_IDLE_INTERVAL: "30s" },
      'OBSERVER_IDLE_INTERVAL must be at least OBSERVER_ACTIVE_INTERVAL, which is "1m", not "30s"',
    ],
    [
      { OBSERVER_MAX_AGE: "5s" },
      'OBSERVER_MAX_AGE must be at least OBSERVER_IDLE_INTERVAL, which is 10s by default, not "5s"',
    ],
  ])("related settings: %j", (env, problem) => {
    expect(problemsOf(env)).toEqual([problem]);
  });

  test("a wrong value is not compared with others", () => {
    expect(problemsOf({ OBSERVER_IDLE_INTERVAL: "soon", OBSERVER_MAX_AGE: "1s" })).toHaveLength(1);
  });

  test("every problem is named at once", () => {
    const env = {
      DATABASE_URL: undefined,
      REDIS_URL: "http://cache",
      DOCKER_HOST: "ssh://me@engine",
      S3_BUCKET: "B",
      OBSERVER_IDLE_INTERVAL: "soon",
      OBSERVER_GUARD: "x",
      OBSERVER_IDEL_INTERVAL: "1s",
    };
    expect(problemsOf(env).map((problem) => problem.split(" ")[0])).toEqual([
      "DATABASE_URL",
      "REDIS_URL",
      "DOCKER_HOST",
      "S3_BUCKET",
      "AWS_REGION",
      "OBSERVER_IDLE_INTERVAL",
      "OBSERVER_GUARD",
      "OBSERVER_IDEL_INTERVAL",
    ]);
    expect(() => load({ OBSERVER_GUARD: "x", OBSERVER_LOG_LEVEL: "y" })).toThrow(
      new ConfigError([
        'OBSERVER_GUARD must be on or off, not "x"',
        'OBSERVER_LOG_LEVEL must be debug, info, warn or error, not "y"',
      ]),
    );
    expect(new ConfigError(["A is wrong", "B too"]).message).toBe(
      "Cannot use the configuration, 2 problems:\n  A is wrong\n  B too",
    );
  });
});

describe("loadConfig() of a fleet", () => {
  test("OBSERVER_HOST makes it a member", () => {
    expect(load({ OBSERVER_HOST: "vm-17" }).fleet).toEqual({ lostAfterMs: 60_000 });
    expect(load({ OBSERVER_HOST: "vm-17", OBSERVER_HOST_LOST_AFTER: "5m" }).fleet?.lostAfterMs).toBe(300_000);
    expect(load({ OBSERVER_HOST_LOST_AFTER: "5m" }).fleet).toBeNull();
  });

  test.each([
    [{ OBSERVER_HOST: "host:1" }, "OBSERVER_HOST must be up to 100 letters"],
    [{ OBSERVER_HOST: "" }, "OBSERVER_HOST must not be empty"],
    [
      { OBSERVER_HOST: "a", OBSERVER_HOST_LOST_AFTER: "19s" },
      'OBSERVER_HOST_LOST_AFTER must be at least twice OBSERVER_IDLE_INTERVAL, which is 10s by default, not "19s"',
    ],
    [
      { OBSERVER_HOST: "a", OBSERVER_IDLE_INTERVAL: "1m", OBSERVER_MAX_AGE: "1m" },
      'OBSERVER_HOST_LOST_AFTER must be at least twice OBSERVER_IDLE_INTERVAL, which is "1m", not 1m by default',
    ],
  ])("%j is refused", (env, problem) => {
    expect(problemsOf(env).join()).toStartWith(problem);
  });
});
