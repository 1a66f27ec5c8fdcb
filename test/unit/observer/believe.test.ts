/**
 * Goal: the guard holds back what it must, row by row and kind by kind, and lets everything else through.
 * Method: tables and listings of a few workspaces, cycle after cycle.
 */

import { describe, expect, test } from "bun:test";
import { believe, type CycleMemory, emptyMemory } from "../../../src/observer/believe.ts";
import type { WorkspaceRow } from "../../../src/observer/ports.ts";
import type { Observation } from "../../../src/observer/source.ts";
import { ownWorld } from "../../../src/observer/world.ts";
import {
  archive,
  asRows,
  container,
  engineListing,
  guardConfig,
  id,
  ids,
  listing,
  present,
  row,
  second,
  volume,
} from "./support.ts";

const observation = <T>(value: T): Observation<T> => ({
  stamp: second(1),
  order: 1,
  value,
  durationMs: 5,
  afterUnseen: false,
});
const both = { container: present, volume: present, archive: present };
const rows = (count: number, conditions = both) => ids(count).map((one) => row(one, conditions));
const everything = (count: number) =>
  engineListing(
    ids(count).map((one) => [one, container()]),
    ids(count).map((one) => [one, volume(one)]),
  );
const see = (
  table: readonly WorkspaceRow[],
  engine: ReturnType<typeof engineListing> | null,
  memory: CycleMemory = emptyMemory(),
  nowMs = 0,
) =>
  believe(
    asRows(table),
    engine && observation(engine),
    null,
    memory,
    ownWorld,
    guardConfig,
    nowMs,
    second(1),
  );
const remember = (world: ReturnType<typeof believe>): CycleMemory => ({ ...emptyMemory(), ...world });

describe("P7: believe()", () => {
  test("a restart with the wrong socket is caught on the first look, by the table alone", () => {
    const table = rows(6);
    const world = see(table, engineListing());
    expect(table.every((one) => world.pair(one.id) === null)).toBe(true);
    expect(world.held.container).toHaveLength(6);
    expect(world.held.volume).toHaveLength(6);
    expect(world.held.archive).toHaveLength(0);
  });

  test("what appears and what changes is written meanwhile", () => {
    const table = [...rows(8), row("new")];
    const world = see(
      table,
      engineListing(
        [
          ["w0", container({ state: "exited" })],
          ["new", container()],
        ],
        [
          ["w0", volume()],
          ["new", volume()],
        ],
      ),
    );
    expect(world.pair(table[0]!.id)?.container?.state).toBe("exited");
    expect(world.pair(table[8]!.id)?.container).toBeDefined();
    expect(world.pair(table[1]!.id)).toBeNull();
  });

  test("a doubted listing proves no absence of a row that was never observed", () => {
    const table = [...rows(6), row("new"), row("gone", { container: null, volume: null })];
    const world = see(table, engineListing());
    expect(world.pair(table[6]!.id)).toBeNull();
    expect(world.pair(table[7]!.id)).not.toBeNull();
    expect(world.held.container).not.toContain(id("new"));
  });

  test("one missing half holds back the pair", () => {
    const table = rows(6);
    const world = see(table, { ...everything(6), volumes: listing() });
    expect(world.held.container).toHaveLength(0);
    expect(table.every((one) => world.pair(one.id) === null)).toBe(true);
  });

  test("is believed after it was confirmed", () => {
    const table = rows(6);
    let memory = emptyMemory();
    for (const [nowMs, believed] of [
      [0, false],
      [6_000, false],
      [12_000, true],
    ] as const) {
      const world = see(table, engineListing(), memory, nowMs);
      expect(world.pair(table[0]!.id) !== null).toBe(believed);
      memory = remember(world);
    }
  });

  test("an answer that nobody took may have shown it all: the row starts anew", () => {
    const table = rows(6);
    const first = see(table, engineListing(), emptyMemory(), 0);
    const again = see(table, engineListing(), remember(first), 6_000);
    const unseen = { ...observation(engineListing()), afterUnseen: true };
    const third = believe(
      asRows(table),
      unseen,
      null,
      remember(again),
      ownWorld,
      guardConfig,
      12_000,
      second(1),
    );
    expect(third.held.container).toHaveLength(6);
  });

  test("a cycle without a listing neither confirms nor clears", () => {
    const first = see(rows(6), engineListing());
    const second = see(rows(6), null, remember(first), 60_000);
    expect(second.suspicions).toEqual(first.suspicions);
    expect(second.held.container).toHaveLength(6);
  });

  test("the archives have a guard of their own", () => {
    const table = rows(6);
    const world = believe(
      asRows(table),
      observation(everything(6)),
      observation(listing()),
      emptyMemory(),
      ownWorld,
      guardConfig,
      0,
      second(1),
    );
    expect(world.archive(table[0]!.id)).toBeNull();
    expect(world.pair(table[0]!.id)).not.toBeNull();
  });
});

test("P6: a source that didn't answer says nothing of any row", () => {
  const table = rows(2);
  const world = believe(
    asRows(table),
    null,
    observation(listing([["w0", archive()]])),
    emptyMemory(),
    ownWorld,
    guardConfig,
    0,
    second(1),
  );
  expect(world.pair(table[0]!.id)).toBeNull();
  expect(world.archive(table[0]!.id)?.archive).toEqual(archive());
  expect(world.archive(table[1]!.id)).toEqual({ stamp: second(1), archive: undefined });
});

test("resources without a row become orphans, per kind", () => {
  let memory = emptyMemory();
  const appeared = [1, 2, 3, 4].map((at) => {
    const engine = { ...observation(everything(1)), stamp: second(at) };
    const world = believe(asRows([]), engine, null, memory, ownWorld, guardConfig, 0, second(at));
    memory = remember(world);
    return world.orphanChanges.map((change) => [change.kind, change.appeared]);
  });
  const both = [
    ["container", [id("w0")]],
    ["volume", [id("w0")]],
  ];
  expect(appeared).toEqual([[], [], both as never, []]);
});
