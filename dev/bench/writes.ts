// What an idle table costs its database: write-ahead log, tuples, and how the stamps are spread.
import { lookAfter, settled, statusOf } from "./looks.ts";
import type { Results } from "./results.ts";
import type { Plan, Step } from "./step.ts";
import { strategiesOn } from "./strategies.ts";
import type { Table } from "./table.ts";
import { describeParts, measureWrites, type Written } from "./wal.ts";
import type { World } from "./world.ts";

/** Quick runs live forty times as fast. */
const QUICK_FACTOR = 40;
const INTERVAL_MS = 10_000;
/** Ten minutes. */
const CYCLES = 60;
const QUICK_CYCLES = 20;
/** As often as a server does by itself, every five minutes. */
const CYCLES_PER_CHECKPOINT = 30;
const RAISED_MAX_AGE_MS = 300_000;
const RAISED = "OBSERVER_MAX_AGE=5m";

export const writesStep = (workspaces: number): Step => ({
  section: "writes",
  workspaces,
  containers: workspaces,
  async run(world, plan, results) {
    await world.ensureArchives(workspaces);
    const table = await world.openTable(workspaces);
    await world.postgres.query("create extension pg_walinspect", table.database);
    const runs = [
      { name: "default settings", maxAgeMs: INTERVAL_MS },
      { name: RAISED, maxAgeMs: RAISED_MAX_AGE_MS },
    ];
    const written = new Map<string, Written>();
    for (const { name, maxAgeMs } of runs)
      written.set(name, await observe(world, table, plan, results, name, maxAgeMs));
    const naive = await rewriteEverything(world, table, plan, results);
    for (const [name, own] of written) {
      const target = name === RAISED ? 0.02 : null;
      const ratio = (what: string, kilobytes: (of: Written) => number, aim: number | null, isGate: boolean) =>
        results.ratio(
          "writes",
          workspaces,
          `${name}: ${what}`,
          kilobytes(own) / own.cycles / (kilobytes(naive) / naive.cycles),
          "lower",
          { target: aim, isGate },
        );
      ratio("log ÷ bulk, naive's", ({ logKilobytes }) => logKilobytes, target, false);
      ratio(
        "log without whole pages ÷ bulk, naive's",
        ({ logKilobytes, fullPageKilobytes }) => logKilobytes - fullPageKilobytes,
        target,
        true,
      );
    }
  },
});

async function observe(
  world: World,
  table: Table,
  plan: Plan,
  results: Results,
  name: string,
  maxAgeMs: number,
): Promise<Written> {
  const factor = plan.quick ? QUICK_FACTOR : 1;
  const intervalMs = INTERVAL_MS / factor;
  const note = plan.quick ? `all times ÷ ${QUICK_FACTOR}` : "";
  const observer = world.startObserver(table, {
    OBSERVER_IDLE_INTERVAL: `${intervalMs}ms`,
    OBSERVER_ACTIVE_INTERVAL: `${Math.min(2_000, intervalMs)}ms`,
    OBSERVER_ACTIVE_DURATION: `${30_000 / factor}ms`,
    OBSERVER_MAX_AGE: `${maxAgeMs / factor}ms`,
  });
  try {
    await settled(observer, world.publisher);
    // Until the cadence is idle again, and the stamps have found their phases.
    await Bun.sleep((30_000 + 2 * INTERVAL_MS) / factor);
    let looks = (await statusOf(observer)).totals.looks ?? 0;
    const first = looks;
    const stamps: number[] = [];
    const written = await measureWrites(table, async () => {
      while (looks - first < (plan.quick ? QUICK_CYCLES : CYCLES)) {
        const look = await lookAfter(observer, looks, 60_000, intervalMs / 10);
        looks = look.looks;
        stamps.push(look.stamped);
      }
      return looks - first;
    });
    report(results, table, `observer, ${name}`, written, "workspaces", note);
    results.figure("writes", table.workspaces, `observer, ${name}: stamps per look`, "rows", stamps, note);
    const demanded = (table.workspaces * written.cycles * INTERVAL_MS) / maxAgeMs;
    const updates = written.updates.workspaces ?? 0;
    results.ratio("writes", table.workspaces, `${name}: updates ÷ demanded`, updates / demanded, "lower", {
      target: 1,
      isGate: false,
    });
    return written;
  } finally {
    await observer.stop();
  }
}

async function rewriteEverything(world: World, table: Table, plan: Plan, results: Results): Promise<Written> {
  const strategies = strategiesOn({
    engineSocketPath: world.docker.socketPath,
    store: world.store,
    sql: table.sql,
    workspaces: table.workspaces,
  });
  try {
    for (let cycle = 0; cycle < 2; cycle++) await strategies.bulkNaive();
    const cycles = plan.quick ? QUICK_CYCLES : CYCLES;
    const written = await measureWrites(table, async () => {
      for (let cycle = 0; cycle < cycles; cycle++) {
        if (cycle > 0 && cycle % CYCLES_PER_CHECKPOINT === 0) await table.sql`checkpoint`;
        await strategies.bulkNaive();
      }
      return cycles;
    });
    report(results, table, "bulk, naive", written, "naive", "the cycles follow each other without a pause");
    return written;
  } finally {
    strategies.close();
  }
}

function report(
  results: Results,
  { workspaces }: Table,
  who: string,
  written: Written,
  tableName: string,
  note: string,
): void {
  const { cycles, logKilobytes } = written;
  const updates = written.updates[tableName] ?? 0;
  const hot = written.hotUpdates[tableName] ?? 0;
  const add = (name: string, unit: string, value: number, more: string) =>
    results.figure(
      "writes",
      workspaces,
      `${who}: ${name}`,
      unit,
      [value],
      [more, note].filter((text) => text !== "").join("; "),
    );
  add("log per cycle", "KB", logKilobytes / cycles, describeParts(written));
  add("whole pages in it", "KB", written.fullPageKilobytes / cycles, "first change after a checkpoint");
  const share = updates === 0 ? "none" : `${Math.floor((hot / updates) * 100)} % of them HOT`;
  add("rows updated per cycle", "rows", updates / cycles, `${share}, ${cycles} cycles`);
}
