/**
 * What the service manager is told of the loop, and when. Reads the view like the status endpoint does, and never
 * drives the loop or waits for it.
 *
 *     starting ──first committed observation, or first stand-by check──▶ ready ──stop──▶ stopping
 *     EXTEND_TIMEOUT_USEC while the loop is live                         WATCHDOG while the loop is live
 *
 * A timer asks, but only the age of the loop's progress answers: a loop that hangs gets no beat, however well timers
 * run beside it. A process that hangs as a whole sends nothing anyway.
 */
import { type HealthConfig, isLive } from "../observer/health.ts";
import type { Clock } from "../observer/ports.ts";
import { type ObserverView, partsOf } from "../observer/view.ts";
import { statusLine } from "./status-line.ts";

export interface SupervisorParts {
  readonly view: () => ObserverView;
  readonly health: HealthConfig;
  readonly clock: Clock;
  /** False: it was not taken. */
  readonly send: (assignments: readonly string[]) => boolean;
  /** The manager gives up after so long without a beat. Null: it doesn't watch. */
  readonly watchdogMs: number | null;
}

/** How often the status line is renewed though nothing makes progress: it then says so. */
const MOST_TICK_MS = 10_000;
/** Two beats may get lost, or a machine be slow, before the manager gives up. */
const TICKS_PER_WATCHDOG = 3;
/** How long the start may go on after each tick in which the loop is live. */
const EXTENSION_USEC = 3 * MOST_TICK_MS * 1_000;
/** The end is told within a second or not at all. */
const STOPPING_TRIES = 20;
const STOPPING_RETRY_MS = 50;

export class Supervisor {
  #hasStarted = false;
  #told = "";
  #isStopping = false;

  constructor(private readonly parts: SupervisorParts) {}

  /** For the loop: a cycle or a stand-by check came to its end. */
  readonly onProgress = (): void => {
    if (!this.#isStopping) this.#tell(false);
  };

  /** Until the signal fires; then tells that, and resolves. */
  async keep(stop: AbortSignal): Promise<void> {
    const { clock, watchdogMs } = this.parts;
    const tickMs = Math.min(MOST_TICK_MS, (watchdogMs ?? Number.POSITIVE_INFINITY) / TICKS_PER_WATCHDOG);
    while (!stop.aborted) {
      this.#tell(true);
      await clock.sleep(tickMs, stop);
    }
    this.#isStopping = true;
    for (let tries = 1; !this.parts.send(["STOPPING=1", "STATUS=stopping"]); tries++) {
      if (tries === STOPPING_TRIES) return;
      await clock.sleep(STOPPING_RETRY_MS);
    }
  }

  /**
   * What is not taken is told again with the next progress or tick.
   *
   * @param isTick whether a sign of life is due
   */
  #tell(isTick: boolean): void {
    const { health, watchdogMs } = this.parts;
    const view = this.parts.view();
    const isReady = this.#hasStarted || hasStarted(view);
    const livesOn = isTick && isLive(view, health).ok;
    const line = statusLine(view, health);
    const assignments = [
      ...(isReady && !this.#hasStarted ? ["READY=1"] : []),
      ...(livesOn && watchdogMs !== null ? ["WATCHDOG=1"] : []),
      // With a dependency down the start goes on; a start that hangs is not extended, and ends at its time-out.
      ...(livesOn && !isReady ? [`EXTEND_TIMEOUT_USEC=${EXTENSION_USEC}`] : []),
      ...(line === this.#told ? [] : [`STATUS=${line}`]),
    ];
    if (assignments.length === 0 || !this.parts.send(assignments)) return;
    this.#told = line;
    this.#hasStarted = isReady;
  }
}

/** It leads and has committed what at least one source showed; or somebody else leads. Of several units one is enough. */
export const hasStarted = (view: ObserverView): boolean =>
  partsOf(view).some(({ host, view: part }) => (view.parts === undefined || host !== null) && isAtWork(part));

function isAtWork({ role, lastCommitMs, sources }: ObserverView): boolean {
  if (role === "standby") return true;
  if (lastCommitMs === null) return false;
  return Object.values(sources).some(
    (source) => source !== null && source.lastSuccessMs !== null && source.lastSuccessMs <= lastCommitMs,
  );
}
