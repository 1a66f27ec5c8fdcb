// Planted bugs: executables that are built from a changed copy of the sources. Each has to be caught, or the checks of
// this folder have no teeth. A text that is no longer found is an error: then the bug has to be planted anew.
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openScope } from "../services/scope.ts";
import type { Violation } from "./check.ts";
import { faultsNamed } from "./faults.ts";
import { build } from "./observer.ts";
import { replaceBetween } from "./report.ts";
import { runFault } from "./run.ts";
import { startWorld } from "./world.ts";

interface Mutant {
  readonly name: string;
  readonly changes: readonly { readonly file: string; readonly from: string; readonly to: string }[];
  /** The fault that brings it to light, and how long it has to last. */
  readonly fault: string;
  readonly durationMs?: number;
  /** A promise that must be found broken. */
  readonly breaks: readonly string[];
}

const root = join(import.meta.dir, "../..");

export const mutants: readonly Mutant[] = [
  {
    name: "a failed list is an empty list",
    changes: [
      {
        file: "src/adapters/docker.ts",
        from: "transport.getMade(path, CONTAINERS_SCHEMA, look.signal, make, known)",
        to: "transport.getMade(path, CONTAINERS_SCHEMA, look.signal, make, known).catch(() => make([]))",
      },
    ],
    fault: "engine-containers-truncated",
    // The guard doesn't believe it at once.
    durationMs: 20_000,
    breaks: ["P1"],
  },
  {
    name: "no fence, and the epoch is ignored",
    changes: [
      {
        file: "src/adapters/postgres-statements.ts",
        from: "where (conditions #>> array['observed', fresh.source])",
        to: "where false and (conditions #>> array['observed', fresh.source])",
      },
      {
        file: "src/adapters/postgres-statements.ts",
        from: "::bigint\n      returning epoch",
        to: "::bigint or true\n      returning epoch",
      },
    ],
    fault: "observer-paused-past-lease",
    breaks: ["P3"],
  },
  {
    name: "the second look is skipped",
    changes: [
      { file: "src/observer/stages.ts", from: "pair !== null && isSuspicious(row, pair)", to: "false" },
    ],
    fault: "engine-lists-late",
    durationMs: 25_000,
    breaks: ["P5"],
  },
  {
    name: "a late answer gets a new stamp",
    changes: [
      {
        file: "src/observer/cycle.ts",
        from: "if (taken === null || taken.stamp <= now) return taken;",
        to: "if (taken === null || taken.stamp <= now) return taken && { ...taken, stamp: now };",
      },
    ],
    fault: "engine-lists-late",
    breaks: ["P1", "P2", "P5"],
  },
  {
    name: "the guard is off",
    changes: [
      {
        file: "src/observer/absence.ts",
        from: "config.enabled && missing.length",
        to: "false && missing.length",
      },
    ],
    fault: "engine-replaced",
    breaks: ["P1"],
  },
  {
    name: "the second look is skipped, with two hundred workspaces",
    changes: [
      { file: "src/observer/stages.ts", from: "pair !== null && isSuspicious(row, pair)", to: "false" },
    ],
    fault: "engine-lists-late-200",
    breaks: ["P5"],
  },
  {
    name: "hints and events are not held to the shortest interval",
    changes: [
      {
        file: "src/observer/cadence.ts",
        from: "cadence.lastStartMs + config.minIntervalMs",
        to: "cadence.lastStartMs",
      },
    ],
    fault: "engine-event-storm-injected",
    breaks: ["P8"],
  },
  {
    name: "a hint that comes in mid-cycle is forgotten at its end",
    changes: [
      {
        file: "src/observer/cadence.ts",
        from: "operationInFlight: seen.operationInFlight,\n    activeUntilMs",
        to: "hinted: false, followUpMs: null, operationInFlight: seen.operationInFlight,\n    activeUntilMs",
      },
    ],
    fault: "redis-hint-storm",
    breaks: ["P8"],
  },
  {
    name: "a descriptor is lost with each call to the Engine that is given up",
    changes: [
      {
        file: "src/adapters/docker-transport.ts",
        from: `throw failure(error, signal, "waiting for the Engine's answer");`,
        to: `(await import("node:fs")).openSync("/dev/null"); throw failure(error, signal, "waiting for the Engine's answer");`,
      },
    ],
    fault: "sources-hang-at-each-look",
    breaks: ["P12"],
  },
  {
    name: "a descriptor is lost with each client of the database that is given up",
    changes: [
      {
        file: "src/adapters/postgres-client.ts",
        from: "void sql.end({ timeout: graceMs / 1000 }).catch(() => {});",
        to: `void import("node:fs").then((fs) => fs.openSync("/dev/null"));`,
      },
    ],
    fault: "postgres-hangs-at-each-try",
    breaks: ["P12"],
  },
  {
    name: "a source that hangs is no reason not to be ready",
    changes: [
      {
        file: "src/observer/health.ts",
        from: "if (age !== null && age <= boundMs) continue;",
        to: "if (age !== null) continue;",
      },
    ],
    fault: "s3-page-hangs",
    breaks: ["P12"],
  },
  {
    name: "asked to end, it ends with an error",
    changes: [{ file: "src/commands/run.ts", from: "return exitCode.ok;", to: "return exitCode.failed;" }],
    fault: "redis-last-hint",
    breaks: ["P12"],
  },
];

/** Whether a hint comes in mid-cycle, or a pause in mid-listing, is partly for chance to say. */
const TRIES = 3;

/** @returns whether every one was caught */
export async function runMutants(
  seed: number,
  only: readonly string[] | undefined,
  write: boolean,
): Promise<boolean> {
  const rows: string[] = [];
  let all = true;
  for (const mutant of mutants.filter(({ fault }) => only?.includes(fault) ?? true)) {
    let broken: readonly Violation[] = [];
    let proof: Violation | undefined;
    for (let attempt = 0; attempt < TRIES && proof === undefined; attempt++) {
      broken = await judge(mutant, seed + attempt);
      proof = broken.find(({ promise }) => mutant.breaks.includes(promise));
    }
    all &&= proof !== undefined;
    console.log(`${proof ? "caught" : "MISSED"} ${mutant.name}: ${proof?.promise ?? "no promise broken"}`);
    if (proof) console.log(`  ${proof.text}`);
    else for (const { promise, text } of broken.slice(0, 3)) console.log(`  ${promise}: ${text}`);
    rows.push(
      `| ${mutant.name} | \`${mutant.fault}\` | ${proof === undefined ? "**missed**" : `${proof.promise}: ${firstLine(proof)}`} |`,
    );
  }
  if (write)
    await replaceBetween(
      "mutants",
      ["| planted bug | fault | caught by |", "|---|---|---|", ...rows].join("\n"),
    );
  return all;
}

const firstLine = ({ text }: Violation) => text.split("\n")[0]!;

async function judge(mutant: Mutant, seed: number): Promise<readonly Violation[]> {
  const scope = openScope("mutant");
  const executable = plant(mutant, scope.folder);
  const [fault] = faultsNamed([mutant.fault]);
  const world = await startWorld(executable, seed);
  try {
    const { violations } = await runFault(world, fault!, { durationMs: mutant.durationMs });
    return violations;
  } finally {
    await world.stop();
    await scope.stop();
  }
}

function plant(mutant: Mutant, folder: string): string {
  mkdirSync(join(folder, "dev"));
  for (const name of ["src", "package.json", "tsconfig.json", "dev/build.ts", "dev/left-out"])
    cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const { file, from, to } of mutant.changes) {
    const text = readFileSync(join(folder, file), "utf8");
    if (text.split(from).length !== 2)
      throw new Error(`Cannot plant "${mutant.name}": ${file} does not have its text exactly once`);
    // A function, since a text may hold what replace() takes for a pattern.
    writeFileSync(
      join(folder, file),
      text.replace(from, () => to),
    );
  }
  return build(folder, join(folder, "observer"));
}
