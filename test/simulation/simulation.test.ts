/**
 * Goal: the twelve promises hold under every fault that the simulation knows, seed after seed.
 * Method: 2,000 seeds of the whole loop on virtual time; every write is checked, and every peace (simulation.ts).
 * The long form is `bun dev/simulate.ts --seeds 100000`.
 */
import { expect, test } from "bun:test";
import { explainFailure } from "../../dev/simulate.ts";
import { simulate } from "./simulation.ts";

const SEEDS = 2_000;
/** Seeds that once found something. */
const SCARS = [33, 124, 131, 156, 1302, 2975, 3031, 3505, 7422];
const TIMEOUT_MS = 600_000;

test("the same seed gives the same trace twice", () => {
  for (let seed = 1; seed <= 25; seed++) expect(simulate(seed)).toEqual(simulate(seed));
});

test(
  `P1–P12: ${SEEDS} seeds keep every promise`,
  () => {
    for (const seed of [...SCARS, ...Array.from({ length: SEEDS }, (_, n) => n + 1)]) {
      const result = simulate(seed);
      if (result.failure !== null) throw new Error(explainFailure(result));
    }
  },
  TIMEOUT_MS,
);
