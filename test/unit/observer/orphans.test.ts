/**
 * Goal: an orphan is reported when it is proven that it has no row, once, and its end once.
 * Method: sequences of looks by hand, then any sequence against a plain account of them. The proof at scale:
 * orphans-creations.test.ts.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Instant } from "../../../src/observer/instant.ts";
import type { WorkspaceId } from "../../../src/observer/names.ts";
import { noOrphans, type Orphans, trackOrphans } from "../../../src/observer/orphans.ts";
import { id, ids, second } from "./support.ts";

const a = id("a");
const look = (
  before: Orphans,
  listed: readonly WorkspaceId[],
  now: Instant,
  { stamp = now, rows = [] }: { stamp?: Instant; rows?: readonly WorkspaceId[] } = {},
) => trackOrphans(before, { listed, stamp, now, hasRow: (one) => rows.includes(one) });

test("listed again after a reading without its row: appeared, once; gone: disappeared, once", () => {
  const first = look(noOrphans, [a], second(1));
  const again = look(first.orphans, [a], second(2));
  expect([first, again].flatMap(({ appeared, disappeared }) => [...appeared, ...disappeared])).toEqual([]);
  const proven = look(again.orphans, [a], second(3));
  expect(proven.appeared).toEqual([a]);
  const known = look(proven.orphans, [a], second(4));
  expect([known.appeared, known.disappeared]).toEqual([[], []]);
  const gone = look(known.orphans, [], second(5));
  expect(gone.disappeared).toEqual([a]);
  expect(look(gone.orphans, [], second(6)).disappeared).toEqual([]);
});

test("a listing that was begun before the rows were read is no proof, however late it comes", () => {
  let orphans = look(look(noOrphans, [a], second(1)).orphans, [a], second(2)).orphans;
  for (const now of [3, 4, 5]) {
    const late = look(orphans, [a], second(now), { stamp: second(2) });
    expect(late.appeared).toEqual([]);
    orphans = late.orphans;
  }
  expect(look(orphans, [a], second(6), { stamp: second(3) }).appeared).toEqual([a]);
});

test("a row that comes between two listings makes no orphan, and neither does a resource that comes and goes", () => {
  const suspected = look(look(noOrphans, [a], second(1)).orphans, [a], second(2)).orphans;
  const withRow = look(suspected, [a], second(3), { rows: [a] });
  expect([withRow.appeared, withRow.disappeared]).toEqual([[], []]);
  const away = look(suspected, [], second(3)).orphans;
  expect(look(away, [a], second(4)).appeared).toEqual([]);
});

test("after the database's clock went back an hour it takes one look more, and not an hour", () => {
  const suspected = look(look(noOrphans, [a], second(7_200)).orphans, [a], second(7_201)).orphans;
  const back = look(suspected, [a], second(3_602));
  expect(back.appeared).toEqual([]);
  expect(look(back.orphans, [a], second(3_603)).appeared).toEqual([a]);
});

test("any history: appearances and disappearances alternate, and none appears before the third look that shows it", () => {
  const all = ids(6);
  const looks = fc.array(
    fc.record({ listed: fc.subarray(all), rows: fc.subarray(all), lateBy: fc.nat({ max: 3 }) }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(looks, (history) => {
      let orphans = noOrphans;
      const run = new Map<string, number>();
      const known = new Set<string>();
      for (const [n, { listed, rows, lateBy }] of history.entries()) {
        for (const one of all) {
          const isRowless = listed.includes(one) && !rows.includes(one);
          run.set(one, isRowless ? (run.get(one) ?? 0) + 1 : 0);
        }
        const result = look(orphans, listed, second(10 + n), { stamp: second(10 + n - lateBy), rows });
        for (const one of result.appeared) {
          expect(known.has(one)).toBe(false);
          expect(run.get(one)).toBeGreaterThanOrEqual(3);
          known.add(one);
        }
        for (const one of result.disappeared) expect(known.delete(one)).toBe(true);
        expect([...result.orphans.confirmed].sort()).toEqual([...known].sort() as never);
        orphans = result.orphans;
      }
    }),
  );
});
