/**
 * Goal: an orphan is reported when seen twice in a row, once, and its end once.
 * Method: sequences of listings by hand, then any sequence against a plain account of them.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { noOrphans, trackOrphans } from "../../../src/observer/orphans.ts";
import { id, ids } from "./support.ts";

const none = () => false;

test("seen once: suspected; twice: appeared, once; gone: disappeared, once", () => {
  const first = trackOrphans(noOrphans, [id("a")], none);
  expect([first.appeared, first.disappeared]).toEqual([[], []]);
  const second = trackOrphans(first.orphans, [id("a")], none);
  expect(second.appeared).toEqual([id("a")]);
  const third = trackOrphans(second.orphans, [id("a")], none);
  expect([third.appeared, third.disappeared]).toEqual([[], []]);
  const fourth = trackOrphans(third.orphans, [], none);
  expect(fourth.disappeared).toEqual([id("a")]);
  expect(trackOrphans(fourth.orphans, [], none).disappeared).toEqual([]);
});

test("a row that comes between two listings makes no orphan", () => {
  const first = trackOrphans(noOrphans, [id("a")], none);
  const second = trackOrphans(first.orphans, [id("a")], () => true);
  expect([second.appeared, second.disappeared]).toEqual([[], []]);
});

test("any history: appearances and disappearances alternate, and none appears on first sight", () => {
  const all = ids(6);
  const listings = fc.array(fc.record({ listed: fc.subarray(all), rows: fc.subarray(all) }), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(listings, (history) => {
      let orphans = noOrphans;
      let before = new Set<string>();
      const known = new Set<string>();
      for (const { listed, rows } of history) {
        const result = trackOrphans(orphans, listed, (one) => rows.includes(one));
        for (const one of result.appeared) {
          expect(known.has(one)).toBe(false);
          expect(before.has(one)).toBe(true);
          known.add(one);
        }
        for (const one of result.disappeared) expect(known.delete(one)).toBe(true);
        expect([...result.orphans.confirmed].sort()).toEqual([...known].sort() as never);
        orphans = result.orphans;
        before = new Set(listed.filter((one) => !rows.includes(one)));
      }
    }),
  );
});
