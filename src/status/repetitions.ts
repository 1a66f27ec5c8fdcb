/** A container that restarts forty times has a history that nobody reads: what comes again and again is told once. */

export interface Repeatable {
  /** Milliseconds ago; null where that can't be told. */
  readonly age_ms: number | null;
  readonly condition: string;
  readonly from_reason: string;
  readonly to_reason: string;
  readonly message: string;
}

export interface Repetition<Change extends Repeatable> {
  readonly latest: Change;
  /** How often in all; 1: it did not come again. */
  readonly times: number;
  /** From the first to the latest. */
  readonly spanMs: number;
}

/** So many changes are read for a history in which repetitions are told once. */
export const MOST_FOLDED = 1_000;
/** Twice the longest that an engine waits between two starts of a crash loop is ten minutes; the rest is for it to run. */
const AGAIN_WITHIN_MS = 3_600_000;

/**
 * @param changes the latest first
 * @returns each change at its latest time, the latest first, with those before it that were the same, each within an hour
 *   of the next
 */
export function foldRepetitions<Change extends Repeatable>(changes: readonly Change[]): Repetition<Change>[] {
  const told: { latest: Change; times: number; spanMs: number }[] = [];
  const open = new Map<string, (typeof told)[number]>();
  for (const change of changes) {
    const { condition, from_reason, to_reason, message, age_ms: ageMs } = change;
    const what = JSON.stringify([condition, from_reason, to_reason, message]);
    const later = open.get(what);
    const spanMs =
      later && ageMs !== null && later.latest.age_ms !== null ? ageMs - later.latest.age_ms : null;
    if (later !== undefined && spanMs !== null && spanMs - later.spanMs <= AGAIN_WITHIN_MS) {
      later.times++;
      later.spanMs = spanMs;
    } else {
      const first = { latest: change, times: 1, spanMs: 0 };
      open.set(what, first);
      told.push(first);
    }
  }
  return told;
}
