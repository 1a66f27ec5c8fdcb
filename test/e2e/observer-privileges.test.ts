// Goal: the executable works with the rights of docs/least-privilege.md and no others, and shows no secret.
// Method: rules, policy and user are taken from that page; it runs as nobody, on read-only file systems, through a proxy
// that refuses every other question to the Engine. Then rights are taken away: the error says which, nothing is absent.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import {
  DeleteBucketPolicyCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { Redis as RedisClient } from "ioredis";
import { openScope, type Scope } from "../../dev/services/scope.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { archiveKey, checksOfEverything, nextLooks, publishHint, QUICK, useWorld } from "./support.ts";
import { type EngineProxy, startEngineProxy } from "./support-engine-proxy.ts";
import { type Observer, runCommand, type Settings, startObserver } from "./support-executable.ts";
import { keepSecret } from "./support-output.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, redis: true, s3: true, keepObservers: true });
const root = join(import.meta.dir, "../..");
const page = readFileSync(join(root, "docs/least-privilege.md"), "utf8");
const NOBODY_ID = 65_534;
/** Of the socket, and of nothing else. */
const SOCKET_GROUP_ID = 65_321;
const REDIS_USER_PASSWORD = "Acl-Us3r-Secret";

/** The text between the fences of the page's first block in that language. */
function block(language: string): string {
  const found = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "m").exec(page)?.[1];
  if (found === undefined) throw new Error(`docs/least-privilege.md has no block of ${language}`);
  return found;
}

/** What SECURITY.md says is asked of the Engine. */
function documentedQuestions(): string[] {
  const text = readFileSync(join(root, "SECURITY.md"), "utf8");
  const bullet = /^- \*\*Docker Engine\*\*[\s\S]*?(?=^- )/m.exec(text)?.[0] ?? "";
  return [...bullet.matchAll(/`(?:GET )?(\/[^`]*)`/g)].map(([, path]) => `GET ${path}`).sort();
}

/** Every mount becomes read-only, every privilege goes, and only then comes the executable. */
const CONFINE = `
  while read -r _ at _; do mount -o remount,bind,ro "$at" 2>/dev/null || true; done < /proc/self/mounts
  exec setpriv --reuid=${NOBODY_ID} --regid=${NOBODY_ID} --groups=${SOCKET_GROUP_ID} --no-new-privs \\
    --inh-caps=-all --bounding-set=-all -- sh -c '
      for folder in /tmp /var/tmp /dev/shm .; do
        if touch "$folder/written" 2>/dev/null; then echo "$folder can be written to" >&2; exit 99; fi
      done
      exec "$@"' sh "$@"`;

let scope: Scope;
let proxy: EngineProxy;
let platform: Platform;
let observer: Observer;
let settings: Settings;
let owner: S3Client;
let restricted: S3Client;
let redisAdmin: RedisClient;

const confined = {
  get cwd() {
    return join(scope.folder, "empty");
  },
  launch(executable: string): string[] {
    const copy = join(scope.folder, "observer");
    // Where the checkout is, nobody may be kept out.
    if (!readdirSync(scope.folder).includes("observer")) copyFileSync(executable, copy);
    chmodSync(copy, 0o755);
    return ["/usr/bin/unshare", "--mount", "/bin/sh", "-ec", CONFINE, "sh", copy];
  },
};

const s3Client = (accessKeyId: string) =>
  new S3Client({
    endpoint: world.s3.endpoint,
    region: world.s3.region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey: world.s3.secretAccessKey },
    requestChecksumCalculation: "WHEN_REQUIRED",
  });

async function allowToList(): Promise<void> {
  const Policy = block("json")
    .replace("arn:aws:iam::123456789012:user/observer", "arn:aws:iam:::user/other")
    .replace("workspace-archives", world.bucket);
  await owner.send(new PutBucketPolicyCommand({ Bucket: world.bucket, Policy }));
}

async function makeRedisUser(): Promise<void> {
  const line = block("redis").trim().replace(">password", `>${REDIS_USER_PASSWORD}`).split(" ");
  await redisAdmin.call(line[0]!, ...line.slice(1));
}

beforeAll(async () => {
  scope = openScope("priv");
  chmodSync(scope.folder, 0o711);
  mkdirSync(join(scope.folder, "empty"), { mode: 0o555 });

  const rule = /path_reg (\S+)/.exec(block("haproxy"))?.[1] ?? "";
  const paths = new RegExp(rule);
  proxy = await startEngineProxy({
    socketPath: join(scope.folder, "engine.sock"),
    engineSocketPath: world.docker.socketPath,
    groupId: SOCKET_GROUP_ID,
    allows: (method, path) => method === "GET" && paths.test(path),
  });

  owner = s3Client(world.s3.accessKeyId);
  restricted = s3Client(keepSecret("key of the restricted S3 user", world.s3.otherAccessKeyId));
  await allowToList();
  redisAdmin = new RedisClient(world.redis.url);
  keepSecret("password of the restricted Redis user", REDIS_USER_PASSWORD);
  await makeRedisUser();
  await redisAdmin.call("ACL", "LOG", "RESET");

  platform = await createPlatform(world.postgres, "privileges");
  await platform.insert("p1", "p2");
  settings = world.settings(platform, {
    ...QUICK,
    DOCKER_HOST: `unix://${proxy.socketPath}`,
    AWS_ACCESS_KEY_ID: world.s3.otherAccessKeyId,
    REDIS_URL: `redis://observer:${REDIS_USER_PASSWORD}@127.0.0.1:${world.redis.port}`,
  });
  await world.putArchive("p1");
  observer = startObserver(settings, confined);
  await platform.shows("the archive", ["p1"], ({ archive }) => archive?.archive_key === archiveKey("p1"));
}, 120_000);

afterAll(async () => {
  await redisAdmin?.call("ACL", "DELUSER", "observer");
  redisAdmin?.disconnect();
  for (const client of [owner, restricted]) client?.destroy();
  await proxy?.stop();
  await scope?.stop();
});

const reason = (text: string) => (conditions: { container?: { reason: string } | null }) =>
  conditions.container?.reason === text;

test("start, stop, exit, second look and events, through GET on the documented paths alone", async () => {
  const { engine } = world.docker;
  await engine.run({ name: "ws-p1", volume: "ws-p1-home" });
  await platform.shows("it runs", ["p1"], reason("Running"));
  // A container without its volume is looked at again.
  await engine.run({ name: "ws-p2" });
  await platform.shows("it runs", ["p2"], reason("Running"));
  const again = /observer_stage_duration_seconds_count\{stage="again"\} (\d+)/;
  expect(Number(again.exec((await observer.get("/metrics")).text)?.[1])).toBeGreaterThan(0);
  // Its death is inspected.
  await engine.kill("ws-p1");
  await platform.shows("it exited", ["p1"], ({ container }) => container?.exit_code === 137);
  await engine.start("ws-p1");
  await platform.shows("it runs again", ["p1"], reason("Running"), { afterSeq: await platform.lastSeq() });
  await engine.remove("ws-p2");
  await platform.shows("it is gone", ["p2"], ({ container }) => container === null);
  await waitFor("events", 10_000, async () => ((await observer.status()).totals.events ?? 0) > 0);

  expect([...proxy.denied]).toEqual([]);
  expect([...proxy.allowed].sort()).toEqual(documentedQuestions());
});

test("Redis: hints are heard and wakes published by a user who may do nothing else", async () => {
  const { totals } = await observer.status();
  await publishHint(world.redis);
  await waitFor("the hint", 10_000, async () => (await observer.status()).totals.hints! > totals.hints!);
  expect(totals.wake_ups).toBeGreaterThan(0);
  // "CLIENT SETNAME" is refused and not needed.
  const refused = (await redisAdmin.call("ACL", "LOG")) as unknown[][];
  const commands = refused.map((entry) => String(entry[entry.indexOf("object") + 1]).toLowerCase());
  expect(commands.filter((command) => command !== "client|setname")).toEqual([]);
});

test("S3: whoever may list the workspaces' keys, and do nothing else, is enough", async () => {
  const { bucket: Bucket } = world;
  const refused = expect.objectContaining({ $metadata: expect.objectContaining({ httpStatusCode: 403 }) });
  const failure = (call: Promise<unknown>) =>
    call.then(
      () => "allowed",
      (error: unknown) => error,
    );
  const Key = archiveKey("p1");
  expect(await failure(restricted.send(new GetObjectCommand({ Bucket, Key })))).toEqual(refused);
  expect(await failure(restricted.send(new PutObjectCommand({ Bucket, Key, Body: "x" })))).toEqual(refused);
  expect(await failure(restricted.send(new ListObjectsV2Command({ Bucket })))).toEqual(refused);
  expect(await failure(restricted.send(new ListObjectsV2Command({ Bucket, Prefix: "ws-" })))).not.toEqual(
    refused,
  );
});

test("It runs as nobody, without capabilities, and no file is open for writing", () => {
  const status = readFileSync(`/proc/${observer.pid}/status`, "utf8");
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*?)\\s*$`, "m").exec(status)?.[1]?.split(/\s+/);
  expect(field("Uid")).toEqual(Array(4).fill(String(NOBODY_ID)));
  expect(field("Groups")).toEqual([String(SOCKET_GROUP_ID)]);
  expect(field("CapEff")).toEqual(["0000000000000000"]);
  expect(field("CapBnd")).toEqual(["0000000000000000"]);
  const folder = `/proc/${observer.pid}/fd`;
  const writable = readdirSync(folder).flatMap((fd) => {
    const flags = Number.parseInt(
      /flags:\s*(\d+)/.exec(readFileSync(`/proc/${observer.pid}/fdinfo/${fd}`, "utf8"))?.[1] ?? "0",
      8,
    );
    const isFile = statSync(join(folder, fd)).isFile();
    return isFile && (flags & 3) !== 0 ? [readlinkSync(join(folder, fd))] : [];
  });
  expect(writable).toEqual([]);
});

describe("Secrets", () => {
  test("stand in no argument list, and none of its answers or status rows", async () => {
    const secrets = [settings.DATABASE_URL!, settings.REDIS_URL!, settings.AWS_SECRET_ACCESS_KEY!];
    const shown = readFileSync(`/proc/${observer.pid}/cmdline`, "utf8");
    const rows = await platform.sql`select status from observer_status`;
    expect(rows.length).toBe(1);
    // What is answered is kept, and looked through at the end of this file.
    for (const path of ["/", "/status", "/metrics", "/healthz", "/readyz"]) await observer.get(path);
    for (const secret of [...secrets, new URL(settings.DATABASE_URL!).password, REDIS_USER_PASSWORD]) {
      expect(shown).not.toContain(secret);
      expect(JSON.stringify(rows)).not.toContain(secret);
    }
    expect(shown.split("\0").filter((argument) => argument !== "").length).toBe(2);
  });

  test("the status endpoint answers nobody without the token", async () => {
    for (const path of ["/", "/status", "/metrics"]) {
      for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: "Basic x" }]) {
        const { status, text } = await observer.get(path, headers as Record<string, string>);
        expect([path, status]).toEqual([path, 401]);
        expect(text).not.toContain(observer.instance);
      }
    }
  });

  test("elsewhere than on loopback there has to be a token", async () => {
    for (const OBSERVER_LISTEN of ["0.0.0.0:0", "[::]:0"]) {
      const finished = await runCommand(["run"], { ...settings, OBSERVER_LISTEN }, confined);
      expect(finished.code).toBe(78);
      expect(finished.stderr).toContain("OBSERVER_STATUS_TOKEN");
    }
  });
});

test("check finds all well with these rights", async () => {
  const finished = await runCommand(["check", "--json"], { ...settings, OBSERVER_LISTEN: "off" }, confined);
  expect([finished.code, finished.stderr]).toEqual([0, ""]);
  const { findings } = JSON.parse(finished.stdout) as { findings: { name: string; result: string }[] };
  expect(findings.filter(({ result }) => result !== "ok" && result !== "skipped")).toEqual([]);
  expect([...proxy.denied]).toEqual([]);
  expect([...proxy.allowed].sort()).toEqual(documentedQuestions());
});

test("P1: a right that is taken away is named in the error; nothing becomes absent, nothing secret is said", async () => {
  const afterSeq = await platform.lastSeq();
  await owner.send(new DeleteBucketPolicyCommand({ Bucket: world.bucket }));
  const down = await observer.logged("source.down");
  expect(down.source).toBe("archives");
  expect(JSON.stringify(down.error)).toContain("s3:ListBucket");
  await redisAdmin.call("ACL", "DELUSER", "observer");
  expect(JSON.stringify((await observer.logged("channel.down")).error)).toContain("ob:wake");
  await nextLooks(observer, 2);
  for (const { id, conditions } of await platform.written(afterSeq)) {
    if (id === "p1") expect(conditions.archive).toMatchObject({ archive_key: archiveKey("p1") });
  }

  await allowToList();
  await makeRedisUser();
  await observer.logged("source.up");
  await observer.logged("channel.up");
  expect((await observer.stop()).code).toBe(0);
});

checksOfEverything();
