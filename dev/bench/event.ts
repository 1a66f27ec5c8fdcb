// From something that happens to the committed row and the wake-up: single changes, uploads with a hint, a burst.
import { seededRandom } from "../fakes/random.ts";
import { inParallel } from "../services/engine.ts";
import { waitFor } from "../services/wait.ts";
import { allCommittedMs, committedMs, followWakes, type Wakes } from "./commits.ts";
import { startCountingProxy } from "./counting-proxy.ts";
import { type Deed, type DeedKind, deedsOn } from "./deeds.ts";
import { type EventStream, followEvents } from "./engine-events.ts";
import { settled } from "./looks.ts";
import { archiveKey, containerName, workspaceIds } from "./names.ts";
import type { Results } from "./results.ts";
import { presign, send } from "./s3-requests.ts";
import { median, quantile } from "./statistics.ts";
import type { Plan, Step } from "./step.ts";
import { type Strategies, strategiesOn } from "./strategies.ts";
import type { Table } from "./table.ts";
import { calibratedClock } from "./wall-clock.ts";
import type { World } from "./world.ts";

/** Those that deeds happen to; at any time about a quarter of them runs. */
const LIVELY = 40;
/** So few that each goes round in a quick run as well. */
const QUICK_LIVELY = 5;
const BURST = 500;
const QUICK_BURST = 200;
const LEAST_PAUSE_MS = 100;
const MOST_PAUSE_MS = 900;
const QUICK_MOST_PAUSE_MS = 300;

const EVENT_TARGETS: Readonly<Record<number, { p50: number | null; p99: number }>> = {
  1000: { p50: 10, p99: 40 },
  5000: { p50: null, p99: 60 },
};

export const eventStep = (workspaces: number): Step => ({
  section: "event",
  workspaces,
  containers: workspaces,
  async run(world, plan, results) {
    await world.ensureArchives(workspaces);
    const table = await world.openTable(workspaces);
    const nowMs = calibratedClock();
    const wakes = await followWakes(world.redis, nowMs);
    const stream = await followEvents(world.docker.socketPath);
    const strategies = strategiesOn({
      engineSocketPath: world.docker.socketPath,
      store: world.store,
      sql: table.sql,
      workspaces,
    });
    const scene = { world, table, wakes, stream, strategies, nowMs, plan, results };
    try {
      await singleChanges(scene);
      await burst(scene);
    } finally {
      stream.close();
      wakes.close();
      strategies.close();
      await removeLively(world, workspaces);
    }
  },
});

interface Scene {
  readonly world: World;
  readonly table: Table;
  readonly wakes: Wakes;
  readonly stream: EventStream;
  readonly strategies: Strategies;
  readonly nowMs: () => number;
  readonly plan: Plan;
  readonly results: Results;
}

const livelyIds = (workspaces: number) => workspaceIds(workspaces).slice(-LIVELY);

/** One after the other, each followed to its row; now and then an upload with a hint, and the floor of that minute. */
export async function singleChanges(scene: Scene): Promise<void> {
  const { world, table, wakes, strategies, plan, results } = scene;
  const { workspaces } = table;
  // All settings at their defaults.
  const observer = world.startObserver(table);
  await settled(observer, world.publisher);
  const random = seededRandom(1);
  const lively = livelyIds(workspaces);
  const deeds = deedsOn(world.docker.engine, lively.slice(plan.quick ? -QUICK_LIVELY : 0), random);
  const toRow: number[] = [];
  const toRowOf: Record<DeedKind, number[]> = { create: [], start: [], kill: [], remove: [] };
  const toWake: number[] = [];
  const hintToRow: number[] = [];
  const floor: number[] = [];
  const count = plan.quick ? 24 : 200;
  const pause = () => {
    const mostMs = plan.quick ? QUICK_MOST_PAUSE_MS : MOST_PAUSE_MS;
    return Bun.sleep(LEAST_PAUSE_MS + random() * (mostMs - LEAST_PAUSE_MS));
  };
  for (let number = 0; number < count; number++) {
    await pause();
    const deed = deeds.next().value;
    const { rowMs, wakeMs } = await follow(scene, deed);
    toRow.push(rowMs);
    toRowOf[deed.kind].push(rowMs);
    if (wakeMs !== null) toWake.push(wakeMs);
    if (number % 3 !== 2) continue;
    await pause();
    const startedMs = performance.now();
    await strategies.floor();
    floor.push(performance.now() - startedMs);
    await Bun.sleep(LEAST_PAUSE_MS);
    hintToRow.push(await uploadAndHint(scene, number));
  }
  await observer.stop();
  wakes.onWake = () => {};
  const add = (name: string, values: readonly number[], note: string) =>
    results.figure("event", workspaces, name, "ms", values, note);
  const row = add(
    "event → row committed",
    toRow,
    "create, start, kill, remove; the Engine's event time to the commit's",
  );
  for (const [kind, values] of Object.entries(toRowOf))
    if (values.length > 0) add(`event → row committed, ${kind}`, values, "");
  add("event → wc:wake received", toWake, "in the benchmark's process");
  const hint = add("ob:wake → row committed", hintToRow, "an upload that nobody else tells of");
  add("floor, meanwhile", floor, "");
  const targets = EVENT_TARGETS[workspaces];
  const ratio = (name: string, value: number, target: number | null, isGate: boolean) =>
    results.ratio("event", workspaces, name, value, "lower", { target, isGate });
  ratio("event → row, p50 ms", row.p50, targets?.p50 ?? null, false);
  ratio("event → row, p99 ms", row.p99, targets?.p99 ?? null, false);
  ratio("ob:wake → row p99 − floor p99, ms", hint.p99 - quantile(floor, 0.99), 20, false);
  ratio("event → row ÷ floor", row.p50 / median(floor), null, true);
  ratio("ob:wake → row ÷ floor", hint.p50 / median(floor), null, true);
}

/** Performs a deed and waits for its row and its wake-up. */
export async function follow(
  { table, wakes, stream }: Pick<Scene, "table" | "wakes" | "stream">,
  deed: Deed,
): Promise<{ rowMs: number; wakeMs: number | null }> {
  const seen = stream.events.length;
  const wakesBefore = wakes.atMs.length;
  const [, commitMs] = await Promise.all([
    deed.perform(),
    committedMs(table, deed.id, deed.condition, wakes),
  ]);
  const name = containerName(deed.id);
  const event = await waitFor(`the Engine's event of ${name}`, 5_000, () =>
    stream.events.slice(seen).find(({ action, container }) => action === deed.action && container === name),
  );
  // The wake-up is published after the commit, so one that came before belongs to something else.
  const wakeAtMs = await waitFor("wc:wake", 5_000, () =>
    wakes.atMs.slice(wakesBefore).find((atMs) => atMs >= commitMs - 1),
  ).catch(() => null);
  return { rowMs: commitMs - event.atMs, wakeMs: wakeAtMs === null ? null : wakeAtMs - event.atMs };
}

async function uploadAndHint(scene: Scene, number: number): Promise<number> {
  const { world, table, wakes, nowMs } = scene;
  const id = workspaceIds(1)[0]!;
  const operation = `bench-${Date.now()}-${number}`;
  const key = archiveKey(id, operation);
  await send(presign(world.store, "PUT", key), "PUT", "newer");
  const hintedMs = nowMs();
  await world.publisher.publish("ob:wake", "");
  const commitMs = await committedMs(table, id, `conditions #>> '{archive,archive_key}' = '${key}'`, wakes);
  await send(presign(world.store, "DELETE", key), "DELETE");
  return commitMs - hintedMs;
}

/** Removed at once, not one by one: then a list is cheaper than a look at each. */
async function burst({ world, table, stream, plan, results }: Scene): Promise<void> {
  const { workspaces } = table;
  const count = plan.quick ? QUICK_BURST : BURST;
  const ids = workspaceIds(workspaces).slice(0, count);
  const condition = "jsonb_typeof(conditions -> 'container') = 'null'";
  // A way that counts, and costs a little time: single changes don't go by it.
  const proxy = await startCountingProxy(world.docker.socketPath);
  const observer = world.startObserver(table, { DOCKER_HOST: proxy.dockerHost });
  try {
    await settled(observer, world.publisher);
    // The looks that the start itself asks for are over.
    await Bun.sleep(1_500);
    proxy.reset();
    const before = stream.events.length;
    const right = allCommittedMs(table, ids, condition);
    await inParallel(ids, 16, (id) => world.docker.engine.remove(containerName(id)));
    const rightMs = await right;
    const calls = Object.entries(proxy.counts)
      .filter(([, calls]) => calls > 0)
      .map(([name, calls]) => `${calls} ${name}`)
      .join(", ");
    const destroyed = stream.events.slice(before).filter(({ action }) => action === "destroy");
    const [first, last] = [destroyed.at(0)!.atMs, destroyed.at(-1)!.atMs];
    results.figure(
      "event",
      workspaces,
      "burst: last event → all rows right",
      "ms",
      [rightMs - last],
      `${count} containers removed within ${Math.round(last - first)} ms; asked of the Engine meanwhile: ${calls}`,
    );
    results.figure("event", workspaces, "burst: whole lists", "", [proxy.counts["whole lists"] ?? 0]);
  } finally {
    await observer.stop();
    await proxy.stop();
  }
}

/** The next step counts on containers that are created and not running. */
async function removeLively(world: World, workspaces: number): Promise<void> {
  await inParallel(livelyIds(workspaces), 4, async (id) => {
    await world.docker.engine.remove(containerName(id)).catch(() => {});
  });
}
