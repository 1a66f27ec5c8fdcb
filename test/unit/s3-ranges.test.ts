// Goal: the ranges of a listing together are the whole of it, and end between two workspaces.
import { expect, test } from "bun:test";
import {
  cutBetween,
  type ListedRange,
  type RangeReader,
  WholeListings,
} from "../../src/adapters/s3-ranges.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type { ArchiveSeen } from "../../src/observer/ports.ts";

test.each([
  ["ws-a/op/h", "ws-b/op/h", "ws-a0"],
  ["ws-a/op/h", "ws-a0/op/h", "ws-a0"],
  ["ws-a/x", "ws-a00", "ws-a0"],
  // The same workspace.
  ["ws-a/op1/h", "ws-a/op2/h", null],
  // What would end it is the next key, or comes before this one.
  ["ws-a/op/h", "ws-a0", null],
  ["ws-a", "ws-b/op/h", null],
])("cutBetween(%p, %p)", (before, next, cut) => {
  expect(cutBetween(before, next, "ws-")).toBe(cut);
});

/** A store with `count` keys, one for each workspace, whose reader notes what it is asked. */
function storeOf(count: number) {
  const keys = Array.from({ length: count }, (_, n) => `ws-${String(n).padStart(4, "0")}/op/h`);
  const asked: [after: string | null, upTo: string | null][] = [];
  let failure: Error | null = null;
  const reader: RangeReader = {
    async read(prefix, range, cutAt) {
      asked.push([range.after, range.upTo]);
      if (failure !== null && range.after !== null) throw failure;
      const own = keys.filter(
        (key) => (range.after === null || key > range.after) && (range.upTo === null || key <= range.upTo),
      );
      if (range.asked !== null) return [range];
      const cut: ListedRange[] = [];
      let { after } = range;
      for (let at = 0; at < own.length; at += cutAt) {
        const piece = own.slice(at, at + cutAt);
        const isLast = at + cutAt >= own.length;
        const upTo = isLast ? range.upTo : cutBetween(piece.at(-1)!, own[at + cutAt]!, prefix);
        const found = new Map(piece.map((key) => [key.slice(3, 7) as WorkspaceId, { key } as ArchiveSeen]));
        const question = { request: {} as never, digest: "", untilMs: 0 };
        cut.push({ after, upTo, found, keys: piece.length, asked: own.length <= cutAt ? question : null });
        after = upTo;
      }
      return cut;
    },
    isUnbelievable: (error) => error === failure,
  };
  return {
    keys,
    asked,
    fail(error: Error | null) {
      failure = error;
    },
    listings: new WholeListings(reader, 10),
  };
}
const signal = new AbortController().signal;

test("a long listing is cut into ranges that follow one another, and what is the same is the very same", async () => {
  const { listings, asked, keys } = storeOf(200);
  const first = await listings.list("ws-", signal);
  expect(first.byWorkspace.size).toBe(keys.length);
  expect(asked.splice(0)).toEqual([[null, null]]);
  const second = await listings.list("ws-", signal);
  expect([...second.byWorkspace.keys()]).toEqual([...first.byWorkspace.keys()]);
  const ranges = asked.splice(0).toSorted(([a], [b]) => (a ?? "").localeCompare(b ?? ""));
  expect(ranges).toHaveLength(25);
  expect([ranges[0]![0], ranges.at(-1)![1]]).toEqual([null, null]);
  for (let at = 1; at < ranges.length; at++) expect(ranges[at]![0]).toBe(ranges[at - 1]![1]);
  expect(await listings.list("ws-", signal)).toBe(second);
});

test("a short listing is one range, and so is a long one that has become short", async () => {
  const short = storeOf(80);
  for (let look = 0; look < 2; look++) await short.listings.list("ws-", signal);
  expect(short.asked).toEqual([
    [null, null],
    [null, null],
  ]);
});

test("another prefix is another listing", async () => {
  const { listings, asked } = storeOf(200);
  await listings.list("ws-", signal);
  asked.length = 0;
  await listings.list("wx-", signal);
  expect(asked).toEqual([[null, null]]);
});

test("a store that doesn't know ranges is listed page by page from then on", async () => {
  const { listings, asked, fail } = storeOf(200);
  await listings.list("ws-", signal);
  fail(new Error("its keys don't begin there"));
  await expect(listings.list("ws-", signal)).rejects.toThrow("don't begin there");
  asked.length = 0;
  for (let look = 0; look < 2; look++)
    expect((await listings.list("ws-", signal)).byWorkspace.size).toBe(200);
  expect(asked).toEqual([
    [null, null],
    [null, null],
  ]);
});
