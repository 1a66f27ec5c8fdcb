// What a benchmark found: figures with a unit, and ratios of them, which are all that two machines have in common.
// A figure that the product has an aim for stands among the ratios as well, though never as a gate.
import { type Summary, summarise } from "./statistics.ts";

export const SECTIONS = ["cycle", "event", "many", "writes", "guest", "kubernetes"] as const;
export type Section = (typeof SECTIONS)[number];

export interface Figure {
  readonly section: Section;
  /** What was measured; unique together with section and workspaces. */
  readonly name: string;
  readonly workspaces: number;
  readonly unit: string;
  readonly summary: Summary;
  /** What of it was simulated, scaled or left out. */
  readonly note: string;
}

export interface Ratio {
  readonly section: Section;
  readonly name: string;
  readonly workspaces: number;
  readonly value: number;
  readonly better: "lower" | "higher";
  /** What the product sets out to reach; null: none. */
  readonly target: number | null;
  /** Whether a lost factor of it is a regression. False for what is too noisy, or measured too shortly. */
  readonly isGate: boolean;
}

export class Results {
  readonly figures: Figure[] = [];
  readonly ratios: Ratio[] = [];
  /** Further measurements, for the JSON file. */
  readonly raw: Record<string, unknown> = {};

  constructor(private readonly onLine: (line: string) => void = () => {}) {}

  /** @param values at least one, warm-up left out */
  figure(
    section: Section,
    workspaces: number,
    name: string,
    unit: string,
    values: readonly number[],
    note = "",
  ): Summary {
    const summary = summarise(values);
    this.figures.push({ section, name, workspaces, unit, summary, note });
    this.raw[`${section} ${workspaces} ${name}`] = values.map((value) => Math.round(value * 1000) / 1000);
    this.onLine(
      `${section} ${workspaces}: ${name}: p50 ${shown(summary.p50)}, p99 ${shown(summary.p99)} ${unit} ` +
        `(${summary.count} values)${note === "" ? "" : ` – ${note}`}`,
    );
    return summary;
  }

  ratio(
    section: Section,
    workspaces: number,
    name: string,
    value: number,
    better: "lower" | "higher",
    { target = null, isGate = true }: { target?: number | null; isGate?: boolean } = {},
  ): void {
    this.ratios.push({ section, name, workspaces, value, better, target, isGate });
    this.onLine(`${section} ${workspaces}: ${name} = ${shown(value)}${verdict(value, better, target)}`);
  }
}

export function isReached({ value, better, target }: Pick<Ratio, "value" | "better" | "target">): boolean {
  return target === null || (better === "lower" ? value <= target : value >= target);
}

function verdict(value: number, better: "lower" | "higher", target: number | null): string {
  if (target === null) return "";
  const sign = better === "lower" ? "≤" : "≥";
  return ` (target ${sign} ${target}${isReached({ value, better, target }) ? "" : ", MISSED"})`;
}

/** Three significant digits, and never an exponent. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en", {
    minimumFractionDigits: Math.min(digits, 3),
    maximumFractionDigits: Math.min(digits, 3),
  });
}
