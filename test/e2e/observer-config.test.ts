// Goal: a configuration that can never work ends `observer run` with code 78 and says what is wrong and how to mend it;
// wrong usage ends with 64 and a hint; and nothing in the working directory has a say.
// Method: the executable on a real PostgreSQL that is wrong in one way after the other.
import { describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../dev/services/wait.ts";
import manifest from "../../package.json";
import { checksOfEverything, QUICK, useWorld } from "./support.ts";
import { type Finished, runCommand, startObserver, workFolder } from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ postgres: 18 });
const NO_ENGINE = { DOCKER_HOST: "unix:///nowhere/docker.sock", OBSERVER_LISTEN: "off" };

/** What a person reads: for wrong settings on standard error, for what is wrong elsewhere in the log. */
const said = ({ stdout, stderr }: Finished): string => {
  const lines = stdout.split("\n").flatMap((text) => (text === "" ? [] : [JSON.parse(text)]));
  const unworkable = lines.find(({ event }) => event === "observer.unworkable");
  return `${stderr}${unworkable?.error.message ?? ""}`;
};

describe("Settings that can't work end with 78", () => {
  test.each([
    ["no DATABASE_URL", {}, [/^ {2}DATABASE_URL is missing; set it to something like postgres:/m]],
    [
      "an unknown OBSERVER_ name",
      { DATABASE_URL: "postgres://u@h/d", OBSERVER_IDEL_INTERVAL: "5s" },
      [/OBSERVER_IDEL_INTERVAL is not a setting; .*OBSERVER_IDLE_INTERVAL/],
    ],
    [
      "several at once, all told",
      {
        DATABASE_URL: "mysql://u@h/d",
        OBSERVER_IDLE_INTERVAL: "soon",
        S3_BUCKET: "B",
        DOCKER_HOST: "ssh://h",
      },
      [
        /5 problems/,
        /DATABASE_URL/,
        /OBSERVER_IDLE_INTERVAL must be a duration such as .*, not "soon"/,
        /DOCKER_HOST/,
        /S3_BUCKET must be a bucket name/,
        /AWS_REGION is missing/,
      ],
    ],
    [
      "a status endpoint for everybody without a token",
      { DATABASE_URL: "postgres://u@h/d", OBSERVER_LISTEN: "0.0.0.0:9464" },
      [/OBSERVER_STATUS_TOKEN/],
    ],
  ] as const)("%s", async (_, settings, patterns) => {
    // `health` reads no more than where the endpoint is.
    const commands = ["run", "once", "check", ...("OBSERVER_LISTEN" in settings ? ["health"] : [])];
    for (const command of commands) {
      const finished = await runCommand([command], settings);
      expect([command, finished.code]).toEqual([command, 78]);
      for (const pattern of patterns) expect(finished.stderr).toMatch(pattern);
      expect(finished.stdout).toBe("");
    }
  });
});

describe("A database that can't be worked with ends run with 78", () => {
  const breakIt: readonly [string, (platform: Platform) => Promise<unknown>, readonly RegExp[]][] = [
    [
      "without the table workspaces",
      ({ sql }) => sql`drop table workspaces cascade`,
      [/there is no table workspaces in/, /observer schema/],
    ],
    [
      "without observer_lease, which the role may not create",
      ({ sql }) => sql`drop table observer_lease`,
      [/there is no table observer_lease in/, /observer schema/],
    ],
    [
      "with a missing column",
      ({ sql }) => sql`alter table workspaces drop column observed_at cascade`,
      [/workspaces has no column observed_at; alter table workspaces add column observed_at/],
    ],
    [
      "with a column of another type",
      ({ sql }) =>
        sql`drop trigger note_written on workspaces; alter table workspaces alter conditions drop default,
            alter conditions type text`.simple(),
      [/workspaces\.conditions is text, but has to be jsonb/],
    ],
    [
      "with a role that may not write",
      ({ sql, role }) => sql`revoke update (conditions) on workspaces from ${sql(role)}`,
      [/may not update workspaces\.conditions/, /observer schema --role/],
    ],
    [
      "with a role that may not read",
      ({ sql, role }) => sql`revoke select (operation) on workspaces from ${sql(role)}`,
      [/may not select workspaces\.operation/, /observer schema --role/],
    ],
    [
      "with a role that may not touch the lease",
      ({ sql, role }) => sql`revoke all on observer_lease from ${sql(role)}`,
      [/observer_lease/, /observer schema --role/],
    ],
  ];
  test.each(breakIt)("%s", async (_, breaks, patterns) => {
    const platform = await createPlatform(world.postgres, `broken${++databases}`);
    await breaks(platform);
    const finished = await runCommand(["run"], { DATABASE_URL: platform.url(), ...NO_ENGINE });
    expect(finished.code).toBe(78);
    for (const pattern of patterns) expect(said(finished)).toMatch(pattern);
  });
  let databases = 0;

  test("with a wrong password, an unknown role or no such database", async () => {
    const platform = await createPlatform(world.postgres, "refused");
    const url = platform.url();
    const cases: [string, RegExp][] = [
      [url.replace(/:[^:@/]*@/, ":wrong@"), /28P01 .*check the user and password in DATABASE_URL/],
      [url.replace(platform.role, "nobody"), /28P01 .*check the user and password in DATABASE_URL/],
      [url.replace(/\/refused$/, "/missing"), /3D000 .*check the database name in DATABASE_URL/],
    ];
    for (const [wrong, pattern] of cases) {
      const finished = await runCommand(["run"], { DATABASE_URL: wrong, ...NO_ENGINE });
      expect(finished.code).toBe(78);
      expect(said(finished)).toMatch(pattern);
    }
  });

  test("but one that is not there yet is waited for", async () => {
    const platform = await createPlatform(world.postgres, "notyet");
    const nobody = platform.url().replace(`:${world.postgres.port}/`, ":1/");
    const observer = startObserver({ ...QUICK, DATABASE_URL: nobody, DOCKER_HOST: NO_ENGINE.DOCKER_HOST });
    const down = await observer.logged("database.down");
    expect(JSON.stringify(down.error)).toContain("is PostgreSQL running");
    expect((await observer.get("/readyz")).status).toBe(503);
    expect((await observer.get("/healthz")).status).toBe(200);
    expect((await observer.stop()).code).toBe(0);
  });

  test("and one without observer_status is worked with, which the log says once", async () => {
    const platform = await createPlatform(world.postgres, "nostatus");
    await platform.sql`drop table observer_status`;
    const observer = startObserver({
      ...QUICK,
      DATABASE_URL: platform.url(),
      DOCKER_HOST: NO_ENGINE.DOCKER_HOST,
    });
    await observer.logged("lease.acquired");
    expect(observer.log("schema.incomplete")).toHaveLength(1);
    expect(String(observer.log("schema.incomplete")[0]?.reason)).toMatch(/observer_status.*observer schema/);
  });

  test("and one whose layout cannot be noted is worked with too", async () => {
    const platform = await createPlatform(world.postgres, "unnoted");
    await platform.sql`comment on table observer_lease is null`;
    // As a VACUUM holds it; it keeps no cycle from its work.
    const vacuum = await platform.sql.reserve();
    await vacuum`begin`;
    await vacuum`lock table observer_lease in share update exclusive mode`;
    const observer = startObserver({
      ...QUICK,
      DATABASE_URL: world.postgres.url(platform.name),
      DOCKER_HOST: NO_ENGINE.DOCKER_HOST,
    });
    await observer.logged("lease.acquired");
    expect(observer.log("schema.incomplete").map(({ reason }) => reason)).toEqual([
      expect.stringContaining("Cannot bring observer_lease to the layout of this version"),
    ]);
    await vacuum`rollback`;
    vacuum.release();
  });

  test("and one that another instance brings up to date at the same time is worked with as it is then", async () => {
    const platform = await createPlatform(world.postgres, "together");
    await platform.sql`alter table observer_lease drop column known`;
    const other = await platform.sql.reserve();
    await other`begin`;
    await other`select pg_advisory_xact_lock(hashtext('observer: own tables'))`;
    const observer = startObserver({
      ...QUICK,
      DATABASE_URL: world.postgres.url(platform.name),
      DOCKER_HOST: NO_ENGINE.DOCKER_HOST,
    });
    await waitFor("it waits for the other one", 20_000, async () => {
      const waiting = await other`select from pg_locks where locktype = 'advisory' and not granted`;
      return waiting.length > 0;
    });
    await other`alter table observer_lease add column known jsonb not null default '{}'`;
    await other`commit`;
    other.release();
    await observer.logged("lease.acquired");
    expect(observer.log("schema.migrated")).toEqual([]);
  });
});

describe("Usage", () => {
  test.each([
    [["rnu"], /unknown command 'rnu'[\s\S]*run[\s\S]*observer --help/i],
    [["once", "--jsn"], /unknown option '--jsn'[\s\S]*--json[\s\S]*observer --help/i],
    [["--verbose"], /unknown option '--verbose'[\s\S]*observer --help/i],
    [["run", "now"], /too many arguments[\s\S]*observer --help/i],
    [["schema", "--role"], /argument missing[\s\S]*observer --help/i],
    [[], /Usage: observer[\s\S]*Commands:/],
  ] as const)("%p ends with 64 and a hint", async (args, pattern) => {
    const { code, stdout, stderr } = await runCommand(args);
    expect([code, stdout]).toEqual([64, ""]);
    expect(stderr).toMatch(pattern);
  });

  test("--help names every command, setting and exit code; --version says version and commit", async () => {
    const help = await runCommand(["--help"]);
    expect(help.code).toBe(0);
    for (const word of ["run", "once", "check", "schema", "health", "DATABASE_URL", "OBSERVER_GUARD", "78"]) {
      expect(help.stdout).toContain(word);
    }
    for (const args of [["--version"], ["-V"]]) {
      const { code, stdout } = await runCommand(args);
      expect(code).toBe(0);
      expect(stdout).toMatch(new RegExp(`^observer ${manifest.version} \\(\\w+(-dirty)?, .+\\)\n$`));
    }
    const once = await runCommand(["help", "once"]);
    expect([once.code, once.stdout.includes("--dry-run")]).toEqual([0, true]);
  });
});

test("Neither .env nor bunfig.toml of the working directory is read", async () => {
  const cwd = workFolder();
  const proof = join(cwd, "proof");
  const code = `require("node:fs").writeFileSync(${JSON.stringify(proof)}, "ran");`;
  writeFileSync(join(cwd, "preload.js"), code);
  writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./preload.js"]\n[run]\npreload = ["./preload.js"]\n');
  for (const name of [".env", ".env.local", ".env.production"]) {
    writeFileSync(join(cwd, name), "DATABASE_URL=postgres://u@h/d\nOBSERVER_FROM_FILE=1\n");
  }
  writeFileSync(join(cwd, "package.json"), '{"name": "trap"}');
  writeFileSync(join(cwd, "tsconfig.json"), "{ not json");
  const finished = await runCommand(["run"], {}, { cwd });
  expect(finished.code).toBe(78);
  expect(finished.stderr).toContain("DATABASE_URL is missing");
  expect(finished.stderr).not.toContain("OBSERVER_FROM_FILE");
  expect((await runCommand(["--version"], {}, { cwd })).code).toBe(0);
  expect(existsSync(proof)).toBe(false);
});

checksOfEverything({ documents: false });
