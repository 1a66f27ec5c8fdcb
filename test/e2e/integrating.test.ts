// Goal: the examples of docs/integrating.md do what the page says, word for word.
// Method: the page's blocks as files. Those that wait meet running observers and a real container, by Redis and by
// PostgreSQL; those that decide meet rows of every kind, prepared where no observer is, and must choose the right ones.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { POSTGRES_FOLDERS } from "../../dev/services/postgres.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, QUICK, useWorld } from "./support.ts";
import { startObserver, workFolder } from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, redis: true, keepObservers: true });
const root = join(import.meta.dir, "../..");
const page = readFileSync(join(root, "docs/integrating.md"), "utf8");
const blocks = new Map(
  [...page.matchAll(/^```\S+ (\S+)\n([\s\S]*?)^```$/gm)].map(([, name, text]) => [name!, text!]),
);
const POLL = /(POLL_MS|POLL_SECONDS) = 2(_000;)?/;
const used = new Set<string>();
let folder: string;
/** Nobody observes it. */
let rows: Platform;
const waiting: Record<"redis" | "postgres", Platform> = {} as never;

/** The block as a file. */
function file(name: string): string {
  if (!blocks.has(name)) throw new Error(`docs/integrating.md has no block ${name}`);
  used.add(name);
  return join(folder, name);
}

const urlOf = (platform: Platform) => world.postgres.url(platform.name);

/** Runs an SQL block as the platform's owner; answers the lines that it prints. */
async function psql(platform: Platform, name: string, id = ""): Promise<string[]> {
  const program = join(POSTGRES_FOLDERS[15], "bin/psql");
  const options = ["-XAtq", "--set=ON_ERROR_STOP=1", `--set=id=${id}`, `--file=${file(name)}`];
  const child = Bun.spawn([program, ...options, urlOf(platform)], { stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${err}`);
  return out.split("\n").filter((line) => line !== "");
}

beforeAll(async () => {
  folder = workFolder();
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [name, text] of blocks) {
    writeFileSync(join(folder, name), text);
    // Then a wake-up alone can be what ends the wait.
    if (POLL.test(text))
      writeFileSync(
        join(folder, `patient-${name}`),
        text.replace(POLL, (_, name) => `${name} = 60_000${name === "POLL_MS" ? ";" : ""}`),
      );
  }
  rows = await createPlatform(world.postgres, "integrating_rows");
  for (const kind of ["redis", "postgres"] as const)
    waiting[kind] = await createPlatform(world.postgres, `integrating_${kind}`);
  for (const platform of [rows, ...Object.values(waiting)]) await psql(platform, "facts.sql");
}, 60_000);

describe("decisions", () => {
  const FRESH = "-1 second";
  const OLD = "-31 seconds";
  const AHEAD = "+1 hour";

  interface Prepared {
    readonly conditions?: Readonly<Record<string, unknown>>;
    /** Age of all stamps, or by source. */
    readonly stamps?: string | Readonly<Record<string, string>>;
    readonly operation?: string;
    /** Age. */
    readonly started?: string;
    readonly deleted?: string;
  }

  const absent = { container: null, volume: null, archive: null };
  const running = { ...absent, container: { running: true, health: "healthy" }, volume: { exists: true } };

  /** Replaces all rows; each row's id is its name in the object. */
  async function prepare(prepared: Readonly<Record<string, Prepared>>): Promise<string[]> {
    const { sql } = rows;
    await sql`truncate workspaces`;
    for (const [id, it] of Object.entries(prepared)) {
      const stamps = it.stamps ?? FRESH;
      const observed =
        typeof stamps === "string" ? { containers: stamps, volumes: stamps, archives: stamps } : stamps;
      const conditions = it.conditions ?? {};
      await sql`
        with stamps as (
          select jsonb_object_agg(key, clock_timestamp() + value::interval) as observed
            from jsonb_each_text(${sql.json(observed)})
        )
        insert into workspaces (id, operation, op_started_at, deleted_at, conditions, observed_at)
        select ${id}, ${it.operation ?? "NONE"}, clock_timestamp() + ${it.started ?? null}::interval,
               clock_timestamp() + ${it.deleted ?? null}::interval,
               ${sql.json(conditions as never)} || case when ${it.conditions === undefined} then '{}'
                                                    else jsonb_build_object('observed', observed) end,
               (select min(value::timestamptz) from jsonb_each_text(observed))
          from stamps`;
    }
    return Object.keys(prepared);
  }

  async function chosen(name: string, ids: readonly string[]): Promise<string[]> {
    const answers: string[] = [];
    for (const id of ids) answers.push(...(await psql(rows, name, id)));
    return answers;
  }

  test("provision.sql: on a fresh, proven null alone", async () => {
    const ids = await prepare({
      right: { conditions: absent },
      "container there": { conditions: { ...absent, container: { running: false } } },
      "never observed": {},
      "volume unknown": { conditions: { container: null, archive: null } },
      "volume there": { conditions: { ...absent, volume: { exists: true } } },
      "archive unknown": { conditions: { container: null, volume: null } },
      "archive there": { conditions: { ...absent, archive: { exists: true } } },
      old: { conditions: absent, stamps: OLD },
      "volumes old": { conditions: absent, stamps: { containers: FRESH, volumes: OLD, archives: FRESH } },
      "archives old": { conditions: absent, stamps: { containers: FRESH, volumes: FRESH, archives: OLD } },
      "no stamp": { conditions: absent, stamps: { containers: FRESH } },
      busy: { conditions: absent, operation: "STOPPING" },
      deleted: { conditions: absent, deleted: FRESH },
    });
    expect(await chosen("provision.sql", ids)).toEqual(["right", "container there"]);
    const [row] = await rows.sql`select operation, op_id from workspaces where id = 'right'`;
    expect(row).toEqual({ operation: "PROVISIONING", op_id: expect.stringMatching(/^[0-9a-f-]{36}$/) });
  });

  test("provision.sql: what was written while it waited for the row is asked again", async () => {
    await prepare({ a: { conditions: absent } });
    let answer: Promise<string[]> | undefined;
    await rows.sql.begin(async (tx) => {
      await tx`update workspaces set conditions = conditions || '{"volume": {"exists": true}}'`;
      answer = psql(rows, "provision.sql", "a");
      await waitFor("psql to wait for the row", 10_000, async () => {
        const waits = await rows.sql`
          select 1 from pg_stat_activity where application_name = 'psql' and wait_event_type = 'Lock'
             and datname = current_database()`;
        return waits.length === 1;
      });
    });
    expect(await answer).toEqual([]);
  });

  test("route.sql: running, healthy and fresh", async () => {
    const health = (text: string) => ({ ...running, container: { running: true, health: text } });
    const ids = await prepare({
      healthy: { conditions: running },
      "without a check": { conditions: health("none") },
      "with S3 down": { conditions: running, stamps: { containers: FRESH, volumes: FRESH, archives: OLD } },
      starting: { conditions: health("starting") },
      unhealthy: { conditions: health("unhealthy") },
      old: { conditions: running, stamps: { containers: OLD, volumes: FRESH, archives: FRESH } },
      paused: { conditions: { ...running, container: { running: false, health: "none" } } },
      absent: { conditions: absent },
      unknown: {},
      deleted: { conditions: running, deleted: FRESH },
    });
    expect(await chosen("route.sql", ids)).toEqual(["healthy", "without a check", "with S3 down"]);
  });

  test("done.sql: seen after the operation began", async () => {
    await prepare({
      done: { conditions: running, operation: "STARTING", started: "-5 seconds" },
      "seen before": { conditions: running, operation: "STARTING", started: "-500 milliseconds" },
      "not running": { conditions: absent, operation: "STARTING", started: "-5 seconds" },
      "never seen": { operation: "STARTING", started: "-5 seconds" },
      other: { conditions: running, operation: "STOPPING", started: "-5 seconds" },
    });
    expect(await psql(rows, "done.sql")).toEqual(["done"]);
  });

  test("purge.sql: proven empty after the deletion, however long ago", async () => {
    await prepare({
      empty: { conditions: absent, deleted: "-5 seconds" },
      "long ago": { conditions: absent, deleted: "-2 days", stamps: "-1 day" },
      "not deleted": { conditions: absent, stamps: AHEAD },
      "seen before": { conditions: absent, deleted: "-500 milliseconds" },
      "one source before": {
        conditions: absent,
        deleted: "-5 seconds",
        stamps: { containers: FRESH, volumes: FRESH, archives: OLD },
      },
      "volume there": { conditions: { ...absent, volume: { exists: true } }, deleted: "-5 seconds" },
      "archive unknown": { conditions: { container: null, volume: null }, deleted: "-5 seconds" },
      "never observed": { deleted: "-5 seconds" },
    });
    expect((await psql(rows, "purge.sql")).sort()).toEqual(["empty", "long ago"]);
  });

  test("facts.sql: present, absent and unknown", async () => {
    await prepare({ a: { conditions: { container: null, volume: { exists: true } } }, b: {} });
    const facts = await rows.sql`
      select id, container, volume, archive, running, health, container_at is not null as seen
        from workspace_facts order by id`;
    const nothing = { running: false, health: "none" };
    expect([...facts]).toEqual([
      { id: "a", container: "absent", volume: "present", archive: "unknown", seen: true, ...nothing },
      { id: "b", container: "unknown", volume: "unknown", archive: "unknown", seen: false, ...nothing },
    ]);
  });

  test("hint.sql: is heard", async () => {
    let heard = 0;
    const { unlisten } = await rows.sql.listen("ob:wake", () => {
      heard += 1;
    });
    await psql(rows, "hint.sql");
    await waitFor("the hint", 10_000, () => heard === 1);
    await unlisten();
  });
});

describe("with observers", () => {
  const children: Bun.Subprocess[] = [];
  afterAll(() => {
    for (const child of children) child.kill("SIGKILL");
  });

  beforeAll(async () => {
    for (const kind of ["redis", "postgres"] as const) {
      expect(await psql(waiting[kind], "looking.sql")).toEqual(["f"]);
      await waiting[kind].insert("w1");
      const { REDIS_URL, ...rest } = world.settings(waiting[kind], QUICK);
      const observer = startObserver(kind === "redis" ? { ...rest, REDIS_URL: REDIS_URL! } : rest);
      await observer.logged("lease.acquired");
    }
  }, 60_000);

  test("looking.sql: somebody looks", async () => {
    for (const platform of Object.values(waiting)) {
      await waitFor("somebody to look", 20_000, async () => (await psql(platform, "looking.sql"))[0] === "t");
    }
  });

  const EXAMPLES = [
    ["wait-redis.ts", "redis"],
    ["wait-postgres.ts", "postgres"],
    ["wait_redis.py", "redis"],
    ["wait_postgres.py", "postgres"],
  ] as const;

  /** Starts all four, does the deed when each of them waits, and expects them to see it, and to end. */
  async function expectSeen(id: string, deed: () => Promise<unknown>, how: "woken" | "polling") {
    const started = EXAMPLES.map(([name, kind]) => {
      const program = name.endsWith(".py") ? "/usr/bin/python3" : process.execPath;
      const path = how === "woken" ? join(folder, `patient-${name}`) : file(name);
      const child = Bun.spawn([program, path, id], {
        cwd: folder,
        env: {
          DATABASE_URL: urlOf(how === "woken" ? waiting[kind] : rows),
          REDIS_URL: world.redis.url,
        },
        stdout: "pipe",
        stderr: "inherit",
      });
      children.push(child);
      const output = { text: "" };
      const ended = (async () => {
        const decoder = new TextDecoder();
        for await (const bytes of child.stdout) output.text += decoder.decode(bytes);
        return { name, text: output.text, code: await child.exited };
      })();
      return { output, ended };
    });
    const waits = `waiting for ${id}\n`;
    await waitFor("all to wait", 20_000, () => started.every(({ output }) => output.text === waits));
    await deed();
    expect(await Promise.all(started.map(({ ended }) => ended))).toEqual(
      EXAMPLES.map(([name]) => ({ name, text: `${waits}${id} runs\n`, code: 0 })),
    );
  }

  test("the waiting examples see the outcome as soon as they are woken", () => {
    const { engine } = world.docker;
    return expectSeen("w1", () => engine.run({ name: "ws-w1", volume: "ws-w1-home" }), "woken");
  }, 40_000);

  test("they see it without a wake-up, and not what was seen before they asked", async () => {
    const write = (age: string) => rows.sql`
      insert into workspaces (id, conditions)
      select 'w2', jsonb_build_object('container', '{"running": true}'::jsonb, 'observed',
                     jsonb_build_object('containers', clock_timestamp() + ${age}::interval))
      on conflict (id) do update set conditions = excluded.conditions`;
    await write("-1 millisecond");
    await expectSeen("w2", () => write("1 second"), "polling");
  }, 40_000);
});

test("every named block of the page was run", () => {
  expect([...blocks.keys()].filter((name) => !used.has(name))).toEqual([]);
});

checksOfEverything();
