/**
 * One source of observations: at most one listing in flight, a deadline, and a back-off of its own (P6, P12).
 *
 * A listing keeps the stamp it was started with (P2), however late it completes. A slow source so never delays
 * the others: its answer is taken in by a later cycle, with its own stamp.
 */
import { backoffMs } from "./backoff.ts";
import { StoppedError, withDeadline } from "./deadline.ts";
import type { Instant } from "./instant.ts";
import { limits } from "./limits.ts";
import { type Outage, type OutageFields, onFailure, outageFields } from "./outage.ts";
import type { Clock } from "./ports.ts";

export type SourceName = "engine" | "archives";

export interface Observation<T> {
  /** The database's clock before the first call of the listing. */
  readonly stamp: Instant;
  readonly value: T;
  /** Of the stamp, among all that this process has read. */
  readonly order: number;
  readonly durationMs: number;
  /** Another answer came before it that nobody took: this one doesn't follow the last that was taken. */
  readonly afterUnseen: boolean;
}

export interface SourceHealth {
  readonly inFlight: boolean;
  readonly lastSuccessMs: number | null;
  readonly lastSuccessStamp: Instant | null;
  readonly lastDurationMs: number | null;
  readonly lastError: string | null;
  readonly consecutiveFailures: number;
  readonly successes: number;
  readonly failures: number;
}

export interface SourceOptions {
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** Back-off never exceeds this. */
  readonly maxBackoffMs: number;
  /** 0 ≤ n < 1, for the jitter. */
  readonly random: () => number;
  /** Told of a failure where that is worth saying (outage.ts), and of the recovery: then `cause` is null. */
  readonly onTransition: (name: SourceName, cause: unknown | null, outage: OutageFields) => void;
}

export class Source<T> {
  #wanted = false;
  #busy = false;
  #outcome: Promise<void> | null = null;
  #outage: Outage | null = null;
  #completed: Observation<T> | null = null;
  #term = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #health: Omit<SourceHealth, "inFlight"> = {
    lastSuccessMs: null,
    lastSuccessStamp: null,
    lastDurationMs: null,
    lastError: null,
    consecutiveFailures: 0,
    successes: 0,
    failures: 0,
  };

  constructor(
    readonly name: SourceName,
    private readonly list: (signal: AbortSignal) => Promise<T>,
    private readonly options: SourceOptions,
  ) {}

  get health(): SourceHealth {
    return { ...this.#health, inFlight: this.#busy };
  }

  /** Asks for a listing that starts after now; a busy source remembers it. */
  want(): void {
    this.#wanted = true;
  }

  /** An answer waits to be taken, or a listing could start at once. */
  get isPending(): boolean {
    return this.#completed !== null || (this.#wanted && !this.#busy && this.#mayStart());
  }

  /** Whatever made it fail may be over: forget the back-off. */
  retryNow(): void {
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
  }

  /** What was asked and seen up to now is of no use any more, an answer still on its way included. */
  forget(): void {
    this.#term += 1;
    this.#completed = null;
    this.#wanted = false;
  }

  /**
   * Starts a listing if one is wanted, none is in flight and no back-off is on.
   *
   * @returns the outcome of the listing that this call started
   */
  startIfWanted(stamp: Instant, stop: AbortSignal, order = 0): Promise<void> | null {
    if (!this.#wanted || this.#busy || !this.#mayStart()) return null;
    this.#wanted = false;
    this.#busy = true;
    let call: Promise<T> | undefined;
    const startedMs = this.options.clock.monotonicMs();
    const term = this.#term;
    this.#outcome = withDeadline(
      this.options.clock,
      this.options.deadlineMs,
      `Cannot observe ${this.name === "engine" ? "the engine" : this.name}`,
      (signal) => {
        call = this.list(signal);
        return call;
      },
      stop,
    ).then(
      (value) =>
        this.#succeed(
          { stamp, order, value, durationMs: this.options.clock.monotonicMs() - startedMs },
          term,
        ),
      (cause) => this.#fail(cause),
    );
    // A call that outlives its deadline still counts as in flight: never two at a time.
    const settled = () => {
      this.#busy = false;
    };
    void this.#outcome.then(() => (call ?? Promise.resolve()).then(settled, settled));
    return this.#outcome;
  }

  #mayStart(): boolean {
    return this.options.clock.monotonicMs() >= this.#notBeforeMs;
  }

  /** Settles with the listing under way, or at its deadline; null when none is. Never rejects. */
  get outcome(): Promise<void> | null {
    return this.#outcome;
  }

  /** The newest completed listing that nobody took yet; it stays. */
  get completed(): Observation<T> | null {
    return this.#completed;
  }

  /** The same, and takes it. */
  take(): Observation<T> | null {
    const taken = this.#completed;
    this.#completed = null;
    return taken;
  }

  #succeed(observation: Omit<Observation<T>, "afterUnseen">, term: number): void {
    const nowMs = this.options.clock.monotonicMs();
    const outage = this.#outage;
    this.#outcome = null;
    this.#outage = null;
    if (term === this.#term) this.#completed = { ...observation, afterUnseen: this.#completed !== null };
    this.#health = {
      ...this.#health,
      lastSuccessMs: nowMs,
      lastSuccessStamp: observation.stamp,
      lastDurationMs: observation.durationMs,
      lastError: null,
      consecutiveFailures: 0,
      successes: this.#health.successes + 1,
    };
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
    if (outage !== null) this.options.onTransition(this.name, null, outageFields(outage, nowMs));
  }

  #fail(cause: unknown): void {
    this.#outcome = null;
    if (cause instanceof StoppedError) return;
    const nowMs = this.options.clock.monotonicMs();
    const { outage, isWorthSaying } = onFailure(this.#outage, nowMs);
    this.#outage = outage;
    const { failures } = outage;
    this.#health = {
      ...this.#health,
      lastError: cause instanceof Error ? cause.message : String(cause),
      consecutiveFailures: failures,
      failures: this.#health.failures + 1,
    };
    const { maxBackoffMs, random } = this.options;
    const backoff = { firstMs: limits.sourceBackoffMs, mostMs: maxBackoffMs, jitter: limits.sourceJitter };
    this.#notBeforeMs = nowMs + backoffMs(backoff, failures, random);
    this.#wanted = true;
    if (isWorthSaying) this.options.onTransition(this.name, cause, outageFields(outage, nowMs));
  }
}
