/**
 * Goal: the simulation has teeth: every planted bug (mutants.ts) breaks a promise that it checks.
 * Method: seed after seed until one catches the bug; the same seeds pass without it (simulation.test.ts).
 */
import { describe, expect, test } from "bun:test";
import { hunt, mutants } from "./mutants.ts";

const MOST_SEEDS = 1_500;
const TIMEOUT_MS = 180_000;

describe("the simulation catches", () => {
  for (const mutant of mutants) {
    test(
      mutant.name,
      async () => {
        const caught = await hunt(mutant, MOST_SEEDS);
        expect(caught).not.toBeNull();
      },
      TIMEOUT_MS,
    );
  }
});
