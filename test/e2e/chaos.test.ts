// Goal: the twelve promises hold while real services fail in the ways that they do (P1 to P6, P8, P9, P11, P12).
// Method: the short form of `bun run chaos`: a few of its faults, each shorter, workspaces that come and go meanwhile, and
// every document that the executable wrote judged by a journal of what was really there. Its world is its own.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { faultsNamed, SHORT } from "../../dev/chaos/faults.ts";
import { ensureExecutable } from "../../dev/chaos/observer.ts";
import { describeOutcome } from "../../dev/chaos/report.ts";
import { runFault } from "../../dev/chaos/run.ts";
import { startWorld, type World } from "../../dev/chaos/world.ts";

/** How fast it is right again, the long form measures; here it has to be right at all. */
const PATIENCE_MS = 40_000;

let world: World;

beforeAll(async () => {
  world = await startWorld(process.env.E2E_EXECUTABLE ?? ensureExecutable(), 1);
}, 120_000);
afterAll(() => world?.stop(), 60_000);

test.each(Object.entries(SHORT))("%s", async (name, durationMs) => {
  const [fault] = faultsNamed([name]);
  const outcome = await runFault(world, fault!, { durationMs, recoveryMs: PATIENCE_MS });
  console.log(describeOutcome(outcome));
  expect(outcome.violations).toEqual([]);
  expect(outcome.documents).toBeGreaterThan(0);
});
