// Has a factor been lost? Ratios of one run against those of another, never absolute times.
import { join } from "node:path";
import { type Ratio, type Results, shown } from "./results.ts";
import { median } from "./statistics.ts";

/** A lost factor of 1.5 is caught, and noise that moves a ratio by a third is not. */
export const MOST_FACTOR = 1.4;

export interface BaselineEntry {
  readonly section: string;
  readonly workspaces: number;
  readonly name: string;
  readonly value: number;
  readonly better: "lower" | "higher";
}

/** Quick runs have their own, for what they measure is not the same. */
export interface Baseline {
  readonly quick: readonly BaselineEntry[];
  readonly full: readonly BaselineEntry[];
}

export interface Loss {
  readonly ratio: Ratio;
  readonly baseline: number;
  /** How many times worse; above `MOST_FACTOR`. */
  readonly factor: number;
}

const PATH = join(import.meta.dir, "baseline.json");

const sameRatio = (one: Pick<Ratio, "section" | "workspaces" | "name">, other: BaselineEntry): boolean =>
  one.section === other.section && one.workspaces === other.workspaces && one.name === other.name;

/** What is worse than the baseline by more than the allowed factor. A ratio that only one of them has says nothing. */
export function lossesOf(ratios: readonly Ratio[], baseline: readonly BaselineEntry[]): Loss[] {
  return ratios.flatMap((ratio) => {
    const entry = ratio.isGate ? baseline.find((candidate) => sameRatio(ratio, candidate)) : undefined;
    if (entry === undefined) return [];
    const factor = ratio.better === "lower" ? ratio.value / entry.value : entry.value / ratio.value;
    // A ratio that can't be formed is no proof that all is well.
    return factor <= MOST_FACTOR ? [] : [{ ratio, baseline: entry.value, factor }];
  });
}

/** The same ratios, each the median of what several runs found of it. */
export function medianRatios(runs: readonly (readonly Ratio[])[]): Ratio[] {
  const all = runs.flat();
  const keyOf = ({ section, workspaces, name }: Ratio) => JSON.stringify([section, workspaces, name]);
  return [...Map.groupBy(all, keyOf).values()].map((found) => ({
    ...found[0]!,
    value: median(found.map(({ value }) => value)),
  }));
}

export function describeLosses(losses: readonly Loss[]): string {
  return losses
    .map(
      ({ ratio, baseline, factor }) =>
        `LOST  ${ratio.section} ${ratio.workspaces.toLocaleString("en")}: ${ratio.name} is ${shown(ratio.value)}, ` +
        `was ${shown(baseline)}: ${factor.toFixed(2)} times worse`,
    )
    .join("\n");
}

/** How many of the ratios are in the baseline: a check that compares nothing must not pass. */
export const comparedCount = (ratios: readonly Ratio[], baseline: readonly BaselineEntry[]): number =>
  ratios.filter((ratio) => ratio.isGate && baseline.some((entry) => sameRatio(ratio, entry))).length;

export async function readBaseline(): Promise<Baseline> {
  const file = Bun.file(PATH);
  if (!(await file.exists())) return { quick: [], full: [] };
  return (await file.json()) as Baseline;
}

/** Replaces what the run measured, and keeps the rest. */
export async function writeBaseline(
  kind: keyof Baseline,
  { ratios }: Pick<Results, "ratios">,
): Promise<void> {
  const before = await readBaseline();
  const fresh = ratios.filter(({ isGate }) => isGate);
  const entries = [
    ...before[kind].filter((entry) => !fresh.some((ratio) => sameRatio(ratio, entry))),
    ...fresh.map(({ section, workspaces, name, value, better }) => ({
      section,
      workspaces,
      name,
      value: Number(value.toPrecision(3)),
      better,
    })),
  ].toSorted(
    (left, right) =>
      left.section.localeCompare(right.section) ||
      left.workspaces - right.workspaces ||
      left.name.localeCompare(right.name),
  );
  await Bun.write(PATH, `${JSON.stringify({ ...before, [kind]: entries }, null, 2)}\n`);
}
