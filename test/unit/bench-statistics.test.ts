// Goal: a benchmark's figures mean what they are called. Method: small lists whose answers are known, and the digits shown.
import { expect, test } from "bun:test";
import { isReached, Results, shown } from "../../dev/bench/results.ts";
import { median, pairedRatio, quantile, summarise } from "../../dev/bench/statistics.ts";

test("quantile() goes between two neighbours by their distance", () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([10, 20], 0.25)).toBe(12.5);
  expect(quantile([7], 0.99)).toBe(7);
});

test("quantile() refuses to say anything of nothing", () => {
  expect(() => quantile([], 0.5)).toThrow("no value was measured");
});

test("summarise() tells median, p99, spread and extremes", () => {
  const values = Array.from({ length: 101 }, (_, at) => 100 - at);
  expect(summarise(values)).toEqual({ count: 101, p50: 50, p99: 99, spread: 50, least: 0, most: 100 });
});

test("median() leaves the list as it was", () => {
  const values = [3, 1, 2];
  median(values);
  expect(values).toEqual([3, 1, 2]);
});

test("pairedRatio() is not moved by noise that hits both of a round", () => {
  expect(pairedRatio([2, 20, 2], [1, 10, 1])).toBe(2);
  // Not paired: the medians have to do.
  expect(pairedRatio([4, 4, 4], [2, 2])).toBe(2);
});

test("shown() has three significant digits and no exponent", () => {
  expect([0, 0.00123, 1.234, 12.34, 123.4, 1234.5, 100_000].map(shown)).toEqual([
    "0",
    "0.001",
    "1.23",
    "12.3",
    "123",
    "1,235",
    "100,000",
  ]);
});

test("isReached() knows in which direction better is", () => {
  expect(isReached({ value: 1.2, better: "lower", target: 1.3 })).toBe(true);
  expect(isReached({ value: 30, better: "higher", target: 40 })).toBe(false);
  expect(isReached({ value: 30, better: "higher", target: null })).toBe(true);
});

test("Results keeps what was measured beside its summary", () => {
  const lines: string[] = [];
  const results = new Results((line) => lines.push(line));
  results.figure("cycle", 100, "floor", "ms", [1, 2, 3.00049]);
  results.ratio("cycle", 100, "observer ÷ floor", 1.5, "lower", { target: 1.3 });
  expect(results.raw).toEqual({ "cycle 100 floor": [1, 2, 3] });
  expect(lines.at(-1)).toBe("cycle 100: observer ÷ floor = 1.50 (target ≤ 1.3, MISSED)");
});
