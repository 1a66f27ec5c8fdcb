// Goal: P7: an observer that is restarted with the wrong prefix, Engine or bucket makes nobody's home absent: the loss is
// held back, logged and told by /readyz, also after another restart.
// Method: twelve workspaces on a real Engine and gateway; another Engine that is empty; another bucket.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type FakeEngine, startEngine } from "../../dev/fakes/engine.ts";
import { inParallel } from "../../dev/services/engine.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { type Settings, startObserver, workFolder } from "./support-executable.ts";
import { type Conditions, createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, s3: true });
const ids = Array.from({ length: 12 }, (_, index) => `g${index}`);
const KINDS = ["container", "volume", "archive"] as const;

let platform: Platform;
let empty: FakeEngine;
const hasAll = (conditions: Conditions) => KINDS.every((key) => conditions[key]);

beforeAll(async () => {
  platform = await createPlatform(world.postgres, "guard");
  empty = await startEngine({ listen: { unixPath: join(workFolder(), "empty.sock") } });
  await world.store.createBucket("empty");
  await platform.insert(...ids);
  await inParallel(ids, 4, async (id) => {
    await world.docker.engine.create({ name: `ws-${id}`, volume: `ws-${id}-home` });
    await world.putArchive(id);
  });
  const observer = startObserver(world.settings(platform, QUICK));
  await platform.shows("all that is there", ids, hasAll);
  expect((await observer.stop()).code).toBe(0);
}, 60_000);
afterAll(() => empty.stop());

test.each([
  ["the wrong prefix", () => ({ OBSERVER_PREFIX: "wrong-" }), KINDS],
  ["another Engine", () => ({ DOCKER_HOST: empty.dockerHost }), ["container", "volume"]],
  ["another bucket", () => ({ S3_BUCKET: "empty" }), ["archive"]],
] as const)("Restarted with %s: all of it is held back", async (_, changes, kinds) => {
  const afterSeq = await platform.lastSeq();
  const fresh = `fresh${afterSeq}`;
  await platform.insert(fresh);
  const holds = async () => {
    const observer = startObserver(world.settings(platform, { ...QUICK, ...changes() } as Settings));
    for (const count of kinds.keys()) await observer.logged("guard.holding", count + 1);
    const told = observer.log("guard.holding");
    expect(told.map(({ kind }) => kind).sort()).toEqual([...kinds].sort());
    for (const line of told) expect(line).toMatchObject({ level: "error", count: 12 });
    await nextLooks(observer, 3);
    expect(observer.log("guard.holding")).toHaveLength(kinds.length);
    const { status, text } = await observer.get("/readyz");
    expect(status).toBe(503);
    expect(text).toContain(`the guard holds back the sudden absence of 12 ${kinds[0]}s`);
    expect((await observer.get("/metrics")).text).toContain(`observer_guard_held{kind="${kinds[0]}"} 12`);
    expect((await observer.get("/healthz")).status).toBe(200);
    expect((await observer.stop()).code).toBe(0);
  };
  await holds();
  // A restart is no confirmation: it begins anew.
  if (kinds === KINDS) await holds();
  for (const { id, conditions } of await platform.written(afterSeq)) {
    if (ids.includes(id)) expect([id, hasAll(conditions)]).toEqual([id, true]);
    // What a doubted listing lacks is no proof for a row that was never observed either.
    if (id === fresh) for (const kind of kinds) expect([kind, kind in conditions]).toEqual([kind, false]);
  }

  const right = startObserver(world.settings(platform, QUICK));
  await platform.shows("the new row", [fresh], (conditions) =>
    kinds.every((kind) => conditions[kind] === null),
  );
  await waitFor("/readyz to be well", 30_000, async () => (await right.get("/readyz")).status === 200);
  for (const id of ids) expect(hasAll((await platform.row(id)).conditions)).toBe(true);
  // Killed at the end of the test it would keep the next from leading for six seconds.
  await right.stop();
});

test("Switched off it believes at once, and a loss that is no sudden emptiness is believed anyway", async () => {
  await inParallel(ids.slice(0, 4), 4, (id) => world.docker.engine.remove(`ws-${id}`));
  const observer = startObserver(world.settings(platform, QUICK));
  await platform.shows("four of twelve are gone", ids.slice(0, 4), ({ container }) => container === null);
  expect(observer.log("guard.holding")).toHaveLength(0);
  await observer.stop();
  const off = startObserver(
    world.settings(platform, { ...QUICK, OBSERVER_GUARD: "off", DOCKER_HOST: empty.dockerHost }),
  );
  await platform.shows("nothing", ids, ({ container, volume }) => container === null && volume === null);
  expect(off.log("guard.holding")).toHaveLength(0);
});

checksOfEverything();
