// Preloaded into `bun test` by dev/fuzz.ts: gives every property as many inputs as asked for, and counts them.
import { afterAll } from "bun:test";
import { appendFileSync } from "node:fs";
import fc from "fast-check";

const { FUZZ_RUNS, FUZZ_SEED, FUZZ_COUNTS } = process.env;
let properties = 0;
let inputs = 0;

function report<T>(details: fc.RunDetails<T>): void {
  properties += 1;
  inputs += details.numRuns;
  if (details.failed) throw new Error(fc.defaultReportMessage(details), { cause: details.errorInstance });
}

fc.configureGlobal({
  numRuns: Number(FUZZ_RUNS),
  ...(FUZZ_SEED === undefined ? {} : { seed: Number(FUZZ_SEED) }),
  reporter: report,
});

afterAll(() => {
  if (FUZZ_COUNTS) appendFileSync(FUZZ_COUNTS, `${JSON.stringify({ properties, inputs })}\n`);
  properties = inputs = 0;
});
