// Goal: the soak's slope test tells a leak from noise. Method: made-up series of one figure.
import { describe, expect, test } from "bun:test";
import { type Bound, trendOf } from "../../dev/soak/trend.ts";

const bound: Bound = { name: "memory", unit: "MB", mostGrowth: 20, mostGrowthShare: 0.15 };
const series = (at: (index: number) => number, length = 100) =>
  Array.from({ length }, (_, index) => at(index));
const grows = (samples: readonly number[]) => trendOf(bound, samples).grows;

describe("trendOf()", () => {
  test("a slow leak grows", () => {
    expect(grows(series((index) => 80 + index))).toBe(true);
    expect(grows(series((index) => 80 + index + (index % 7) * 10))).toBe(true);
  });

  test("a flat line, one with peaks, one that warms up, and one that falls do not", () => {
    expect(grows(series(() => 80))).toBe(false);
    expect(grows(series((index) => (index % 5 === 0 ? 400 : 80)))).toBe(false);
    expect(grows(series((index) => Math.min(160, 80 + index * 5)))).toBe(false);
    expect(grows(series((index) => 200 - index))).toBe(false);
  });

  test("growth has to pass both bounds", () => {
    expect(grows(series((index) => (index < 50 ? 100 : 119)))).toBe(false);
    expect(grows(series((index) => (index < 50 ? 400 : 450)))).toBe(false);
    expect(grows(series((index) => (index < 50 ? 100 : 125)))).toBe(true);
  });

  test("says what it saw", () => {
    expect(trendOf(bound, [500, 80, 80, 80, 80])).toMatchObject({ first: 80, last: 80, most: 500 });
    expect(() => trendOf(bound, [1, 2])).toThrow("Cannot tell a trend");
  });
});
