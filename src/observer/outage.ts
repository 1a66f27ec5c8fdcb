/**
 * Something that fails again and again, and when that is worth a line in the log: at once, after 1, 2, 4, 8 … minutes,
 * and when it is over, with the count. So a log that starts in the middle of an outage tells of it soon, and one of a
 * whole night stays short.
 */
export interface Outage {
  /** Of the first failure, by the monotonic clock. */
  readonly sinceMs: number;
  readonly failures: number;
  /** The next failure at or after this is worth saying. */
  readonly sayAgainMs: number;
}

const FIRST_REPEAT_MS = 60_000;

/** @param before null: all was well until now */
export function onFailure(
  before: Outage | null,
  nowMs: number,
): { readonly outage: Outage; readonly isWorthSaying: boolean } {
  if (before === null) {
    const outage = { sinceMs: nowMs, failures: 1, sayAgainMs: nowMs + FIRST_REPEAT_MS };
    return { outage, isWorthSaying: true };
  }
  const { sinceMs } = before;
  const failures = before.failures + 1;
  if (nowMs < before.sayAgainMs) return { outage: { ...before, failures }, isWorthSaying: false };
  // What came due in a pause between two failures is said once.
  let repeatMs = FIRST_REPEAT_MS;
  while (sinceMs + repeatMs <= nowMs) repeatMs *= 2;
  return { outage: { sinceMs, failures, sayAgainMs: sinceMs + repeatMs }, isWorthSaying: true };
}

/** Beside each line about it. */
export interface OutageFields {
  /** So far. */
  readonly failures: number;
  /** Since the first of them. */
  readonly downMs: number;
}

export const outageFields = ({ failures, sinceMs }: Outage, nowMs: number): OutageFields => ({
  failures,
  downMs: Math.round(nowMs - sinceMs),
});
