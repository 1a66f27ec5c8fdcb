/**
 * When to glance: what events name is looked at at once, beside the cycle, one glance at a time, and not more often than
 * a bucket of tokens allows. What is too much, or not to be trusted to a glance, is left to a whole look (P8).
 */
import type { GlanceTarget } from "./glance.ts";
import { limits } from "./limits.ts";
import type { WorkspaceId } from "./names.ts";
import type { Clock, Subject } from "./ports.ts";

export interface GlancesParts {
  readonly clock: Clock;
  readonly mayGlance: () => boolean;
  /** False: a whole look has to follow. Never rejects. */
  readonly glance: (target: GlanceTarget) => Promise<boolean>;
  readonly lookAtAll: () => void;
}

/** How often events were left to a whole look: the last one had doubts, too many waited, or a glance was not enough. */
export interface GivenUp {
  readonly doubted: number;
  readonly crowded: number;
  readonly unfinished: number;
}

export class Glances {
  readonly #givenUp = { doubted: 0, crowded: 0, unfinished: 0 };
  #ids = new Set<WorkspaceId>();
  #containers = new Set<string>();
  #waker: AbortController | null = null;
  #tokens: number = limits.glancesAtOnce;
  #filledMs: number;

  constructor(private readonly parts: GlancesParts) {
    this.#filledMs = parts.clock.monotonicMs();
  }

  get givenUp(): GivenUp {
    return this.#givenUp;
  }

  /** @returns false when these are none for a glance */
  offer(subjects: readonly Subject[]): boolean {
    if (!this.parts.mayGlance()) return this.#refuse("doubted");
    for (const { workspace, containerId } of subjects) {
      this.#ids.add(workspace);
      if (containerId !== null) this.#containers.add(containerId);
    }
    if (this.#ids.size > limits.glanceWorkspaces || this.#containers.size > limits.glanceContainers)
      return this.#refuse("crowded");
    this.#waker?.abort();
    return true;
  }

  /** Glances at what is offered, until the signal fires. */
  async keep(stop: AbortSignal): Promise<void> {
    const { clock } = this.parts;
    while (!stop.aborted) {
      if (this.#ids.size === 0) {
        await this.#wait(stop);
        continue;
      }
      const pauseMs = this.#pauseMs();
      if (pauseMs > 0) {
        await clock.sleep(pauseMs, stop);
        continue;
      }
      this.#tokens -= 1;
      const target = { ids: this.#ids, containers: this.#containers };
      this.#forget();
      if ((await this.parts.glance(target)) || stop.aborted) continue;
      this.#givenUp.unfinished += 1;
      this.parts.lookAtAll();
    }
  }

  /** What waits is covered by the whole look that follows. */
  #refuse(why: keyof GivenUp): false {
    this.#givenUp[why] += 1;
    this.#forget();
    return false;
  }

  #forget(): void {
    this.#ids = new Set();
    this.#containers = new Set();
  }

  #pauseMs(): number {
    const nowMs = this.parts.clock.monotonicMs();
    const gained = ((nowMs - this.#filledMs) / 1000) * limits.glancesPerSecond;
    this.#tokens = Math.min(limits.glancesAtOnce, this.#tokens + gained);
    this.#filledMs = nowMs;
    return this.#tokens >= 1 ? 0 : ((1 - this.#tokens) / limits.glancesPerSecond) * 1000;
  }

  async #wait(stop: AbortSignal): Promise<void> {
    this.#waker = new AbortController();
    const wake = () => this.#waker?.abort();
    stop.addEventListener("abort", wake, { once: true });
    await this.parts.clock.sleep(limits.glanceIdleMs, this.#waker.signal);
    stop.removeEventListener("abort", wake);
    this.#waker = null;
  }
}
