// Goal: what events name is glanced at at once, one glance at a time, no more often than allowed; what is too much is left
// to a whole look (P8).
// Method: offers on virtual time to glances that take as long as the test says.
import { describe, expect, test } from "bun:test";
import type { GlanceTarget } from "../../../src/observer/glance.ts";
import { Glances } from "../../../src/observer/glances.ts";
import { limits } from "../../../src/observer/limits.ts";
import { Timeline, VirtualClock } from "../../simulation/clock.ts";
import { id } from "./support.ts";

function setUp() {
  const timeline = new Timeline();
  const clock = new VirtualClock(timeline);
  const world = {
    timeline,
    glanced: [] as { atMs: number; ids: string[]; containers: string[] }[],
    looksAtAll: 0,
    mayGlance: true,
    takesMs: 5,
    answer: true,
    stop: new AbortController(),
    hasEnded: false,
    givenUp: () => glances.givenUp,
    offer: (...names: readonly string[]) =>
      glances.offer(names.map((name) => ({ workspace: id(name), containerId: `c-${name}` }))),
  };
  const glances = new Glances({
    clock,
    mayGlance: () => world.mayGlance,
    glance: async ({ ids, containers }: GlanceTarget) => {
      world.glanced.push({ atMs: timeline.nowMs, ids: [...ids], containers: [...containers] });
      await clock.sleep(world.takesMs);
      return world.answer;
    },
    lookAtAll: () => {
      world.looksAtAll += 1;
    },
  });
  void glances.keep(world.stop.signal).then(() => {
    world.hasEnded = true;
  });
  timeline.advance(0);
  return world;
}

describe("Glances", () => {
  test("at once, and what comes meanwhile goes together into the next", () => {
    const world = setUp();
    world.timeline.advance(1_000);
    expect(world.offer("a")).toBe(true);
    world.timeline.advance(1);
    expect(world.offer("b")).toBe(true);
    expect(world.offer("a", "c")).toBe(true);
    world.timeline.advance(100);
    expect(world.glanced).toEqual([
      { atMs: 1_000, ids: ["a"], containers: ["c-a"] },
      { atMs: 1_005, ids: ["b", "a", "c"], containers: ["c-b", "c-a", "c-c"] },
    ]);
    expect(world.looksAtAll).toBe(0);
  });

  test("too many at once are refused, and what waited with them is covered by the whole look", () => {
    const world = setUp();
    expect(world.offer("first")).toBe(true);
    expect(world.offer(...Array.from({ length: limits.glanceWorkspaces }, (_, n) => `w${n}`))).toBe(false);
    world.timeline.advance(1_000);
    expect(world.glanced).toEqual([]);
    expect(world.offer("a")).toBe(true);
    world.timeline.advance(10);
    expect(world.glanced.map(({ ids }) => ids)).toEqual([["a"]]);
  });

  test("a storm costs no more than the bucket holds", () => {
    const world = setUp();
    for (let ms = 0; ms < 10_000; ms++) {
      world.offer("a");
      world.timeline.advance(1);
    }
    const most = limits.glancesAtOnce + 10 * limits.glancesPerSecond;
    expect(world.glanced.length).toBeLessThanOrEqual(most + 1);
    expect(world.glanced.length).toBeGreaterThan(most - 10);
    // And the last event is followed by a glance.
    const lastMs = world.timeline.nowMs;
    world.offer("last");
    world.timeline.advance(1_000);
    expect(world.glanced.some(({ atMs, ids }) => atMs >= lastMs && ids.includes("last"))).toBe(true);
  });

  test("where a glance is no good, all is looked at", () => {
    const world = setUp();
    world.answer = false;
    world.offer("a");
    world.timeline.advance(100);
    expect(world.looksAtAll).toBe(1);
    world.mayGlance = false;
    expect(world.offer("a")).toBe(false);
  });

  test("counts what it gives up, by reason", () => {
    const world = setUp();
    expect(world.offer(...Array.from({ length: limits.glanceWorkspaces + 1 }, (_, n) => `w${n}`))).toBe(
      false,
    );
    expect(world.givenUp()).toEqual({ doubted: 0, crowded: 1, unfinished: 0 });
    world.answer = false;
    world.offer("a");
    world.timeline.advance(100);
    expect(world.givenUp()).toEqual({ doubted: 0, crowded: 1, unfinished: 1 });
    world.mayGlance = false;
    world.offer("a");
    world.offer("b");
    expect(world.givenUp()).toEqual({ doubted: 2, crowded: 1, unfinished: 1 });
  });

  test("a glance that the end cuts short is not given up", () => {
    const world = setUp();
    world.answer = false;
    world.offer("a");
    world.timeline.advance(1);
    world.stop.abort();
    world.timeline.advance(100);
    expect(world.givenUp().unfinished).toBe(0);
  });

  test("ends when it is told to, after the glance under way", () => {
    const world = setUp();
    world.takesMs = 500;
    world.offer("a");
    world.timeline.advance(100);
    world.stop.abort();
    world.timeline.advance(100);
    expect(world.hasEnded).toBe(false);
    world.timeline.advance(1_000);
    expect(world.hasEnded).toBe(true);
    expect(world.looksAtAll).toBe(0);
  });
});
