/** How long to wait after something failed, before it is tried again. */
export interface Backoff {
  /** After the first failure; doubled with each further one. */
  readonly firstMs: number;
  readonly mostMs: number;
  /** The part, at most, that chance takes off: many observers of one thing must not come back in step. */
  readonly jitter: number;
}

/**
 * @param failures in a row, at least one
 * @param random 0 ≤ n < 1
 */
export const backoffMs = (
  { firstMs, mostMs, jitter }: Backoff,
  failures: number,
  random: () => number,
): number => Math.min(firstMs * 2 ** Math.min(failures - 1, 20), mostMs) * (1 - jitter * random());
