// Does something grow? Medians tell, for single samples are taken in the middle of anything.

/** What one of the process's figures may do over a run. It has grown when it did so by more than both. */
export interface Bound {
  readonly name: string;
  readonly unit: string;
  readonly mostGrowth: number;
  /** Of the first median: 0.2 is a fifth. */
  readonly mostGrowthShare: number;
}

export interface Trend extends Bound {
  readonly first: number;
  readonly last: number;
  readonly most: number;
  readonly grows: boolean;
}

/** Caches fill and pools open at the beginning. */
const WARM_UP_SHARE = 0.2;

/** @param samples in order, at even intervals; at least five of them */
export function trendOf(bound: Bound, samples: readonly number[]): Trend {
  if (samples.length < 5)
    throw new Error(`Cannot tell a trend of ${bound.name} from ${samples.length} samples`);
  const warm = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  const third = Math.ceil(warm.length / 3);
  const first = median(warm.slice(0, third));
  const last = median(warm.slice(-third));
  const growth = last - first;
  return {
    ...bound,
    first,
    last,
    most: Math.max(...samples),
    grows: growth > bound.mostGrowth && growth > first * bound.mostGrowthShare,
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[sorted.length >> 1]!;
}
