import type { Fault } from "./fault.ts";
import { crowdFaults } from "./faults-crowd.ts";
import { engineFaults } from "./faults-engine.ts";
import { hangFaults } from "./faults-hang.ts";
import { observerFaults } from "./faults-observer.ts";
import { postgresFaults } from "./faults-postgres.ts";
import { redisFaults } from "./faults-redis.ts";
import { s3Faults } from "./faults-s3.ts";
import { stormFaults } from "./faults-storm.ts";

export const faults: readonly Fault[] = [
  ...observerFaults.filter(({ name }) => name === "calm"),
  ...engineFaults,
  ...s3Faults,
  ...postgresFaults,
  ...redisFaults,
  ...hangFaults,
  ...stormFaults,
  ...crowdFaults,
  ...observerFaults.filter(({ name }) => name !== "calm"),
];

/** For the test suite: a few of each kind, and how long each lasts there, milliseconds. */
export const SHORT: Readonly<Record<string, number>> = {
  "engine-lists-late": 5_000,
  "engine-containers-truncated": 2_000,
  "s3-stopped": 3_500,
  "postgres-backends-killed": 2_000,
  "postgres-row-locks": 2_000,
  "observer-paused": 2_000,
};

export function faultsNamed(names: readonly string[]): Fault[] {
  return names.map((name) => {
    const fault = faults.find((candidate) => candidate.name === name);
    if (fault === undefined)
      throw new Error(`There is no fault ${name}: ${faults.map((each) => each.name).join(" ")}`);
    return fault;
  });
}
