/**
 * Goal: a container that newly exited is looked into once, and what was learnt is told without ever being guessed.
 * Method: cycles on a small world whose engine explains deaths, and the pure functions by hand.
 */
import { describe, expect, test } from "bun:test";
import { emptyMemory } from "../../../src/observer/believe.ts";
import { composeContainer } from "../../../src/observer/conditions.ts";
import {
  forgetDeaths,
  hasNewlyDied,
  type KnownDeath,
  learnDeaths,
  rememberDeaths,
} from "../../../src/observer/deaths.ts";
import { limits } from "../../../src/observer/limits.ts";
import type { ContainerDeath } from "../../../src/observer/ports.ts";
import { CycleWorld } from "./cycle-support.ts";
import { container, id, row, stampOf, volume } from "./support.ts";

const exited = container({ state: "exited", exitCode: 137 });
const death = (over: Partial<ContainerDeath> = {}): ContainerDeath => ({
  oomKilled: false,
  exitCode: 137,
  error: "",
  finishedAt: "2026-11-23T20:02:34.123Z",
  restartCount: 0,
  ...over,
});
const known = (containerId: string, learntMs = 0): KnownDeath => ({
  ...death(),
  workspaceId: id("a"),
  containerId,
  learntMs,
  isConfirmed: false,
});
const signal = new AbortController().signal;

function deadWorkspace(told?: ContainerDeath): CycleWorld {
  const world = new CycleWorld();
  world.rows = [row("a")];
  world.volumes.set("a", volume());
  world.containers.set("a", exited);
  if (told) world.deaths.set(exited.containerId, told);
  return world;
}
const containerOf = (world: CycleWorld) => world.rows[0]!.conditions.container;

describe("runCycle() looks into deaths", () => {
  test("an OOM kill is called so, and only because the Engine says so", () => {
    const world = deadWorkspace(death({ oomKilled: true }));
    world.cycle();
    expect(containerOf(world)).toMatchObject({
      reason: "OOMKilled",
      message: "exited with code 137, out of memory",
      exit_code: 137,
    });
    const killed = deadWorkspace(death());
    killed.cycle();
    expect(containerOf(killed)).toMatchObject({ reason: "Exited", message: "exited with code 137" });
  });

  test("a lack of memory that the Engine hears of after the exit is told by the next look, and asked for no further", () => {
    const world = deadWorkspace(death());
    world.cycle();
    expect(containerOf(world)).toMatchObject({ reason: "Exited" });
    world.deaths.set(exited.containerId, death({ oomKilled: true }));
    world.cycle();
    expect(containerOf(world)).toMatchObject({ reason: "OOMKilled" });
    world.calls.length = 0;
    world.cycle();
    expect(world.calls).not.toContain("inspect");
  });

  test("a kill is asked about twice, and no more", () => {
    const world = deadWorkspace(death());
    for (let look = 0; look < 5; look++) world.cycle();
    expect(world.calls.filter((call) => call === "inspect")).toHaveLength(2);
  });

  test("a second question without an answer is not asked again either", () => {
    const world = deadWorkspace(death());
    world.cycle();
    world.explainDeath = () => Promise.reject(new Error("no"));
    for (let look = 0; look < 5; look++) world.cycle();
    expect(world.calls.filter((call) => call === "inspect")).toHaveLength(2);
    expect(containerOf(world)).toMatchObject({ reason: "Exited" });
  });

  test("the Engine's error and the restarts are in the message", () => {
    const world = deadWorkspace(death({ error: "no such device", restartCount: 3 }));
    world.cycle();
    expect(containerOf(world)).toMatchObject({
      message: "exited with code 137 after 3 restarts: no such device",
    });
  });

  test("it is asked once, and the same end is told by every later cycle, also of another process", () => {
    const world = deadWorkspace(death({ oomKilled: true }));
    world.cycle();
    const stored = containerOf(world);
    world.calls.length = 0;
    world.cycle();
    expect(world.calls).not.toContain("inspect");
    world.memory = emptyMemory();
    world.cycle();
    expect(world.calls).not.toContain("inspect");
    expect(containerOf(world)).toEqual(stored!);
  });

  test("an Engine that can't tell delays the row a little and hides nothing", () => {
    const world = deadWorkspace();
    world.explainDeath = () => new Promise(() => {});
    const report = world.cycle();
    expect(containerOf(world)).toMatchObject({ reason: "Exited", exit_code: 137 });
    expect(report.failures.map(({ stage }) => stage)).toEqual(["inspect"]);
  });
});

describe("hasNewlyDied()", () => {
  const says = (over: object) =>
    row("a", { container: { container_id: exited.containerId, running: false, exit_code: 137, ...over } });
  test("is true until the row knows of this very end", () => {
    expect(hasNewlyDied(row("a"), container())).toBe(false);
    expect(hasNewlyDied(row("a"), exited)).toBe(true);
    expect(hasNewlyDied(says({}), exited)).toBe(false);
    expect(hasNewlyDied(says({ running: true, exit_code: null }), exited)).toBe(true);
    expect(hasNewlyDied(says({ exit_code: 1 }), exited)).toBe(true);
    expect(hasNewlyDied(says({ container_id: "000000000000" }), exited)).toBe(true);
  });
});

describe("composeContainer() without knowledge of its own", () => {
  const stored = composeContainer(id("a"), exited, undefined, stampOf(1), death({ oomKilled: true }))!;
  test("keeps what the row remembers of the same end", () => {
    expect(composeContainer(id("a"), exited, stored, "u")).toEqual(stored);
  });
  test("and nothing else", () => {
    expect(composeContainer(id("a"), container({ state: "exited", exitCode: 0 }), stored, "u")?.reason).toBe(
      "Exited",
    );
    expect(composeContainer(id("a"), container(), stored, "u")).toMatchObject({
      reason: "Running",
      message: "running",
    });
    expect(composeContainer(id("a"), exited, { ...stored, reason: "Fine" }, "u")?.reason).toBe("Exited");
    expect(composeContainer(id("a"), exited, { ...stored, message: "all is well" }, "u")?.reason).toBe(
      "Exited",
    );
  });
});

test("learnDeaths() asks about a bounded number, a few at a time", async () => {
  let running = 0;
  let most = 0;
  let asked = 0;
  const engine = {
    async explainDeath() {
      const turn = ++asked;
      most = Math.max(most, ++running);
      await Promise.resolve();
      running -= 1;
      if (turn % 2 === 0) throw new Error("gone");
      return death();
    },
  };
  const dead = Array.from({ length: limits.deathsPerCycle + 10 }, (_, n) => ({
    workspaceId: id(`w${n}`),
    containerId: `${n}`,
    isConfirmed: false,
  }));
  expect(await learnDeaths(engine, dead, 0, signal)).toHaveLength(limits.deathsPerCycle / 2);
  expect([asked, most]).toEqual([limits.deathsPerCycle, limits.deathsInParallel]);
});

describe("what is remembered of deaths", () => {
  test("forgets a container that runs again, and in time those that are gone", () => {
    const deaths = new Map(
      [known("aaaaaaaaaaaa"), known("bbbbbbbbbbbb"), known("cccccccccccc")].map((one) => [
        one.containerId,
        one,
      ]),
    );
    const listed = [
      container({ containerId: "aaaaaaaaaaaa" }),
      container({ ...exited, containerId: "bbbbbbbbbbbb" }),
    ];
    forgetDeaths(deaths, listed, 1000);
    expect([...deaths.keys()]).toEqual(["bbbbbbbbbbbb", "cccccccccccc"]);
    forgetDeaths(deaths, listed, limits.deathsKeptMs);
    expect([...deaths.keys()]).toEqual(["bbbbbbbbbbbb"]);
  });
  test("holds no more than its bound", () => {
    const many = Array.from({ length: limits.deathsKept + 5 }, (_, n) => known(`${n}`));
    const deaths = new Map();
    rememberDeaths(deaths, many);
    forgetDeaths(deaths, [], 0);
    expect(deaths.size).toBe(limits.deathsKept);
    expect(deaths.has("0")).toBe(false);
  });
});
