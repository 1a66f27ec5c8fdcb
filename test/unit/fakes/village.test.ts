/**
 * Goal: the village tells the truth about what it did, never loses a home, and does everything it can in time.
 * Method: a thousand steps on fakes without HTTP, each checked against the worlds; the same seed twice.
 */
import { expect, test } from "bun:test";
import { EngineWorld } from "../../../dev/fakes/engine-world.ts";
import { seededRandom } from "../../../dev/fakes/random.ts";
import { Bucket } from "../../../dev/fakes/s3-world.ts";
import { createVillage, type VillageStep } from "../../../dev/fakes/village.ts";

function newVillage(seed: number, archiveCommitSuffix?: string) {
  const clock = { nowMs: 1_800_000_000_000 };
  const nowMs = () => clock.nowMs;
  const engine = new EngineWorld({ nowMs });
  const archives = new Bucket("archives", nowMs);
  const random = seededRandom(seed);
  const commit = archiveCommitSuffix === undefined ? {} : { archiveCommitSuffix };
  const village = createVillage({ engine, archives, random, size: 6, ...commit });
  const tick = () => {
    clock.nowMs += 1000;
    return village.tick();
  };
  return { engine, archives, village, tick };
}

test("each step is what the worlds show, and every home exists somewhere", () => {
  const { engine, archives, village, tick } = newVillage(1);
  for (let i = 0; i < 1000; i++) {
    const step = tick();
    const name = `ws-${step.workspaceId}`;
    const container = engine.containers().find((candidate) => candidate.name === name);
    expect(step.hasContainer).toBe(container !== undefined);
    expect(step.running).toBe(container?.state.running === true && !container.state.paused);
    const volume = engine.volumes().find((candidate) => candidate.name === `${name}-home`);
    expect(step.hasVolume).toBe(volume !== undefined);
    expect(archives.keys().includes(step.archiveKey ?? "none")).toBe(step.archiveKey !== null);
    expect(step.hasVolume || step.archiveKey !== null).toBe(true);
    if (step.action === "archived") expect(step.archiveKey).toBe(`${name}/${step.opId}/home.tar.zst`);
  }
  expect(village.workspaceIds).toHaveLength(6);
});

test("every action happens", () => {
  const { tick } = newVillage(2);
  const actions = new Set(Array.from({ length: 1000 }, () => tick().action));
  expect([...actions].sort()).toEqual([
    "archived",
    "became healthy",
    "became unhealthy",
    "crashed",
    "created",
    "paused",
    "ran out of memory",
    "restored",
    "resumed",
    "started",
    "stopped",
  ]);
});

test("the same seed tells the same story, another seed another", () => {
  const story = (seed: number): VillageStep[] => {
    const { tick } = newVillage(seed);
    return Array.from({ length: 200 }, tick);
  };
  expect(story(3)).toEqual(story(3));
  expect(story(3)).not.toEqual(story(4));
});

test("with a commit suffix each archive gets its second object", () => {
  const { archives, tick } = newVillage(5, ".meta");
  for (let i = 0; i < 300; i++) tick();
  const keys = archives.keys();
  const homes = keys.filter((key) => key.endsWith("/home.tar.zst"));
  expect(homes.length).toBeGreaterThan(0);
  expect(keys.filter((key) => key.endsWith(".meta"))).toEqual(homes.map((key) => `${key}.meta`));
});
