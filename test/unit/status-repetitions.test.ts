// Goal: a history in which the same comes over and over can be read, and loses nothing else.
import { expect, test } from "bun:test";
import { foldRepetitions, type Repeatable } from "../../src/status/repetitions.ts";

const change = (age_ms: number | null, from_reason: string, to_reason: string): Repeatable => ({
  age_ms,
  condition: "container",
  from_reason,
  to_reason,
  message: `now ${to_reason}`,
});
const MINUTE = 60_000;

test("foldRepetitions() tells a crash loop in two lines, and what was before and after it in its order", () => {
  const loop = Array.from({ length: 40 }, (_, n) => [
    change((10 + 2 * n) * MINUTE, "Running", "Exited"),
    change((11 + 2 * n) * MINUTE, "Exited", "Running"),
  ]).flat();
  const told = foldRepetitions([
    change(MINUTE, "Exited", "absent"),
    ...loop,
    change(90 * MINUTE, "absent", "Running"),
  ]);
  expect(told.map(({ latest, times, spanMs }) => [latest.to_reason, times, spanMs / MINUTE])).toEqual([
    ["absent", 1, 0],
    ["Exited", 40, 78],
    ["Running", 40, 78],
    ["Running", 1, 0],
  ]);
});

test("foldRepetitions() leaves apart what came again after hours, and what has no age", () => {
  const hourly = [1, 2, 3.5].map((hours) => change(hours * 60 * MINUTE, "Running", "Exited"));
  expect(foldRepetitions(hourly).map(({ times }) => times)).toEqual([2, 1]);
  expect(foldRepetitions([change(null, "a", "b"), change(null, "a", "b")]).map(({ times }) => times)).toEqual(
    [1, 1],
  );
});
