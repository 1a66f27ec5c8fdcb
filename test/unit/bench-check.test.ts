// Goal: a lost factor of 1.5 is told, and noise is not. Method: ratios against a baseline made by hand.
import { expect, test } from "bun:test";
import { type BaselineEntry, comparedCount, lossesOf, medianRatios } from "../../dev/bench/check.ts";
import type { Ratio } from "../../dev/bench/results.ts";

const ratio = (value: number, changes: Partial<Ratio> = {}): Ratio => ({
  section: "cycle",
  workspaces: 100,
  name: "observer ÷ floor",
  value,
  better: "lower",
  target: null,
  isGate: true,
  ...changes,
});
const entry = (value: number, changes: Partial<BaselineEntry> = {}): BaselineEntry => ({
  section: "cycle",
  workspaces: 100,
  name: "observer ÷ floor",
  value,
  better: "lower",
  ...changes,
});

test("lossesOf() tells a lost factor of 1.5, and not one of 1.3", () => {
  expect(lossesOf([ratio(1.5)], [entry(1)]).map(({ factor }) => factor)).toEqual([1.5]);
  expect(lossesOf([ratio(1.3)], [entry(1)])).toEqual([]);
  expect(lossesOf([ratio(0.5)], [entry(1)])).toEqual([]);
});

test("lossesOf() turns round where more is better", () => {
  const more = { name: "individual ÷ observer", better: "higher" } as const;
  expect(lossesOf([ratio(20, more)], [entry(40, more)])).toHaveLength(1);
  expect(lossesOf([ratio(80, more)], [entry(40, more)])).toEqual([]);
});

test("lossesOf() tells a ratio that can't be formed", () => {
  expect(lossesOf([ratio(Number.NaN)], [entry(1)])).toHaveLength(1);
  expect(lossesOf([ratio(Number.POSITIVE_INFINITY)], [entry(1)])).toHaveLength(1);
});

test("lossesOf() compares only the same ratio at the same size, and only gates", () => {
  expect(lossesOf([ratio(9)], [entry(1, { workspaces: 1_000 }), entry(1, { section: "many" })])).toEqual([]);
  expect(lossesOf([ratio(9, { isGate: false })], [entry(1)])).toEqual([]);
});

test("comparedCount() is what a check rests on", () => {
  expect(
    comparedCount([ratio(1), ratio(1, { workspaces: 5 }), ratio(1, { isGate: false })], [entry(1)]),
  ).toBe(1);
});

test("medianRatios() takes each ratio's median over the runs that have it", () => {
  const other = { name: "other" };
  const medians = medianRatios([[ratio(9), ratio(1, other)], [ratio(2)], [ratio(1)]]);
  expect(medians.map(({ name, value }) => [name, value])).toEqual([
    ["observer ÷ floor", 2],
    ["other", 1],
  ]);
});
