// Goal: what an event names is looked at alone and written at once, and where a whole look would doubt nothing is.
// Method: glances on the world of cycle-support.ts, after a whole look, with the world changed in between.
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../../src/observer/conditions.ts";
import { type Glanced, mayGlance, runGlance } from "../../../src/observer/glance.ts";
import { CycleWorld } from "./cycle-support.ts";
import { container, id, ids, lease, row, stampOf, volume } from "./support.ts";

function seenWorld(count = 3): CycleWorld {
  const world = new CycleWorld();
  world.rows = ids(count).map((one) => row(one));
  for (const one of ids(count)) {
    world.containers.set(one, container());
    world.volumes.set(one, volume(`ws-${one}-home`));
  }
  world.cycle();
  world.saves.length = 0;
  world.calls.length = 0;
  return world;
}

function glance(world: CycleWorld, ...only: readonly string[]): Glanced {
  let glanced: Glanced | undefined;
  const target = { ids: new Set(only.map(id)), containers: new Set(["f00"]) };
  const plan = { lease, horizonMs: 10_000, stop: new AbortController().signal };
  void runGlance(world.parts, world.memory, target, plan).then((result) => {
    glanced = result;
  });
  for (let ms = 0; glanced === undefined && ms < 20_000; ms += 10) world.timeline.advance(10);
  if (glanced === undefined) throw new Error("the glance did not end");
  return glanced;
}
const conditionsOf = (world: CycleWorld, one: string): JsonObject =>
  world.rows.find((candidate) => candidate.id === one)!.conditions;
const stopped = container({ state: "exited", exitCode: 0 });

describe("runGlance()", () => {
  test("the Engine lets go, then stamp, then list and load, then save, then wake: only what was named", () => {
    const world = seenWorld();
    world.timeline.advance(1_000);
    world.containers.set("w0", stopped);
    world.containers.set("w1", stopped);
    const { report, isEnough } = glance(world, "w0");
    expect(isEnough).toBe(true);
    expect(world.calls).toEqual(["inspect", "confirm", "load", "glance", "inspect", "save", "wake"]);
    expect(report.changes.map(({ workspaceId, key }) => `${workspaceId} ${key}`)).toEqual(["w0 container"]);
    expect(conditionsOf(world, "w0").container).toMatchObject({ running: false });
    expect(conditionsOf(world, "w1").container).toMatchObject({ running: true });
  });

  test("P1: it asks by ids what was observed before, and by names what never was", () => {
    const world = seenWorld();
    const named: (readonly string[] | undefined)[] = [];
    const { lookAt } = world;
    world.lookAt = (look) => {
      named.push(look.named && [...look.named]);
      return lookAt(look);
    };
    const held = (conditionsOf(world, "w0").container as JsonObject).container_id as string;
    glance(world, "w0");
    world.rows = [...world.rows, row("new")];
    glance(world, "w0", "new");
    expect(named).toEqual([["f00", held], undefined]);
  });

  test("P2, P3: it leaves the archive's stamp alone, and a whole look that was begun before it writes nothing over it", () => {
    const world = seenWorld();
    const before = conditionsOf(world, "w0").observed as JsonObject;
    const listing = Promise.withResolvers<Awaited<ReturnType<CycleWorld["listEngine"]>>>();
    const old = { containers: new Map(world.containers), volumes: new Map(world.volumes) };
    const { listEngine } = world;
    world.listEngine = () => listing.promise;
    const whole = world.begin();
    world.timeline.advance(100);
    world.listEngine = listEngine;
    world.containers.set("w0", stopped);
    glance(world, "w0");
    const after = conditionsOf(world, "w0");
    expect(after.observed).toMatchObject({ archives: before.archives });
    expect((after.observed as JsonObject).containers).not.toBe(before.containers);
    listing.resolve({
      containers: { byWorkspace: old.containers, contested: [] },
      volumes: { byWorkspace: old.volumes, contested: [] },
      identity: "one",
    } as never);
    world.timeline.advance(5_000);
    expect(whole.report).not.toBeNull();
    expect(conditionsOf(world, "w0").container).toMatchObject({ running: false });
  });

  test("a row that is new since the last reading is observed; a name without a row is nobody's", () => {
    const world = seenWorld();
    world.rows.push(row("new"));
    world.volumes.set("new", volume("ws-new-home"));
    const { report, isEnough } = glance(world, "new", "stranger");
    expect(isEnough).toBe(true);
    expect(report.changes.map(({ workspaceId, key }) => `${workspaceId} ${key}`)).toEqual([
      "new container",
      "new volume",
    ]);
  });

  test("P5: a pair that may never have been true is looked at again", () => {
    const world = seenWorld();
    world.volumes.delete("w0");
    glance(world, "w0");
    expect(world.calls).toContain("again");
  });

  test("P1: a list that fails writes nothing, and a whole look has to follow", () => {
    const world = seenWorld();
    world.lookAt = () => Promise.reject(new Error("refused"));
    expect(glance(world, "w0").isEnough).toBe(false);
    world.lookAt = () => new Promise(() => {});
    expect(glance(world, "w0").isEnough).toBe(false);
    expect(world.saves).toEqual([]);
  });

  test("P7: another engine that answers is left to a whole look", () => {
    const world = seenWorld();
    world.identity = "two";
    world.containers.delete("w0");
    expect(glance(world, "w0").isEnough).toBe(false);
    expect(world.saves).toEqual([]);
  });

  test("P7: what vanishes one by one between two whole looks is counted together", () => {
    const world = seenWorld(8);
    const vanish = (one: string) => {
      world.containers.delete(one);
      world.volumes.delete(one);
      return glance(world, one).isEnough;
    };
    expect(ids(8).map(vanish)).toEqual([true, true, true, true, false, false, false, false]);
    expect(ids(8).filter((one) => conditionsOf(world, one).container === null)).toEqual(ids(4));
    // A whole look starts the count anew; what is left is not enough for it to doubt.
    world.cycle();
    expect(ids(8).every((one) => conditionsOf(world, one).container === null)).toBe(true);
  });

  test("a lease that is lost ends it", () => {
    const world = seenWorld();
    world.renew = async () => ({ kind: "standby", holder: "other", now: world.now() });
    const { report } = glance(world, "w0");
    expect([report.leaseLost, world.calls]).toEqual([true, ["inspect", "confirm"]]);
  });
});

describe("mayGlance()", () => {
  test("only after a whole look, and while that leaves nothing to doubt", () => {
    const world = new CycleWorld();
    expect(mayGlance(world.parts, world.memory)).toBe(false);
    world.rows = ids(6).map((one) => row(one));
    for (const one of ids(6)) world.volumes.set(one, volume(`ws-${one}-home`));
    world.cycle();
    expect(mayGlance(world.parts, world.memory)).toBe(true);
    const foreign = { known: "one", seen: "two" };
    expect(mayGlance(world.parts, { ...world.memory, foreign: { engine: foreign, archives: null } })).toBe(
      false,
    );
    world.volumes.clear();
    world.cycle();
    expect(world.memory.held.volume).toHaveLength(6);
    expect(mayGlance(world.parts, world.memory)).toBe(false);
  });

  test("not while a save may still come", () => {
    const world = seenWorld();
    world.memory.wake.unsettled();
    expect(mayGlance(world.parts, world.memory)).toBe(false);
    world.cycle();
    expect(mayGlance(world.parts, world.memory)).toBe(true);
  });

  test("not while the engine fails", () => {
    const world = seenWorld();
    world.listEngine = () => Promise.reject(new Error("refused"));
    world.cycle();
    expect(mayGlance(world.parts, world.memory)).toBe(false);
  });
});

test("stamps are those of the database", () => {
  const world = seenWorld();
  world.now = () => (1_795_464_000_000_000 + 500_000_000) as never;
  world.containers.set("w0", stopped);
  glance(world, "w0");
  expect((conditionsOf(world, "w0").observed as JsonObject).containers).toBe(stampOf(500));
});
