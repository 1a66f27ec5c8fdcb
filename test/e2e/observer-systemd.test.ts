// Goal: the executable tells systemd when it has really started, that its loop lives, how it goes, and that it ends.
// Method: a datagram socket in the place of systemd's, at a path and under an abstract name; a simulated Engine that
// fails, a real PostgreSQL behind a proxy that freezes, and a process that is stopped by a signal.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type FakeEngine, startEngine } from "../../dev/fakes/engine.ts";
import { type NotifyReceiver, startNotifyReceiver } from "../../dev/services/notify-socket.ts";
import { type FaultProxy, startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, QUICK, useWorld } from "./support.ts";
import { type Observer, type Settings, startObserver, workFolder } from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ postgres: 18, keepObservers: true });
const WATCHDOG_MS = 1_500;

let engine: FakeEngine;
let proxy: FaultProxy;
let platform: Platform;
let settings: Settings;
let observer: Observer;
const receivers: NotifyReceiver[] = [];

beforeAll(async () => {
  proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: world.postgres.port } });
  engine = await startEngine({ listen: { unixPath: join(workFolder(), "engine.sock") } });
  engine.world.createContainer({ name: "ws-n1", image: "image", volume: "ws-n1-home" });
  platform = await createPlatform(world.postgres, "systemd");
  await platform.insert("n1");
  settings = {
    ...QUICK,
    DATABASE_URL: platform.url().replace(`:${world.postgres.port}/`, `:${proxy.port}/`),
    DOCKER_HOST: engine.dockerHost,
    OBSERVER_WRITE_TIMEOUT: "1s",
    WATCHDOG_USEC: String(WATCHDOG_MS * 1_000),
  };
}, 60_000);
afterAll(async () => {
  for (const receiver of receivers) receiver.stop();
  await engine.stop();
  await proxy.stop();
});

function startUnder(address: string, changes: Settings = {}): { observer: Observer; ear: NotifyReceiver } {
  const ear = startNotifyReceiver(address);
  receivers.push(ear);
  const started = startObserver(
    { ...settings, ...changes, NOTIFY_SOCKET: address },
    // As systemd does: the watchdog is meant for the process that the executable is.
    { launch: (executable) => ["/bin/sh", "-c", 'WATCHDOG_PID=$$ exec "$0" "$@"', executable] },
  );
  return { observer: started, ear };
}

const times = (ear: NotifyReceiver, assignment: string) =>
  ear
    .heard()
    .filter(({ assignments }) => assignments.includes(assignment))
    .map(({ atMs }) => atMs);
const status = (ear: NotifyReceiver) =>
  ear
    .heard()
    .flatMap(({ assignments }) => assignments)
    .findLast((text) => text.startsWith("STATUS="));
const hears = (ear: NotifyReceiver, assignment: string, count = 1) =>
  waitFor(`${assignment}, ${count} times`, 20_000, () => times(ear, assignment).length >= count);
const says = (ear: NotifyReceiver, part: string) =>
  waitFor(`STATUS with ${part}`, 20_000, () => status(ear)?.includes(part));

let ear: NotifyReceiver;

test("READY comes with the first committed observation; until then the start is extended, and STATUS says why", async () => {
  engine.faults.set("containers", { status: 500, body: '{"message":"broken on purpose"}' });
  ({ observer, ear } = startUnder(join(workFolder(), "notify.sock")));
  await says(ear, "engine was never observed: Cannot list containers");
  await hears(ear, "EXTEND_TIMEOUT_USEC=30000000", 2);
  expect(status(ear)).toContain("broken on purpose");
  expect(times(ear, "READY=1")).toEqual([]);
  expect(await platform.written()).toEqual([]);

  engine.faults.clear();
  await hears(ear, "READY=1");
  expect(await platform.written()).not.toEqual([]);
  await says(ear, "leading, active: 1 workspaces, as of ");
});

test("WATCHDOG is told in time, again and again", async () => {
  const before = times(ear, "WATCHDOG=1").length;
  await hears(ear, "WATCHDOG=1", before + 4);
  const beats = times(ear, "WATCHDOG=1");
  const gaps = beats.slice(1).map((atMs, index) => atMs - beats[index]!);
  // Half is what systemd asks for; a busy machine may be late with one.
  expect(gaps.filter((gap) => gap <= WATCHDOG_MS / 2).length).toBeGreaterThan(gaps.length / 2);
});

test("A dependency that is down is named, and is no reason to restart: the beats go on", async () => {
  proxy.freeze();
  await says(ear, "database: ");
  const before = times(ear, "WATCHDOG=1").length;
  await hears(ear, "WATCHDOG=1", before + 3);
  proxy.thaw();
  await waitFor("the database to be well", 20_000, () => !status(ear)?.includes("database"));
});

test("A process that hangs is not heard of; one that goes on is", async () => {
  observer.signal("SIGSTOP");
  // What was under way when the signal came.
  await Bun.sleep(100);
  const before = ear.heard().length;
  await Bun.sleep(WATCHDOG_MS);
  expect(ear.heard()).toHaveLength(before);
  const beats = times(ear, "WATCHDOG=1").length;
  observer.signal("SIGCONT");
  await hears(ear, "WATCHDOG=1", beats + 2);
});

test("A stand-by has started with its first check, and names the leader; an abstract socket does as well", async () => {
  const { observer: second, ear: other } = startUnder(`@observer-e2e-${randomBytes(6).toString("hex")}`);
  await hears(other, "READY=1");
  expect(status(other)).toBe(`STATUS=standing by for ${observer.instance}`);
  expect((await second.stop()).code).toBe(0);
  expect(times(other, "STOPPING=1")).toHaveLength(1);
});

test("STOPPING is told at SIGTERM, and is the last that is told", async () => {
  expect((await observer.stop("SIGTERM")).code).toBe(0);
  expect(ear.heard().at(-1)?.assignments).toEqual(["STOPPING=1", "STATUS=stopping"]);
  expect(times(ear, "READY=1")).toHaveLength(1);
});

checksOfEverything();
