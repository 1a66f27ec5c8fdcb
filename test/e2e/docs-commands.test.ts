// Goal: whoever types what the pages say gets what they say.
// Method: the commands of README.md and docs/, word for word, in a shell, with `observer` and psql on its path; the settings
// are those that README.md exports, with this machine's addresses. Then every query that a page names, by psql.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { POSTGRES_FOLDERS } from "../../dev/services/postgres.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { RUN_BY_E2E, root } from "../docs-commands.ts";
import { checksOfEverything, useWorld } from "./support.ts";
import { runCommand, type Settings, workFolder } from "./support-executable.ts";
import { capture, keepSecret } from "./support-output.ts";

const world = useWorld({ docker: true, postgres: 18, redis: true, s3: true });
const PASSWORD = keepSecret("the role's password", "Typed-by-hand-8213");
const ran = new Set<string>();
let environment: Settings;
let settings: Settings;

beforeAll(async () => {
  const folder = workFolder();
  symlinkSync(join(POSTGRES_FOLDERS[15], "bin/psql"), join(folder, "psql"));
  const link = (executable: string) => ["ln", "--symbolic", executable, join(folder, "observer")];
  // Arguments that are the same to `ln`, and no launch without some.
  expect((await runCommand([], {}, { launch: link })).code).toBe(0);
  const { postgres } = world;
  await postgres.createDatabase("platform");
  environment = {
    PATH: `${folder}:/usr/bin:/bin`,
    PGHOST: postgres.host,
    PGPORT: String(postgres.port),
    PGUSER: postgres.superuser.user,
    PGPASSWORD: postgres.superuser.password,
    OWNER_URL: postgres.url("platform"),
  };
  settings = {
    DOCKER_HOST: world.docker.dockerHost,
    REDIS_URL: world.redis.url,
    ...world.s3.env,
    S3_BUCKET: world.bucket,
    DATABASE_URL: postgres.url("platform", "observer", PASSWORD),
    OBSERVER_LISTEN: "127.0.0.1:0",
    OBSERVER_LOG_FORMAT: "json",
  };
}, 120_000);

afterAll(async () => {
  await world.postgres.dropDatabase("platform");
  await world.postgres.query("drop role if exists observer");
});

/** In a session of its own: without a terminal to ask at, psql takes a password from what it reads. */
function spawn(command: string, script = command) {
  ran.add(command);
  const child = Bun.spawn(["setsid", "--wait", "sh", "-c", script], {
    env: { ...environment, ...settings },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  return { child, output: capture(command.replace("observer ", ""), child) };
}

/** Runs it to its end, which must be a good one; answers what it printed. */
async function shell(command: string, typed = ""): Promise<string> {
  const { child, output } = spawn(command);
  child.stdin.write(typed);
  child.stdin.end();
  const code = await child.exited;
  await output.closed;
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${output.stdout}${output.stderr}`);
  return output.stdout;
}

test("README.md: install, check, run", async () => {
  await shell('observer schema --role observer | psql "$OWNER_URL"');
  await shell("psql \"$OWNER_URL\" -c '\\password observer'", `${PASSWORD}\n${PASSWORD}\n`);
  await world.postgres.query("insert into workspaces (id) values ('7f3c')", "platform");
  expect(await shell("observer check")).toContain("All is well.");

  const { child, output } = spawn("observer run", "exec observer run");
  const hasRow = async () => {
    const [row] = await world.postgres.query("select observed_at from workspaces", "platform");
    return row?.observed_at !== null;
  };
  await waitFor("the workspace to be observed", 20_000, hasRow).finally(async () => {
    // setsid waits for it and passes no signal on.
    const pid = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
    process.kill(Number(pid || child.pid), "SIGTERM");
    await child.exited;
  });
  expect(output.stdout).toContain('"event":"lease.acquired"');
  expect(child.exitCode).toBe(0);
}, 60_000);

test("docs/least-privilege.md: the schema once more changes nothing", async () => {
  await shell("observer schema --role observer | psql platform");
  await shell("psql platform -c '\\password observer'", `${PASSWORD}\n${PASSWORD}\n`);
  expect(await shell("observer check")).toContain("All is well.");
});

test("docs/operations.md: status, accept, explain", async () => {
  expect(await shell("observer status")).toMatch(/^engine +observed [\s\S]*All is well/m);
  expect(await shell("observer explain 7f3c")).toContain("7f3c");
  await shell("observer accept engine");
  const [row] = await world.postgres.query(
    "select known->>'engine' as engine from observer_lease",
    "platform",
  );
  expect(row!.engine).not.toBeNull();
});

test("every query that a page names can be asked", async () => {
  const pages = ["*.md", "docs/*.md"].flatMap((pattern) => [...new Glob(pattern).scanSync(root)]);
  const queries = pages.flatMap((page) => {
    const text = readFileSync(join(root, page), "utf8");
    const found = text.matchAll(/^```sql\n([\s\S]*?)^```|`(select\s[^`]*(?:\sfrom\s|\(\))[^`]*)`/gm);
    return [...found].map(([, block, inline]) => (block ?? inline!).replaceAll(/\s+/g, " ").trim());
  });
  expect(queries.length).toBeGreaterThan(4);
  for (const query of queries) await world.postgres.query(query, "platform");
});

test("all of the list were run", () => {
  expect(RUN_BY_E2E.filter((command) => !ran.has(command))).toEqual([]);
});

checksOfEverything({ documents: false });
