// One look at everything, side by side: call by call, in bulk but naively, the Observer, and the least it can cost.
import postgres from "postgres";
import { startFaultProxy } from "../services/tcp-proxy.ts";
import { hintedLook, type Look, lookAfter, settled, statusOf } from "./looks.ts";
import type { Results } from "./results.ts";
import { median, pairedRatio } from "./statistics.ts";
import type { Plan, Step } from "./step.ts";
import { type Strategies, strategiesOn } from "./strategies.ts";
import type { Table } from "./table.ts";
import type { World } from "./world.ts";

/** Looks only when told, and nothing to stamp: what a cycle costs in which nothing has changed. */
export const STEADY = {
  OBSERVER_IDLE_INTERVAL: "5m",
  OBSERVER_ACTIVE_INTERVAL: "5m",
  OBSERVER_MIN_INTERVAL: "10ms",
  OBSERVER_MAX_AGE: "1h",
  OBSERVER_LOG_LEVEL: "info",
};

const WARM_UP_ROUNDS = 3;
const LATENCY_MS = 5;
const LATENCY_WORKSPACES = 100;

const FLOOR_TARGET: Readonly<Record<number, number>> = { 100: 1.3, 1000: 1.15, 5000: 1.15 };

export const cycleStep = (workspaces: number): Step => ({
  section: "cycle",
  workspaces,
  containers: workspaces,
  async run(world, plan, results) {
    await world.ensureArchives(workspaces);
    const table = await world.openTable(workspaces);
    await sideBySide(world, table, plan, results);
    if (workspaces === LATENCY_WORKSPACES) await withLatency(world, table, plan, results);
    await everyRowStamped(world, table, plan, results);
  },
});

interface Measured {
  readonly individual: number[];
  readonly bulkNaive: number[];
  readonly floor: number[];
  readonly looks: Look[];
}

/** Round robin, so that noise hits all alike; the slow strategy sits rounds out once it has had its share of time. */
async function measure(
  strategies: Strategies,
  look: () => Promise<Look>,
  budgetSeconds: number,
  leastRounds: number,
): Promise<Measured> {
  const measured: Measured = { individual: [], bulkNaive: [], floor: [], looks: [] };
  const timed = async (into: number[], work: () => Promise<unknown>) => {
    const startedMs = performance.now();
    await work();
    const tookMs = performance.now() - startedMs;
    into.push(tookMs);
    return tookMs;
  };
  const discarded: number[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    await timed(discarded, strategies.floor);
    await timed(discarded, strategies.bulkNaive);
    await look();
  }
  const budgetMs = budgetSeconds * 1_000;
  const startedMs = performance.now();
  let individualMs = 0;
  while (performance.now() - startedMs < budgetMs || measured.floor.length < leastRounds) {
    await timed(measured.floor, strategies.floor);
    measured.looks.push(await look());
    // Twice, before and after, for a look is compared with the floor of its own moment.
    await timed(measured.floor, strategies.floor);
    await timed(measured.bulkNaive, strategies.bulkNaive);
    const isDue = measured.individual.length === 0 || individualMs < (performance.now() - startedMs) / 3;
    if (isDue) individualMs += await timed(measured.individual, strategies.individual);
  }
  return measured;
}

async function sideBySide(world: World, table: Table, plan: Plan, results: Results): Promise<void> {
  const { workspaces } = table;
  const observer = world.startObserver(table, STEADY);
  const strategies = strategiesOn({
    engineSocketPath: world.docker.socketPath,
    store: world.store,
    sql: table.sql,
    workspaces,
  });
  try {
    let expectedMs = (await settled(observer, world.publisher)).durationMs;
    const look = async () => {
      const seen = await hintedLook(observer, world.publisher, expectedMs);
      expectedMs = seen.durationMs;
      return seen;
    };
    const measured = await measure(strategies, look, plan.budgetSeconds, plan.quick ? 8 : 15);
    const { whole } = report(workspaces, "", measured, results);
    const stages = new Set(whole.flatMap((seen) => Object.keys(seen.stagesMs)));
    for (const stage of stages) {
      const values = whole.map(({ stagesMs }) => stagesMs[stage] ?? 0);
      results.figure("cycle", workspaces, `observer, stage ${stage}`, "ms", values);
    }
  } finally {
    strategies.close();
    await observer.stop();
  }
}

/** The same with every call to Engine, store and database taking so much longer. */
async function withLatency(world: World, table: Table, plan: Plan, results: Results): Promise<void> {
  const { hostname, port } = new URL(world.store.endpoint);
  const proxies = [
    await startFaultProxy({ target: { path: world.docker.socketPath }, listen: "unix" }),
    await startFaultProxy({ target: { host: hostname, port: Number(port) } }),
    await startFaultProxy({ target: { host: world.postgres.host, port: world.postgres.port } }),
  ] as const;
  const [engine, s3, database] = proxies;
  // Half of it on the way there, half on the way back.
  for (const proxy of proxies) proxy.delayMs = LATENCY_MS / 2;
  const store = { ...world.store, endpoint: `http://127.0.0.1:${s3.port}` };
  const viaProxy = (url: string) => url.replace(`:${world.postgres.port}/`, `:${database.port}/`);
  const sql = postgres(viaProxy(world.postgres.url(table.database)), { max: 1, onnotice: () => {} });
  const observer = world.startObserver(table, {
    ...STEADY,
    DATABASE_URL: viaProxy(table.observerUrl),
    DOCKER_HOST: `unix://${engine.path}`,
    AWS_ENDPOINT_URL_S3: store.endpoint,
  });
  const { workspaces } = table;
  const strategies = strategiesOn({ engineSocketPath: engine.path, store, sql, workspaces });
  try {
    let expectedMs = (await settled(observer, world.publisher)).durationMs;
    const look = async () => {
      const seen = await hintedLook(observer, world.publisher, expectedMs);
      expectedMs = seen.durationMs;
      return seen;
    };
    const measured = await measure(strategies, look, plan.budgetSeconds, plan.quick ? 4 : 10);
    report(workspaces, `, ${LATENCY_MS} ms added to each call`, measured, results);
  } finally {
    strategies.close();
    await observer.stop();
    await sql.end({ timeout: 1 });
    for (const proxy of proxies) await proxy.stop();
  }
}

function report(workspaces: number, suffix: string, measured: Measured, results: Results): { whole: Look[] } {
  const add = (name: string, values: readonly number[], note = "") =>
    results.figure("cycle", workspaces, name + suffix, "ms", values, note);
  const { individual, bulkNaive, floor, looks } = measured;
  // A look that leaves a source out does less than the floor.
  const complete = looks.filter(({ sources }) => sources.length === 2);
  const whole = complete.length > 0 ? complete : looks;
  const withoutNote =
    complete.length === looks.length
      ? "by its own account"
      : `by its own account; ${looks.length - complete.length} of ${looks.length} looks listed one source alone` +
        (complete.length > 0 ? " and are left out" : "");
  add("floor", floor, "three answers read, unparsed; one empty round trip");
  add(
    "observer",
    whole.map(({ durationMs }) => durationMs),
    withoutNote,
  );
  add("bulk, naive", bulkNaive);
  add("individual", individual);
  const ratio = (name: string, value: number, better: "lower" | "higher", target: number | null) =>
    results.ratio("cycle", workspaces, name + suffix, value, better, { target });
  const floors = looks.map((_, round) => (floor[2 * round]! + floor[2 * round + 1]!) / 2);
  const durations = whole === looks ? looks.map(({ durationMs }) => durationMs) : null;
  ratio(
    "observer ÷ floor",
    durations === null
      ? median(whole.map(({ durationMs }) => durationMs)) / median(floor)
      : pairedRatio(durations, floors),
    "lower",
    suffix === "" ? (FLOOR_TARGET[workspaces] ?? null) : null,
  );
  const observerMs = median(whole.map(({ durationMs }) => durationMs));
  ratio(
    "individual ÷ observer",
    median(individual) / observerMs,
    "higher",
    workspaces === LATENCY_WORKSPACES ? 40 : null,
  );
  ratio("bulk, naive ÷ observer", median(bulkNaive) / observerMs, "higher", null);
  return { whole };
}

/** What a cycle costs at most: with the default maximum age each idle look stamps every row. */
async function everyRowStamped(world: World, table: Table, plan: Plan, results: Results): Promise<void> {
  const observer = world.startObserver(table, {
    OBSERVER_IDLE_INTERVAL: "1s",
    OBSERVER_ACTIVE_INTERVAL: "1s",
    OBSERVER_MAX_AGE: "1s",
  });
  try {
    await settled(observer, world.publisher);
    const looks: Look[] = [];
    let last = (await statusOf(observer)).totals.looks ?? 0;
    while (looks.length < (plan.quick ? 4 : 12)) {
      const seen = await lookAfter(observer, last, 60_000, 50);
      last = seen.looks;
      looks.push(seen);
    }
    // The first one came close after a hint.
    const later = looks.slice(2);
    const stamped = median(later.map((seen) => seen.stamped));
    results.figure(
      "cycle",
      table.workspaces,
      "observer, rows stamped",
      "ms",
      later.map(({ durationMs }) => durationMs),
      `interval and maximum age 1 s: ${stamped} rows a look`,
    );
  } finally {
    await observer.stop();
  }
}
