// How many inputs a property gets: a few in `npm test`, as many as `bun run fuzz` asks for (dev/fuzz.ts).
import fc from "fast-check";

/** For a property that needs more than the usual hundred to be worth something. */
export const atLeast = (count: number): { numRuns: number } => ({
  numRuns: Math.max(count, fc.readConfigureGlobal()?.numRuns ?? 0),
});

/** For a property that costs milliseconds per input. */
export const atMost = (count: number): { numRuns: number } => ({
  numRuns: Math.min(count, fc.readConfigureGlobal()?.numRuns ?? 100),
});
