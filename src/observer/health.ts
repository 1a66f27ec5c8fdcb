/**
 * Live? Ready? Both are ages of the last success, never durations of the last call: a call that hangs freezes
 * every "last duration" and looks healthy for ever.
 */
import { limits } from "./limits.ts";
import { type ObserverView, partsOf } from "./view.ts";

export interface HealthConfig {
  readonly idleIntervalMs: number;
  readonly listTimeoutMs: number;
  readonly writeTimeoutMs: number;
}

export interface Verdict {
  readonly ok: boolean;
  /** One line per reason, for people. Empty when all is well. */
  readonly reasons: readonly string[];
}

/**
 * Longest time that one cycle can take, every await at its deadline: stamp, then list (with patience for a second
 * source) beside load, save and wake, a second look, save and wake. Where rows come in several pages, or go in several
 * batches, each is a step of its own.
 */
export function longestStepMs(config: HealthConfig): number {
  const listMs = config.listTimeoutMs + limits.sourcePatienceMs;
  return listMs + config.listTimeoutMs + 7 * config.writeTimeoutMs;
}

/** A loop that came to the end of nothing for longer hangs. */
export const hangsAfterMs = (config: HealthConfig): number => config.idleIntervalMs + longestStepMs(config);

/** Something that is wrong. */
export interface Finding {
  readonly kind: "hang" | "database" | "starting" | "disconnected" | "write" | "source" | "foreign" | "held";
  /** Which source, or which kind of resource; null where there is but one. */
  readonly about: string | null;
  /** Whose Engine it is about, where one process looks after several. */
  readonly host: string | null;
  /** Monotonic milliseconds; null: not known. */
  readonly sinceMs: number | null;
  /** One line, for people. */
  readonly reason: string;
}

/** Is each loop making progress? A dependency that is down is no reason to restart. */
export const isLive = (view: ObserverView, config: HealthConfig): Verdict =>
  verdict(ofAllParts(view, (part, host) => hang(part, config, host)));

/** Would I trust the table? Three idle intervals without a success say no. */
export const isReady = (view: ObserverView, config: HealthConfig): Verdict => verdict(findings(view, config));

const verdict = (found: readonly Finding[]): Verdict => ({
  ok: found.length === 0,
  reasons: found.map(({ reason }) => reason),
});

const ofAllParts = (
  view: ObserverView,
  find: (part: ObserverView, host: string | null) => readonly Finding[],
): readonly Finding[] =>
  partsOf(view).flatMap(({ host, view: part }) =>
    find(part, host).map((found) =>
      host === null ? found : { ...found, reason: `${host}: ${found.reason}` },
    ),
  );

function hang(view: ObserverView, config: HealthConfig, host: string | null): Finding[] {
  const boundMs = hangsAfterMs(config);
  const sinceMs = view.progressMs ?? view.startedMs;
  const age = view.nowMs - sinceMs;
  if (age <= boundMs) return [];
  const reason = `no cycle and no stand-by check was completed for ${seconds(age)}`;
  return [{ kind: "hang", about: null, host, sinceMs, reason }];
}

/** Why the table should not be trusted: `isReady`, told in full. */
export const findings = (view: ObserverView, config: HealthConfig): readonly Finding[] =>
  ofAllParts(view, (part, host) => findingsOf(part, config, host));

function findingsOf(view: ObserverView, config: HealthConfig, host: string | null): readonly Finding[] {
  const commitBoundMs = 3 * config.idleIntervalMs + config.listTimeoutMs;
  const found = hang(view, config, host);
  const add = (kind: Finding["kind"], about: string | null, sinceMs: number | null, reason: string) =>
    found.push({ kind, about, host, sinceMs, reason });
  const { database } = view.links;
  if (database.up === false)
    add("database", null, database.sinceMs, `database: ${database.lastError ?? "unreachable"}`);
  if (view.role === "starting")
    add("starting", null, view.startedMs, "starting: neither leader nor stand-by yet");
  if (view.role === "disconnected")
    add(
      "disconnected",
      null,
      view.lastCommitMs,
      "the lease could not be renewed, somebody else may lead by now",
    );
  if (view.role === "leader") {
    const commitAge = view.nowMs - (view.lastCommitMs ?? view.startedMs);
    if (view.lastCommitMs === null) add("write", null, view.startedMs, "nothing has been written yet");
    else if (commitAge > commitBoundMs)
      add("write", null, view.lastCommitMs, `the last successful write is ${seconds(commitAge)} old`);
    for (const [name, source] of Object.entries(view.sources)) {
      if (source === null) continue;
      // A big bucket takes as long as it takes; what counts is that its listings succeed one after another.
      const boundMs = commitBoundMs + (source.lastDurationMs ?? 0);
      const age = source.lastSuccessMs === null ? null : view.nowMs - source.lastSuccessMs;
      if (age !== null && age <= boundMs) continue;
      const since = age === null ? "was never observed" : `was last observed ${seconds(age)} ago`;
      const why = source.lastError === null ? "" : `: ${source.lastError}`;
      add("source", name, source.lastSuccessMs ?? view.startedMs, `${name} ${since}${why}`);
    }
  }
  for (const [source, foreign] of Object.entries(view.foreign)) {
    if (foreign === null) continue;
    add(
      "foreign",
      source,
      null,
      `${source} is ${foreign.seen}, but the table was written from ${foreign.known}: absences are held back; if that is right, run ${acceptCommand(source, host)}`,
    );
  }
  for (const [kind, ids] of Object.entries(view.held)) {
    if (ids.length > 0)
      add("held", kind, null, `the guard holds back the sudden absence of ${ids.length} ${kind}s`);
  }
  return found;
}

/** What an operator says to take another world for the right one. */
export const acceptCommand = (source: string | null, host: string | null): string =>
  `observer accept ${source}${host === null ? "" : ` --host ${host}`}`;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
