/**
 * Virtual time: a queue of what is due, and clocks that read it. Everything runs in one synchronous call: an event
 * runs, all promises that it settled are followed to their end, and only then does time move on. The same events
 * in the same order so give the same run, and a minute costs microseconds.
 */
import { drainMicrotasks } from "bun:jsc";
import type { Clock } from "../../src/observer/ports.ts";

/** Whose code an event runs: one that is paused gets its events when it goes on, one that is dead never. */
export interface Owner {
  state: "running" | "paused" | "dead";
  readonly backlog: (() => void)[];
}

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  readonly owner: Owner | null;
  cancelled: boolean;
}

/** More events than this at one instant are a loop that time can't get out of. */
const EVENTS_PER_INSTANT = 100_000;

export class Timeline {
  nowMs = 0;
  events = 0;
  #order = 0;
  readonly #queue: Due[] = [];

  /** @returns cancels it */
  at(atMs: number, run: () => void, owner: Owner | null = null): () => void {
    const due: Due = {
      atMs: Math.max(atMs, this.nowMs),
      order: this.#order++,
      run,
      owner,
      cancelled: false,
    };
    this.#push(due);
    return () => {
      due.cancelled = true;
    };
  }

  after(delayMs: number, run: () => void, owner: Owner | null = null): () => void {
    return this.at(this.nowMs + delayMs, run, owner);
  }

  resume(owner: Owner): void {
    owner.state = "running";
    for (const run of owner.backlog.splice(0)) this.at(this.nowMs, run, owner);
  }

  /** Runs all that is due within `ms`, and what that leads to. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    drainMicrotasks();
    let atThisInstant = 0;
    for (let due = this.#queue[0]; due !== undefined && due.atMs <= untilMs; due = this.#queue[0]) {
      this.#pop();
      if (due.cancelled) continue;
      atThisInstant = due.atMs > this.nowMs ? 0 : atThisInstant + 1;
      if (atThisInstant > EVENTS_PER_INSTANT) throw new Error(`time stands still at ${this.nowMs} ms`);
      this.nowMs = due.atMs;
      if (due.owner?.state === "dead") continue;
      if (due.owner?.state === "paused") {
        due.owner.backlog.push(due.run);
        continue;
      }
      this.events += 1;
      due.run();
      drainMicrotasks();
    }
    this.nowMs = untilMs;
  }

  #push(due: Due): void {
    const queue = this.#queue;
    let index = queue.push(due) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(due, queue[parent]!)) break;
      queue[index] = queue[parent]!;
      index = parent;
    }
    queue[index] = due;
  }

  #pop(): void {
    const queue = this.#queue;
    const last = queue.pop()!;
    if (queue.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= queue.length) break;
      if (child + 1 < queue.length && isBefore(queue[child + 1]!, queue[child]!)) child += 1;
      if (!isBefore(queue[child]!, last)) break;
      queue[index] = queue[child]!;
      index = child;
    }
    queue[index] = last;
  }
}

const isBefore = (left: Due, right: Due): boolean =>
  left.atMs !== right.atMs ? left.atMs < right.atMs : left.order < right.order;

/** The monotonic clock of one process; it can stand still while the world goes on. */
export class VirtualClock implements Clock {
  /** How long this clock has stood still. */
  stoodStillMs = 0;

  constructor(
    private readonly timeline: Timeline,
    private readonly owner: Owner | null = null,
  ) {}

  monotonicMs(): number {
    return this.timeline.nowMs - this.stoodStillMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      // Less than the last bit of a double would not move time at all; real timers have such a least step as well.
      const dueMs = this.monotonicMs() + Math.max(ms > 0 ? 0.001 : 0, ms);
      let cancel = () => {};
      const done = () => {
        cancel();
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const arm = () => {
        cancel = this.timeline.at(
          dueMs + this.stoodStillMs,
          () => (this.#isDue(dueMs) ? done() : arm()),
          this.owner,
        );
      };
      arm();
      signal?.addEventListener("abort", done, { once: true });
    });
  }

  /** Sums of fractions may fall short by the last bit. */
  #isDue(dueMs: number): boolean {
    return this.monotonicMs() >= dueMs - 1e-6;
  }
}
