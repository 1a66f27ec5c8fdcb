// The table that a run prints: figures, then ratios, aligned for a terminal.
import { type Figure, isReached, type Ratio, type Results, shown } from "./results.ts";

export function tableOf({ figures, ratios }: Pick<Results, "figures" | "ratios">): string {
  return [
    ...aligned(
      ["section", "workspaces", "what", "p50", "p99", "spread", "unit", "values", "note"],
      figures.map(cells),
    ),
    "",
    ...aligned(
      ["section", "workspaces", "ratio, or what is aimed at", "is", "aim", ""],
      ratios.map(ratioCells),
    ),
  ].join("\n");
}

const cells = ({ section, workspaces, name, summary, unit, note }: Figure): string[] => [
  section,
  workspaces.toLocaleString("en"),
  name,
  shown(summary.p50),
  summary.count === 1 ? "" : shown(summary.p99),
  summary.count === 1 ? "" : shown(summary.spread),
  unit,
  String(summary.count),
  note,
];

function ratioCells(ratio: Ratio): string[] {
  const { section, workspaces, name, value, better, target } = ratio;
  const aim = target === null ? "" : `${better === "lower" ? "≤" : "≥"} ${target}`;
  const verdict = target === null ? "" : isReached(ratio) ? "reached" : "missed";
  return [section, workspaces.toLocaleString("en"), name, shown(value), aim, verdict];
}

/** Numbers to the right, texts to the left, by what the rows hold. */
export function aligned(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => [...(row[column] ?? "")].length)));
  const isNumber = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[\d.,]*$/.test(row[column] ?? "")),
  );
  return all.map((row) =>
    row
      .map((text, column) => {
        const padding = " ".repeat(widths[column]! - [...text].length);
        return isNumber[column] ? padding + text : text + padding;
      })
      .join("  ")
      .trimEnd(),
  );
}
