// Goal: the mirror holds what the table holds, whatever was written while a reading was under way; and a row is passed over
// only while what it agreed with is seen again and no stamp is due.
// Method: readings and writes by hand, in every order in which they can meet.
import { describe, expect, test } from "bun:test";
import type { ComposedRow } from "../../../src/observer/compose.ts";
import type { JsonObject } from "../../../src/observer/conditions.ts";
import { limits } from "../../../src/observer/limits.ts";
import { keepUnchanged } from "../../../src/observer/listing.ts";
import { HostOwnership } from "../../../src/observer/ownership.ts";
import type { RowsCursor, RowsRead, WorkspaceRow } from "../../../src/observer/ports.ts";
import { RowMirror } from "../../../src/observer/rows.ts";
import { isSettled, settle } from "../../../src/observer/settled.ts";
import { Turns } from "../../../src/observer/turns.ts";
import { archive, container, engineListing, id, listing, row, second, stampOf, volume } from "./support.ts";

const cursor = (): RowsCursor => ({}) as RowsCursor;
const whole = (...rows: readonly WorkspaceRow[]): RowsRead => ({
  all: new Set(rows.map((one) => one.id)),
  rows,
  gone: [],
  cursor: cursor(),
});
const some = (rows: readonly WorkspaceRow[], gone: readonly string[] = []): RowsRead => ({
  all: null,
  rows,
  gone: gone.map(id),
  cursor: cursor(),
});
function read(mirror: RowMirror, what: RowsRead, nowMs = 0, startedMs = nowMs): void {
  const reading = mirror.begin(startedMs);
  mirror.merge(what, reading, nowMs);
  mirror.end(reading);
}
const written = (one: string, set: JsonObject, changed = true): ComposedRow => ({
  write: {
    id: id(one),
    set,
    observed: { containers: stampOf(9) },
    drop: [],
    observedAt: second(9),
    transitions: [],
  },
  changes: changed ? [{} as ComposedRow["changes"][number]] : [],
});
const conditionsOf = (mirror: RowMirror, one: string) => mirror.get(id(one))?.row.conditions;

describe("RowMirror", () => {
  test("a whole reading replaces it, another one adds, changes and takes away", () => {
    const mirror = new RowMirror();
    read(mirror, whole(row("a"), row("b")));
    read(mirror, some([row("b", { container: null }), row("c")], ["a"]));
    expect([...mirror.values()].map(({ row: { id: one } }) => String(one))).toEqual(["b", "c"]);
    expect(conditionsOf(mirror, "b")).toEqual({ container: null });
    read(mirror, whole(row("c")));
    expect([mirror.size, mirror.has(id("b"))]).toEqual([1, false]);
  });

  test("a write is merged as the statement does, and is no edit when it comes back", () => {
    const mirror = new RowMirror();
    read(mirror, whole(row("a", { kept: 1, volume: null, observed: { archives: stampOf(1) } })));
    expect(mirror.wrote(written("a", { container: null }))).toBe(false);
    const now = {
      kept: 1,
      volume: null,
      container: null,
      observed: { archives: stampOf(1), containers: stampOf(9) },
    };
    expect(conditionsOf(mirror, "a")).toEqual(now);
    read(mirror, some([row("a", now, { observedAt: second(9) })]));
    expect(mirror.wrote(written("a", { container: { running: true } }))).toBe(false);
  });

  test("a row that comes back otherwise was edited by somebody else", () => {
    const mirror = new RowMirror();
    read(mirror, whole(row("a", { container: null })));
    mirror.wrote(written("a", { container: { running: true } }));
    read(mirror, some([row("a", { container: null }, { observedAt: second(9) })]));
    expect(mirror.wrote(written("a", { container: { running: true } }))).toBe(true);
  });

  test("what was written while a reading was under way is newer than what that tells", () => {
    const mirror = new RowMirror();
    read(mirror, whole(row("a"), row("b")));
    const reading = mirror.begin(0);
    mirror.wrote(written("a", { container: { running: true } }));
    mirror.merge(some([row("a"), row("b", { container: null })]), reading, 0);
    mirror.end(reading);
    expect(conditionsOf(mirror, "a")?.container).toEqual({ running: true });
    expect(conditionsOf(mirror, "b")).toEqual({ container: null });
  });

  test("what may have been written meanwhile is told once more", () => {
    for (const all of [new Set([id("a")]), null]) {
      const mirror = new RowMirror();
      read(mirror, whole(row("a")));
      const before = mirror.cursor(0);
      const reading = mirror.begin(0);
      mirror.doubt([id("a")]);
      mirror.merge({ ...some([row("a", { container: null })]), all }, reading, 0);
      mirror.end(reading);
      expect(conditionsOf(mirror, "a")).toEqual({});
      expect(mirror.cursor(0)).toBe(all === null ? before : null);
    }
  });

  test("hosts that read all of theirs together read it again apart from one another", () => {
    for (const [random, share] of [
      [0, 1],
      [0.5, 1 - limits.ownCompleteJitter / 2],
    ] as const) {
      const mirror = new RowMirror({
        kind: "host",
        ownership: new HostOwnership("vm-1"),
        random: () => random,
      });
      read(mirror, whole(row("a")));
      expect(mirror.cursor(limits.ownCompleteEveryMs * share - 1)).not.toBeNull();
      expect(mirror.cursor(limits.ownCompleteEveryMs * share)).toBeNull();
    }
  });

  test("all of it is read again after a while, the later the longer that takes; and at once when told", () => {
    const mirror = new RowMirror();
    expect(mirror.cursor(0)).toBeNull();
    read(mirror, whole(row("a")), 1_000);
    expect(mirror.cursor(1_000 + limits.completeEveryMs - 1)).not.toBeNull();
    expect(mirror.cursor(1_000 + limits.completeEveryMs)).toBeNull();
    read(mirror, whole(row("a")), 12_000, 2_000);
    expect(mirror.cursor(12_000 + 10_000 * limits.completeShare - 1)).not.toBeNull();
    mirror.distrust();
    expect(mirror.cursor(12_000)).toBeNull();
  });
});

describe("isSettled()", () => {
  const stamps = { containers: stampOf(100), volumes: stampOf(100), archives: stampOf(100) };
  const seen = { container: container(), volume: volume(), archive: archive() };
  const sight = {
    engine: engineListing([["a", seen.container]], [["a", seen.volume]]),
    archives: listing([["a", seen.archive]]),
  };
  const due = { now: second(101), maxAgeMs: 60_000, horizonMs: 10_000 };
  const settledRow = (conditions: JsonObject = { observed: stamps }) => {
    const mirror = new RowMirror();
    read(mirror, whole(row("a", conditions)));
    const mirrored = mirror.get(id("a"))!;
    settle(mirrored, { stamp: second(101), ...seen }, { stamp: second(101), archive: seen.archive }, due);
    return { mirror, mirrored };
  };

  test("while the very same is seen again", () => {
    const { mirrored } = settledRow();
    expect(isSettled(mirrored, sight, due)).toBe(true);
    expect(isSettled(mirrored, { ...sight, archives: null }, due)).toBe(true);
    const other = { ...sight, engine: engineListing([["a", container()]], [["a", seen.volume]]) };
    expect(isSettled(mirrored, other, due)).toBe(false);
    expect(isSettled(mirrored, { ...sight, archives: listing() }, due)).toBe(false);
  });

  test("not when a stamp is due, looks come at another interval, or the clock went back", () => {
    const { mirrored } = settledRow();
    expect(isSettled(mirrored, sight, { ...due, now: second(100 + 50) })).toBe(false);
    expect(isSettled(mirrored, sight, { ...due, horizonMs: 2_000 })).toBe(false);
    expect(isSettled(mirrored, sight, { ...due, now: second(99) })).toBe(false);
  });

  test("not when the row changed, or the WC waits for it", () => {
    const { mirror, mirrored } = settledRow();
    read(mirror, some([row("a", { observed: stamps, container: null })]));
    expect(isSettled(mirrored, sight, due)).toBe(false);
    const waiting = settledRow();
    waiting.mirrored.row = { ...waiting.mirrored.row, operationInFlight: true };
    expect(isSettled(waiting.mirrored, sight, due)).toBe(false);
  });

  test("a row that was never stamped is due at once; what was not believed settles nothing", () => {
    expect(isSettled(settledRow({}).mirrored, sight, due)).toBe(false);
    const { mirror } = settledRow();
    read(mirror, some([row("a", { observed: stamps, container: null })]));
    const mirrored = mirror.get(id("a"))!;
    settle(mirrored, null, { stamp: second(101), archive: seen.archive }, due);
    expect(isSettled(mirrored, { ...sight, engine: null }, due)).toBe(true);
    expect(isSettled(mirrored, sight, due)).toBe(false);
  });
});

test("keepUnchanged() keeps the object of what is the same, and takes the new one of what is not", () => {
  const before = listing([
    ["a", container()],
    ["b", container()],
  ]);
  const now = listing([
    ["a", container()],
    ["b", container({ state: "exited" })],
    ["c", container()],
  ]);
  const kept = keepUnchanged(before, now);
  expect(kept.byWorkspace.get(id("a"))).toBe(before.byWorkspace.get(id("a"))!);
  expect(kept.byWorkspace.get(id("b"))).toBe(now.byWorkspace.get(id("b"))!);
  expect(kept).toEqual(now);
  expect(keepUnchanged(null, now)).toBe(now);
});

test("Turns: one at a time, in order, whatever becomes of the one before", async () => {
  const turns = new Turns();
  const told: string[] = [];
  const first = turns.take(async (turn) => {
    await Promise.resolve();
    told.push(`first ${turn}`);
    throw new Error("failed");
  });
  const next = turns.take(async (turn) => {
    told.push(`next ${turn}`);
    return "done";
  });
  expect(first).rejects.toThrow("failed");
  expect(await next).toBe("done");
  expect(told).toEqual(["first 1", "next 2"]);
});
