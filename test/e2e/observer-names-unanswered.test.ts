// Goal: P6 and P12 with a name server that takes every question and never answers: what has such a name is down, the rest
// goes on, the probes and the log say so, nothing piles up behind the questions, and SIGTERM ends it in time.
// Method: the executable in a mount namespace of its own (root alone may make one), where /etc/resolv.conf leads to a silent
// socket on loopback and /etc/hosts knows the names that are to be known; a simulated Engine, a real PostgreSQL.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { createSocket, type Socket } from "node:dgram";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type FakeEngine, startEngine } from "../../dev/fakes/engine.ts";
import { type FaultProxy, startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { type Observer, type Settings, startObserver, workFolder } from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ postgres: 18 });
const ids = ["n1", "n2"];
const SILENT_ADDRESS = "127.0.0.153";
/** Five seconds are promised; a noisy machine gets one on top. */
const LIMIT_MS = 6_000;
const S3: Settings = {
  S3_BUCKET: "workspaces",
  AWS_ENDPOINT_URL_S3: "http://store.platform.test:9000",
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: "names-key",
  AWS_SECRET_ACCESS_KEY: "names-secret-0123456789",
  S3_FORCE_PATH_STYLE: "true",
};
const REDIS: Settings = { REDIS_URL: "redis://hints.platform.test:6379" };

let silent: Socket;
/** Which names were asked for. */
let questions: string[] = [];
let engine: FakeEngine;
let proxy: FaultProxy;
let platform: Platform;
let settings: Settings;
let hostsFile: string;
let launch: (executable: string) => readonly string[];

beforeAll(async () => {
  silent = createSocket("udp4", (message) => questions.push(nameOf(message)));
  await new Promise<void>((resolve, reject) => {
    silent.once("error", reject);
    silent.bind(53, SILENT_ADDRESS, resolve);
  });
  const folder = workFolder();
  const resolvFile = join(folder, "resolv.conf");
  hostsFile = join(folder, "hosts");
  writeFileSync(resolvFile, `nameserver ${SILENT_ADDRESS}\n`);
  const mounts = `mount --bind ${resolvFile} /etc/resolv.conf && mount --bind ${hostsFile} /etc/hosts`;
  launch = (executable) => [
    ...["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c"],
    ...[`${mounts} && exec "$0" "$@"`, executable],
  ];
  engine = await startEngine({ listen: { unixPath: join(folder, "engine.sock") } });
  for (const id of ids) {
    engine.world.createContainer({ name: `ws-${id}`, image: "image", volume: `ws-${id}-home` });
  }
  proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: world.postgres.port } });
  platform = await createPlatform(world.postgres, "names");
  await platform.insert(...ids);
  settings = {
    ...QUICK,
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    DATABASE_URL: platform
      .url()
      .replace(`127.0.0.1:${world.postgres.port}/`, `db.platform.test:${proxy.port}/`),
    DOCKER_HOST: engine.dockerHost,
    OBSERVER_LIST_TIMEOUT: "1s",
    OBSERVER_WRITE_TIMEOUT: "1s",
  };
}, 60_000);
afterAll(async () => {
  await engine.stop();
  await proxy.stop();
  silent.close();
});
beforeEach(async () => {
  questions = [];
  known("db");
  await platform.sql`delete from observer_lease`;
  await platform.sql`update workspaces set conditions = '{}', observed_at = null`;
});

/** The name in a question: labels, each with its length before it, from the thirteenth byte on. */
function nameOf(message: Buffer): string {
  const labels: string[] = [];
  for (let at = 12; at < message.length && message[at] !== 0; at += message[at]! + 1)
    labels.push(message.toString("latin1", at + 1, at + 1 + message[at]!));
  return labels.join(".");
}

/** From now on these names are known at once; to others nobody ever answers. Written in place: the file is mounted. */
function known(...names: readonly string[]): void {
  writeFileSync(
    hostsFile,
    ["127.0.0.1 localhost", ...names.map((name) => `127.0.0.1 ${name}.platform.test`), ""].join("\n"),
  );
}

const asked = (name: string) =>
  waitFor(`a question for ${name}`, 20_000, () => questions.includes(`${name}.platform.test`));

const probes = async (observer: Observer) => ({
  live: (await observer.get("/healthz")).status,
  ready: (await observer.get("/readyz")).status,
});

async function endsInTime(observer: Observer): Promise<void> {
  const { code, durationMs } = await observer.stop();
  expect(code).toBe(0);
  expect(durationMs).toBeLessThan(LIMIT_MS);
  expect(observer.log().at(-1)).toMatchObject({ event: "observer.stopped" });
}

const entries = (observer: Observer, what: "fd" | "task") =>
  readdirSync(`/proc/${observer.pid}/${what}`).length;

test("P6: the store's name: containers and volumes are observed, archives are not, and it ends in time", async () => {
  const observer = startObserver({ ...settings, ...S3 }, { launch });
  await platform.shows("both containers", ids, ({ container, volume }) => !!container && !!volume);
  await asked("store");
  expect(await observer.logged("source.down")).toMatchObject({ source: "archives" });
  await waitFor("it to be unready", 20_000, async () => (await probes(observer)).ready === 503);
  expect(await probes(observer)).toEqual({ live: 200, ready: 503 });
  for (const { conditions } of (await platform.rows()).values()) {
    expect("archive" in conditions).toBe(false);
    expect(conditions.observed?.archives).toBeUndefined();
  }
  // A change meanwhile is seen as ever.
  const afterSeq = await platform.lastSeq();
  engine.world.start("ws-n1");
  await platform.shows("n1 runs", ["n1"], ({ container }) => container?.running === true, { afterSeq });
  engine.world.kill("ws-n1");
  await endsInTime(observer);
}, 60_000);

test("P6: the name of Redis: all is observed on time, and it ends in time", async () => {
  const observer = startObserver({ ...settings, ...REDIS }, { launch });
  await platform.shows("both containers", ids, ({ container }) => !!container);
  await asked("hints");
  const afterSeq = await platform.lastSeq();
  engine.world.start("ws-n2");
  await platform.shows("n2 runs", ["n2"], ({ container }) => container?.running === true, { afterSeq });
  engine.world.kill("ws-n2");
  await observer.logged("channel.down");
  expect(await probes(observer)).toEqual({ live: 200, ready: 200 });
  await endsInTime(observer);
}, 60_000);

test("P12: the database's name is answered no more: down, nothing piles up, and up again when it is", async () => {
  const observer = startObserver(settings, { launch });
  await platform.shows("both containers", ids, ({ container }) => !!container);
  await nextLooks(observer);
  const before = { fd: entries(observer, "fd"), task: entries(observer, "task") };
  known();
  proxy.cut();
  await observer.logged("database.down");
  await waitFor("it to be unready", 20_000, async () => (await probes(observer)).ready === 503);
  // Many tries, each given up: what one of them left behind would be there many times.
  const countBefore = questions.length;
  await waitFor("several more questions", 60_000, () => questions.length >= countBefore + 6);
  expect(await probes(observer)).toEqual({ live: 200, ready: 503 });
  expect(entries(observer, "fd")).toBeLessThan(before.fd + 10);
  expect(entries(observer, "task")).toBeLessThan(before.task + 10);

  const afterSeq = await platform.lastSeq();
  known("db");
  engine.world.start("ws-n1");
  await platform.shows("n1 runs", ["n1"], ({ container }) => container?.running === true, {
    afterSeq,
    deadlineMs: 60_000,
  });
  await observer.logged("database.up");
  engine.world.kill("ws-n1");
  known();
  proxy.cut();
  await observer.logged("database.down", 2);
  await endsInTime(observer);
}, 150_000);

test("P12: started while no name is answered: the endpoint is there, the log is clear, and it ends in time", async () => {
  known();
  const observer = startObserver({ ...settings, ...S3, ...REDIS }, { launch });
  await observer.logged("status.listening");
  await asked("db");
  expect(await observer.logged("database.down")).toMatchObject({
    error: { message: expect.stringContaining("db.platform.test") },
  });
  expect(await probes(observer)).toEqual({ live: 200, ready: 503 });
  await endsInTime(observer);
  expect(await platform.lastSeq()).toBe((await platform.written()).at(-1)?.seq ?? 0);
}, 60_000);

test("P12: SIGTERM at once, the very first question still open", async () => {
  known();
  const observer = startObserver({ ...settings, ...S3, ...REDIS }, { launch });
  await asked("db");
  await endsInTime(observer);
}, 60_000);

checksOfEverything();
