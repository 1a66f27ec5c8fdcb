/** Health of one link to the world; says the log once that it went down, and once, with the count, that it is back. */
import type { Clock, Log } from "./ports.ts";
import type { LinkHealth, LinkName } from "./view.ts";

export class Link {
  #health: LinkHealth;

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
    const { up, failures, sinceMs } = this.#health;
    if (up === true) return;
    const nowMs = this.clock.monotonicMs();
    this.#health = { up: true, sinceMs: nowMs, lastError: null, failures: 0 };
    if (up === false) {
      this.log.info(`${this.name}.up`, `The ${this.name} link is back`, {
        failures,
        downMs: Math.round(nowMs - sinceMs),
      });
    }
  }

  down(cause: unknown): void {
    const { up, failures, sinceMs } = this.#health;
    this.#health = {
      up: false,
      sinceMs: up === false ? sinceMs : this.clock.monotonicMs(),
      lastError: cause instanceof Error ? cause.message : String(cause),
      failures: failures + 1,
    };
    if (up !== false) {
      this.log.warn(`${this.name}.down`, `The ${this.name} link is down; ${this.meanwhile}`, {
        error: cause,
      });
    }
  }
}
