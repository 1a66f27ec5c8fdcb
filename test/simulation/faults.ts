/** How often what goes wrong, drawn from the seed: many seeds have few kinds of faults, some have all. */
import type { Random } from "../../dev/fakes/random.ts";

export interface FaultRates {
  /** Calls to the Engine and the store. */
  readonly listError: number;
  readonly listTruncated: number;
  readonly listHang: number;
  readonly listHangDeaf: number;
  readonly listSlow: number;
  /** Calls to the database. */
  readonly queryError: number;
  readonly queryHang: number;
  readonly querySlow: number;
  readonly ackLost: number;
  readonly saveLate: number;
  /** Publishing the wake-up, and hints on their way. */
  readonly wakeError: number;
  readonly wakeAckLost: number;
  readonly hintLost: number;
  readonly hintTwice: number;
  readonly hintCut: number;
  /** Per second of chaos. */
  readonly pause: number;
  readonly kill: number;
  readonly stop: number;
  readonly clockJump: number;
  readonly clockJumpSmall: number;
  readonly wrongSocket: number;
  readonly databaseDown: number;
  readonly rowLock: number;
  readonly rowChange: number;
  readonly massRemoval: number;
  readonly handEdit: number;
  /** World steps per second. */
  readonly churn: number;
}

const MOST: FaultRates = {
  listError: 0.2,
  listTruncated: 0.15,
  listHang: 0.1,
  listHangDeaf: 0.05,
  listSlow: 0.5,
  queryError: 0.1,
  queryHang: 0.05,
  querySlow: 0.2,
  ackLost: 0.2,
  saveLate: 0.3,
  wakeError: 0.4,
  wakeAckLost: 0.2,
  hintLost: 0.8,
  hintTwice: 0.5,
  hintCut: 0.1,
  pause: 0.05,
  kill: 0.05,
  stop: 0.05,
  clockJump: 0.03,
  clockJumpSmall: 0.1,
  wrongSocket: 0.04,
  databaseDown: 0.03,
  rowLock: 0.3,
  rowChange: 0.6,
  massRemoval: 0.05,
  handEdit: 0.1,
  churn: 12,
};

export function drawRates(random: Random): FaultRates {
  const busy = random();
  const rates = Object.entries(MOST).map(([name, most]) => {
    const on = name === "churn" || random() < busy;
    return [name, on ? Number((most * (0.1 + 0.9 * random())).toFixed(4)) : 0];
  });
  return Object.fromEntries(rates) as FaultRates;
}

export const describeRates = (rates: FaultRates): string =>
  Object.entries(rates)
    .filter(([, rate]) => rate > 0)
    .map(([name, rate]) => `${name} ${rate}`)
    .join(", ");

/** One of the outcomes, each with its rate; the rest of the time the last word. */
export function draw<Name extends string>(
  random: Random,
  rates: Partial<Record<Name, number>>,
  otherwise: Name,
): Name {
  const roll = random();
  let limit = 0;
  for (const name in rates) {
    limit += rates[name] ?? 0;
    if (roll < limit) return name;
  }
  return otherwise;
}
