/**
 * Runs the deterministic simulation for many seeds, or replays one.
 *
 *     bun dev/simulate.ts --seeds 100000     seeds 1 to 100000; stops at the first failure
 *     bun dev/simulate.ts --seed 4711 --verbose
 *     bun dev/simulate.ts --fleet --seeds 10000   a fleet of hosts on one table
 *     bun dev/simulate.ts --mutants --write  planted bugs: which check catches each, and after how many seeds
 *
 * A seed that fails prints what was broken, its fault rates, and the command that replays it. Exit code 1.
 */
import { parseArgs } from "node:util";
import { simulateFleet } from "../test/simulation/fleet.ts";
import { fleetMutants } from "../test/simulation/fleet-mutants.ts";
import { hunt, mutants } from "../test/simulation/mutants.ts";
import { type SimulationResult, simulate } from "../test/simulation/simulation.ts";
import { replaceBetween } from "./chaos/report.ts";

const PROGRESS_EVERY_MS = 10_000;
const MOST_SEEDS_FOR_A_MUTANT = 1_500;

/** @returns the exit code */
async function huntAll(isFleet: boolean, writesPage: boolean): Promise<number> {
  const rows: string[] = [];
  let missed = 0;
  for (const mutant of isFleet ? fleetMutants : mutants) {
    const caught = await hunt(mutant, MOST_SEEDS_FOR_A_MUTANT, isFleet ? simulateFleet : simulate);
    if (caught === null) missed += 1;
    const [check, seeds] =
      caught === null ? ["not caught", MOST_SEEDS_FOR_A_MUTANT] : [caught.check, caught.seeds];
    console.log(`${mutant.name}: ${check}, ${seeds} seeds`);
    rows.push(`| ${mutant.name} | ${check} | ${seeds} |`);
  }
  const table = ["| planted bug | caught by | after so many seeds |", "|---|---|---|", ...rows];
  if (writesPage) await replaceBetween(isFleet ? "fleet" : "simulation", table.join("\n"));
  return missed === 0 ? 0 : 1;
}

export function explainFailure({ seed, failure, rates }: SimulationResult, flags = ""): string {
  return [
    `Seed ${seed}: ${failure?.message}`,
    `  fault rates: ${rates}`,
    `  replay:      bun dev/simulate.ts ${flags}--seed ${seed} --verbose`,
  ].join("\n");
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "1000" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      verbose: { type: "boolean", default: false },
      "keep-going": { type: "boolean", default: false },
      mutants: { type: "boolean", default: false },
      fleet: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const isFleet = values.fleet;
  if (values.mutants) return await huntAll(isFleet, values.write);
  const run = isFleet ? simulateFleet : simulate;
  const explained = (result: SimulationResult) => explainFailure(result, isFleet ? "--fleet " : "");
  if (values.seed !== undefined) {
    const onTrace = (line: string) => console.log(line);
    const result = run(Number(values.seed), values.verbose ? { onTrace } : {});
    console.log(
      result.failure === null
        ? `Seed ${result.seed}: all promises kept, trace ${result.trace.toString(16)}`
        : explained(result),
    );
    return result.failure === null ? 0 : 1;
  }
  const first = Number(values.from);
  const count = Number(values.seeds);
  const startedMs = performance.now();
  const failures = new Map<string, number[]>();
  let virtualMs = 0;
  let writes = 0;
  let nextProgressMs = startedMs + PROGRESS_EVERY_MS;
  let done = 0;
  for (let seed = first; seed < first + count; seed++) {
    const result = run(seed);
    done += 1;
    virtualMs += result.virtualMs;
    writes += result.writes;
    if (result.failure !== null) {
      const { check } = result.failure;
      const seen = failures.get(check) ?? [];
      failures.set(check, [...seen, seed]);
      if (seen.length === 0) console.log(explained(result));
      if (!values["keep-going"]) break;
    }
    if (performance.now() > nextProgressMs) {
      nextProgressMs += PROGRESS_EVERY_MS;
      console.log(`${done} of ${count} seeds`);
    }
  }
  for (const [check, seeds] of failures)
    console.log(`${check}: ${seeds.length} seeds, first ${seeds.slice(0, 8)}`);
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(
    `${done} seeds, ${(virtualMs / 3_600_000).toFixed(1)} simulated hours, ${writes} row writes checked, in ${seconds.toFixed(1)} s`,
  );
  return failures.size === 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main());
