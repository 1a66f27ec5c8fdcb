// Goal: 100 workspaces on a real Engine; whatever happens to a container or volume, the table shows it within a cycle,
// with the right reason, exit code and health, and with a transition time between the deed and its visibility.
// Method: one observer, deeds in groups through the Engine's API, and the memory of every write in the database.
// Latencies are reported, not asserted: a cycle is bounded by the cadence, a busy machine by nothing.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inParallel } from "../../dev/services/engine.ts";
import { judge } from "./judge.ts";
import { checksOfEverything, hearWakes, nextLooks, QUICK, useWorld, type WakeEar } from "./support.ts";
import { type Deeds, watchDeeds } from "./support-deeds.ts";
import { type Observer, startObserver } from "./support-executable.ts";
import { type Condition, createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, redis: true, s3: true, keepObservers: true });
const ids = Array.from({ length: 100 }, (_, index) => `w${String(index).padStart(3, "0")}`);
const group = (number: number) => ids.slice(number * 3, number * 3 + 3);
/** Groups 0 to 9. A container that starts costs a tenth of a second and more, so the others are created only. */
const started = ids.slice(0, 30);
const container = (id: string) => `ws-${id}`;
const volume = (id: string) => `ws-${id}-home`;
/** Ends as it is told: SIGUSR1 → 0, SIGUSR2 → 3, SIGTERM → 143. */
const CMD = [
  "/bin/sh",
  "-c",
  "trap 'exit 0' USR1; trap 'exit 3' USR2; trap 'exit 143' TERM; sleep 1000000 & wait",
];
/** The rest is as it comes: what is seen at once is seen by the Engine's events. */
const SETTINGS = { OBSERVER_ACTIVE_INTERVAL: "500ms" };
let platform: Platform;
let observer: Observer;
let wakes: WakeEar;
let deeds: Deeds;

beforeAll(async () => {
  platform = await createPlatform(world.postgres, "workspaces");
  wakes = await hearWakes(world.redis);
  deeds = watchDeeds(platform, wakes);
  await platform.insert(...ids);
  observer = startObserver(world.settings(platform, SETTINGS));
  await observer.logged("lease.acquired");
}, 60_000);
afterAll(() => {
  wakes.stop();
  console.log(deeds.report());
});

const is =
  (reason: string, exitCode: number | null = null, health = "none") =>
  (condition: Condition | null): boolean =>
    condition?.reason === reason && condition.exit_code === exitCode && condition.health === health;

test("Rows without anything are proven absent", async () => {
  const shown = await platform.shows(
    "absence",
    ids,
    ({ container, volume, archive }) => container === null && volume === null && archive === null,
  );
  for (const { conditions, observedAt } of shown.values()) {
    expect(observedAt).toBe(Object.values(conditions.observed ?? {}).sort()[0] ?? "never");
    expect(judge(conditions)).toBe("absent");
  }
});

test("Created containers and volumes", async () => {
  const shown = await deeds.act(
    "create",
    ids,
    (id) => world.docker.engine.create({ name: container(id), volume: volume(id), cmd: CMD }),
    "container",
    is("Created"),
  );
  for (const [id, conditions] of shown) {
    expect(conditions.container).toMatchObject({ running: false, message: "created", image: "ws-test" });
    expect(conditions.volume).toMatchObject({
      exists: true,
      reason: "VolumeExists",
      volume_name: volume(id),
      driver: "local",
    });
    expect(judge(conditions)).toBe("stopped");
  }
});

test("Started containers", async () => {
  const shown = await deeds.act(
    "start",
    started,
    (id) => world.docker.engine.start(container(id)),
    "container",
    is("Running"),
  );
  const listed = new Map((await world.docker.engine.list()).map(({ Names, Id }) => [Names[0], Id]));
  for (const [id, conditions] of shown) {
    expect(conditions.container).toMatchObject({
      running: true,
      message: "running",
      container_id: listed.get(`/${container(id)}`)?.slice(0, 12),
    });
    expect(judge(conditions)).toBe("running");
  }
});

test.each([
  ["kill", 0, 137, "SIGKILL"],
  ["stop", 1, 143, "SIGTERM"],
  ["exit 0", 2, 0, "SIGUSR1"],
  ["exit 3", 3, 3, "SIGUSR2"],
] as const)("Containers that end: %s", async (what, number, exitCode, signal) => {
  const { engine } = world.docker;
  const end = async (id: string) => {
    await (what === "stop" ? engine.stop(container(id), 10) : engine.kill(container(id), signal));
    await engine.waitForExit(container(id));
  };
  const shown = await deeds.act(what, group(number), end, "container", is("Exited", exitCode));
  for (const conditions of shown.values()) {
    expect(conditions.container).toMatchObject({
      running: false,
      message: `exited with code ${exitCode}`,
    });
    expect(judge(conditions)).toBe("stopped");
  }
});

test("Paused and unpaused containers", async () => {
  const { engine } = world.docker;
  const paused = await deeds.act(
    "pause",
    group(4),
    (id) => engine.pause(container(id)),
    "container",
    is("Paused"),
  );
  for (const conditions of paused.values()) {
    expect(conditions.container).toMatchObject({ running: false, message: "paused" });
  }
  await deeds.act("unpause", group(4), (id) => engine.unpause(container(id)), "container", is("Running"));
});

test("A restart ends in Running, and moves the transition only where the end was seen", async () => {
  const before = await platform.rows();
  const afterSeq = await platform.lastSeq();
  await inParallel(group(5), 8, (id) => world.docker.engine.restart(container(id)));
  await nextLooks(observer, 2);
  const writes = await platform.written(afterSeq);
  for (const id of group(5)) {
    const { container } = (await platform.row(id)).conditions;
    expect(container).toMatchObject({ running: true, exit_code: null });
    const seenEnded = writes.some(
      (write) => write.id === id && write.conditions.container?.running === false,
    );
    const moved = container?.last_transition_at !== before.get(id)?.conditions.container?.last_transition_at;
    expect(moved).toBe(seenEnded);
  }
});

test("Removed containers, then their volumes", async () => {
  const { engine } = world.docker;
  const gone = (condition: Condition | null) => condition === null;
  const removed = await deeds.act(
    "remove containers",
    group(6),
    (id) => engine.remove(container(id)),
    "container",
    gone,
  );
  for (const conditions of removed.values()) {
    expect(conditions.volume).toMatchObject({ exists: true });
    expect(judge(conditions)).toBe("stopped");
  }
  const emptied = await deeds.act(
    "remove volumes",
    group(6),
    (id) => engine.removeVolume(volume(id)),
    "volume",
    gone,
  );
  for (const conditions of emptied.values()) expect(judge(conditions)).toBe("absent");
});

test("A container made anew is another one, though its name is the same", async () => {
  const { engine } = world.docker;
  const [id] = group(7) as [string];
  const before = (await platform.row(id)).conditions.container;
  await deeds.act(
    "replace container",
    [id],
    async () => {
      await engine.remove(container(id));
      await engine.run({ name: container(id), volume: volume(id), cmd: CMD });
    },
    "container",
    (condition) => condition?.running === true && condition.container_id !== before?.container_id,
  );
});

test("Health checks: starting, healthy, unhealthy", async () => {
  const { engine, folder } = world.docker;
  const [id, slow] = group(8) as [string, string];
  const flag = join(folder, "data/volumes", volume(id), "_data/sick");
  const replace = async (target: string, intervalMs: number) => {
    await engine.remove(container(target));
    const healthcheck = { cmd: ["/bin/sh", "-c", "! test -e /home/sick"], intervalMs };
    await engine.run({ name: container(target), volume: volume(target), cmd: CMD, healthcheck });
  };
  const starting = await deeds.act(
    "health: starting",
    [slow],
    () => replace(slow, 3_600_000),
    "container",
    is("Running", null, "starting"),
  );
  expect(starting.get(slow)?.container?.message).toBe("running, health check starting");
  const healthy = await deeds.act(
    "health: healthy",
    [id],
    () => replace(id, 500),
    "container",
    is("Running", null, "healthy"),
  );
  expect(healthy.get(id)?.container).toMatchObject({ running: true, message: "running, healthy" });
  const sick = await deeds.act(
    "health: unhealthy",
    [id],
    () => writeFile(flag, ""),
    "container",
    is("Running", null, "unhealthy"),
  );
  expect(sick.get(id)?.container).toMatchObject({ running: true, message: "running, unhealthy" });
  await deeds.act(
    "stop the unhealthy",
    [id],
    () => engine.stop(container(id)),
    "container",
    is("Exited", 143),
  );
});

test("A container that its restart policy starts again and again", async () => {
  const { engine } = world.docker;
  const [id] = group(9) as [string];
  const restarting = await deeds.act(
    "crash loop",
    [id],
    async () => {
      await engine.remove(container(id));
      await engine.run({
        name: container(id),
        volume: volume(id),
        cmd: ["/bin/sh", "-c", "exit 3"],
        restartPolicy: "always",
      });
    },
    "container",
    is("Restarting", 3),
  );
  expect(restarting.get(id)?.container).toMatchObject({
    running: false,
    message: "restarting after exit with code 3",
  });
  await deeds.act(
    "end of the crash loop",
    [id],
    () => engine.remove(container(id)),
    "container",
    (c) => c === null,
  );
});

test("P10: with nothing happening nothing is logged and no condition moves", async () => {
  const lines = observer.log().length;
  const before = await platform.rows();
  await nextLooks(observer, 3);
  expect(observer.log().length).toBe(lines);
  for (const [id, row] of await platform.rows()) {
    const { observed: _, ...unchanged } = before.get(id)!.conditions;
    expect(row.conditions).toMatchObject(unchanged);
  }
});

test("A restarted observer changes nothing", async () => {
  const { observed: _, ...last } = (await platform.row(ids[99]!)).conditions;
  const before = await platform.lastSeq();
  const changed = () => observer.log("condition.changed").length;
  expect((await observer.stop()).code).toBe(0);
  observer = startObserver(world.settings(platform, QUICK));
  await observer.logged("lease.acquired");
  await nextLooks(observer, 2);
  expect(changed()).toBe(0);
  for (const { conditions } of (await platform.written(before)).filter(({ id }) => id === ids[99])) {
    expect(conditions).toMatchObject(last);
  }
});

checksOfEverything();
