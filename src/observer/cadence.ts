/**
 * When to look next: a state machine of plain values. All times are the monotonic clock's milliseconds.
 *
 *            hint, change, operation in flight
 *     idle ─────────────────────────────────────▶ active
 *     (10 s) ◀───────────────────────────────────  (2 s)
 *            nothing of the kind for 30 s
 *
 * In both states a hint brings the next look forward, to no sooner than the minimum interval after the last start.
 * A hint is a latch, not a message: it is cleared when a look starts, so one that comes in mid-cycle leads to a
 * look that starts after it (P8), and a thousand lead to one.
 *
 * A *delivery* is a cycle that takes in the late answer of a slow source without asking anybody anew.
 */
import { limits } from "./limits.ts";

export interface CadenceConfig {
  readonly idleIntervalMs: number;
  readonly activeIntervalMs: number;
  /** Least time from the start of one cycle to the start of the next. */
  readonly minIntervalMs: number;
  /** How long a hint or a change keeps the cadence active. */
  readonly activeForMs: number;
}

export interface Cadence {
  readonly activeUntilMs: number;
  readonly operationInFlight: boolean;
  readonly hinted: boolean;
  readonly delivery: boolean;
  /** A look is wanted at this time even if one has come before it. */
  readonly followUpMs: number | null;
  /** Start of the last cycle of either kind, and of the last look. Null: look at once. */
  readonly lastStartMs: number | null;
  readonly lastLookMs: number | null;
  /** What was promised at the last look: rows were stamped on the assumption that the next comes no later. */
  readonly promisedMs: number;
}

export const initialCadence: Cadence = {
  activeUntilMs: Number.NEGATIVE_INFINITY,
  operationInFlight: false,
  hinted: false,
  delivery: false,
  followUpMs: null,
  lastStartMs: null,
  lastLookMs: null,
  promisedMs: Number.POSITIVE_INFINITY,
};

export const onHint = (cadence: Cadence, nowMs: number, config: CadenceConfig): Cadence => ({
  ...cadence,
  hinted: true,
  activeUntilMs: Math.max(cadence.activeUntilMs, nowMs + config.activeForMs),
});

/**
 * An Engine says that something happened before its listing shows it: the new state is written to disk in between.
 * So the look at once is followed by another, when that must be over.
 */
export const onEvent = (cadence: Cadence, nowMs: number, config: CadenceConfig): Cadence => ({
  ...onHint(cadence, nowMs, config),
  followUpMs: nowMs + limits.eventSettleMs,
});

/** An event that a glance sees to: that is activity, and no reason to look at everything. */
export const onGlance = (cadence: Cadence, nowMs: number, config: CadenceConfig): Cadence => ({
  ...cadence,
  activeUntilMs: Math.max(cadence.activeUntilMs, nowMs + config.activeForMs),
});

/** Looks once, without calling it activity: a channel came back, and something may have been missed. */
export const onReconnect = (cadence: Cadence): Cadence => ({ ...cadence, hinted: true });

/** The same for the event stream: an Engine answers just before it subscribes, and its news come early. */
export const onEventsReconnect = (cadence: Cadence, nowMs: number): Cadence => ({
  ...onReconnect(cadence),
  followUpMs: nowMs + limits.eventSettleMs,
});

export const onLateAnswer = (cadence: Cadence): Cadence => ({ ...cadence, delivery: true });

export const isActive = (cadence: Cadence, nowMs: number): boolean =>
  cadence.operationInFlight || nowMs < cadence.activeUntilMs;

const intervalMs = (cadence: Cadence, nowMs: number, config: CadenceConfig): number =>
  isActive(cadence, nowMs) ? config.activeIntervalMs : config.idleIntervalMs;

/** A look asks everybody, a delivery takes in what came late. */
export type CycleKind = "look" | "delivery";

export function onCycleStart(
  cadence: Cadence,
  kind: CycleKind,
  nowMs: number,
  config: CadenceConfig,
): Cadence {
  const started = { ...cadence, delivery: false, lastStartMs: nowMs };
  if (kind === "delivery") return started;
  const followUpMs = cadence.followUpMs !== null && cadence.followUpMs > nowMs ? cadence.followUpMs : null;
  return {
    ...started,
    hinted: false,
    followUpMs,
    lastLookMs: nowMs,
    promisedMs: intervalMs(cadence, nowMs, config),
  };
}

export function onCycleEnd(
  cadence: Cadence,
  seen: { readonly changed: boolean; readonly operationInFlight: boolean },
  nowMs: number,
  config: CadenceConfig,
): Cadence {
  return {
    ...cadence,
    operationInFlight: seen.operationInFlight,
    activeUntilMs: seen.changed
      ? Math.max(cadence.activeUntilMs, nowMs + config.activeForMs)
      : cadence.activeUntilMs,
  };
}

/** What comes next and when; `atMs` may lie in the past, which means now. */
export function nextCycle(
  cadence: Cadence,
  nowMs: number,
  config: CadenceConfig,
): { readonly kind: CycleKind; readonly atMs: number } {
  if (cadence.lastStartMs === null || cadence.lastLookMs === null) return { kind: "look", atMs: nowMs };
  const soonestMs = cadence.lastStartMs + config.minIntervalMs;
  if (cadence.hinted) return { kind: "look", atMs: soonestMs };
  const dueMs = Math.max(
    soonestMs,
    Math.min(
      cadence.lastLookMs + Math.min(intervalMs(cadence, nowMs, config), cadence.promisedMs),
      cadence.followUpMs ?? Number.POSITIVE_INFINITY,
    ),
  );
  // A look takes in late answers as well, so one that is due by now goes first.
  return cadence.delivery && Math.max(soonestMs, nowMs) < dueMs
    ? { kind: "delivery", atMs: soonestMs }
    : { kind: "look", atMs: dueMs };
}
