/**
 * Planted bugs: what the simulation must catch. One kind is a change of the domain's own text, made in a copy of it;
 * the other a switch in a fake, for what is an adapter's duty. A text that is no longer found is an error: then the
 * bug has to be planted anew.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Domain, realDomain, type Sabotage } from "./domain.ts";
import { simulate } from "./simulation.ts";

export interface Mutant {
  readonly name: string;
  readonly sabotage?: Sabotage;
  readonly file?: string;
  /** Text → what stands there instead; the text occurs exactly once. */
  readonly replace?: readonly (readonly [string, string])[];
  /** What only one seed in a hundred or a thousand meets is looked for from here on, so that it doesn't take minutes. */
  readonly from?: number;
}

export const mutants: readonly Mutant[] = [
  { name: "a failed list is an empty list", sabotage: "failed-list-is-empty" },
  { name: "a half-read list is a whole list", sabotage: "half-read-list-is-whole" },
  { name: "no fence in the writing statement, and a lease that fails", sabotage: "no-fence" },
  { name: "the epoch is ignored", sabotage: "epoch-ignored" },
  { name: "soft-deleted rows are forgotten at once", sabotage: "deleted-rows-forgotten" },
  { name: "the writing statement inserts rows that are gone", sabotage: "orphan-inserted" },
  { name: "the whole document is replaced", sabotage: "whole-document-replaced" },
  { name: "what changed in the table is not told", sabotage: "changes-missed" },
  {
    name: "a row counts as settled whatever is seen",
    file: "settled.ts",
    replace: [["if (engine.container !== containers.byWorkspace.get(id)) return false;", ""]],
  },
  {
    name: "a settled row is never stamped again",
    file: "settled.ts",
    replace: [["from <= due.now && due.now < until && horizonMs === due.horizonMs", "from <= due.now"]],
  },
  {
    name: "a commit that may still come is not waited for",
    file: "stages.ts",
    replace: [
      [
        "await (mustWait ? leadership.renew(lease, signal) :",
        "await (false ? leadership.renew(lease, signal) :",
      ],
    ],
  },
  {
    name: "a glance and a cycle don't take turns",
    file: "stages.ts",
    replace: [
      [
        "return turns.take(async () => {",
        "return (async (work: () => Promise<void>) => work())(async () => {",
      ],
    ],
  },
  {
    name: "of two observations of one process the older may come last",
    file: "stages.ts",
    replace: [["< mirrored.engineOrder;", "< -1;"]],
  },
  {
    name: "a late answer gets a new stamp",
    file: "cycle.ts",
    replace: [
      [
        "if (taken === null || taken.stamp <= now) return taken;",
        "if (taken === null || taken.stamp <= now) return taken && { ...taken, stamp: now };",
      ],
    ],
  },
  {
    name: "the stamp is read after the listing",
    file: "cycle.ts",
    replace: [
      [
        "const engine = unchangedEngine(memory, isNamed ? takeComparable(parts.engineSource, now) : null);",
        "const late = await readStamp(parts, plan, memory); const taken = unchangedEngine(memory, isNamed ? takeComparable(parts.engineSource, now) : null); const engine = taken && late !== 'lease-lost' ? { ...taken, stamp: late.now } : taken;",
      ],
    ],
  },
  {
    name: "a hint in mid-cycle is dropped",
    file: "cadence.ts",
    replace: [
      [
        "    operationInFlight: seen.operationInFlight,",
        "    operationInFlight: seen.operationInFlight, hinted: false,",
      ],
    ],
  },
  {
    name: "the second look is skipped",
    file: "stages.ts",
    replace: [["pair !== null && isSuspicious(row, pair)", "false"]],
  },
  {
    name: "the second look takes what still moves",
    file: "absence.ts",
    replace: [["!hasVanished && isUnmoved(before.byWorkspace.get(id), pair.container)", "true"]],
  },
  {
    name: "the guard is off",
    file: "absence.ts",
    replace: [["config.enabled && missing.length", "false && missing.length"]],
  },
  {
    name: "the guard compares with memory instead of the table",
    file: "believe.ts",
    replace: [
      [
        "const isPresent = rows.holds(row, kind);",
        "const isPresent = ((memory.suspicions as any)['seen ' + kind] ?? { has: () => false }).has(row.id); ((suspicions as any)['seen ' + kind] = listing.byWorkspace);",
      ],
    ],
  },
  {
    name: "the guard counts observations and not time",
    file: "absence.ts",
    replace: [["|| nowMs - next.sinceMs < limits.guardConfirmMs", ""]],
  },
  {
    name: "the guard confirms after two observations",
    file: "absence.ts",
    replace: [["next.seen < config.confirm", "next.seen < 2"]],
    from: 2_080,
  },
  {
    name: "the guard confirms all absences with the first",
    file: "absence.ts",
    replace: [["const last = before.get(id);", "const last = before.get(id) ?? [...before.values()][0];"]],
  },
  {
    name: "the wake-up is lost with the answer to a commit",
    file: "report.ts",
    replace: [["if (composed.some(({ changes }) => changes.length > 0)) wake.owe();", ""]],
  },
  {
    name: "the wake-up is sent before a commit that may still come",
    file: "report.ts",
    replace: [["return wake.isOwed && !wake.isUnsettled ?", "return wake.isOwed ?"]],
  },
  {
    name: "a wake-up that failed counts as sent",
    file: "stages.ts",
    replace: [["if (woke) report.announced(owed);", "report.announced(owed); void woke;"]],
  },
  {
    name: "who takes over doesn't announce what the dead leader committed",
    file: "loop.ts",
    replace: [["this.#memory.wake.owe();", ""]],
  },
  {
    name: "half a pair is published",
    file: "compose.ts",
    replace: [
      ["    set.volume = composeVolume(", "    if (engine.volume !== undefined) set.volume = composeVolume("],
    ],
  },
  {
    name: "everybody waits for the slowest source",
    file: "cycle.ts",
    replace: [
      [
        "first.then(() => parts.clock.sleep(",
        "first.then(() => new Promise<void>(() => {})).then(() => parts.clock.sleep(",
      ],
    ],
  },
  {
    name: "an engine that fails stops the whole cycle",
    file: "cycle.ts",
    replace: [
      [
        "if (loaded === null || plan.stop.aborted) return report.done();",
        "if (loaded === null || plan.stop.aborted || parts.engineSource.health.lastError !== null) return report.done();",
      ],
    ],
  },
  {
    name: "a stamp in the future blocks its row",
    file: "compose.ts",
    replace: [["before === null || before <= stamp || before > now", "before === null || before <= stamp"]],
  },
  {
    name: "observed_at is the newest stamp",
    file: "compose.ts",
    replace: [["smallest === null || at < smallest", "smallest === null || at > smallest"]],
  },
  {
    name: "unchanged rows are never stamped again",
    file: "compose.ts",
    replace: [
      [
        "if (before === null || before > now || periodUs <= 0) return now;",
        "if (before !== null) return (now + 1) as Instant;",
      ],
    ],
  },
  {
    name: "every write is a transition",
    file: "conditions.ts",
    replace: [["return same && parseInstant(before)", "return !same && parseInstant(before)"]],
  },
  {
    name: "a listing that failed leaves its source busy",
    file: "source.ts",
    replace: [[".then(settled, settled)", ".then(settled, () => {})"]],
  },
];

export interface Catch {
  readonly check: string;
  /** How many seeds it took. */
  readonly seeds: number;
  readonly message: string;
}

/** @returns null when so many seeds did not catch it */
export async function hunt(
  mutant: Mutant,
  mostSeeds: number,
  run: typeof simulate = simulate,
): Promise<Catch | null> {
  const folder = mutant.file === undefined ? null : mutatedCopy(mutant);
  try {
    const domain = folder === null ? realDomain : await load(folder);
    const sabotage = new Set(mutant.sabotage === undefined ? [] : [mutant.sabotage]);
    const { from = 1 } = mutant;
    for (let seed = from; seed < from + mostSeeds; seed++) {
      const { failure } = run(seed, { domain, sabotage });
      if (failure === null) continue;
      // The first seeds are known to keep every promise without the bug (simulation.test.ts).
      if (from > 1 && run(seed).failure !== null)
        throw new Error(`Seed ${seed} fails without the bug as well`);
      return { ...failure, seeds: seed };
    }
    return null;
  } finally {
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
}

const load = async (folder: string): Promise<Domain> => ({
  ...((await import(join(folder, "loop.ts"))) as Pick<Domain, "Loop">),
  ...((await import(join(folder, "source.ts"))) as Pick<Domain, "Source">),
});

function mutatedCopy({ name, file, replace }: Mutant): string {
  const folder = mkdtempSync(join(tmpdir(), "observer-mutant-"));
  cpSync(join(import.meta.dir, "../../src/observer"), folder, { recursive: true });
  const path = join(folder, file!);
  let text = readFileSync(path, "utf8");
  for (const [from, to] of replace!) {
    // Formatting is no part of the bug.
    const pattern = new RegExp(from.trim().split(/\s+/).map(RegExp.escape).join("\\s+"), "g");
    if ([...text.matchAll(pattern)].length !== 1)
      throw new Error(`Cannot plant "${name}": ${file} does not hold this text once: ${from}`);
    text = text.replace(pattern, () => to);
  }
  writeFileSync(path, text);
  return folder;
}
