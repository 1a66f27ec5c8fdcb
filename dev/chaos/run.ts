// One fault from its beginning to the moment at which the table is right again, and everything that must hold of it.
import { waitFor } from "../services/wait.ts";
import { claimOf, longestSilenceMs, type Violation } from "./check.ts";
import { IDS } from "./churn.ts";
import { ROLE } from "./database.ts";
import type { Context, Fault } from "./fault.ts";
import type { Kind } from "./journal.ts";
import { judgeEnds, judgeProcesses, judgeUnready, type Weight } from "./judge-processes.ts";
import type { Settings } from "./observer.ts";
import type { World } from "./world.ts";

export interface Outcome {
  readonly fault: Fault;
  /** Log events, with their counts, and what the fault told. */
  readonly seen: string;
  /** From the end of the fault until every row was right and newer than that end; null: never. */
  readonly recoveryMs: number | null;
  readonly documents: number;
  readonly deeds: number;
  readonly mostFiles: number;
  readonly mostMegabytes: number;
  /** Descriptors and memory of the one process that lived through it. */
  readonly growth: string;
  readonly violations: readonly Violation[];
}

const DEFAULT_DURATION_MS = 6_000;
/** An idle interval of one second, a look, and what two busy cores add. */
const DEFAULT_RECOVERY_MS = 8_000;
const RECOVERY_DEADLINE_MS = 40_000;
/** P6: while one source fails, the others' stamps in the table are never older than this. */
const SILENCE_MS = 5_000;
/** No source is called too old before: three idle intervals, and the fault may take a while to bite. */
const UNREADY_AFTER_MS = 6_000;
const KINDS: readonly Kind[] = ["container", "volume", "archive"];

let current: { readonly world: World; readonly settings: string; readonly seq: number } | undefined;

export interface RunOptions {
  /** Instead of the faults' own. */
  readonly durationMs?: number | undefined;
  /** Longest allowed time until the table is right. */
  readonly recoveryMs?: number | undefined;
}

export async function runFault(world: World, fault: Fault, options: RunOptions = {}): Promise<Outcome> {
  const violations: Violation[] = [];
  const notes: string[] = [];
  const settings = typeof fault.settings === "function" ? fault.settings(world) : (fault.settings ?? {});
  const endedBefore = new Set(world.everStarted.filter(({ ended }) => ended !== null));
  const seq = await prepare(world, settings);
  const before = new Map(world.everStarted.map((observer) => [observer, observer.lines.length]));
  const [leader] = world.observers;
  const weightBefore = leader?.weigh() ?? null;
  for (const observer of world.observers) observer.mostFiles = observer.mostBytes = 0;

  const durationMs = options.durationMs ?? fault.durationMs ?? DEFAULT_DURATION_MS;
  const { churn } = world;
  const deeds = churn.deeds;
  const startedMs = Date.now();
  let restedMs = startedMs + durationMs;
  const context: Context = {
    durationMs,
    async hold() {
      await Bun.sleep(durationMs);
      if (fault.unready && durationMs >= UNREADY_AFTER_MS) violations.push(...(await judgeUnready(world)));
      churn.rest();
      restedMs = Date.now();
    },
    violation: (promise, text) => violations.push({ promise, text }),
    note: (text) => notes.push(text),
  };
  if (fault.churn ?? true) churn.start();
  try {
    await fault.run(world, context);
  } catch (error) {
    const logs = world.observers.map(
      ({ instance, lines }) => `${instance}: ${JSON.stringify(lines.slice(-5))}`,
    );
    violations.push({
      promise: "the fault",
      text: `It could not be gone through with: ${error}\n${logs.join("\n")}`,
    });
  }
  try {
    await heal(world);
    await churn.rested();
  } catch (cause) {
    // Mostly for the reason that is among them.
    throw new Error(`Cannot go on after ${fault.name}: ${JSON.stringify(violations)}`, { cause });
  }
  const overMs = Date.now();

  const recoveredMs = await waitRight(world, overMs).catch((error: Error) => {
    violations.push({ promise: "P9", text: `The table was never right again: ${error.message}` });
    return null;
  });
  const recoveryMs = recoveredMs === null ? null : recoveredMs - overMs;
  const mostMs = options.recoveryMs ?? fault.recoveryMs ?? DEFAULT_RECOVERY_MS;
  if (recoveryMs !== null && recoveryMs > mostMs)
    violations.push({
      promise: "P9",
      text: `The table was right only after ${recoveryMs} ms, ${mostMs} were allowed`,
    });

  for (const text of await world.truth.audit(IDS)) violations.push({ promise: "the journal", text });
  const written = await world.database.written(seq);
  const checked = world.checker.checked;
  violations.push(...world.checker.take(written));
  const ours = written.filter(({ role }) => role === ROLE);
  for (const source of fault.goesOn ?? []) {
    const silenceMs = longestSilenceMs(ours, source, startedMs, restedMs);
    if (silenceMs > SILENCE_MS)
      violations.push({ promise: "P6", text: `Nobody observed ${source} for ${Math.round(silenceMs)} ms` });
  }
  const lines = world.everStarted.flatMap((observer) => observer.lines.slice(before.get(observer) ?? 0));
  for (const event of fault.felt ?? []) {
    if (!lines.some((line) => line.event === event))
      violations.push({ promise: "the fault", text: `It was not felt: nobody logged ${event}` });
  }
  for (const line of lines) {
    if (JSON.stringify(line.error ?? "").includes('"stack"'))
      violations.push({ promise: "P12", text: `An error that was not foreseen: ${JSON.stringify(line)}` });
  }
  const isSame = world.observers.length === 1 && world.observers[0] === leader;
  violations.push(...(await judgeProcesses(world, isSame ? weightBefore : null)));
  violations.push(...judgeEnds(world.everStarted.filter((observer) => !endedBefore.has(observer))));
  current = {
    world,
    settings: settingsText(fault.ends ? {} : settings),
    seq: written.at(-1)?.seq ?? seq,
  };
  return {
    fault,
    seen: [...notes, ...countEvents(lines.map(({ event }) => event))].join(", "),
    growth: isSame && leader && weightBefore ? growthOf(weightBefore, leader.weigh()) : "",
    recoveryMs,
    documents: world.checker.checked - checked,
    deeds: churn.deeds - deeds,
    mostFiles: Math.max(0, ...world.observers.map(({ mostFiles }) => mostFiles)),
    mostMegabytes: Math.round(Math.max(0, ...world.observers.map(({ mostBytes }) => mostBytes)) / 1e6),
    violations,
  };
}

/** A fault takes back what it did; one that failed half-way must not become the next one's. */
async function heal({ proxies }: World): Promise<void> {
  await proxies.engine.heal();
  await proxies.s3.heal();
  for (const proxy of [proxies.postgres, proxies.postgresToo, proxies.redis]) {
    proxy.delayMs = 0;
    proxy.thaw();
    await proxy.accept();
  }
}

const settingsText = (settings: Settings = {}) => JSON.stringify(settings);

/** One instance with these settings leads, and the table is right. Returns the last sequence number that was judged. */
async function prepare(world: World, settings: Settings): Promise<number> {
  await world.churn.settle();
  const isReady =
    current?.world === world &&
    current.settings === settingsText(settings) &&
    world.observers.length === 1 &&
    world.observers[0]?.isRunning;
  if (!isReady) {
    await world.stopObservers();
    world.startObserver("a", settings);
  }
  await waitRight(world, Date.now());
  return current?.world === world ? current.seq : 0;
}

/** Resolves with the time at which every row says what is so, with stamps from after that time. */
async function waitRight(world: World, sinceMs: number): Promise<number> {
  const since = new Date(sinceMs).toISOString().replace("Z", "000Z");
  return await waitRightOf(world, IDS, since);
}

/** @param since the oldest stamp that will do; the time at which they were all right */
export async function waitRightOf(world: World, ids: readonly string[], since: string): Promise<number> {
  let wrong: readonly string[] = [];
  return await waitFor("the table to be right", RECOVERY_DEADLINE_MS, async () => {
    const rows = await world.database.rows();
    wrong = ids.flatMap((id) => {
      const conditions = rows.get(id)?.conditions ?? {};
      const stamps = Object.values((conditions.observed ?? {}) as Record<string, string>);
      const old = stamps.length < 3 || stamps.some((stamp) => stamp < since);
      const false_ = KINDS.filter(
        (kind) =>
          conditions[kind] === undefined ||
          claimOf(kind, conditions[kind]) !== world.truth.journal.current(kind, id),
      );
      return old || false_.length > 0 ? [`${id}${old ? " is old" : ""} ${false_.join(" ")}`] : [];
    });
    return wrong.length === 0 && Date.now();
  }).catch((cause: Error) => {
    throw new Error(`${cause.message}; wrong: ${wrong.slice(0, 5).join(", ")}`, { cause });
  });
}

const growthOf = (before: Weight, after: Weight): string =>
  `files ${before.files} → ${after.files}, MB ${Math.round(before.bytes / 1e6)} → ${Math.round(after.bytes / 1e6)}`;

const TOLD = /^(source|database|channel|events|wake|guard|lease|second_look|workspace|status)\./;

function countEvents(events: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const event of events) if (TOLD.test(event)) counts.set(event, (counts.get(event) ?? 0) + 1);
  return [...counts].map(([event, count]) => (count === 1 ? event : `${event} ×${count}`));
}
