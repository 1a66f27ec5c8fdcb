/**
 * Goal: where many hosts write into one table, who is not the reporter never writes an absence, a lost host is not gone,
 * nothing flaps, and in the end each row says what is, whichever host has it; and the simulation of that has teeth.
 * Method: seeds of a fleet on virtual time, every write checked (fleet-checks.ts); then planted bugs until one is caught.
 * The long form is `bun dev/simulate.ts --fleet --seeds 10000`.
 */
import { describe, expect, test } from "bun:test";
import { explainFailure } from "../../dev/simulate.ts";
import { simulateFleet } from "./fleet.ts";
import { fleetMutants } from "./fleet-mutants.ts";
import { hunt } from "./mutants.ts";

const SEEDS = 50;
const MOST_SEEDS = 200;
const TIMEOUT_MS = 180_000;

test("the same seed of a fleet gives the same trace twice", () => {
  for (let seed = 1; seed <= 3; seed++) expect(simulateFleet(seed)).toEqual(simulateFleet(seed));
});

test(
  `P1, P2, P3, P9 in a fleet: ${SEEDS} seeds keep every promise`,
  () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = simulateFleet(seed);
      if (result.failure !== null) throw new Error(explainFailure(result, "--fleet "));
    }
  },
  TIMEOUT_MS,
);

describe("the simulation of a fleet catches", () => {
  for (const mutant of fleetMutants) {
    test(
      mutant.name,
      async () => {
        expect(await hunt(mutant, MOST_SEEDS, simulateFleet)).not.toBeNull();
      },
      TIMEOUT_MS,
    );
  }
});
