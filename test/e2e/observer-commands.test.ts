// Goal: the commands beside `run`: once looks once, check finds what is broken, schema can be applied, health answers.
// Method: real services; for check each dependency is broken in turn, and exactly that one has to be named.
import { beforeAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { freePort } from "../../dev/services/ports.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { archiveKey, checksOfEverything, QUICK, useWorld } from "./support.ts";
import { runCommand, type Settings, STATUS_TOKEN, startObserver } from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, redis: true, s3: true });
const NO_SOCKET = { DOCKER_HOST: "unix:///nowhere/docker.sock" };

let platform: Platform;
let settings: Settings;
beforeAll(async () => {
  platform = await createPlatform(world.postgres, "commands");
  await platform.insert("k1", "k2", "\u001b[31mred");
  await world.docker.engine.run({ name: "ws-k1", volume: "ws-k1-home" });
  await world.docker.engine.createVolume("ws-lost-home");
  await world.putArchive("k1");
  settings = world.settings(platform, { OBSERVER_LISTEN: "off" });
}, 60_000);

describe("once", () => {
  test("--dry-run prints what would change, and changes nothing", async () => {
    const { code, stdout } = await runCommand(["once", "--dry-run"], settings);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^WORKSPACE +CONTAINER +VOLUME +ARCHIVE +WOULD CHANGE$/m);
    expect(stdout).toMatch(/^k1 +Running +exists +\S+Z 7 B +container unknown → Running, volume/m);
    expect(stdout).toContain("2 workspaces, 2 would change; dry run, nothing was written");
    expect(stdout).toMatch(/^k1\n- container: \(not observed\)\n\+ container: running=true reason=Running /m);
    expect(stdout).toMatch(/^k2\n- container: \(not observed\)\n\+ container: null \(absent\)$/m);
    expect(await platform.lastSeq()).toBe(0);
    expect(await platform.sql`select * from observer_lease`).toHaveLength(0);
  });

  test("writes, and prints a table in which foreign text is harmless", async () => {
    const { code, stdout, stderr } = await runCommand(["once"], settings);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^k2 +absent +absent +absent +container unknown → absent/m);
    expect(stdout).toContain("1 volumes without a row: lost");
    // An id with a control character can't be a resource's name, so its row is left alone.
    expect(stdout).not.toContain("\u001b");
    expect(stdout).toContain("2 workspaces, 2 changed");
    const { conditions } = await platform.row("k1");
    expect(conditions.container).toMatchObject({ running: true });
    expect(conditions.archive).toMatchObject({ archive_key: archiveKey("k1") });
  });

  test("--dry-run shows a diff: of what changes, and of nothing else", async () => {
    await world.docker.engine.pause("ws-k1");
    const { code, stdout } = await runCommand(["once", "--dry-run"], settings);
    await world.docker.engine.unpause("ws-k1");
    expect(code).toBe(0);
    const diff = stdout.split("\n").filter((line) => /^[-+] /.test(line));
    expect(diff).toEqual([
      "- container: running=true reason=Running message=running",
      "+ container: running=false reason=Paused message=paused",
    ]);
    // The other rows have no block, and nothing is coloured in a pipe.
    expect(stdout).not.toMatch(/^k2$/m);
    expect(stdout).not.toContain("\u001b");
  });

  test("--json prints what was seen and changed, and the lease is free again", async () => {
    await world.docker.engine.pause("ws-k1");
    const { code, stdout } = await runCommand(["once", "--json"], settings);
    expect(code).toBe(0);
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({
      dry_run: false,
      failures: [],
      counts: { changed: 1 },
      changes: [
        { workspaceId: "k1", key: "container", from: { reason: "Running" }, to: { reason: "Paused" } },
      ],
      orphans: { containers: [], volumes: ["lost"], archives: [] },
    });
    expect(answer.observed_at).toBe((await platform.row("k1")).observedAt);
    await world.docker.engine.unpause("ws-k1");
  });

  test("refuses to write while another leads; --dry-run doesn't mind", async () => {
    const leader = startObserver({ ...settings, ...QUICK, OBSERVER_INSTANCE: "leader" });
    await leader.logged("lease.acquired");
    const refused = await runCommand(["once"], settings);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("Cannot write: leader leads");
    expect((await runCommand(["once", "--dry-run"], settings)).code).toBe(0);
    expect((await leader.stop()).code).toBe(0);
    expect((await runCommand(["once"], settings)).code).toBe(0);
  });

  test("with a source that fails writes the others, says so and ends with 1", async () => {
    await world.removeArchive("k1");
    const { code, stdout } = await runCommand(["once"], { ...settings, ...NO_SOCKET });
    expect(code).toBe(1);
    expect(stdout).toContain("Cannot list containers: there is no socket at /nowhere/docker.sock");
    const { conditions } = await platform.row("k1");
    expect(conditions.archive).toBeNull();
    expect(conditions.container).toMatchObject({ running: true });
    await world.putArchive("k1");
  });

  test("with a database that is not there says so and ends with 1", async () => {
    const nobody = platform.url().replace(`:${world.postgres.port}/`, ":1/");
    const { code, stderr } = await runCommand(["once"], { ...settings, DATABASE_URL: nobody });
    expect([code, stderr.split("\n").length]).toEqual([1, 2]);
    expect(stderr).toMatch(
      /^Cannot inspect the schema: PostgreSQL cannot be reached|^Cannot create observer_lease/,
    );
  });
});

describe("check", () => {
  const check = async (changes: Settings = {}) => {
    const { code, stdout } = await runCommand(["check", "--json"], { ...settings, ...changes });
    const { ok, findings } = JSON.parse(stdout) as {
      ok: boolean;
      findings: { name: string; result: string; detail: string }[];
    };
    expect(ok).toBe(code === 0);
    const wrong = findings.filter(({ result }) => result === "wrong");
    return {
      code,
      findings,
      names: wrong.map(({ name }) => name),
      text: wrong.map((it) => it.detail).join("\n"),
    };
  };

  test("says ok to everything that is well", async () => {
    const { code, stdout } = await runCommand(["check"], settings);
    expect(stdout).toContain("All is well.");
    expect(code).toBe(0);
    for (const name of [
      "configuration",
      "database",
      "schema and grants",
      "lease",
      "clock",
      "engine",
      "containers",
    ]) {
      expect(stdout).toMatch(new RegExp(`^ok +${name} `, "m"));
    }
    for (const name of ["volumes", "engine events", "archives", "redis"]) {
      expect(stdout).toMatch(new RegExp(`^ok +${name} `, "m"));
    }
    // One of the ids has an escape in it.
    expect(stdout).not.toMatch(/^(wrong|warning(?! +workspaces ))/m);
  });

  test("a database whose clock is another", async () => {
    // Found before PostgreSQL's own, where that is named after it.
    await platform.sql.unsafe(`
      create schema ahead;
      grant usage on schema ahead to ${platform.role};
      create function ahead.clock_timestamp() returns timestamptz language sql
        as $$ select pg_catalog.clock_timestamp() + interval '1 hour' $$;`);
    const url = new URL(platform.url());
    url.searchParams.set("search_path", "ahead,pg_catalog,public");
    const { findings } = await check({ DATABASE_URL: url.href });
    expect(findings.find(({ name }) => name === "clock")).toEqual({
      name: "clock",
      result: "warning",
      detail: expect.stringMatching(
        /^the database's is (59|60) min ahead of this machine's: .* set both right$/,
      ),
    });
    await platform.sql.unsafe("drop schema ahead cascade");
  });

  test("rows that nothing can be named after are told", async () => {
    await platform.insert("a/b", "tab\there");
    const { code, findings } = await check();
    expect(code).toBe(0);
    const { result, detail } = findings.find(({ name }) => name === "workspaces") ?? {};
    expect([result, detail]).toEqual([
      "warning",
      expect.stringMatching(/^\d+ not deleted, 3 of which are never/),
    ]);
    expect((await runCommand(["explain", "a/b"], settings)).stdout).toMatch(/^Observed +never: nothing can/m);
    await platform.sql`delete from workspaces where id in ('a/b', ${"tab\there"})`;
  });

  test("the Engine: which socket, and what to do", async () => {
    const { code, names, text } = await check(NO_SOCKET);
    expect(code).toBe(1);
    expect(names).toEqual(["engine", "containers", "volumes", "engine events"]);
    expect(text).toContain("start dockerd, or let DOCKER_HOST name its socket");
  });

  test("S3: no such bucket, a wrong secret, nobody there", async () => {
    const cases: [Settings, RegExp][] = [
      [{ S3_BUCKET: "missing" }, /missing.*S3_BUCKET/s],
      [{ AWS_SECRET_ACCESS_KEY: "wrong" }, /AWS_SECRET_ACCESS_KEY/],
      [{ AWS_ENDPOINT_URL_S3: "http://127.0.0.1:1" }, /127\.0\.0\.1:1/],
    ];
    for (const [changes, pattern] of cases) {
      const { code, names, text } = await check(changes);
      expect([code, names]).toEqual([1, ["archives"]]);
      expect(text).toMatch(pattern);
    }
  });

  test("Redis: nobody there, a wrong password", async () => {
    const cases: [string, RegExp][] = [
      ["redis://127.0.0.1:1", /127\.0\.0\.1:1/],
      [world.redis.url.replace(/:[^:@]*@/, ":wrong@"), /password/i],
    ];
    for (const [REDIS_URL, pattern] of cases) {
      const { code, names, text } = await check({ REDIS_URL });
      expect([code, names]).toEqual([1, ["redis"]]);
      expect(text).toMatch(pattern);
    }
  });

  test("PostgreSQL: nobody there, a missing grant, a role that may too much", async () => {
    const nobody = platform.url().replace(`:${world.postgres.port}/`, ":1/");
    const down = await check({ DATABASE_URL: nobody });
    expect([down.code, down.names]).toEqual([1, ["database"]]);
    expect(down.text).toContain("is PostgreSQL running");

    await platform.sql`revoke update (observed_at) on workspaces from ${platform.sql(platform.role)}`;
    const refused = await check();
    await platform.sql`grant update (observed_at) on workspaces to ${platform.sql(platform.role)}`;
    expect([refused.code, refused.names]).toEqual([1, ["schema and grants"]]);
    expect(refused.text).toMatch(/may not update workspaces\.observed_at; run `observer schema --role/);

    const mighty = await check({ DATABASE_URL: world.postgres.url("commands") });
    expect(mighty.code).toBe(0);
    expect(mighty.findings.find(({ result }) => result === "warning")?.detail).toContain(
      "use a role of its own",
    );
  });

  test("an address of the status endpoint that is taken is a warning", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const { code, findings } = await check({ OBSERVER_LISTEN: `127.0.0.1:${port}` });
    taken.close();
    expect(code).toBe(0);
    const warning = findings.find(({ name }) => name === "status endpoint");
    expect(warning?.result).toBe("warning");
    expect(warning?.detail).toContain("OBSERVER_LISTEN");
  });

  test("without REDIS_URL hears a notification of its own; without S3_BUCKET skips archives", async () => {
    const {
      REDIS_URL: _,
      S3_BUCKET: __,
      S3_FORCE_PATH_STYLE: ___,
      AWS_ENDPOINT_URL_S3: ____,
      ...rest
    } = settings;
    const { code, stdout } = await runCommand(["check"], rest);
    expect(stdout).toMatch(/^ok +listen and notify /m);
    expect(stdout).toMatch(/^skipped +archives /m);
    expect(code).toBe(0);
  });
});

test("schema can be applied again, and into a schema of its own with a role whose name needs quotes", async () => {
  const before = await platform.rows();
  const again = await runCommand(["schema", "--role", platform.role]);
  await world.postgres.query(again.stdout, platform.name);
  expect(await platform.rows()).toEqual(before);
  expect((await runCommand(["check"], settings)).code).toBe(0);

  const name = `o'brien "the" observer`;
  const { stdout } = await runCommand(["schema", "--role", name, "--schema", "tenant a"]);
  for (let times = 0; times < 2; times++) await world.postgres.query(stdout, platform.name);
  await world.postgres.query(`alter role "${name.replaceAll('"', '""')}" password 'tenant-secret'`);
  const tenant = { ...settings, DATABASE_URL: world.postgres.url(platform.name, name, "tenant-secret") };
  await world.postgres.query(`insert into "tenant a".workspaces (id) values ('k1')`, platform.name);
  expect((await runCommand(["once"], tenant)).stdout).toContain("1 workspaces, 1 changed");
});

test("completion prints a script for the shell that is named", async () => {
  const { code, stdout } = await runCommand(["completion", "bash"]);
  expect([code, stdout]).toEqual([0, expect.stringContaining("complete -F _observer observer")]);
  expect((await runCommand(["completion", "tcsh"])).code).toBe(64);
});

test("health asks the instance that the environment describes", async () => {
  const listen = { OBSERVER_LISTEN: `127.0.0.1:${await freePort()}`, OBSERVER_STATUS_TOKEN: STATUS_TOKEN };
  const nobody = await runCommand(["health"], { ...settings, ...listen });
  expect(nobody.code).toBe(1);
  expect(nobody.stdout).toMatch(/^Cannot ask http:\/\/127\.0\.0\.1:\d+\/healthz: nobody listens there: /);
  const observer = startObserver({ ...settings, ...QUICK, ...listen });
  await observer.logged("status.listening");
  expect(await runCommand(["health"], { ...settings, ...listen })).toMatchObject({
    code: 0,
    stdout: '{"status":"ok"}\n',
  });
  // Neither needs a database: it may be a credential of the service alone. And check takes the address for no fault.
  expect((await runCommand(["health"], listen)).code).toBe(0);
  await waitFor("the verdict", 20_000, async () => {
    const { code, stdout } = await runCommand(["status"], listen);
    return code === 0 && stdout.includes(`All is well: ${observer.instance} leads`);
  });
  const checked = await runCommand(["check"], { ...settings, ...listen });
  expect(checked.stdout).toMatch(
    new RegExp(
      `^ok +status endpoint +127\\.0\\.0\\.1:\\d+, where ${observer.instance} answers already$`,
      "m",
    ),
  );
  const off = await runCommand(["health"], settings);
  expect([off.code, off.stdout]).toEqual([1, "Cannot ask for health: OBSERVER_LISTEN is off\n"]);
  // Without the token the probes say no reasons, and the rest nothing.
  expect((await observer.get("/healthz", {})).text).toBe('{"status":"ok"}');
  for (const path of ["/", "/status", "/metrics"]) expect((await observer.get(path, {})).status).toBe(401);
});

checksOfEverything();
