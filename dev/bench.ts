/**
 * `bun run bench`: real services, the built executable, other strategies and the floor, side by side in one run.
 *
 *     bun dev/bench.ts                       every section, about an hour
 *     bun dev/bench.ts --quick               100 and 1,000 workspaces, two minutes
 *     bun dev/bench.ts --only cycle          one section; may be given several times
 *     bun dev/bench.ts --sizes 100,1000      steps of these sizes alone
 *     bun dev/bench.ts --write               and writes docs/performance.md and docs/performance.svg
 *     bun dev/bench.ts --json FILE           and everything that was measured into a file
 *     bun dev/bench.ts --baseline            and its ratios into dev/bench/baseline.json
 *     bun dev/bench.ts --check               compares its ratios with that file: exit code 1 if a factor is lost
 *
 * Needs root, for dockerd.
 */
import { parseArgs } from "node:util";
import {
  comparedCount,
  describeLosses,
  type Loss,
  lossesOf,
  medianRatios,
  readBaseline,
  writeBaseline,
} from "./bench/check.ts";
import { cycleStep } from "./bench/cycle.ts";
import { eventStep } from "./bench/event.ts";
import { guestStep } from "./bench/guest.ts";
import { kubernetesStep } from "./bench/kubernetes.ts";
import { manyStep } from "./bench/many.ts";
import { surroundingsOf, writePage } from "./bench/page.ts";
import { type Ratio, Results, SECTIONS, type Section } from "./bench/results.ts";
import type { Plan, Step } from "./bench/step.ts";
import { tableOf } from "./bench/tables.ts";
import { startWorld, type World } from "./bench/world.ts";
import { writesStep } from "./bench/writes.ts";
import { ensureExecutable } from "./chaos/observer.ts";
import { ensureServices } from "./install.ts";
import { runProgram } from "./program.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true },
    sizes: { type: "string" },
    json: { type: "string" },
    write: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    baseline: { type: "boolean", default: false },
    /** Another executable than dist/observer. */
    executable: { type: "string" },
  },
});

/** A ratio that looks lost is measured again so many times, and the median counts. */
const REPETITIONS = 2;

const ALL_STEPS = {
  quick: [
    ...[100, 1_000].map(cycleStep),
    eventStep(1_000),
    ...[100, 1_000].map(manyStep),
    writesStep(1_000),
    guestStep(1_000),
  ],
  full: [
    ...[100, 1_000, 5_000].map(cycleStep),
    ...[1_000, 5_000].map(eventStep),
    ...[100, 1_000, 10_000, 100_000].map(manyStep),
    writesStep(1_000),
    guestStep(1_000),
    ...[500, 5_000].map(kubernetesStep),
  ],
} as const satisfies Record<string, readonly Step[]>;

function wanted(steps: readonly Step[]): Step[] {
  const only = values.only ?? [];
  const unknown = only.filter((name) => !SECTIONS.includes(name as Section));
  if (unknown.length > 0) {
    throw new Error(`Cannot run ${unknown.join(", ")}: the sections are ${SECTIONS.join(", ")}`);
  }
  const sizes = values.sizes?.split(",").map(Number);
  const chosen = steps
    .filter(({ section }) => only.length === 0 || only.includes(section))
    .filter(({ workspaces }) => sizes === undefined || sizes.includes(workspaces))
    .toSorted((left, right) => left.containers - right.containers || left.workspaces - right.workspaces);
  if (chosen.length === 0) {
    const known = steps.map(({ section, workspaces }) => `${section} ${workspaces}`).join(", ");
    throw new Error(`Cannot run anything: the steps are ${known}`);
  }
  return chosen;
}

async function runSteps(world: World, steps: readonly Step[], plan: Plan): Promise<Results> {
  const results = new Results((line) => console.error(line));
  for (const step of steps) {
    const startedMs = performance.now();
    await world.ensureContainers(step.containers);
    await step.run(world, plan, results);
    console.error(
      `${step.section} ${step.workspaces}: took ${Math.round((performance.now() - startedMs) / 1_000)} s\n`,
    );
  }
  return results;
}

async function bench(): Promise<boolean> {
  const kind = values.quick ? "quick" : "full";
  const plan: Plan = { quick: values.quick, budgetSeconds: values.quick ? 2.5 : 40 };
  // A size that is named is measured, however quickly.
  const steps = wanted(ALL_STEPS[values.sizes === undefined ? kind : "full"]);
  await ensureServices();
  const world = await startWorld(values.executable ?? ensureExecutable());
  try {
    const results = await runSteps(world, steps, plan);
    const where = await surroundingsOf(world);
    console.log(`\n${tableOf(results)}\n\n${where.machine}; ${where.versions}`);
    const command = `bun dev/bench.ts ${process.argv.slice(2).filter(isOfTheRun).join(" ")}`.trim();
    if (values.json !== undefined)
      await Bun.write(values.json, JSON.stringify({ command, where, ...results }, null, 2));
    if (values.write) await writePage(results, where, command);
    if (values.baseline) await writeBaseline(kind, results);
    return !values.check || (await check(world, steps, plan, results.ratios));
  } finally {
    await world.stop();
  }
}

/** Of the arguments, those that say what was measured. */
const isOfTheRun = (argument: string, at: number, all: readonly string[]): boolean =>
  !["--write", "--json", "--baseline", "--check", "--executable"].includes(argument) &&
  !["--json", "--executable"].includes(all[at - 1] ?? "");

async function check(
  world: World,
  steps: readonly Step[],
  plan: Plan,
  first: readonly Ratio[],
): Promise<boolean> {
  const baseline = (await readBaseline())[plan.quick ? "quick" : "full"];
  const compared = comparedCount(first, baseline);
  if (compared === 0) {
    throw new Error(
      "Cannot check anything: dev/bench/baseline.json has none of these ratios; write it by --baseline",
    );
  }
  const runs = [first];
  let losses: readonly Loss[] = lossesOf(first, baseline);
  while (losses.length > 0 && runs.length <= REPETITIONS) {
    const suspects = new Set(losses.map(({ ratio }) => ratio.section));
    console.error(`Looks lost, and is measured again:\n${describeLosses(losses)}`);
    const again = await runSteps(
      world,
      steps.filter(({ section }) => suspects.has(section)),
      plan,
    );
    runs.push(again.ratios);
    losses = lossesOf(medianRatios(runs), baseline);
  }
  console.log(losses.length === 0 ? `ok    ${compared} ratios are what they were` : describeLosses(losses));
  return losses.length === 0;
}

await runProgram(bench);
