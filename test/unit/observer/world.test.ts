/**
 * Goal: absences that another engine or bucket shows are held until an operator accepts it, however few they are (P7).
 * Method: cycles on a small world whose engine changes its name, and the pure functions by hand.
 */
import { describe, expect, test } from "bun:test";
import { compareWorld, newlyKnown } from "../../../src/observer/world.ts";
import { CycleWorld } from "./cycle-support.ts";
import { archive, container, row, volume } from "./support.ts";

function observed(): CycleWorld {
  const world = new CycleWorld();
  world.rows = [row("a"), row("b")];
  for (const name of ["a", "b"]) {
    world.containers.set(name, container());
    world.volumes.set(name, volume(`ws-${name}-home`));
    world.archives!.set(name, archive());
  }
  world.cycle();
  return world;
}
const conditionsOf = (world: CycleWorld, id: string) => world.rows.find((one) => one.id === id)!.conditions;

describe("P7: runCycle() knows its world", () => {
  test("the first world observed is remembered, once", () => {
    const world = observed();
    expect(world.known).toEqual({ engine: "one", archives: "bucket" });
    world.calls.length = 0;
    world.cycle();
    expect(world.calls).not.toContain("remember");
  });

  test("another engine's absences are held, what it shows is written, and accepting it ends that", () => {
    const world = observed();
    world.identity = "two";
    world.containers.clear();
    world.volumes.clear();
    world.containers.set("b", container({ containerId: "222222222222" }));
    world.volumes.set("b", volume("ws-b-home"));
    const report = world.cycle();
    expect(report.memory.foreign).toEqual({ engine: { known: "one", seen: "two" }, archives: null });
    expect(report.memory.held).toEqual({ container: ["a"], volume: ["a"], archive: [] } as never);
    expect(conditionsOf(world, "a")).toMatchObject({
      container: { running: true },
      volume: { exists: true },
    });
    expect(conditionsOf(world, "b")).toMatchObject({ container: { container_id: "222222222222" } });
    world.known = { ...world.known, engine: "two" };
    expect(world.cycle().memory.foreign.engine).toBeNull();
    expect(conditionsOf(world, "a")).toMatchObject({ container: null, volume: null });
  });

  test("it is held for ever, not only until it is confirmed; a new row stays unknown", () => {
    const world = observed();
    world.identity = "two";
    world.containers.clear();
    world.volumes.clear();
    world.rows.push(row("c"));
    for (let look = 0; look < 5; look++) world.cycle();
    expect(conditionsOf(world, "a")).toMatchObject({ container: { running: true } });
    expect(conditionsOf(world, "c")).not.toHaveProperty("container");
  });

  test("a source that fails doesn't make a foreign world known again", () => {
    const world = observed();
    world.identity = "two";
    world.cycle();
    const list = world.listEngine;
    world.listEngine = () => Promise.reject(new Error("503"));
    expect(world.cycle().memory.foreign.engine).not.toBeNull();
    world.listEngine = list;
    world.identity = "one";
    expect(world.cycle().memory.foreign.engine).toBeNull();
  });

  test("an engine that doesn't say who it is changes nothing", () => {
    const world = observed();
    world.identity = null;
    world.containers.delete("a");
    world.cycle();
    expect(conditionsOf(world, "a").container).toBeNull();
  });
});

test("compareWorld() and newlyKnown() look at each source for itself", () => {
  expect(compareWorld({ engine: "one" }, { engine: "two", archives: "b" })).toEqual({
    engine: { known: "one", seen: "two" },
    archives: null,
  });
  expect(newlyKnown({ engine: "one" }, { engine: "two", archives: "b" })).toEqual({ archives: "b" });
  expect(newlyKnown({ engine: "one", archives: "b" }, { engine: "two", archives: "c" })).toBeNull();
  expect(newlyKnown({}, { engine: null, archives: null })).toBeNull();
});
