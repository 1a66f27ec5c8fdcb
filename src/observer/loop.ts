/**
 * When to look, and who may write: leadership, cadence, hints and shutdown. What a look is: cycle.ts.
 *
 *     starting ──▶ standby ◀──lease lost── leader
 *                     └─────lease free──────▶┘
 *
 * A leader looks when its cadence says so and renews its lease in between. Anybody else asks for the lease once a
 * second. Nothing here decides what is written; a leader that is wrong about its role writes nothing (the epoch).
 */
import { type CycleMemory, emptyMemory } from "./believe.ts";
import {
  type Cadence,
  type CadenceConfig,
  type CycleKind,
  initialCadence,
  isActive,
  nextCycle,
  onCycleEnd,
  onCycleStart,
  onEvent,
  onEventsReconnect,
  onHint,
  onLateAnswer,
  onReconnect,
} from "./cadence.ts";
import type { JsonObject } from "./conditions.ts";
import { type CycleParts, runCycle } from "./cycle.ts";
import { CycleLog } from "./cycle-log.ts";
import { withDeadline } from "./deadline.ts";
import { limits } from "./limits.ts";
import { Link } from "./link.ts";
import { type HintListener, type HintSource, type Lease, type Log, UnworkableError } from "./ports.ts";
import type { CycleReport, Stage } from "./report.ts";
import type { LinkName, ObserverView, Role, Totals } from "./view.ts";

export interface LoopParts {
  readonly instance: string;
  readonly cadence: CadenceConfig;
  readonly cycle: CycleParts;
  /** `ob:wake`. */
  readonly channel: HintSource;
  /** The Engine's events. */
  readonly events: HintSource;
  readonly log: Log;
  /** Done once, before the first question for the lease; retried until it succeeds. */
  readonly prepare: (signal: AbortSignal) => Promise<void>;
  readonly onReport?: (report: CycleReport) => void;
  /** What this instance says of itself in `observer_status`. */
  readonly describe: (view: ObserverView) => JsonObject;
}

export class Loop {
  #cadence: Cadence = initialCadence;
  #memory: CycleMemory = emptyMemory;
  #lease: Lease | null = null;
  #renewedMs = Number.NEGATIVE_INFINITY;
  #leader: string | null = null;
  #role: "starting" | "leader" | "standby" = "starting";
  #progressMs: number | null = null;
  #lastCommitMs: number | null = null;
  #lastCycle: CycleReport | null = null;
  #reporting = false;
  #reportedMs = Number.NEGATIVE_INFINITY;
  #sleeper: AbortController | null = null;
  #totals: { -readonly [K in keyof Totals]: number } = {
    looks: 0,
    deliveries: 0,
    changed: 0,
    stamped: 0,
    skipped: 0,
    fenced: 0,
    hints: 0,
    events: 0,
    coalesced: 0,
    wakeUps: 0,
    takeovers: 0,
  };
  readonly #startedMs: number;
  readonly #links: Readonly<Record<LinkName, Link>>;
  readonly #cycleLog: CycleLog;

  constructor(private readonly parts: LoopParts) {
    const { log } = parts;
    const { clock } = parts.cycle;
    this.#startedMs = clock.monotonicMs();
    this.#cycleLog = new CycleLog(log);
    this.#links = {
      database: new Link("database", clock, log, "nothing can be written until it is back"),
      channel: new Link("channel", clock, log, "looking at the idle cadence until it is back"),
      events: new Link("events", clock, log, "looking at the idle cadence until they are back"),
      wake: new Link("wake", clock, log, "the wake-up is owed and follows when it is back"),
    };
  }

  /**
   * Runs until the signal fires; then finishes what is being written, hands the lease over, and resolves.
   *
   * @throws UnworkableError when no waiting will mend what is wrong
   */
  async run(stop: AbortSignal): Promise<void> {
    // Also ends what runs beside the loop when the loop itself ends by a broken invariant.
    const ending = new AbortController();
    const end = () => {
      ending.abort();
      this.#sleeper?.abort();
    };
    stop.addEventListener("abort", end);
    let companions: Promise<void>[] = [];
    try {
      await this.#prepare(stop);
      companions = [
        this.parts.channel.listen(this.#listener("channel"), ending.signal),
        this.parts.events.listen(this.#listener("events"), ending.signal),
        this.#keepLease(ending.signal),
      ];
      while (!stop.aborted) {
        if (this.#lease === null) await this.#standBy(stop);
        else await this.#lookWhenDue(this.#lease, stop);
      }
    } finally {
      stop.removeEventListener("abort", end);
      end();
      await this.#release();
      await Promise.all(companions);
    }
  }

  async #prepare(stop: AbortSignal): Promise<void> {
    const { clock, config } = this.parts.cycle;
    let prepared = false;
    while (!prepared && !stop.aborted) {
      try {
        await withDeadline(clock, config.writeTimeoutMs, "Cannot prepare", this.parts.prepare, stop);
        prepared = true;
        this.#links.database.up();
      } catch (cause) {
        if (cause instanceof UnworkableError) throw cause;
        if (stop.aborted) return;
        this.#links.database.down(cause);
        this.#progressMs = clock.monotonicMs();
        await this.#sleep(limits.databaseRetryMs, stop);
      }
    }
  }

  async #standBy(stop: AbortSignal): Promise<void> {
    const { cycle, log } = this.parts;
    try {
      const answer = await withDeadline(
        cycle.clock,
        cycle.config.writeTimeoutMs,
        "Cannot ask for the lease",
        (signal) => cycle.leadership.acquire(signal),
        stop,
      );
      this.#links.database.up();
      if (answer.kind === "held") {
        this.#lead(answer.lease);
        return;
      }
      if (this.#role !== "standby" || this.#leader !== answer.holder) {
        log.info("lease.standby", "Standing by: somebody else leads", { leader: answer.holder });
      }
      this.#role = "standby";
      this.#leader = answer.holder;
      // What it knew when it led says nothing of the table that somebody else writes now.
      this.#memory = emptyMemory;
    } catch (cause) {
      if (stop.aborted) return;
      this.#links.database.down(cause);
    }
    this.#progressMs = cycle.clock.monotonicMs();
    this.#reportStatus();
    await this.#sleep(limits.standbyPollMs, stop);
  }

  #lead(lease: Lease): void {
    this.#lease = lease;
    this.#renewedMs = this.parts.cycle.clock.monotonicMs();
    this.#leader = lease.holder;
    this.#role = "leader";
    this.#totals.takeovers += 1;
    this.#cadence = { ...initialCadence };
    // What an earlier term remembered may be long out of date; the table is what counts. Whoever led before may have
    // committed and died before it could say so.
    this.#memory = { ...emptyMemory, wakeOwed: true };
    this.parts.cycle.engineSource.forget();
    this.parts.cycle.archiveSource?.forget();
    this.parts.log.info("lease.acquired", "Leading: this instance observes and writes", {
      epoch: lease.epoch,
    });
  }

  #loseLease(): void {
    if (this.#lease === null) return;
    this.parts.log.warn("lease.lost", "The lease has gone to somebody else; nothing is written from here", {
      epoch: this.#lease.epoch,
    });
    this.#lease = null;
    this.#role = "standby";
    this.#leader = null;
    this.#sleeper?.abort();
  }

  async #lookWhenDue(lease: Lease, stop: AbortSignal): Promise<void> {
    const { clock } = this.parts.cycle;
    const next = nextCycle(this.#cadence, clock.monotonicMs(), this.parts.cadence);
    const waitMs = next.atMs - clock.monotonicMs();
    // Whatever ends the sleep, a hint or the time, what comes next is decided afresh.
    if (waitMs > 0) await this.#sleep(waitMs, stop);
    else await this.#cycle(lease, next.kind, stop);
  }

  async #cycle(lease: Lease, kind: CycleKind, stop: AbortSignal): Promise<void> {
    const { cycle } = this.parts;
    this.#cadence = onCycleStart(this.#cadence, kind, cycle.clock.monotonicMs(), this.parts.cadence);
    const report = await runCycle(cycle, this.#memory, {
      lease,
      kind,
      horizonMs: this.#cadence.promisedMs,
      stop,
    });
    const nowMs = cycle.clock.monotonicMs();
    this.#memory = report.memory;
    this.#lastCycle = report;
    this.#progressMs = nowMs;
    this.#count(report);
    if (report.stamp !== null) this.#renewedMs = nowMs - report.durationMs;
    if (report.leaseLost) this.#loseLease();
    this.#cadence = onCycleEnd(
      this.#cadence,
      {
        changed: report.counts.changed > 0,
        operationInFlight: report.operationInFlight ?? this.#cadence.operationInFlight,
      },
      nowMs,
      this.parts.cadence,
    );
    this.#awaitLateAnswers();
    this.#cycleLog.write(report);
    if (stop.aborted) return;
    this.parts.onReport?.(report);
    const databaseFault = this.#noteLinks(report);
    this.#reportStatus();
    if (databaseFault === undefined) return;
    await this.#sleep(limits.databaseRetryMs, stop);
    this.#cadence = onReconnect(this.#cadence);
  }

  /** @returns what failed of the database's part, if anything did */
  #noteLinks(report: CycleReport): { readonly cause: unknown } | undefined {
    const failed = (...stages: readonly Stage[]) =>
      report.failures.find(({ stage }) => stages.includes(stage));
    const wake = failed("wake");
    if (wake) this.#links.wake.down(wake.cause);
    else if (report.woke) this.#links.wake.up();
    const database = failed("stamp", "load", "save");
    if (database) this.#links.database.down(database.cause);
    else this.#links.database.up();
    if (!database && !report.leaseLost) this.#lastCommitMs = this.parts.cycle.clock.monotonicMs();
    return database;
  }

  /** A source that is still listing, or was asked again meanwhile, gets a cycle of its own when it has answered. */
  #awaitLateAnswers(): void {
    const { engineSource, archiveSource } = this.parts.cycle;
    for (const source of [engineSource, archiveSource]) {
      if (source === null) continue;
      const late = () => {
        if (!source.isPending || this.#lease === null) return;
        this.#cadence = onLateAnswer(this.#cadence);
        this.#sleeper?.abort();
      };
      if (source.outcome === null) late();
      else void source.outcome.then(late);
    }
  }

  #listener(name: "channel" | "events"): HintListener {
    const { clock, engineSource } = this.parts.cycle;
    const look = (cadence: Cadence) => {
      this.#cadence = cadence;
      // Who stands by has nothing to look at: a storm of hints must not become one of questions for the lease.
      if (this.#lease !== null) this.#sleeper?.abort();
    };
    return {
      onHint: () => {
        this.#totals[name === "channel" ? "hints" : "events"] += 1;
        if (this.#cadence.hinted) this.#totals.coalesced += 1;
        const latch = name === "events" ? onEvent : onHint;
        look(latch(this.#cadence, clock.monotonicMs(), this.parts.cadence));
      },
      onUp: () => {
        this.#links[name].up();
        if (name === "channel") return look(onReconnect(this.#cadence));
        engineSource.retryNow();
        look(onEventsReconnect(this.#cadence, clock.monotonicMs()));
      },
      onDown: (cause) => this.#links[name].down(cause),
    };
  }

  /** Between writes, and while a listing is slow, the lease is kept alive from here. */
  async #keepLease(stop: AbortSignal): Promise<void> {
    const { clock, config, leadership } = this.parts.cycle;
    while (!stop.aborted) {
      await clock.sleep(limits.leaseRenewMs / 2, stop);
      const lease = this.#lease;
      if (stop.aborted || lease === null) continue;
      if (clock.monotonicMs() - this.#renewedMs < limits.leaseRenewMs) continue;
      const startedMs = clock.monotonicMs();
      try {
        const answer = await withDeadline(
          clock,
          config.writeTimeoutMs,
          "Cannot renew the lease",
          (signal) => leadership.renew(lease, signal),
          stop,
        );
        this.#links.database.up();
        if (answer.kind === "held") this.#renewedMs = Math.max(this.#renewedMs, startedMs);
        else if (this.#lease === lease) this.#loseLease();
      } catch (cause) {
        if (!stop.aborted) this.#links.database.down(cause);
      }
    }
  }

  async #release(): Promise<void> {
    const lease = this.#lease;
    if (lease === null) return;
    const { clock, leadership } = this.parts.cycle;
    try {
      await withDeadline(clock, limits.releaseMs, "Cannot hand the lease over", (signal) =>
        leadership.release(lease, signal),
      );
      this.parts.log.info("lease.released", "The lease is handed over", { epoch: lease.epoch });
    } catch (cause) {
      this.parts.log.warn(
        "lease.release_failed",
        "The lease could not be handed over; it expires by itself",
        {
          error: cause,
        },
      );
    }
    this.#lease = null;
  }

  /** One row, after every cycle; never waited for, and never two at a time. */
  #reportStatus(): void {
    const { clock, config, store } = this.parts.cycle;
    const nowMs = clock.monotonicMs();
    const due = this.#role === "leader" || nowMs - this.#reportedMs >= limits.standbyReportMs;
    if (this.#reporting || !due || this.#links.database.health.up === false) return;
    this.#reporting = true;
    this.#reportedMs = nowMs;
    void withDeadline(clock, config.writeTimeoutMs, "Cannot write observer_status", (signal) =>
      store.report(this.parts.describe(this.view()), signal),
    )
      .catch((cause) => {
        this.parts.log.debug("status.failed", "observer_status could not be written", { error: cause });
      })
      .finally(() => {
        this.#reporting = false;
      });
  }

  #count(report: CycleReport): void {
    const { counts } = report;
    this.#totals[report.kind === "look" ? "looks" : "deliveries"] += 1;
    for (const name of ["changed", "stamped", "skipped", "fenced"] as const)
      this.#totals[name] += counts[name];
    if (report.woke) this.#totals.wakeUps += 1;
  }

  async #sleep(ms: number, stop: AbortSignal): Promise<void> {
    if (stop.aborted) return;
    this.#sleeper = new AbortController();
    await this.parts.cycle.clock.sleep(ms, this.#sleeper.signal);
    this.#sleeper = null;
  }

  view(): ObserverView {
    const { clock, engineSource, archiveSource } = this.parts.cycle;
    const nowMs = clock.monotonicMs();
    const role: Role =
      this.#role === "leader" && nowMs - this.#renewedMs > limits.leaseMs ? "disconnected" : this.#role;
    const ids = (kind: "container" | "volume" | "archive") => [...this.#memory.orphans[kind].confirmed];
    return {
      instance: this.parts.instance,
      nowMs,
      startedMs: this.#startedMs,
      role,
      leader: this.#leader,
      epoch: this.#lease?.epoch ?? null,
      cadence: {
        mode: isActive(this.#cadence, nowMs) ? "active" : "idle",
        nextInMs:
          this.#lease === null
            ? null
            : Math.max(0, nextCycle(this.#cadence, nowMs, this.parts.cadence).atMs - nowMs),
      },
      sources: { engine: engineSource.health, archives: archiveSource?.health ?? null },
      links: {
        database: this.#links.database.health,
        channel: this.#links.channel.health,
        events: this.#links.events.health,
        wake: this.#links.wake.health,
      },
      progressMs: this.#progressMs,
      lastCommitMs: this.#lastCommitMs,
      lastCycle: this.#lastCycle,
      totals: { ...this.#totals },
      orphans: { container: ids("container"), volume: ids("volume"), archive: ids("archive") },
      held: this.#memory.held,
    };
  }
}
