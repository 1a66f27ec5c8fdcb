// What a list of measurements says: order statistics only, for a noisy machine makes nonsense of means.

export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  /** Distance of the quartiles: the spread of the middle half. */
  readonly spread: number;
  readonly least: number;
  readonly most: number;
}

/**
 * The value below which that share of the values lies, between two neighbours by their distance.
 * @param share 0 to 1
 */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error("Cannot take a quantile of nothing: no value was measured");
  const sorted = values.toSorted((left, right) => left - right);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)]!;
  const above = sorted[Math.ceil(at)]!;
  return below + (above - below) * (at - Math.floor(at));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** @param values at least one; with fewer than a hundred, p99 is close to the greatest */
export function summarise(values: readonly number[]): Summary {
  return {
    count: values.length,
    p50: median(values),
    p99: quantile(values, 0.99),
    spread: quantile(values, 0.75) - quantile(values, 0.25),
    least: quantile(values, 0),
    most: quantile(values, 1),
  };
}

/**
 * The median of the ratios of values that were taken side by side: noise that hits both hits neither.
 * Where one of them was taken less often, the ratio of the medians.
 */
export function pairedRatio(numerators: readonly number[], denominators: readonly number[]): number {
  if (numerators.length !== denominators.length) return median(numerators) / median(denominators);
  return median(numerators.map((value, index) => value / denominators[index]!));
}
