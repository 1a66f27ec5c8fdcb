/** Health of one link to the world; tells the log that it went down, now and then that it still is, and that it is back. */
import { type Outage, onFailure, outageFields } from "./outage.ts";
import type { Clock, Log } from "./ports.ts";
import type { LinkHealth, LinkName } from "./view.ts";

export class Link {
  #health: LinkHealth;
  #outage: Outage | null = null;

  constructor(
    private readonly name: LinkName,
    private readonly clock: Clock,
    private readonly log: Log,
    /** What goes on without it, for the operator who reads the log. */
    private readonly meanwhile: string,
  ) {
    this.#health = { up: null, sinceMs: clock.monotonicMs(), lastError: null, failures: 0 };
  }

  get health(): LinkHealth {
    return this.#health;
  }

  up(): void {
    if (this.#health.up === true) return;
    const nowMs = this.clock.monotonicMs();
    const outage = this.#outage;
    this.#outage = null;
    this.#health = { up: true, sinceMs: nowMs, lastError: null, failures: 0 };
    if (outage !== null) {
      this.log.info(`${this.name}.up`, `The ${this.name} link is back`, { ...outageFields(outage, nowMs) });
    }
  }

  down(cause: unknown): void {
    const nowMs = this.clock.monotonicMs();
    const { outage, isWorthSaying } = onFailure(this.#outage, nowMs);
    this.#outage = outage;
    this.#health = {
      up: false,
      sinceMs: outage.sinceMs,
      lastError: cause instanceof Error ? cause.message : String(cause),
      failures: outage.failures,
    };
    if (isWorthSaying) {
      this.log.warn(`${this.name}.down`, `The ${this.name} link is down; ${this.meanwhile}`, {
        error: cause,
        ...outageFields(outage, nowMs),
      });
    }
  }
}
