// What a run of the fleet's benchmark says: one table, for a terminal and for docs/scaling.md.
import { join } from "node:path";
import { shown } from "../bench/results.ts";
import { quantile } from "../bench/statistics.ts";
import { aligned } from "../bench/tables.ts";
import type { Size } from "./fleet.ts";
import type { Changes, Herd, Pooled, Steady, Takeover } from "./measure.ts";

const PAGE = join(import.meta.dir, "../../docs/scaling.md");
const [OPEN, CLOSE] = ["<!-- fleet -->", "<!-- /fleet -->"];

export interface Found {
  readonly size: Size;
  readonly maxAge: string;
  /** From the start of all hosts on a new table to the last row. */
  readonly firstMs: number;
  readonly steady: Steady;
  /** Of the process in which all hosts are. */
  readonly megabytes: number;
  readonly changes: Changes;
  readonly herd: Herd;
  readonly takeover: Takeover;
  readonly pooled: Pooled;
  /** Warnings and errors in the hosts' logs. */
  readonly faults: number;
}

export interface Line {
  readonly what: string;
  readonly is: string;
  readonly aim: string;
}

export function linesOf(found: Found): Line[] {
  const { size, steady, changes, herd, takeover, pooled } = found;
  const per = (count: number) => shown(count / steady.seconds);
  const percent = (seconds: number, of: number) => `${shown((100 * seconds) / of)} %`;
  const lines: Line[] = [];
  const add = (what: string, is: string, aim = "") => lines.push({ what, is, aim });
  const addChanges = (what: string, values: readonly number[], mostP99Ms: number | null) => {
    const [p50, p99, most] = [0.5, 0.99, 1].map((share) => shown(quantile(values, share)));
    const aim = mostP99Ms === null ? "" : `p99 ≤ ${mostP99Ms} ms`;
    add(what, `${p50} ms, p99 ${p99} ms, at most ${most} ms, of ${values.length}`, aim);
  };
  add(
    "hosts start on a new table, five at a time: until every row is observed",
    `${shown(found.firstMs / 1_000)} s`,
  );
  add("nothing happens: transactions", `${per(steady.transactions)}/s`);
  for (const [action, count] of steady.byAction)
    if (count / steady.seconds >= 0.05)
      add(`of them, to ${action.replace("Cannot ", "")}`, `${per(count)}/s`);
  add("rows that PostgreSQL read, those of its own catalogs included", `${per(steady.tuplesRead)}/s`);
  add("rows written", `${per(steady.tuplesWritten)}/s`);
  add("write-ahead log", `${per(steady.logBytes / 1_000)} kB/s`);
  add("CPU of PostgreSQL", `${percent(steady.serverCpuSeconds, steady.seconds)} of a core`);
  add("CPU of a host", `${percent(steady.hostsCpuSeconds / size.hosts, steady.seconds)} of a core`);
  add(
    "memory, all hosts in one process",
    `${shown(found.megabytes)} MB, ${shown(found.megabytes / size.hosts)} MB a host`,
  );
  add("connections of a host", `${steady.connections.mostOfOneProcess}`, "≤ 2");
  addChanges("a workspace changes: event → commit", changes.tookMs, 100);
  add(
    "the thread of the other hosts is late meanwhile",
    `p99 ${shown(changes.lateMs.p99)} ms, at most ${shown(changes.lateMs.most)} ms`,
  );
  add(
    `${herd.hosts} hosts restart at once: until all have committed all they see`,
    `${shown(herd.completeMs / 1_000)} s`,
  );
  add("transactions meanwhile", shown(herd.transactions));
  add("CPU of PostgreSQL meanwhile", `${shown(herd.serverCpuSeconds)} s`);
  add("connections of a host's process, at most", `${herd.connections.mostOfOneProcess}`, "≤ 2");
  addChanges("a workspace of another host changes meanwhile: event → commit", herd.changesMs, null);
  add("the table's leader stops: until another one leads", `${shown(takeover.leadsMs / 1_000)} s`);
  add("until that one has looked at the whole table", `${shown(takeover.completeMs / 1_000)} s`);
  add(
    `through PgBouncer (transaction mode, at most ${pooled.poolSize}): connections to the server`,
    `${pooled.connections.all}`,
  );
  addChanges("a workspace changes: event → commit", pooled.changes.tookMs, 100);
  add("warnings and errors logged", `${found.faults}`);
  return lines;
}

export const terminalTable = (found: Found): string =>
  aligned(
    ["what", "is", "aim"],
    linesOf(found).map(({ what, is, aim }) => [what, is, aim]),
  ).join("\n");

export function pageTable(found: Found, command: string, where: string): string {
  const { size, maxAge } = found;
  return [
    `\`${command}\`: ${size.hosts} hosts × ${size.rows.toLocaleString("en")} workspaces, \`OBSERVER_MAX_AGE=${maxAge}\`. ${where}.`,
    "",
    "| what | is | aim |",
    "|---|--:|---|",
    ...linesOf(found).map(({ what, is, aim }) => `| ${what} | ${is} | ${aim} |`),
  ].join("\n");
}

export async function writePage(table: string): Promise<void> {
  const page = await Bun.file(PAGE).text();
  const [start, end] = [page.indexOf(OPEN), page.indexOf(CLOSE)];
  if (start < 0 || end < start) throw new Error(`Cannot write docs/scaling.md: it has no ${OPEN} … ${CLOSE}`);
  await Bun.write(PAGE, `${page.slice(0, start + OPEN.length)}\n${table}\n${page.slice(end)}`);
}
