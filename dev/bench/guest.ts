// What it costs the machine to be there: CPU and memory while nothing happens, and the time from start to first word.
import { statSync } from "node:fs";
import { waitFor } from "../services/wait.ts";
import { settled } from "./looks.ts";
import { type Load, usageOf, watch } from "./proc.ts";
import type { Results } from "./results.ts";
import { median } from "./statistics.ts";
import type { Step } from "./step.ts";
import type { Table } from "./table.ts";
import { calibratedClock } from "./wall-clock.ts";
import type { World } from "./world.ts";

export const guestStep = (workspaces: number): Step => ({
  section: "guest",
  workspaces,
  containers: workspaces,
  async run(world, plan, results) {
    await world.ensureArchives(workspaces);
    const table = await world.openTable(workspaces);
    await starts(world, table, plan.quick ? 3 : 10, results);
    const alone = (await watch([world.docker.pid], plan.quick ? 2 : 120))[0]!;
    const observer = world.startObserver(table);
    try {
      await settled(observer, world.publisher);
      // The cadence goes back to idle 30 s after what happened last.
      await Bun.sleep(plan.quick ? 1_000 : 35_000);
      const [own, engine] = await watch([observer.pid, world.docker.pid], plan.quick ? 6 : 600);
      const note = plan.quick ? "for a few seconds, at the active cadence of 2 s" : "for ten minutes";
      report(
        results,
        workspaces,
        own!,
        engine!,
        alone,
        usageOf(observer.pid).peakMegabytes,
        note,
        plan.quick,
      );
    } finally {
      await observer.stop();
    }
  },
});

function report(
  results: Results,
  workspaces: number,
  own: Load,
  engine: Load,
  alone: Load,
  peakMegabytes: number,
  note: string,
  isQuick: boolean,
): void {
  const add = (name: string, unit: string, values: readonly number[], more = note) =>
    results.figure("guest", workspaces, name, unit, values, more);
  const ratio = (name: string, value: number, target: number) =>
    results.ratio("guest", workspaces, name, value, "lower", { target, isGate: false });
  add("CPU of the Observer", "% of a core", [own.cpuPercent]);
  add("CPU of dockerd beyond its own", "% of a core", [Math.max(0, engine.cpuPercent - alone.cpuPercent)]);
  const resident = add("memory", "MB", own.residentMegabytes);
  add("memory, peak", "MB", [peakMegabytes]);
  if (!isQuick) {
    ratio("CPU, % of a core", own.cpuPercent, 1);
    const fifth = Math.ceil(own.residentMegabytes.length / 5);
    const growth =
      median(own.residentMegabytes.slice(-fifth)) - median(own.residentMegabytes.slice(fifth, 2 * fifth));
    add("memory, growth", "MB", [growth], "last fifth of the time less the second");
  }
  ratio("memory, p50 MB", resident.p50, 100);
}

/** A table that nobody has observed, everything else as it is; from the start of the process to the commit. */
async function starts(world: World, table: Table, count: number, results: Results): Promise<void> {
  const { sql, workspaces } = table;
  const nowMs = calibratedClock();
  const firstMs: number[] = [];
  for (let start = 0; start <= count; start++) {
    await sql`update workspaces set conditions = '{}', observed_at = null`;
    await sql.unsafe("vacuum workspaces");
    const startedMs = nowMs();
    const observer = world.startObserver(table);
    try {
      const row = await waitFor("the first observation", 60_000, async () => {
        const [found] = await sql<{ count: number; atMs: number }[]>`
          select count(*)::int as count,
                 min(extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000) as "atMs"
            from workspaces where observed_at is not null`;
        return found!.count > 0 ? found : undefined;
      });
      // The first start reads the executable from the disk.
      if (start > 0) firstMs.push(row.atMs - startedMs);
    } finally {
      await observer.stop();
    }
  }
  const first = results.figure(
    "guest",
    workspaces,
    "start → first observation committed",
    "ms",
    firstMs,
    "from exec to the commit",
  );
  results.ratio("guest", workspaces, "start → first observation, ms", first.p50, "lower", {
    target: 250,
    isGate: false,
  });
  const megabytes = statSync(world.executable).size / 1e6;
  results.figure("guest", workspaces, "executable", "MB", [megabytes]);
  results.ratio("guest", workspaces, "executable, MB", megabytes, "lower", { target: 120, isGate: false });
}
