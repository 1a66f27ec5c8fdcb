/**
 * Goal: a cycle reads in the right order, writes what was seen, and every fault of the world stays where it is.
 * Method: one cycle at a time on a world that answers at once, but for what the test breaks.
 */
import { describe, expect, test } from "bun:test";
import { formatInstant } from "../../../src/observer/instant.ts";
import { limits } from "../../../src/observer/limits.ts";
import { CycleWorld } from "./cycle-support.ts";
import { archive, container, deferred, id, ids, listing, present, row, second, volume } from "./support.ts";

const never = <T>() => deferred<T>().promise;

function oneWorkspace(): CycleWorld {
  const world = new CycleWorld();
  world.rows = [row("a")];
  world.containers.set("a", container());
  world.volumes.set("a", volume());
  world.archives!.set("a", archive());
  return world;
}
const conditionsOf = (world: CycleWorld, text = "a") => world.rows.find((one) => one.id === text)!.conditions;

describe("runCycle()", () => {
  test("stamp, then list and load, then save, then wake", () => {
    const world = oneWorkspace();
    world.known = { engine: "one", archives: "bucket" };
    const report = world.cycle();
    expect(world.calls[0]).toBe("confirm");
    expect(world.calls.slice(1, 4).sort()).toEqual(["archives", "engine", "load"]);
    expect(world.calls.slice(4)).toEqual(["save", "wake"]);
    expect(report.counts).toMatchObject({
      rows: 1,
      containers: 1,
      volumes: 1,
      archives: 1,
      written: 1,
      changed: 1,
    });
    expect(report.woke).toBe(true);
    expect(conditionsOf(world)).toMatchObject({ container: { running: true }, volume: { exists: true } });
  });

  test("P2: all stamps are the clock as read before the first listing call", () => {
    const world = oneWorkspace();
    const list = world.listEngine;
    world.listEngine = async () => {
      await world.clock.sleep(300);
      return list();
    };
    world.cycle();
    const stamp = formatInstant(second(100));
    expect(conditionsOf(world).observed).toEqual({ containers: stamp, volumes: stamp, archives: stamp });
  });

  test("P1: a listing that fails writes no absence", () => {
    const world = oneWorkspace();
    world.listEngine = () => Promise.reject(new Error("503"));
    world.cycle();
    expect(conditionsOf(world)).not.toHaveProperty("container");
    expect(conditionsOf(world)).not.toHaveProperty("volume");
  });

  test("P12: each page of rows and each batch written is a step", () => {
    const world = new CycleWorld();
    world.rows = Array.from({ length: limits.rowsInFirstStatement + 1 }, (_, n) => row(`w${n}`));
    let steps = 0;
    world.cycle({ onStep: () => (steps += 1) });
    expect(world.saves).toHaveLength(2);
    expect(steps).toBeGreaterThanOrEqual(2);
  });

  test("P1: a listing that completed proves absence", () => {
    const world = oneWorkspace();
    world.containers.clear();
    world.cycle();
    expect(conditionsOf(world).container).toBeNull();
  });

  test("P6: archives that hang delay the engine by the patience and no more, and come by a delivery", () => {
    const world = oneWorkspace();
    const slow = deferred<ReturnType<typeof listing<ReturnType<typeof archive>>>>();
    world.listArchives = () => slow.promise;
    const running = world.begin();
    world.timeline.advance(749);
    expect(running.report).toBeNull();
    world.timeline.advance(1);
    expect(running.report?.sources).toEqual(["engine"]);
    expect(conditionsOf(world).container).toMatchObject({ running: true });
    expect(conditionsOf(world)).not.toHaveProperty("archive");

    world.timeline.advance(30_000);
    slow.resolve(listing([["a", archive()]]));
    const delivered = world.cycle({ kind: "delivery" });
    expect(delivered.sources).toEqual(["archives"]);
    expect((conditionsOf(world).observed as Record<string, string>).archives).toBe(
      formatInstant(second(100)),
    );
  });

  test("archives that have news don't wait for the Engine's list; those that have none do", () => {
    const world = oneWorkspace();
    world.archives = new Map([["a", archive()]]);
    world.cycle();
    world.listEngine = () => never();
    const quiet = world.begin();
    world.timeline.advance(1);
    expect(quiet.report).toBeNull();
    world.timeline.advance(10_000);
    expect(quiet.report?.sources).toEqual(["archives"]);

    world.archives = new Map([["a", archive({ sizeBytes: 7 })]]);
    const upload = world.begin();
    world.timeline.advance(1);
    expect(upload.report?.sources).toEqual(["archives"]);
    expect(conditionsOf(world).archive).toMatchObject({ size_bytes: 7 });
  });

  test("P6: a look while the archives are still listing doesn't wait for them, nor does a delivery for new ones", () => {
    const world = oneWorkspace();
    const first = deferred<ReturnType<typeof listing<ReturnType<typeof archive>>>>();
    world.listArchives = () => first.promise;
    world.begin();
    world.timeline.advance(10_000);
    const look = world.begin();
    world.timeline.advance(1);
    expect(look.report?.sources).toEqual(["engine"]);
    first.resolve(listing());
    world.listArchives = () => never();
    world.timeline.advance(1);
    const delivery = world.begin({ kind: "delivery" });
    world.timeline.advance(1);
    expect(delivery.report?.sources).toEqual(["archives"]);
    expect(world.calls.filter((call) => call === "archives")).toHaveLength(2);
  });

  test("P6: an engine that hangs does not hold back the archives", () => {
    const world = oneWorkspace();
    world.listEngine = () => never();
    const running = world.begin();
    world.timeline.advance(750);
    expect(running.report?.sources).toEqual(["archives"]);
  });

  test("P12: every stage that hangs ends at its deadline and is noted", () => {
    for (const [stage, hang] of [
      [
        "stamp",
        (world: CycleWorld) => {
          world.renew = () => never();
        },
      ],
      [
        "load",
        (world: CycleWorld) => {
          world.load = () => never();
        },
      ],
      [
        "save",
        (world: CycleWorld) => {
          world.save = () => never();
        },
      ],
      [
        "wake",
        (world: CycleWorld) => {
          world.publish = () => never();
        },
      ],
    ] as const) {
      const world = oneWorkspace();
      hang(world);
      const report = world.cycle();
      expect(report.failures.map((failure) => String(failure.stage))).toEqual([stage]);
      expect(report.durationMs).toBeLessThanOrEqual(5_001);
    }
  });

  test("a lease that is lost before the look ends the cycle; nothing is listed", () => {
    const world = oneWorkspace();
    world.renew = async () => ({ kind: "standby", holder: "other", now: world.now() });
    expect(world.cycle().leaseLost).toBe(true);
    expect(world.calls).toEqual(["confirm"]);
  });

  test("a lease that is lost in mid-cycle writes nothing and wakes nobody", () => {
    const world = oneWorkspace();
    world.save = async () => ({ kind: "lease-lost" });
    const report = world.cycle();
    expect([report.leaseLost, report.woke, report.counts.written]).toEqual([true, false, 0]);
  });

  test("P11: a row that somebody holds locked is skipped, not counted, and tried again", () => {
    const world = oneWorkspace();
    world.save = async () => ({ kind: "saved", written: new Set(), skipped: [id("a")], fenced: [] });
    expect(world.cycle().counts).toMatchObject({ written: 0, changed: 0, skipped: 1 });
    world.save = async (writes) => world.apply(writes);
    expect(world.cycle().counts).toMatchObject({ written: 1, changed: 1 });
  });

  test("P10: the second look at the same world writes stamps and wakes nobody", () => {
    const world = oneWorkspace();
    world.cycle();
    const again = world.cycle();
    expect(again.counts).toMatchObject({ changed: 0, stamped: 1 });
    expect(again.woke).toBe(false);
  });

  test("what changed is written and told before stamps are renewed", () => {
    const world = new CycleWorld();
    world.rows = [row("a"), row("b"), row("c")];
    world.cycle();
    world.calls.length = world.saves.length = 0;
    world.archives!.set("b", archive());
    expect(world.cycle().counts).toMatchObject({ changed: 1, stamped: 2 });
    expect(world.saves.map((writes) => writes.map((write) => String(write.id)))).toEqual([["b"], ["a", "c"]]);
    expect(world.calls.slice(-3)).toEqual(["save", "wake", "save"]);
  });

  test("a dry run needs no lease, writes nothing and says what it would", () => {
    const world = oneWorkspace();
    const report = world.cycle({ lease: null });
    expect(world.calls).toContain("now");
    expect(world.calls).not.toContain("save");
    expect(report.counts.changed).toBe(1);
  });

  test("P7: with the wrong socket nothing is written off", () => {
    const world = new CycleWorld();
    const shown = { container: present, volume: present, archive: present };
    world.rows = ids(8).map((one) => row(one, shown));
    world.archives = new Map(ids(8).map((one) => [one, archive()]));
    const report = world.cycle();
    expect(report.counts.held).toBe(8);
    expect(world.saves.flat().every(({ set }) => !("container" in set))).toBe(true);
  });

  test("P3: an answer from before the database's clock went back is asked for again", () => {
    const world = oneWorkspace();
    const slow = deferred<ReturnType<typeof listing<ReturnType<typeof archive>>>>();
    world.listArchives = () => slow.promise;
    world.begin();
    world.timeline.advance(1_000);
    world.now = () => second(100 - 3_600);
    slow.resolve(listing([["a", archive()]]));
    const report = world.cycle({ kind: "delivery" });
    expect(report.sources).toEqual([]);
    expect(world.parts.archiveSource?.isPending).toBe(true);
  });
});

describe("P5: a torn pair", () => {
  test("is looked at again, and published as it then is; the other rows don't wait", () => {
    const world = oneWorkspace();
    world.rows.push(row("b"));
    world.volumes.delete("a");
    world.listAgain = async () => ({
      containers: listing(world.containers),
      volumes: listing([["a", volume()]]),
      identity: "one",
    });
    world.cycle();
    expect(world.saves.map((writes) => writes.map((write) => String(write.id)))).toEqual([["b"], ["a"]]);
    expect(conditionsOf(world)).toMatchObject({ container: { running: true }, volume: { exists: true } });
  });

  test("that still moves is left out; the archive of the row is written", () => {
    const world = oneWorkspace();
    world.volumes.delete("a");
    let turn = 0;
    world.listAgain = async () => ({
      containers: listing([["a", container({ containerId: `id${turn++}` })]]),
      volumes: listing(),
      identity: "one",
    });
    const report = world.cycle();
    expect(report.counts.moving).toBe(1);
    expect(Object.keys(conditionsOf(world))).toEqual(["archive", "observed"]);
  });

  test("that can't be looked at again is left as it was", () => {
    const world = oneWorkspace();
    world.volumes.delete("a");
    world.listAgain = () => never();
    const report = world.cycle();
    expect(report.failures.map(({ stage }) => stage)).toEqual(["again"]);
    expect(conditionsOf(world)).not.toHaveProperty("container");
  });
});

describe("P8: the wake-up", () => {
  test("is owed when the answer to a commit is lost, and follows with the next cycle, which changes nothing", () => {
    const world = oneWorkspace();
    world.save = async (writes) => {
      world.apply(writes);
      throw new Error("connection reset");
    };
    expect(world.cycle().woke).toBe(false);
    world.save = async (writes) => world.apply(writes);
    const next = world.cycle();
    expect(next.counts.changed).toBe(0);
    expect(next.woke).toBe(true);
    expect(world.cycle().woke).toBe(false);
  });

  test("is not sent in the very cycle whose commit may still come, and nothing more is written in it", () => {
    const world = oneWorkspace();
    world.rows.push(row("b"));
    world.volumes.delete("a");
    let saves = 0;
    world.save = async (writes) => {
      if (saves++ === 0) throw new Error("connection reset");
      return world.apply(writes);
    };
    expect(world.cycle().woke).toBe(false);
    expect(saves).toBe(1);
    expect(world.cycle().woke).toBe(true);
    expect(saves).toBe(3);
  });

  test("is owed until it could be published", () => {
    const world = oneWorkspace();
    world.publish = () => Promise.reject(new Error("refused"));
    expect(world.cycle().woke).toBe(false);
    world.publish = async () => {};
    expect(world.cycle().woke).toBe(true);
  });
});
