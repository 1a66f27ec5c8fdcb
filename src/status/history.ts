/**
 * The last quarter of an hour in buckets of ten seconds: a fixed number of small samples, however many cycles there
 * are. A restart forgets it; whoever wants more asks Prometheus.
 */
import type { CycleReport } from "../observer/report.ts";

export const BUCKET_MS = 10_000;
export const BUCKETS = 90;

export interface Sample {
  /** Cycles and glances that ended in it. */
  readonly cycles: number;
  /** Of the longest cycle; null: there was none. Glances don't count: they are of another size. */
  readonly longestMs: number | null;
  /** Rows of which a condition changed. */
  readonly changed: number;
  /** Cycles and glances in which something failed. */
  readonly failed: number;
}

export interface History {
  /** Called once after every cycle and glance. */
  onReport(report: Pick<CycleReport, "kind" | "durationMs" | "counts" | "failures">): void;
  /** Oldest first, always the same number; the last one is still being filled. */
  samples(): readonly Sample[];
}

const NOTHING: Sample = { cycles: 0, longestMs: null, changed: 0, failed: 0 };

/** @param monotonicMs the clock that tells when a report came */
export function createHistory(monotonicMs: () => number): History {
  const ring: Sample[] = new Array(BUCKETS).fill(NOTHING);
  let current = bucketOf(monotonicMs());

  /** What nobody reported in is empty, not old. */
  const moveOn = () => {
    const now = bucketOf(monotonicMs());
    const passed = Math.min(now - current, BUCKETS);
    for (let back = 0; back < passed; back++) ring[(now - back) % BUCKETS] = NOTHING;
    current = now;
  };
  return {
    onReport({ kind, durationMs, counts, failures }) {
      moveOn();
      const { cycles, longestMs, changed, failed } = ring[current % BUCKETS]!;
      ring[current % BUCKETS] = {
        cycles: cycles + 1,
        longestMs: kind === "glance" ? longestMs : Math.max(longestMs ?? 0, durationMs),
        changed: changed + counts.changed,
        failed: failed + (failures.length > 0 ? 1 : 0),
      };
    },
    samples() {
      moveOn();
      return Array.from({ length: BUCKETS }, (_, index) => ring[(current + 1 + index) % BUCKETS]!);
    },
  };
}

const bucketOf = (ms: number): number => Math.floor(ms / BUCKET_MS);
