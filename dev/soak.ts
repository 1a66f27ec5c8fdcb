/**
 * `bun run soak`: hours in the life of one process. Real services, steady churn, a fault now and then; every document
 * is judged by the journal of what was really there, and nothing that the process needs may grow.
 *
 *     bun dev/soak.ts --minutes 60
 *     bun dev/soak.ts --minutes 60 --json FILE     and all samples into a file
 *
 * Needs root, for dockerd. Exit code 1 if a promise was broken, the process ended, or something grew.
 */
import { parseArgs } from "node:util";
import type { Fault } from "./chaos/fault.ts";
import { faults } from "./chaos/faults.ts";
import { ensureExecutable } from "./chaos/observer.ts";
import { describeOutcome, reportOf } from "./chaos/report.ts";
import { type Outcome, runFault } from "./chaos/run.ts";
import { startWorld, type World } from "./chaos/world.ts";
import { seededRandom } from "./fakes/random.ts";
import { ensureServices } from "./install.ts";
import { runProgram } from "./program.ts";
import { runCommand } from "./services/process.ts";
import { BOUNDS, type Figure, type Sample, samplerOf } from "./soak/samples.ts";
import { type Trend, trendOf } from "./soak/trend.ts";

const SAMPLE_EVERY_MS = 10_000;
/** Between two faults: workspaces come and go, and nothing else happens. */
const CHURN: Fault = {
  name: "churn",
  what: "workspaces come and go",
  promises: ["P2", "P5", "P9"],
  durationMs: 30_000,
  goesOn: ["containers", "archives"],
  run: (_, context) => context.hold(),
};
const FIGURES = Object.keys(BOUNDS) as Figure[];

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    /** Another executable than dist/observer. */
    executable: { type: "string" },
  },
});
const minutes = Number(values.minutes);
if (!(minutes >= 2)) throw new Error(`--minutes must be a number from 2 on, not ${values.minutes}`);

/** Faults that one and the same process lives through, in a random order, again and again. */
function* faultsForEver(random: () => number): Generator<Fault> {
  const survivable = faults.filter(({ ends, settings }) => !ends && !settings);
  for (;;) {
    const left = [...survivable];
    while (left.length > 0) yield left.splice(Math.floor(random() * left.length), 1)[0]!;
  }
}

interface Soaked {
  readonly outcomes: readonly Outcome[];
  readonly samples: readonly Sample[];
  readonly isSameProcess: boolean;
}

async function soak(world: World): Promise<Soaked> {
  const outcomes: Outcome[] = [];
  const samples: Sample[] = [];
  const live = async (fault: Fault) => {
    const outcome = await runFault(world, fault);
    outcomes.push(outcome);
    console.log(describeOutcome(outcome));
  };
  await live(CHURN);
  const [observer] = world.observers;
  if (observer === undefined) throw new Error("Bug: nothing runs after a round of churn");
  const sample = samplerOf(observer.pid);
  const timer = setInterval(() => {
    const taken = sample();
    if (taken !== undefined) samples.push(taken);
  }, SAMPLE_EVERY_MS);
  try {
    const endMs = performance.now() + minutes * 60_000;
    const next = faultsForEver(seededRandom(Number(values.seed)));
    while (performance.now() < endMs) {
      await live(CHURN);
      if (performance.now() < endMs) await live(next.next().value as Fault);
    }
  } finally {
    clearInterval(timer);
  }
  return {
    outcomes,
    samples,
    isSameProcess: observer.isRunning && world.everStarted.length === 1 && observer.stderr === "",
  };
}

const shown = (value: number, unit: string) => `${value}${unit && ` ${unit}`}`;

function describeTrend({ name, unit, first, last, most, grows }: Trend): string {
  const figures = `${shown(first, unit)} → ${shown(last, unit)}, at most ${shown(most, unit)}`;
  return `${grows ? "GROWS" : "flat "} ${name.padEnd(17)} ${figures}`;
}

async function main(): Promise<boolean> {
  await ensureServices();
  const executable = values.executable ?? ensureExecutable();
  const version = (await runCommand([executable, "--version"])).trim();
  const startedMs = performance.now();
  let world: World | undefined;
  let soaked: Soaked;
  try {
    world = await startWorld(executable, Number(values.seed));
    soaked = await soak(world);
  } finally {
    await world?.stop();
  }
  const { outcomes, samples, isSameProcess } = soaked;
  const trends = FIGURES.map((figure) =>
    trendOf(
      BOUNDS[figure],
      samples.map((sample) => sample[figure]),
    ),
  );
  const sum = (of: (outcome: Outcome) => number) =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const report = {
    version,
    minutes: Math.round((performance.now() - startedMs) / 6_000) / 10,
    faults: outcomes.filter(({ fault }) => fault !== CHURN).length,
    documents: sum(({ documents }) => documents),
    deeds: sum(({ deeds }) => deeds),
    violations: sum(({ violations }) => violations.length),
    isSameProcess,
    trends,
  };
  console.log(
    [
      "",
      `${report.minutes} minutes of ${version}: ${report.faults} faults, ${report.deeds} deeds, ` +
        `${report.documents} documents judged, ${report.violations} violations`,
      ...(isSameProcess ? [] : ["FAIL  the process did not live through it all, or wrote to standard error"]),
      ...trends.map(describeTrend),
    ].join("\n"),
  );
  if (values.json !== undefined)
    await Bun.write(values.json, JSON.stringify({ ...report, rounds: reportOf(outcomes), samples }, null, 2));
  return report.violations === 0 && isSameProcess && trends.every(({ grows }) => !grows);
}

await runProgram(main);
