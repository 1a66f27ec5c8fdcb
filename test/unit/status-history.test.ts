// createHistory(): the last quarter of an hour. Goal: what was reported is in its bucket, what is older is gone, silence
// leaves holes, and it never grows. Method: a clock by hand.
import { expect, test } from "bun:test";
import { BUCKET_MS, BUCKETS, createHistory } from "../../src/status/history.ts";

const report = (durationMs: number, changed = 0, kind: "look" | "glance" = "look", failed = false) => ({
  kind,
  durationMs,
  counts: { changed } as never,
  failures: failed ? [{ stage: "load" as const, cause: null }] : [],
});

test("keeps the longest cycle and the sum of changes of each bucket, the latest last", () => {
  let nowMs = 12_345;
  const history = createHistory(() => nowMs);
  history.onReport(report(5, 1));
  history.onReport(report(9, 2));
  history.onReport(report(700, 4, "glance", true));
  nowMs += BUCKET_MS;
  history.onReport(report(3));
  const samples = history.samples();
  expect(samples).toHaveLength(BUCKETS);
  expect(samples.slice(-3)).toEqual([
    { cycles: 0, longestMs: null, changed: 0, failed: 0 },
    { cycles: 3, longestMs: 9, changed: 7, failed: 1 },
    { cycles: 1, longestMs: 3, changed: 0, failed: 0 },
  ]);
});

test("what is older than a quarter of an hour is gone, also when nothing was reported since", () => {
  let nowMs = 0;
  const history = createHistory(() => nowMs);
  history.onReport(report(5, 1));
  nowMs = (BUCKETS - 1) * BUCKET_MS;
  expect(history.samples()[0]).toMatchObject({ cycles: 1, changed: 1 });
  nowMs += BUCKET_MS;
  expect(history.samples().every(({ cycles }) => cycles === 0)).toBe(true);
  history.onReport(report(6));
  nowMs += 1_000 * BUCKETS * BUCKET_MS;
  expect(history.samples().every(({ cycles }) => cycles === 0)).toBe(true);
  expect(history.samples()).toHaveLength(BUCKETS);
});
