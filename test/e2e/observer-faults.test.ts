// Goal: a dependency that goes away ends nothing: the others go on, what was known is kept and says how old it is, the
// log tells it once, and everything is seen again when it is back (P1, P6, P9).
// Method: one observer on real services, which are killed, stopped and started again one after the other.
import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { waitFor } from "../../dev/services/wait.ts";
import {
  archiveKey,
  checksOfEverything,
  hearWakes,
  nextLooks,
  publishHint,
  QUICK,
  useWorld,
} from "./support.ts";
import { type Observer, startObserver, workFolder } from "./support-executable.ts";
import { type Conditions, createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({
  docker: true,
  postgres: 18,
  redis: true,
  s3: true,
  keepObservers: true,
  ownServices: true,
});
const SETTINGS = { ...QUICK, OBSERVER_LIST_TIMEOUT: "1s", OBSERVER_WRITE_TIMEOUT: "2s" };

let platform: Platform;
let observer: Observer;

const reason = (text: string) => (conditions: Conditions) => conditions.container?.reason === text;
const hasArchive = (op: string) => (conditions: Conditions, id: string) =>
  conditions.archive?.archive_key === archiveKey(id, op);
const archivesStamp = (conditions: Conditions) => conditions.observed?.archives ?? "never";
const count = (event: string, fields: Record<string, unknown> = {}) =>
  observer.log(event).filter((line) => Object.entries(fields).every(([name, value]) => line[name] === value))
    .length;
const ready = (isSo: boolean, about: string) =>
  waitFor(`/readyz to ${isSo ? "be well" : `complain about ${about}`}`, 30_000, async () => {
    const { status, text } = await observer.get("/readyz");
    return isSo ? status === 200 : status === 503 && text.includes(about);
  });

beforeAll(async () => {
  platform = await createPlatform(world.postgres, "faults");
  await platform.insert("f1", "f2");
  await world.docker.engine.run({ name: "ws-f1", volume: "ws-f1-home" });
  await world.putArchive("f1");
  observer = startObserver(world.settings(platform, SETTINGS));
  await platform.shows("it runs, with an archive", ["f1"], (conditions, id) => {
    return reason("Running")(conditions) && hasArchive("op1")(conditions, id);
  });
}, 60_000);
test("P6: S3 hangs, then is down: containers go on, the archive keeps its value and its age", async () => {
  const { engine } = world.docker;
  world.s3.killGateway("SIGSTOP");
  await observer.logged("source.down");
  await engine.pause("ws-f1");
  await platform.shows("paused", ["f1"], reason("Paused"));
  await ready(false, "archives");
  world.s3.killGateway("SIGKILL");

  const afterSeq = await platform.lastSeq();
  await engine.unpause("ws-f1");
  const first = await platform.shows("it runs again", ["f1"], reason("Running"), { afterSeq });
  const before = first.get("f1")!;
  await engine.pause("ws-f1");
  const second = await platform.shows("paused again", ["f1"], reason("Paused"), { afterSeq: before.seq });
  const after = second.get("f1")!;
  expect(before.conditions.archive).toMatchObject({ archive_key: archiveKey("f1") });
  expect(after.conditions.archive).toEqual(before.conditions.archive!);
  expect(archivesStamp(after.conditions)).toBe(archivesStamp(before.conditions));
  expect(after.observedAt).toBe(archivesStamp(after.conditions));
  expect(after.conditions.observed!.containers! > before.conditions.observed!.containers!).toBe(true);
  // It runs, so a restart would cure nothing; but who reads archives should not trust the table.
  expect((await observer.get("/healthz")).status).toBe(200);
  expect(count("source.down", { source: "archives" })).toBe(1);
  expect(JSON.stringify(observer.log("source.down")[0]?.error)).toContain("Cannot list archives");

  await world.s3.restartGateway();
  await observer.logged("source.up");
  await platform.shows(
    "archives are observed again",
    ["f1"],
    (conditions) => archivesStamp(conditions) > archivesStamp(after.conditions),
    { afterSeq: after.seq },
  );
  await ready(true, "");
  await engine.unpause("ws-f1");
});

test("P1: the Engine is killed and restarted: nothing becomes absent, archives go on, and it is seen again", async () => {
  const afterSeq = await platform.lastSeq();
  await platform.shows("it runs", ["f1"], reason("Running"));
  world.docker.kill("SIGKILL");
  await waitFor("both links to be down", 30_000, () => {
    return count("source.down", { source: "engine" }) === 1 && count("events.down") === 1;
  });
  await world.putArchive("f2");
  await platform.shows("an archive meanwhile", ["f2"], hasArchive("op1"), { afterSeq });
  await ready(false, "engine");
  await world.docker.restart({ mode: "crash" });
  await platform.shows("it has ended with its Engine", ["f1"], reason("Exited"), { afterSeq });
  for (const { id, conditions } of await platform.written(afterSeq)) {
    if (id !== "f1") continue;
    expect(conditions.container).not.toBeNull();
    expect(conditions.volume).not.toBeNull();
  }
  await observer.logged("events.up");
  await ready(true, "");
  expect(count("source.down", { source: "engine" })).toBe(1);
});

test("PostgreSQL is restarted: what happened meanwhile is written when it is back", async () => {
  const { engine } = world.docker;
  const afterSeq = await platform.lastSeq();
  const restarted = world.postgres.restart({ mode: "fast", downMs: 1_000 });
  await observer.logged("database.down");
  await engine.start("ws-f1");
  await restarted;
  const backMs = Date.now();
  const shown = await platform.shows("it runs", ["f1"], reason("Running"), { afterSeq });
  console.log(`Written ${Math.round(shown.get("f1")!.atMs - backMs)} ms after PostgreSQL was back`);
  await observer.logged("database.up");
  await ready(true, "");
  expect(count("lease.lost")).toBe(0);
});

test("P9: Redis is killed: the idle cadence goes on, the log says so once, and wakes follow when it is back", async () => {
  world.redis.kill("SIGKILL");
  await observer.logged("channel.down");
  await world.putArchive("f1", "op2");
  await platform.shows("an archive without hints", ["f1"], hasArchive("op2"));
  await observer.logged("wake.down");
  await nextLooks(observer, 3);
  expect([count("channel.down"), count("wake.down")]).toEqual([1, 1]);
  expect((await observer.status()).links.channel?.up).toBe(false);

  await world.redis.restart();
  await observer.logged("channel.up");
  // The wake-up that was owed, and with it the link, comes with no further change.
  await observer.logged("wake.up");
  const wakes = await hearWakes(world.redis);
  const { hints = 0 } = (await observer.status()).totals;
  await publishHint(world.redis);
  await waitFor("the hint", 20_000, async () => ((await observer.status()).totals.hints ?? 0) > hints);
  await world.removeArchive("f1", "op2");
  await platform.shows("the older archive", ["f1"], hasArchive("op1"), {
    afterSeq: await platform.lastSeq(),
  });
  await waitFor("wc:wake", 20_000, () => wakes.atMs.length > 0);
  wakes.stop();
});

test("Started before Engine, S3 and Redis: it claims nothing of what it can't see, and sees it when it comes", async () => {
  const late = await createPlatform(world.postgres, "late");
  await late.insert("f1");
  const early = startObserver(
    world.settings(late, {
      ...SETTINGS,
      DOCKER_HOST: `unix://${join(workFolder(), "none.sock")}`,
      REDIS_URL: "redis://:r3d%2Fis%40Secret@127.0.0.1:1",
    }),
  );
  await late.shows("its archive", ["f1"], hasArchive("op1"));
  const { conditions, observedAt } = await late.row("f1");
  expect(Object.keys(conditions).sort()).toEqual(["archive", "observed"]);
  expect(observedAt).toBeNull();
  await nextLooks(early, 3);
  for (const event of ["channel.down", "events.down", "wake.down", "source.down"]) {
    expect([event, early.log(event).length]).toEqual([event, 1]);
  }
  expect((await early.get("/readyz")).text).toContain("engine was never observed");
  expect((await early.stop()).code).toBe(0);
});

test("Nothing that happened here has ended it, or was unforeseen", () => {
  expect(observer.isRunning()).toBe(true);
  expect(observer.log().filter(({ error }) => JSON.stringify(error ?? "").includes('"stack"'))).toEqual([]);
});

checksOfEverything();
