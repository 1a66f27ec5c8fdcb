/**
 * Who may write: asks for the lease, keeps it alive, notices when it is gone, hands it over.
 *
 *     starting ──▶ standby ◀──lost── leader
 *                     └─────free──────▶┘
 *
 * What this believes decides only whether to look. Whether a write counts is decided by the epoch, in the writing
 * statement itself.
 */
import { withDeadline } from "./deadline.ts";
import { limits } from "./limits.ts";
import type { Link } from "./link.ts";
import type { Clock, Leadership, Lease, Log } from "./ports.ts";
import type { Role } from "./view.ts";

export interface LeaseKeeperParts {
  readonly clock: Clock;
  readonly leadership: Leadership;
  readonly timeoutMs: number;
  readonly log: Log;
  /** Told of every answer and every failure. */
  readonly database: Link;
  readonly onLost: () => void;
  /** Whether the loop comes to the end of what it does. */
  readonly isProgressing: () => boolean;
}

export class LeaseKeeper {
  #lease: Lease | null = null;
  #leader: string | null = null;
  #role: "starting" | "leader" | "standby" = "starting";
  #renewedMs = Number.NEGATIVE_INFINITY;
  #takeovers = 0;
  #isStuck = false;

  constructor(private readonly parts: LeaseKeeperParts) {}

  get lease(): Lease | null {
    return this.#lease;
  }

  /** Who holds the lease, as far as known. */
  get leader(): string | null {
    return this.#leader;
  }

  get takeovers(): number {
    return this.#takeovers;
  }

  get role(): Role {
    const expired = this.parts.clock.monotonicMs() - this.#renewedMs > limits.leaseMs;
    return this.#role === "leader" && expired ? "disconnected" : this.#role;
  }

  /** Asks for the lease once. True when it has just become ours. */
  async ask(stop: AbortSignal): Promise<boolean> {
    const { leadership, log, database } = this.parts;
    try {
      const answer = await this.#call(
        "Cannot ask for the lease",
        (signal) => leadership.acquire(signal),
        stop,
      );
      database.up();
      if (answer.kind === "held") {
        this.#take(answer.lease);
        return true;
      }
      if (this.#role !== "standby" || this.#leader !== answer.holder) {
        log.info("lease.standby", "Standing by: somebody else leads", { leader: answer.holder });
      }
      this.#role = "standby";
      this.#leader = answer.holder;
    } catch (cause) {
      if (!stop.aborted) database.down(cause);
    }
    return false;
  }

  #take(lease: Lease): void {
    this.#lease = lease;
    this.#leader = lease.holder;
    this.#role = "leader";
    this.#renewedMs = this.parts.clock.monotonicMs();
    this.#takeovers += 1;
    this.parts.log.info("lease.acquired", "Leading: this instance observes and writes", {
      epoch: lease.epoch,
    });
  }

  /** Some statement renewed it, `sinceMs` at the latest. */
  renewed(sinceMs: number): void {
    this.#renewedMs = Math.max(this.#renewedMs, sinceMs);
  }

  lose(): void {
    if (this.#lease === null) return;
    this.parts.log.warn("lease.lost", "The lease has gone to somebody else; nothing is written from here", {
      epoch: this.#lease.epoch,
    });
    this.#lease = null;
    this.#role = "standby";
    this.#leader = null;
    this.parts.onLost();
  }

  /** Between writes, and while a listing is slow, the lease is kept alive from here, until the signal fires. */
  async keep(stop: AbortSignal): Promise<void> {
    const { clock, database, leadership } = this.parts;
    while (!stop.aborted) {
      await clock.sleep(limits.leaseRenewMs / 2, stop);
      const lease = this.#lease;
      if (stop.aborted || lease === null) continue;
      if (this.#noticeStuck()) continue;
      const startedMs = clock.monotonicMs();
      if (startedMs - this.#renewedMs < limits.leaseRenewMs) continue;
      try {
        const answer = await this.#call(
          "Cannot renew the lease",
          (signal) => leadership.renew(lease, signal),
          stop,
        );
        // That the database is up again is for a whole cycle to say: this is its smallest statement.
        if (answer.kind === "held") this.renewed(startedMs);
        else if (this.#lease === lease) this.lose();
      } catch (cause) {
        if (!stop.aborted) database.down(cause);
      }
    }
  }

  /** Whoever hangs must not keep others from leading: then the lease is left to expire. */
  #noticeStuck(): boolean {
    const wasStuck = this.#isStuck;
    this.#isStuck = !this.parts.isProgressing();
    if (this.#isStuck && !wasStuck)
      this.parts.log.error(
        "lease.not_renewed",
        "The loop comes to the end of nothing any more; its lease is left to expire, so that somebody else may lead",
      );
    return this.#isStuck;
  }

  async release(): Promise<void> {
    const { clock, leadership, log } = this.parts;
    const lease = this.#lease;
    if (lease === null) return;
    this.#lease = null;
    try {
      await withDeadline(clock, limits.releaseMs, "Cannot hand the lease over", (signal) =>
        leadership.release(lease, signal),
      );
      log.info("lease.released", "The lease is handed over", { epoch: lease.epoch });
    } catch (cause) {
      log.warn("lease.release_failed", "The lease could not be handed over; it expires by itself", {
        error: cause,
      });
    }
  }

  #call<T>(action: string, work: (signal: AbortSignal) => Promise<T>, stop: AbortSignal): Promise<T> {
    return withDeadline(this.parts.clock, this.parts.timeoutMs, action, work, stop);
  }
}
