// Goal: an edit by somebody else is restored and counted once; a change of the world, a new row, a commit of unknown
// outcome and another instance's write are no edits.
// Method: cycles on a world that answers at once, with the table changed in between.
import { describe, expect, test } from "bun:test";
import { emptyMemory } from "../../../src/observer/believe.ts";
import type { JsonObject } from "../../../src/observer/conditions.ts";
import { CycleWorld } from "./cycle-support.ts";
import { archive, container, ids, row, second, volume } from "./support.ts";

function settled(): CycleWorld {
  const world = new CycleWorld();
  world.rows = [row("a"), row("b")];
  world.containers.set("a", container());
  world.volumes.set("a", volume());
  world.archives!.set("a", archive());
  expect(world.cycle().repaired).toEqual([]);
  return world;
}

const edit = (world: CycleWorld, change: (conditions: JsonObject) => JsonObject) => {
  world.rows = world.rows.map((one) =>
    one.id === "a" ? { ...one, conditions: change(one.conditions) } : one,
  );
};
const withoutStamps = ({ rows }: CycleWorld) => rows.map(({ conditions: { observed: _, ...rest } }) => rest);

describe("an edit is restored and counted, once", () => {
  test.each([
    ["a changed reason", (it) => ({ ...it, container: { ...(it.container as JsonObject), reason: "Dead" } })],
    ["a removed key", ({ volume: _, ...rest }) => rest],
    ["a false absence", (it) => ({ ...it, archive: null })],
    ["an emptied document", () => ({})],
  ] satisfies [string, (conditions: JsonObject) => JsonObject][])("%s", (_, change) => {
    const world = settled();
    const before = withoutStamps(world);
    edit(world, change);
    expect(world.cycle().repaired.map(String)).toEqual(["a"]);
    const repaired = withoutStamps(world);
    for (const key of ["container", "volume", "archive"] as const) {
      const { last_transition_at: __, ...was } = before[0]![key] as JsonObject;
      expect(repaired[0]![key]).toMatchObject(was);
    }
    expect(repaired[1]).toEqual(before[1]!);
    expect(world.cycle().repaired).toEqual([]);
  });

  test("observed_at that was moved or cleared", () => {
    for (const observedAt of [null, second(5)]) {
      const world = settled();
      world.rows = world.rows.map((one) => (one.id === "a" ? { ...one, observedAt } : one));
      expect(world.cycle({ horizonMs: 0 }).repaired.map(String)).toEqual(["a"]);
      expect(world.cycle().repaired).toEqual([]);
    }
  });
});

describe("no edit is", () => {
  test("a change of the world", () => {
    const world = settled();
    world.containers.set("a", container({ state: "exited", exitCode: 1 }));
    const report = world.cycle();
    expect([report.counts.changed, report.repaired]).toEqual([1, []]);
  });

  test("a new row, one that came back, and one that an earlier instance wrote otherwise", () => {
    const world = settled();
    world.rows = [row("a", { container: null, volume: null, archive: null }), row("c")];
    world.memory = emptyMemory();
    expect(world.cycle().repaired).toEqual([]);
    expect([...world.memory.rows.values()].map(({ row }) => String(row.id)).sort()).toEqual(["a", "c"]);
  });

  test("a change whose commit was not acknowledged, whether it happened or not", () => {
    for (const happened of [true, false]) {
      const world = settled();
      world.containers.set("a", container({ state: "paused" }));
      world.save = async (writes) => {
        if (happened) world.apply(writes);
        throw new Error("connection lost");
      };
      world.cycle();
      world.save = async (writes) => world.apply(writes);
      world.containers.set("a", container({ state: "exited", exitCode: 0 }));
      expect(world.cycle().repaired).toEqual([]);
    }
  });

  test("what a newer instance wrote over ours", () => {
    const world = settled();
    world.containers.set("a", container({ state: "paused" }));
    world.save = async () => ({
      kind: "saved",
      written: new Set(),
      skipped: [],
      fenced: ids(0).concat(world.rows[0]!.id),
    });
    world.cycle();
    edit(world, (it) => ({ ...it, container: { ...(it.container as JsonObject), reason: "Restarting" } }));
    world.save = async (writes) => world.apply(writes);
    expect(world.cycle().repaired).toEqual([]);
  });
});

test("rows that are gone are forgotten", () => {
  const world = settled();
  world.rows = world.rows.slice(1);
  world.cycle();
  expect([...world.memory.rows.values()].map(({ row }) => String(row.id))).toEqual(["b"]);
});
