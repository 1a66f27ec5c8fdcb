/**
 * `bun run chaos`: real services, real faults, the built executable, and a journal of what was really there.
 *
 *     bun dev/chaos.ts                       every fault, some ten minutes
 *     bun dev/chaos.ts --only s3-stopped     one; may be given several times
 *     bun dev/chaos.ts --write               and writes the table into docs/reliability.md
 *     bun dev/chaos.ts --json FILE           and everything that was measured into a file
 *     bun dev/chaos.ts --mutants             planted bugs instead: each has to be caught
 *
 * Needs root, for dockerd. Exit code 1 if a promise was broken, with the part of the journal that proves it.
 */
import { parseArgs } from "node:util";
import { faults, faultsNamed } from "./chaos/faults.ts";
import { runMutants } from "./chaos/mutants.ts";
import { ensureExecutable } from "./chaos/observer.ts";
import { describeOutcome, reportOf, summaryOf, writeReport } from "./chaos/report.ts";
import { type Outcome, runFault } from "./chaos/run.ts";
import { startWorld, type World } from "./chaos/world.ts";
import { ensureServices } from "./install.ts";
import { runProgram } from "./program.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    write: { type: "boolean", default: false },
    json: { type: "string" },
    seed: { type: "string", default: "1" },
    /** Another executable than dist/observer. */
    executable: { type: "string" },
    mutants: { type: "boolean", default: false },
  },
});

async function chaos(): Promise<boolean> {
  const wanted = values.only ? faultsNamed(values.only) : faults;
  await ensureServices();
  const seed = Number(values.seed);
  if (values.mutants) return await runMutants(seed, values.only, values.write);
  const executable = values.executable ?? ensureExecutable();
  let world: World | undefined;
  const outcomes: Outcome[] = [];
  try {
    world = await startWorld(executable, seed);
    for (const fault of wanted) {
      const outcome = await runFault(world, fault);
      outcomes.push(outcome);
      console.log(describeOutcome(outcome));
    }
  } finally {
    await world?.stop();
  }
  console.log(`\n${summaryOf(outcomes)}`);
  if (values.json !== undefined) await Bun.write(values.json, JSON.stringify(reportOf(outcomes), null, 2));
  if (values.write) await writeReport(outcomes, executable);
  return outcomes.every(({ violations }) => violations.length === 0);
}

await runProgram(chaos);
