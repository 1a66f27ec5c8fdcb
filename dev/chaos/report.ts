// What came of the faults: lines for the terminal, a table for docs/reliability.md, JSON for machines.
import { join } from "node:path";
import { runCommand } from "../services/process.ts";
import type { Outcome } from "./run.ts";

const PAGE = join(import.meta.dir, "../../docs/reliability.md");

const seconds = (ms: number | null) => (ms === null ? "never" : `${(ms / 1000).toFixed(1)} s`);

export function describeOutcome(outcome: Outcome): string {
  const { fault, recoveryMs, documents, deeds, seen, growth, violations } = outcome;
  const head = `${violations.length === 0 ? "ok  " : "FAIL"} ${fault.name.padEnd(30)} right after ${seconds(recoveryMs).padStart(6)}`;
  const line = `${head}  ${documents} documents, ${deeds} deeds, ${growth || "another process"}; ${seen || "nothing logged"}`;
  const shown = violations.slice(0, 3).map(({ promise, text }) => `  ${promise}: ${text}`);
  const more = violations.length > 3 ? [`  and ${violations.length - 3} more`] : [];
  return [line, ...shown, ...more].join("\n");
}

export function summaryOf(outcomes: readonly Outcome[]): string {
  const broken = outcomes.filter(({ violations }) => violations.length > 0);
  const documents = outcomes.reduce((sum, outcome) => sum + outcome.documents, 0);
  const wrong = outcomes.reduce((sum, { violations }) => sum + violations.length, 0);
  return `${outcomes.length} faults, ${documents} documents judged, ${wrong} violations${
    broken.length === 0 ? "" : ` in ${broken.map(({ fault }) => fault.name).join(", ")}`
  }`;
}

export const reportOf = (outcomes: readonly Outcome[]) =>
  outcomes.map(({ fault, ...measured }) => ({
    name: fault.name,
    what: fault.what,
    promises: fault.promises,
    ...measured,
  }));

const cell = (text: string) => text.replaceAll("|", "\\|");

export async function writeReport(outcomes: readonly Outcome[], executable: string): Promise<void> {
  const version = (await runCommand([executable, "--version"])).trim();
  const rows = outcomes.map(
    ({ fault, seen, recoveryMs, documents, violations }) =>
      `| \`${fault.name}\` | ${cell(fault.what)} | ${fault.promises.join(" ")} | ${cell(seen) || "–"} | ${seconds(recoveryMs)} | ${documents} | ${violations.length} |`,
  );
  const table = [
    `${summaryOf(outcomes)}. Version ${version}, ${new Date().toISOString().slice(0, 10)}.`,
    "",
    "| fault | what happens | shakes | what was seen | right after | documents | wrong |",
    "|---|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
  await replaceBetween("chaos", table);
}

/** Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` in docs/reliability.md. */
export async function replaceBetween(name: string, text: string): Promise<void> {
  const page = await Bun.file(PAGE).text();
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [start, end] = [page.indexOf(open), page.indexOf(close)];
  if (start < 0 || end < start)
    throw new Error(`Cannot write docs/reliability.md: it has no ${open} … ${close}`);
  await Bun.write(PAGE, `${page.slice(0, start + open.length)}\n${text}\n${page.slice(end)}`);
}
