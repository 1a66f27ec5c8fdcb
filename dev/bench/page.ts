// Writes docs/performance.md and its picture: where it ran, what was aimed at, every figure with its command.
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { runCommand } from "../services/process.ts";
import { drawChart, type Line } from "./picture.ts";
import {
  type Figure,
  isReached,
  type Ratio,
  type Results,
  SECTIONS,
  type Section,
  shown,
} from "./results.ts";
import type { World } from "./world.ts";

const DOCS = join(import.meta.dir, "../../docs");
const [OPEN, CLOSE] = ["<!-- performance -->", "<!-- /performance -->"];

const TITLES: Readonly<Record<Section, string>> = {
  cycle: "One look at everything",
  event: "From an event to the row",
  many: "A hundred thousand workspaces",
  writes: "What it writes",
  guest: "What it costs the machine",
  kubernetes: "A namespace of Kubernetes",
};

export interface Surroundings {
  readonly machine: string;
  readonly versions: string;
  readonly date: string;
}

export async function surroundingsOf(world: World): Promise<Surroundings> {
  const [engine, database, version] = await Promise.all([
    world.docker.engine.version(),
    world.postgres.query("show server_version"),
    runCommand([world.executable, "--version"]),
  ]);
  const processors = cpus();
  return {
    machine: `${processors.length} × ${processors[0]?.model.trim() || "processor"}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}`,
    versions: `${version.trim()}, Docker Engine ${engine.Version}, PostgreSQL ${database[0]?.server_version}, Bun ${Bun.version}`,
    date: new Date().toISOString().slice(0, 10),
  };
}

const cell = (text: string): string => text.replaceAll("|", "\\|");
const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;

/** What stands between the marks of the page. */
export function renderPage(
  { figures, ratios }: Pick<Results, "figures" | "ratios">,
  where: Surroundings,
  command: string,
): string {
  const sections = SECTIONS.filter((name) => figures.some(({ section }) => section === name));
  return [
    `${where.date}, by \`${command}\`. ${where.machine}. ${where.versions}.`,
    "",
    "![Milliseconds over workspaces](performance.svg)",
    "",
    "### What was aimed at",
    "",
    "| | workspaces | is | aim | |",
    "|---|--:|--:|--:|---|",
    ...ratios.filter(({ target }) => target !== null).map((ratio) => row(aimCells(ratio))),
    ...sections.flatMap((section) => [
      "",
      `### ${TITLES[section]}`,
      "",
      `\`bun dev/bench.ts --only ${section}\``,
      "",
      "| what | workspaces | median | p99 | spread | unit | values | |",
      "|---|--:|--:|--:|--:|---|--:|---|",
      ...figures.filter((figure) => figure.section === section).map((figure) => row(figureCells(figure))),
      "",
      ...ratioLines(ratios.filter((ratio) => ratio.section === section && ratio.target === null)),
    ]),
  ].join("\n");
}

function aimCells(ratio: Ratio): string[] {
  const { name, workspaces, value, better, target } = ratio;
  const aim = `${better === "lower" ? "≤" : "≥"} ${target}`;
  return [
    name,
    workspaces.toLocaleString("en"),
    shown(value),
    aim,
    isReached(ratio) ? "reached" : "**missed**",
  ];
}

function figureCells({ name, workspaces, summary, unit, note }: Figure): string[] {
  const many = (value: number) => (summary.count === 1 ? "" : shown(value));
  return [
    name,
    workspaces.toLocaleString("en"),
    shown(summary.p50),
    many(summary.p99),
    many(summary.spread),
    unit,
    String(summary.count),
    note,
  ];
}

const ratioLines = (ratios: readonly Ratio[]): string[] =>
  ratios.map(
    ({ name, workspaces, value }) => `- ${name} at ${workspaces.toLocaleString("en")}: ${shown(value)}`,
  );

/** The curves: what a look costs by each strategy, and how soon an event is in the table. */
export function linesOf({ figures }: Pick<Results, "figures">): Line[] {
  const line = (section: Section, figure: string, style: Line["style"], name: string): Line => ({
    name,
    style,
    points: figures
      .filter((candidate) => candidate.section === section && candidate.name === figure)
      .map(({ workspaces, summary }) => ({ workspaces, ms: summary.p50 })),
  });
  return [
    line("cycle", "individual", "individual", "one call per resource"),
    line("cycle", "bulk, naive", "naive", "bulk, every row rewritten"),
    line("cycle", "floor", "floor", "three answers, unparsed"),
    line("many", "cycle", "observer", "a look of the Observer"),
    line("many", "event → row committed", "events", "event to row"),
  ];
}

export async function writePage(results: Results, where: Surroundings, command: string): Promise<void> {
  const path = join(DOCS, "performance.md");
  const page = await Bun.file(path).text();
  const [start, end] = [page.indexOf(OPEN), page.indexOf(CLOSE)];
  if (start < 0 || end < start)
    throw new Error(`Cannot write docs/performance.md: it has no ${OPEN} … ${CLOSE}`);
  const rendered = renderPage(results, where, command);
  await Bun.write(path, `${page.slice(0, start + OPEN.length)}\n${rendered}\n${page.slice(end)}`);
  const lines = linesOf(results);
  if (lines.every(({ points }) => points.length === 0)) return;
  await Bun.write(join(DOCS, "performance.svg"), drawChart("How long, for how many workspaces", lines));
}
