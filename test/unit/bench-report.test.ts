// Goal: what a benchmark prints and draws can be read. Method: a small result, its table, page and picture, looked at as text.
import { expect, test } from "bun:test";
import { linesOf, renderPage } from "../../dev/bench/page.ts";
import { drawChart } from "../../dev/bench/picture.ts";
import { Results } from "../../dev/bench/results.ts";
import { aligned, tableOf } from "../../dev/bench/tables.ts";

function sample(): Results {
  const results = new Results();
  results.figure("cycle", 100, "floor", "ms", [8, 9, 10]);
  results.figure("many", 100, "cycle", "ms", [10]);
  results.figure("many", 100_000, "cycle", "ms", [400, 500, 600], "S3 is simulated | slow");
  results.ratio("cycle", 100, "observer ÷ floor", 1.2, "lower", { target: 1.3 });
  results.ratio("many", 100_000, "cycle ÷ cycle of 100", 50, "lower");
  return results;
}

test("aligned() puts numbers to the right and texts to the left", () => {
  expect(
    aligned(
      ["what", "ms"],
      [
        ["a", "1.50"],
        ["longer", "1,000"],
      ],
    ),
  ).toEqual(["what       ms", "a        1.50", "longer  1,000"]);
});

test("tableOf() shows no spread of a single value, and says what was reached", () => {
  const table = tableOf(sample());
  expect(table).toMatch(/many +100 +cycle +10\.0 +ms +1\n/);
  expect(table).toMatch(/observer ÷ floor +1\.20 +≤ 1\.3 +reached/);
});

test("renderPage() names machine, command and what is simulated, and breaks no table", () => {
  const where = { machine: "2 × fast", versions: "observer 1", date: "2026-01-01" };
  const page = renderPage(sample(), where, "bun dev/bench.ts");
  expect(page).toContain("2026-01-01, by `bun dev/bench.ts`. 2 × fast. observer 1.");
  expect(page).toContain("| cycle | 100,000 | 500 | 598 | 100 | ms | 3 | S3 is simulated \\| slow |");
  expect(page).toContain("`bun dev/bench.ts --only many`");
  expect(page).toContain("| observer ÷ floor | 100 | 1.20 | ≤ 1.3 | reached |");
  expect(page).not.toContain("--only guest");
});

test("drawChart() draws a line per series that has points, for light and dark pages", () => {
  const picture = drawChart("A < B", linesOf(sample()));
  expect(picture).toContain("prefers-color-scheme: dark");
  expect(picture.match(/<polyline/g)).toHaveLength(2);
  expect(picture).toContain('aria-label="A &lt; B"');
  expect(picture).not.toMatch(/NaN|undefined|Infinity/);
  // 100,000 workspaces are at the right edge of the plot.
  expect(picture).toMatch(/<circle class="observer dot" cx="550"/);
});

test("drawChart() refuses to draw nothing", () => {
  expect(() => drawChart("empty", [])).toThrow("no line has a point");
});
