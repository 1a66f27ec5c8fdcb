/**
 * Live? Ready? Both are ages of the last success, never durations of the last call: a call that hangs freezes
 * every "last duration" and looks healthy for ever.
 */
import { limits } from "./limits.ts";
import type { ObserverView } from "./view.ts";

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
 * source) beside load, save in batches and wake, a second look, save and wake.
 */
export function longestCycleMs(config: HealthConfig, rows: number): number {
  const batches = Math.max(1, Math.ceil(rows / limits.rowsPerStatement));
  const listMs = config.listTimeoutMs + limits.sourcePatienceMs;
  return listMs + config.listTimeoutMs + (5 + batches) * config.writeTimeoutMs;
}

/** Is the loop making progress? A dependency that is down is no reason to restart. */
export function isLive(view: ObserverView, config: HealthConfig): Verdict {
  const boundMs = config.idleIntervalMs + longestCycleMs(config, view.lastCycle?.counts.rows ?? 0);
  const age = view.nowMs - (view.progressMs ?? view.startedMs);
  return age <= boundMs
    ? { ok: true, reasons: [] }
    : { ok: false, reasons: [`no cycle and no stand-by check was completed for ${seconds(age)}`] };
}

/** Would I trust the table? Three idle intervals without a success say no. */
export function isReady(view: ObserverView, config: HealthConfig): Verdict {
  const commitBoundMs = 3 * config.idleIntervalMs + config.listTimeoutMs;
  const reasons = [...isLive(view, config).reasons];
  const database = view.links.database;
  if (database.up === false) reasons.push(`database: ${database.lastError ?? "unreachable"}`);
  if (view.role === "starting") reasons.push("starting: neither leader nor stand-by yet");
  if (view.role === "disconnected")
    reasons.push("the lease could not be renewed, somebody else may lead by now");
  if (view.role === "leader") {
    const commitAge = view.nowMs - (view.lastCommitMs ?? view.startedMs);
    if (view.lastCommitMs === null) reasons.push("nothing has been written yet");
    else if (commitAge > commitBoundMs)
      reasons.push(`the last successful write is ${seconds(commitAge)} old`);
    for (const [name, source] of Object.entries(view.sources)) {
      if (source === null) continue;
      // A big bucket takes as long as it takes; what counts is that its listings succeed one after another.
      const boundMs = commitBoundMs + (source.lastDurationMs ?? 0);
      const age = source.lastSuccessMs === null ? null : view.nowMs - source.lastSuccessMs;
      if (age !== null && age <= boundMs) continue;
      const since = age === null ? "was never observed" : `was last observed ${seconds(age)} ago`;
      reasons.push(`${name} ${since}${source.lastError === null ? "" : `: ${source.lastError}`}`);
    }
  }
  for (const [source, foreign] of Object.entries(view.foreign)) {
    if (foreign === null) continue;
    reasons.push(
      `${source} is ${foreign.seen}, but the table was written from ${foreign.known}: absences are held back; if that is right, run observer accept ${source}`,
    );
  }
  for (const [kind, ids] of Object.entries(view.held)) {
    if (ids.length > 0) reasons.push(`the guard holds back the sudden absence of ${ids.length} ${kind}s`);
  }
  return { ok: reasons.length === 0, reasons };
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
