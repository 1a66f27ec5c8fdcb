/**
 * Goal: of 10,000 creations none is ever reported as an orphan, whichever is read first, rows or resources; and each real
 * orphan appears once and disappears once.
 * Method: workspaces come and go on virtual time as a controller makes them (the row first and last), while cycles run
 * whose readings of rows, engine and archives happen at random instants, now and then long after they were asked for.
 */
import { expect, test } from "bun:test";
import { randomInt, seededRandom } from "../../../dev/fakes/random.ts";
import type { CyclePlan } from "../../../src/observer/cycle.ts";
import type { WorkspaceRow } from "../../../src/observer/ports.ts";
import { CycleWorld } from "./cycle-support.ts";
import { archive, container, listing, row, volume } from "./support.ts";

const CREATIONS = 10_000;
const CREATION_MS = 30;
const ORPHANS = 40;
/** How long workspaces, and orphans, are there: some for less than a cycle, some for many. */
const LIVES_MS = 12_000;

test("10,000 creations make no orphan; each real one appears once and disappears once", () => {
  const random = seededRandom(7);
  const world = new CycleWorld();
  const { timeline, clock } = world;
  const rows = new Map<string, WorkspaceRow>();
  const archives = world.archives!;

  world.save = async (writes) => ({
    kind: "saved",
    written: new Set(writes.map(({ id }) => id)),
    skipped: [],
    fenced: [],
  });
  const late = async () => clock.sleep(random() < 0.05 ? 4_000 * random() : 300 * random());
  world.load = async () => {
    await clock.sleep(600 * random());
    return [...rows.values()];
  };
  world.listEngine = async () => {
    await late();
    const containers = listing(world.containers);
    await late();
    const volumes = listing(world.volumes);
    await late();
    return { containers, volumes, identity: "one" };
  };
  world.listAgain = async () => ({
    containers: listing(world.containers),
    volumes: listing(world.volumes),
    identity: "one",
  });
  world.listArchives = async () => {
    await late();
    const seen = listing(archives);
    await late();
    return seen;
  };

  const soon = () => (random() < 0.5 ? 0 : 50 * random());
  /** Each step at or after the one before it. */
  const inOrder = (startMs: number, steps: readonly (readonly [afterMs: number, run: () => void])[]) => {
    let atMs = startMs;
    for (const [afterMs, run] of steps) {
      atMs += afterMs;
      timeline.at(atMs, run);
    }
  };
  for (let n = 0; n < CREATIONS; n++) {
    const id = `w${n}`;
    inOrder(CREATION_MS * (n + random()), [
      [0, () => rows.set(id, row(id))],
      [soon(), () => world.volumes.set(id, volume())],
      [soon(), () => world.containers.set(id, container())],
      [soon(), () => archives.set(id, archive())],
      [LIVES_MS * random() ** 2, () => world.containers.delete(id)],
      [soon(), () => world.volumes.delete(id)],
      [soon(), () => archives.delete(id)],
      [LIVES_MS * random(), () => rows.delete(id)],
    ]);
  }
  const kinds = ["container", "volume", "archive"] as const;
  const lost: string[] = [];
  for (let n = 0; n < ORPHANS; n++) {
    const id = `lost${n}`;
    const kind = kinds[n % 3]!;
    lost.push(`${kind} ${id}`);
    const put = {
      container: () => world.containers.set(id, container()),
      volume: () => world.volumes.set(id, volume()),
      archive: () => archives.set(id, archive()),
    }[kind];
    const there = { container: world.containers, volume: world.volumes, archive: archives }[kind];
    // Half of them get their row back, which is the end of an orphan as well.
    const isRestored = n % 2 === 0;
    inOrder((CREATIONS * CREATION_MS * n) / ORPHANS, [
      [0, put],
      [3 * LIVES_MS, () => (isRestored ? rows.set(id, row(id)) : there.delete(id))],
    ]);
  }

  const appeared: string[] = [];
  const disappeared: string[] = [];
  let suspicions = 0;
  const cycle = (kind: CyclePlan["kind"]) => {
    const running = world.begin({ kind });
    for (let waitedMs = 0; running.report === null; waitedMs += 10) {
      if (waitedMs > 60_000) throw new Error("a cycle did not end");
      timeline.advance(10);
    }
    for (const change of running.report.orphanChanges) {
      appeared.push(...change.appeared.map((id) => `${change.kind} ${id}`));
      disappeared.push(...change.disappeared.map((id) => `${change.kind} ${id}`));
    }
    for (const one of kinds)
      suspicions += [...world.memory.orphans[one].suspected.keys()].filter((id) => id.startsWith("w")).length;
  };
  let cycles = 0;
  while (timeline.nowMs < CREATIONS * CREATION_MS + 6 * LIVES_MS) {
    cycle("look");
    cycles += 1;
    timeline.advance(randomInt(random, 2_000));
    // Whatever came late is taken in by a cycle of its own.
    if (world.parts.engineSource!.isPending || world.parts.archiveSource!.isPending) cycle("delivery");
  }

  expect(appeared.filter((one) => !lost.includes(one))).toEqual([]);
  expect(appeared.toSorted()).toEqual(lost.toSorted());
  expect(disappeared.toSorted()).toEqual(lost.toSorted());
  // The race was run, and often: at first sight many looked like one.
  expect(cycles).toBeGreaterThan(80);
  expect(suspicions).toBeGreaterThan(200);
});
