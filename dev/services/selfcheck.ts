// Goal: every service starts, does one real thing, survives a restart, and leaves nothing behind.
// Method: the real servers; afterwards /proc, the mount table, the control groups and the disk are looked at.
//   bun dev/services/selfcheck.ts
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import Redis from "ioredis";
import postgres from "postgres";
import { ensureServices } from "../install.ts";
import { controlGroups } from "./control-groups.ts";
import { startDocker } from "./docker.ts";
import { startPgBouncer } from "./pgbouncer.ts";
import { startPodman } from "./podman.ts";
import { startPostgres } from "./postgres.ts";
import { processesOf } from "./procfs.ts";
import { startRedis, startSentinel } from "./redis.ts";
import { startS3 } from "./s3.ts";
import { stopAllServices } from "./scope.ts";
import { mountsUnder } from "./sweep.ts";
import { startFaultProxy } from "./tcp-proxy.ts";
import { waitFor } from "./wait.ts";

const folders: string[] = [];

/** Runs one step and prints how long it took. */
async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work();
  console.log(`${what.padEnd(44)}${(performance.now() - startMs).toFixed(0).padStart(7)} ms`);
  return result;
}

async function started<T extends { folder: string }>(what: string, start: () => Promise<T>): Promise<T> {
  const service = await timed(`${what}: start`, start);
  folders.push(service.folder);
  return service;
}

function expect(what: string, actual: unknown, wanted: unknown): void {
  if (Bun.deepEquals(actual, wanted)) return;
  throw new Error(
    `Cannot confirm that ${what}: it is ${JSON.stringify(actual)}, not ${JSON.stringify(wanted)}`,
  );
}

async function fails(what: string, work: () => Promise<unknown>): Promise<void> {
  const outcome = await work().then(
    () => "success",
    () => "failure",
  );
  expect(what, outcome, "failure");
}

async function checkDocker(): Promise<void> {
  const docker = await started("dockerd with image", () => startDocker());
  const { engine } = docker;
  const id = await timed("dockerd: run a container with a volume", () =>
    engine.run({
      name: "ws-1",
      volume: "ws-1-home",
      healthcheck: { cmd: ["/bin/test", "-d", "/home"] },
    }),
  );
  await timed("dockerd: healthy", () => engine.waitForHealth(id, "healthy"));
  await engine.pause(id);
  expect("a paused container is paused", (await engine.inspect(id)).State.Status, "paused");
  await engine.unpause(id);
  await engine.kill(id);
  expect("a killed container's exit code is told", await engine.waitForExit(id), 137);
  expect("the volume is listed", await engine.listVolumes(), ["ws-1-home"]);
  await timed("dockerd: 10 more containers", () =>
    Promise.all(
      Array.from({ length: 10 }, (_, i) => engine.run({ name: `ws-many-${i}`, volume: `ws-many-${i}-home` })),
    ),
  );
  await timed("dockerd: restart with 10 running", () => docker.restart());
  expect("containers survive a restart", (await engine.list()).length, 11);
  await engine.pause(await engine.run({ name: "ws-paused" }));
  docker.kill("SIGKILL");
  await waitFor("the socket to be dead", 5_000, async () => !(await engine.ping().catch(() => false)));
  await timed("dockerd: restart after SIGKILL", () => docker.restart({ mode: "crash" }));
  await timed("dockerd: remove all", () => engine.removeAll());
  await engine.pause(await engine.run({ name: "ws-left-paused", volume: "ws-left" }));
  await engine.run({ name: "ws-left-running" });
  await timed("dockerd: stop with two containers", () => docker.stop());
}

async function checkPodman(): Promise<void> {
  const podman = await started("podman with image", () => startPodman());
  const { engine } = podman;
  const id = await timed("podman: run a container with a volume", () =>
    engine.run({ name: "ws-1", volume: "ws-1-home" }),
  );
  await timed("podman: restart with 1 running", () => podman.restart());
  await engine.kill(id);
  expect("a killed container's exit code is told", await engine.waitForExit(id), 137);
  expect("the volume is listed", await engine.listVolumes(), ["ws-1-home"]);
  await timed("podman: remove all", () => engine.removeAll());
  await engine.pause(await engine.run({ name: "ws-left-paused", volume: "ws-left" }));
  await engine.run({ name: "ws-left-running" });
  await timed("podman: stop with two containers", () => podman.stop());
}

async function checkPostgres(version: 15 | 18): Promise<void> {
  const server = await started(`postgres ${version}`, () => startPostgres({ version }));
  const url = await timed(`postgres ${version}: create a database`, () => server.createDatabase("one"));
  const sql = postgres(url, { max: 2, backoff: () => 0.1, onnotice: () => {} });
  const major = async () =>
    Math.floor(Number((await sql`show server_version_num`)[0]?.server_version_num) / 10_000);
  expect("the version is right", await major(), version);
  const socket = postgres({
    host: server.folder,
    port: server.port,
    user: "postgres",
    database: "one",
    max: 1,
  });
  expect("the unix socket serves", [...(await socket`select 1 as one`)], [{ one: 1 }]);
  await socket.end();

  await server.pause();
  const late = major();
  const first = await Promise.race([late, Bun.sleep(200).then(() => "nothing")]);
  expect("a paused server is silent", first, "nothing");
  server.resume();
  expect("a resumed server answers", await late, version);

  await sql`create table kept (x int)`;
  await timed(`postgres ${version}: restart fast`, () => server.restart());
  await waitFor("reconnection", 10_000, async () => (await major()) === version);
  await timed(`postgres ${version}: restart immediate`, () => server.restart({ mode: "immediate" }));
  await waitFor("reconnection", 10_000, async () => (await major()) === version);
  server.kill("SIGKILL");
  await timed(`postgres ${version}: restart after SIGKILL`, () => server.restart());
  await waitFor("the table to be there", 10_000, async () => (await sql`select * from kept`).length === 0);
  await sql.end({ timeout: 1 });

  const pooler = await started(`pgbouncer on ${version}`, () => startPgBouncer({ postgres: server }));
  await server.query("create role limited login; grant usage on schema public to limited", "one");
  const pooled = postgres(pooler.url("one", "limited"), { max: 2, prepare: false, backoff: () => 0.1 });
  expect("a new role logs in", [...(await pooled`select current_user::text as name`)], [{ name: "limited" }]);
  await timed(`pgbouncer on ${version}: restart`, () => pooler.restart());
  await waitFor("pgbouncer to serve again", 10_000, async () => (await pooled`select 1`).length === 1);
  await pooled.end({ timeout: 1 });
  await timed(`pgbouncer on ${version}: stop`, () => pooler.stop());
  await timed(`postgres ${version}: stop`, () => server.stop());
}

async function checkPasswords(): Promise<void> {
  const server = await started("postgres 18 with passwords", () =>
    startPostgres({ version: 18, passwords: true }),
  );
  await server.query("create role limited login password 'sec''ret'");
  const pooler = await started("pgbouncer with passwords", () => startPgBouncer({ postgres: server }));
  for (const service of [server, pooler]) {
    const right = postgres(service.url("postgres", "limited", "sec'ret"), { max: 1, prepare: false });
    expect("the right password is accepted", (await right`select 1`).length, 1);
    await right.end();
    const wrong = postgres(service.url("postgres", "limited", "wrong"), { max: 1, prepare: false });
    await fails("a wrong password is refused", async () => await wrong`select 1`);
    await wrong.end();
  }
  await pooler.stop();
  await server.stop();
}

async function checkRedis(): Promise<void> {
  for (const options of [{}, { password: "pass word", tls: true }]) {
    const name = options.tls ? "redis with TLS" : "redis";
    const server = await started(name, () => startRedis(options));
    const client = new Redis(server.url, {
      retryStrategy: () => 50,
      ...(server.certificates && { tls: { ca: server.certificates.ca } }),
    });
    client.on("error", () => {});
    expect(`${name} keeps a value`, [await client.set("a", "1"), await client.get("a")], ["OK", "1"]);
    await timed(`${name}: restart`, () => server.restart());
    expect(`${name} comes back empty`, await client.get("a"), null);
    client.disconnect();
    await timed(`${name}: stop`, () => server.stop());
  }
}

async function checkSentinel(): Promise<void> {
  const master = await started("redis master", () => startRedis({ password: "secret" }));
  const replica = await started("redis replica", () => startRedis({ password: "secret", replicaOf: master }));
  const sentinel = await started("sentinel", () => startSentinel({ master }));
  await timed("sentinel: restart", () => sentinel.restart());
  await timed("sentinel: sees the replica", () => sentinel.waitForReplicas(1));
  expect("the master is the master", await sentinel.masterPort(), master.port);
  master.kill("SIGKILL");
  await timed("sentinel: failover", () =>
    waitFor("the failover", 30_000, async () => (await sentinel.masterPort()) === replica.port),
  );
  await Promise.all([sentinel.stop(), replica.stop(), master.stop()]);
}

async function checkS3(): Promise<void> {
  const s3 = await started("s3", () => startS3({ shards: 11 }));
  await timed("s3: create a bucket", () => s3.createBucket("one"));
  const client = new Bun.S3Client({ ...s3, bucket: "one" });
  await client.write("ws-1/op/home.tar.zst", "content");
  const keys = async () => (await client.list()).contents?.map((entry) => entry.key);
  expect("the object is listed", await keys(), ["ws-1/op/home.tar.zst"]);
  s3.killGateway("SIGKILL");
  await timed("s3: restart the gateway", () => s3.restartGateway());
  expect("the object is still there", await keys(), ["ws-1/op/home.tar.zst"]);
  const stranger = new Bun.S3Client({ ...s3, bucket: "one", accessKeyId: s3.otherAccessKeyId });
  await fails("another user is refused", () => stranger.list());
  await timed("s3: stop", () => s3.stop());
}

async function checkProxy(): Promise<void> {
  const redis = await startRedis();
  folders.push(redis.folder);
  for (const listen of ["tcp", "unix"] as const) {
    const target = listen === "tcp" ? { path: redis.socketPath } : redis;
    const proxy = await timed(`proxy on ${listen}: start`, () => startFaultProxy({ target, listen }));
    const client = new Redis({ ...proxy.address, retryStrategy: () => 20, maxRetriesPerRequest: null });
    client.on("error", () => {});
    const big = "x".repeat(3_000_000);
    expect("the proxy passes 3 MB", [await client.set("a", big), await client.get("a")], ["OK", big]);
    proxy.freeze();
    const late = client.ping();
    expect(
      "a frozen proxy is silent",
      await Promise.race([late, Bun.sleep(100).then(() => "nothing")]),
      "nothing",
    );
    proxy.thaw();
    expect("a thawed proxy passes what it held", await late, "PONG");
    proxy.cut();
    expect("the client connects again after a cut", await client.ping(), "PONG");
    expect("two connections were counted", proxy.totalConnections, 2);
    await proxy.refuse();
    expect(
      "refuse() leaves open connections alone",
      [await client.ping(), proxy.openConnections],
      ["PONG", 1],
    );
    proxy.cut();
    const refused = new Redis({ ...proxy.address, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    refused.on("error", () => {});
    await fails("a new connection is refused", () => refused.ping());
    await proxy.accept();
    proxy.delayMs = 50;
    const startMs = performance.now();
    expect("the proxy accepts again", await client.ping(), "PONG");
    if (performance.now() - startMs < 100)
      throw new Error("Cannot confirm that the proxy delays both directions");
    client.disconnect();
    await proxy.stop();
  }
  await redis.stop();
}

/** However the parent ends, and be it in the middle of starting, nothing is left. */
async function checkEnds(signal: "SIGINT" | "SIGTERM" | "SIGKILL", afterMs?: number): Promise<void> {
  const what = `main.ts, then ${signal}${afterMs === undefined ? "" : ` after ${afterMs} ms`}`;
  const base = mkdtempSync("/tmp/obs-check-");
  try {
    chmodSync(base, 0o755);
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "main.ts")], {
      env: { ...process.env, TMPDIR: base },
      stdout: "pipe",
      stderr: "ignore",
      detached: true,
    });
    if (afterMs === undefined) {
      await timed(`${what}: start`, async () => {
        for await (const chunk of child.stdout) {
          if (new TextDecoder().decode(chunk).includes("S3_BUCKET")) break;
        }
      });
    } else {
      await Bun.sleep(afterMs);
    }
    const made = readdirSync(base).map((name) => join(base, name));
    folders.push(...made);
    child.kill(signal);
    await timed(`${what}: stop`, async () => {
      await child.exited;
      await waitFor("all folders to be gone", 20_000, () => readdirSync(base).length === 0);
    });
    if (afterMs === undefined) expect("all six services had a folder", made.length, 6);
  } finally {
    rmSync(base, { recursive: true });
  }
}

function checkNothingIsLeft(): void {
  const left = folders.flatMap((folder) => [
    ...(existsSync(folder) ? [folder] : []),
    ...processesOf(folder).map((stat) => `process ${stat.pid} (${stat.command}) of ${folder}`),
    ...mountsUnder(folder).map((path) => `mount ${path}`),
    ...controlGroups(basename(folder)),
  ]);
  expect("nothing is left", left, []);
  console.log(`Nothing is left of ${folders.length} services: no folder, process, mount or control group.`);
}

try {
  await timed("what is needed is there", ensureServices);
  await checkDocker();
  await checkPodman();
  await checkPostgres(15);
  await checkPostgres(18);
  await checkPasswords();
  await checkRedis();
  await checkSentinel();
  await checkS3();
  await checkProxy();
  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
    await checkEnds(signal);
    for (const afterMs of [100, 300, 800, 2_000]) await checkEnds(signal, afterMs);
  }
  checkNothingIsLeft();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await stopAllServices();
}
