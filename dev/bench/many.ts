// How the cost grows with the number of workspaces when hardly anything changes.
import { seededRandom } from "../fakes/random.ts";
import { waitFor } from "../services/wait.ts";
import { committedMs, followWakes, type Wakes } from "./commits.ts";
import { deedsOn } from "./deeds.ts";
import { followEvents } from "./engine-events.ts";
import { follow } from "./event.ts";
import { hintedLook, type Look, settled, statusOf } from "./looks.ts";
import { archiveKey, PREFIX, workspaceIds } from "./names.ts";
import { usageOf, watch } from "./proc.ts";
import { presign, send } from "./s3-requests.ts";
import type { Plan, Step } from "./step.ts";
import { type StubProcess, startStubProcess } from "./stub-process.ts";
import type { Table } from "./table.ts";
import { calibratedClock } from "./wall-clock.ts";
import type { World } from "./world.ts";

const MOST_CONTAINERS = 2_000;
const LIVELY = 20;
const PAGE_DELAY_MS = 10;
const MOST_UPLOAD_MS = 120_000;
const MOST_FIRST_LISTING_MS = 600_000;
const SIMULATED = `S3 is simulated, at ${PAGE_DELAY_MS} ms a page of 1,000 keys`;

/** Defaults, but for the maximum age: to stamp 100,000 rows every ten seconds is what nobody should want. */
const SETTINGS = {
  OBSERVER_MAX_AGE: "5m",
  OBSERVER_ACTIVE_DURATION: "1s",
  OBSERVER_ARCHIVE_COMMIT_SUFFIX: ".meta",
};

export const manyStep = (workspaces: number): Step => ({
  section: "many",
  workspaces,
  containers: Math.min(workspaces, MOST_CONTAINERS),
  async run(world, plan, results) {
    const containers = Math.min(workspaces, MOST_CONTAINERS);
    const stub = await startStubProcess(workspaces, PAGE_DELAY_MS);
    const table = await world.openTable(workspaces);
    const nowMs = calibratedClock();
    const wakes = await followWakes(world.redis, nowMs);
    const stream = await followEvents(world.docker.socketPath);
    const observer = world.startObserver(table, { ...stub.env, ...SETTINGS });
    const add = (name: string, unit: string, values: readonly number[], note = SIMULATED) =>
      results.figure("many", workspaces, name, unit, values, note);
    try {
      const pageMs: number[] = [];
      for (let page = 0; page < 7; page++) {
        const startedMs = performance.now();
        await send(presign(stub.access, "GET", "", { "list-type": "2", prefix: PREFIX }));
        pageMs.push(performance.now() - startedMs);
      }
      add("one page of the simulated store", "ms", pageMs.slice(2));

      await settled(observer, world.publisher);
      // Archives may take minutes, and looks go on without them meanwhile.
      await waitFor(
        "every archive to be observed",
        MOST_FIRST_LISTING_MS,
        async () => {
          const [row] = await table.sql<{ count: number }[]>`
            select count(*)::int as count from workspaces where jsonb_typeof(conditions -> 'archive') = 'object'`;
          return row!.count === workspaces;
        },
        500,
      );
      let last = await settled(observer, world.publisher);
      const looks: Look[] = [];
      const startedMs = performance.now();
      while (performance.now() - startedMs < plan.budgetSeconds * 1_000 || looks.length < 5) {
        last = await hintedLook(observer, world.publisher, last.durationMs);
        looks.push(last);
        await Bun.sleep(100);
      }
      const whole = looks.filter(({ sources }) => sources.length === 2);
      const cycle = add(
        "cycle",
        "ms",
        looks.map(({ durationMs }) => durationMs),
        `${containers} containers, ${2 * workspaces} keys, ${whole.length} of ${looks.length} looks with the archives; ${SIMULATED}`,
      );
      const listingMs = (await statusOf(observer)).sources.archives?.last_duration_ms;
      if (listingMs != null) add("archive listing, the last one", "ms", [listingMs]);
      const stages = new Set(looks.flatMap(({ stagesMs }) => Object.keys(stagesMs)));
      for (const stage of stages)
        add(
          `cycle, stage ${stage}`,
          "ms",
          looks.map(({ stagesMs }) => stagesMs[stage] ?? 0),
          "",
        );

      const ids = workspaceIds(containers).slice(-LIVELY);
      const deeds = deedsOn(world.docker.engine, ids, seededRandom(2));
      const toRow: number[] = [];
      const isTimeLeft = timeLimit(2 * plan.budgetSeconds);
      for (let number = 0; number < (plan.quick ? 6 : 80) && (number < 5 || isTimeLeft()); number++) {
        await Bun.sleep(200);
        try {
          toRow.push((await follow({ table, wakes, stream }, deeds.next().value)).rowMs);
        } catch (error) {
          const end = observer.lines.slice(-5).map((line) => JSON.stringify(line).slice(0, 400));
          console.error(
            `many ${workspaces}: a change is left out: ${(error as Error).message}\n${end.join("\n")}`,
          );
          break;
        }
      }
      if (toRow.length > 0) add("event → row committed", "ms", toRow);
      for (const id of ids) await world.docker.engine.remove(`${PREFIX}${id}`).catch(() => {});

      const uploads = await uploadsToRow({ world, table, wakes, nowMs, stub }, plan, ids);
      if (uploads.length > 0) add("ob:wake → row committed", "ms", uploads, `an upload; ${SIMULATED}`);

      // The cadence is idle again after this.
      await Bun.sleep(plan.quick ? 1_000 : 5_000);
      const [load] = await watch([observer.pid], plan.quick ? 3 : 60);
      add("CPU, idle", "% of a core", [load!.cpuPercent]);
      const { peakMegabytes } = usageOf(observer.pid);
      add("memory, peak", "MB", [peakMegabytes]);

      const isLargest = workspaces === 100_000;
      const ratio = (name: string, value: number, target: number | null, isGate: boolean) =>
        results.ratio("many", workspaces, name, value, "lower", {
          target: isLargest ? target : null,
          isGate,
        });
      ratio("cycle, p50 ms", cycle.p50, 500, false);
      ratio("cycle, p99 ms", cycle.p99, 1_000, false);
      ratio("memory, peak MB", peakMegabytes, 300, false);
      const small = results.figures.find(
        (figure) => figure.section === "many" && figure.name === "cycle" && figure.workspaces < workspaces,
      );
      if (small !== undefined) {
        const name = `cycle ÷ cycle of ${small.workspaces.toLocaleString("en")}`;
        ratio(name, cycle.p50 / small.summary.p50, null, true);
      }
    } finally {
      stream.close();
      wakes.close();
      await observer.stop();
      await stub.stop();
      await table.close();
    }
  },
});

interface UploadScene {
  readonly world: World;
  readonly table: Table;
  readonly wakes: Wakes;
  readonly nowMs: () => number;
  readonly stub: StubProcess;
}

/** An archive, then its commit object, then a hint. Empty when not even the first was seen in time. */
async function uploadsToRow(scene: UploadScene, plan: Plan, ids: readonly string[]): Promise<number[]> {
  const { world, table, wakes, nowMs, stub } = scene;
  const isTimeLeft = timeLimit(2 * plan.budgetSeconds);
  const tookMs: number[] = [];
  for (let number = 0; number < (plan.quick ? 2 : 15) && (number < 2 || isTimeLeft()); number++) {
    await Bun.sleep(300);
    const id = ids[number % ids.length]!;
    const key = archiveKey(id, `newer-${number}`);
    await send(presign(stub.access, "PUT", key), "PUT", "newer");
    await send(presign(stub.access, "PUT", `${key}.meta`), "PUT", "newer");
    const hintedMs = nowMs();
    await world.publisher.publish("ob:wake", "");
    const condition = `conditions #>> '{archive,archive_key}' = '${key}'`;
    try {
      tookMs.push((await committedMs(table, id, condition, wakes, MOST_UPLOAD_MS)) - hintedMs);
    } catch (error) {
      console.error(`many ${table.workspaces}: an upload is left out: ${(error as Error).message}`);
      break;
    }
  }
  return tookMs;
}

function timeLimit(seconds: number): () => boolean {
  const endMs = performance.now() + seconds * 1_000;
  return () => performance.now() < endMs;
}
