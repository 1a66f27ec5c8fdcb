/**
 * When to look: cadence, hints and shutdown. What a look is: cycle.ts. Who may write: lease-keeper.ts.
 *
 * A leader looks when its cadence says so. Anybody else asks for the lease once a second.
 */
import { backoffMs } from "./backoff.ts";
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
  onGlance,
  onHint,
  onLateAnswer,
  onReconnect,
} from "./cadence.ts";
import type { JsonObject } from "./conditions.ts";
import { type CycleParts, runCycle } from "./cycle.ts";
import { CycleLog } from "./cycle-log.ts";
import { withDeadline } from "./deadline.ts";
import { type GlanceTarget, mayGlance, runGlance } from "./glance.ts";
import { Glances } from "./glances.ts";
import { hangsAfterMs } from "./health.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { limits } from "./limits.ts";
import { Link } from "./link.ts";
import {
  type CompleteLook,
  type HintListener,
  type HintSource,
  type Lease,
  type Log,
  type Subject,
  UnworkableError,
} from "./ports.ts";
import type { CycleReport, Stage } from "./report.ts";
import {
  type LinkHealth,
  type LinkName,
  type ObserverView,
  type RowsView,
  type Totals,
  UNTRIED,
} from "./view.ts";

export interface LoopParts {
  readonly instance: string;
  readonly cadence: CadenceConfig;
  readonly cycle: CycleParts;
  /** `ob:wake`. */
  readonly channel: HintSource;
  /** The Engine's events. */
  readonly events: HintSource;
  /** Whether history is kept, by all loops of the process; without it, none is. */
  readonly transitions?: { readonly health: LinkHealth };
  readonly log: Log;
  /** 0 ≤ n < 1, for the jitter. */
  readonly random: () => number;
  /** Done once, before the first question for the lease; retried until it succeeds. */
  readonly prepare: (signal: AbortSignal) => Promise<void>;
  readonly onReport?: (report: CycleReport) => void;
  /** A cycle, a stand-by check or a try to prepare came to its end, whatever it found; the view shows it. */
  readonly onProgress?: () => void;
  /** What this instance says of itself in `observer_status`; null: nothing, another loop does. */
  readonly describe: ((view: ObserverView) => JsonObject) | null;
}

const TOTAL_OF = { look: "looks", delivery: "deliveries", glance: "glances" } as const;

export class Loop {
  #cadence: Cadence = initialCadence;
  #memory: CycleMemory;
  #complete: CompleteLook | null = null;
  #progressMs: number | null = null;
  #lastCommitMs: number | null = null;
  #lastCycle: CycleReport | null = null;
  #reporting = false;
  #reportedMs = Number.NEGATIVE_INFINITY;
  #sleeper: AbortController | null = null;
  /** In a row; what the keeper of the lease meets beside the loop doesn't count. */
  #databaseFailures = 0;
  readonly #ending = new AbortController();
  #totals: { -readonly [K in Exclude<keyof Totals, "takeovers">]: number } = {
    looks: 0,
    deliveries: 0,
    glances: 0,
    changed: 0,
    stamped: 0,
    skipped: 0,
    fenced: 0,
    driftRepaired: 0,
    hints: 0,
    events: 0,
    coalesced: 0,
    wakeUps: 0,
  };
  readonly #startedMs: number;
  readonly #links: Readonly<Record<Exclude<LinkName, "transitions">, Link>>;
  readonly #cycleLog: CycleLog;
  readonly #keeper: LeaseKeeper;
  readonly #glances: Glances;

  constructor(private readonly parts: LoopParts) {
    const { log } = parts;
    const { clock } = parts.cycle;
    this.#memory = emptyMemory(parts.cycle.unit);
    this.#startedMs = clock.monotonicMs();
    this.#cycleLog = new CycleLog(log, clock);
    this.#links = {
      database: new Link("database", clock, log, "nothing can be written until it is back"),
      channel: new Link("channel", clock, log, "looking at the idle cadence until it is back"),
      events: new Link("events", clock, log, "looking at the idle cadence until they are back"),
      wake: new Link("wake", clock, log, "the wake-up is owed and follows when it is back"),
    };
    this.#keeper = new LeaseKeeper({
      clock,
      log,
      leadership: parts.cycle.leadership,
      timeoutMs: parts.cycle.config.writeTimeoutMs,
      database: this.#links.database,
      onLost: () => this.#sleeper?.abort(),
      isProgressing: () => this.#isProgressing,
    });
    this.#glances = new Glances({
      clock,
      mayGlance: () => mayGlance(parts.cycle, this.#memory),
      glance: (target) => this.#glance(target),
      lookAtAll: () => this.#hinted(onEvent),
    });
  }

  /**
   * Runs until the signal fires; then finishes what is being written, hands the lease over, and resolves.
   *
   * @throws UnworkableError when no waiting will mend what is wrong
   */
  async run(stop: AbortSignal): Promise<void> {
    // Also ends what runs beside the loop when the loop itself ends by a broken invariant.
    const ending = this.#ending;
    const end = () => {
      ending.abort();
      this.#sleeper?.abort();
    };
    stop.addEventListener("abort", end);
    let companions: Promise<void>[] = [];
    let glancing = Promise.resolve();
    try {
      await this.#prepare(stop);
      glancing = this.#glances.keep(ending.signal);
      companions = [
        this.parts.channel.listen(this.#listener("channel"), ending.signal),
        this.parts.events.listen(this.#listener("events"), ending.signal),
        this.#keeper.keep(ending.signal),
      ];
      while (!stop.aborted) {
        const { lease } = this.#keeper;
        if (lease === null) await this.#standBy(stop);
        else await this.#lookWhenDue(lease, stop);
      }
    } finally {
      stop.removeEventListener("abort", end);
      end();
      // What it is writing is written under the lease.
      await glancing;
      await this.#keeper.release();
      await Promise.all(companions);
    }
  }

  async #prepare(stop: AbortSignal): Promise<void> {
    const { clock, config } = this.parts.cycle;
    let prepared = false;
    while (!prepared && !stop.aborted) {
      try {
        const deadlineMs = limits.prepareStatements * config.writeTimeoutMs;
        await withDeadline(clock, deadlineMs, "Cannot prepare", this.parts.prepare, stop);
        prepared = true;
        this.#databaseFailures = 0;
        this.#links.database.up();
      } catch (cause) {
        if (cause instanceof UnworkableError) throw cause;
        if (stop.aborted) return;
        this.#links.database.down(cause);
        this.#progressMs = clock.monotonicMs();
        this.parts.onProgress?.();
        await this.#backOff(stop);
      }
    }
  }

  async #standBy(stop: AbortSignal): Promise<void> {
    const { engineSource, archiveSource, clock, unit } = this.parts.cycle;
    if (await this.#keeper.ask(stop)) {
      this.#cadence = initialCadence;
      // What an earlier term remembered may be long out of date; the table is what counts. Whoever led before may
      // have committed and died before it could say so.
      this.#memory = emptyMemory(unit);
      this.#complete = null;
      this.#memory.wake.owe();
      this.#databaseFailures = 0;
      engineSource?.forget();
      archiveSource?.forget();
      return;
    }
    if (stop.aborted) return;
    // What it knew when it led says nothing of the table that somebody else writes now.
    if (this.#keeper.role === "standby") {
      this.#memory = emptyMemory(unit);
      this.#complete = null;
    }
    this.#progressMs = clock.monotonicMs();
    this.parts.onProgress?.();
    this.#reportStatus();
    await this.#sleep(limits.standbyPollMs, stop);
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
      mostChanges: limits.changesNamed,
      onStep: () => {
        this.#progressMs = cycle.clock.monotonicMs();
      },
    });
    const nowMs = cycle.clock.monotonicMs();
    this.#memory = report.memory;
    this.#lastCycle = report;
    this.#complete = report.complete ?? this.#complete;
    this.#progressMs = nowMs;
    this.#count(report);
    // A save renews it.
    if (report.counts.written > 0) this.#keeper.renewed(nowMs - report.durationMs);
    if (report.leaseLost) this.#keeper.lose();
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
    this.parts.onProgress?.();
    this.#reportStatus();
    if (databaseFault !== undefined) {
      // It may be another server by the next time, or have lost its last commits.
      this.#memory.rows.distrust();
      this.#memory.watch.interrupted();
      await this.#backOff(stop);
      this.#cadence = onReconnect(this.#cadence);
      return;
    }
    this.#databaseFailures = 0;
    if (report.leaseLost) await this.#sleep(limits.standbyPollMs, stop);
  }

  /** A hint, or a link that comes back, cuts it short. */
  async #backOff(stop: AbortSignal): Promise<void> {
    this.#databaseFailures += 1;
    const backoff = {
      firstMs: limits.databaseBackoffMs,
      mostMs: Math.min(limits.databaseBackoffMostMs, this.parts.cadence.idleIntervalMs),
      jitter: limits.databaseJitter,
    };
    await this.#sleep(backoffMs(backoff, this.#databaseFailures, this.parts.random), stop);
  }

  get #isProgressing(): boolean {
    const { cadence, cycle } = this.parts;
    const age = cycle.clock.monotonicMs() - (this.#progressMs ?? this.#startedMs);
    return age <= hangsAfterMs({ ...cadence, ...cycle.config });
  }

  /** @returns whether the events that called for it are done with */
  async #glance(target: GlanceTarget): Promise<boolean> {
    const { cycle } = this.parts;
    const { lease } = this.#keeper;
    // A glance that writes renews the lease, which a loop that hangs must let go of.
    if (lease === null || !this.#isProgressing) return false;
    const { report, isEnough } = await runGlance(cycle, this.#memory, target, {
      lease,
      horizonMs: this.#cadence.promisedMs,
      stop: this.#ending.signal,
    });
    this.#count(report);
    if (report.counts.written > 0) this.#keeper.renewed(cycle.clock.monotonicMs() - report.durationMs);
    if (report.leaseLost) this.#keeper.lose();
    this.#cycleLog.write(report);
    this.parts.onReport?.(report);
    return isEnough;
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
        if (!source.isPending || this.#keeper.lease === null) return;
        this.#cadence = onLateAnswer(this.#cadence);
        this.#sleeper?.abort();
      };
      if (source.outcome === null) late();
      else void source.outcome.then(late);
    }
  }

  #hinted(latch: typeof onHint): void {
    this.#look(latch(this.#cadence, this.parts.cycle.clock.monotonicMs(), this.parts.cadence));
  }

  #look(cadence: Cadence): void {
    this.#cadence = cadence;
    // Who stands by has nothing to look at: a storm of hints must not become one of questions for the lease.
    if (this.#keeper.lease !== null) this.#sleeper?.abort();
  }

  #listener(name: "channel" | "events"): HintListener {
    const { clock, engineSource } = this.parts.cycle;
    const look = (cadence: Cadence) => this.#look(cadence);
    return {
      onHint: (subjects?: readonly Subject[]) => {
        this.#totals[name === "channel" ? "hints" : "events"] += 1;
        if (this.#cadence.hinted) this.#totals.coalesced += 1;
        // Who stands by has nothing to glance at.
        const isGlance =
          subjects !== undefined && this.#keeper.lease !== null && this.#glances.offer(subjects);
        if (isGlance) this.#hinted(onGlance);
        else this.#hinted(name === "events" ? onEvent : onHint);
      },
      onUp: () => {
        this.#links[name].up();
        if (name === "channel") return look(onReconnect(this.#cadence));
        engineSource?.retryNow();
        look(onEventsReconnect(this.#cadence, clock.monotonicMs()));
      },
      onDown: (cause) => this.#links[name].down(cause),
    };
  }

  /** One row, after every cycle; never waited for, and never two at a time. */
  #reportStatus(): void {
    const { clock, config, store } = this.parts.cycle;
    const nowMs = clock.monotonicMs();
    const { describe } = this.parts;
    if (describe === null) return;
    const due = this.#keeper.lease !== null || nowMs - this.#reportedMs >= limits.standbyReportMs;
    if (this.#reporting || !due || this.#links.database.health.up === false) return;
    this.#reporting = true;
    this.#reportedMs = nowMs;
    void withDeadline(clock, config.writeTimeoutMs, "Cannot write observer_status", (signal) =>
      store.report(describe(this.view()), signal),
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
    this.#totals[TOTAL_OF[report.kind]] += 1;
    for (const name of ["changed", "stamped", "skipped", "fenced"] as const)
      this.#totals[name] += counts[name];
    this.#totals.driftRepaired += report.repaired.length;
    if (report.woke) this.#totals.wakeUps += 1;
  }

  async #sleep(ms: number, stop: AbortSignal): Promise<void> {
    if (stop.aborted) return;
    this.#sleeper = new AbortController();
    await this.parts.cycle.clock.sleep(ms, this.#sleeper.signal);
    this.#sleeper = null;
  }

  /** Or led when the database was last heard. */
  get #leads(): boolean {
    const { role } = this.#keeper;
    return role === "leader" || role === "disconnected";
  }

  /** Null: only who leads keeps any. */
  rows(): RowsView | null {
    return this.#leads ? this.#memory.rows : null;
  }

  view(): ObserverView {
    const { clock, engineSource, archiveSource } = this.parts.cycle;
    const nowMs = clock.monotonicMs();
    const ids = (kind: "container" | "volume" | "archive") => [...this.#memory.orphans[kind].confirmed];
    return {
      instance: this.parts.instance,
      nowMs,
      startedMs: this.#startedMs,
      role: this.#keeper.role,
      leader: this.#keeper.leader,
      epoch: this.#keeper.lease?.epoch ?? null,
      cadence: {
        mode: isActive(this.#cadence, nowMs) ? "active" : "idle",
        nextInMs:
          this.#keeper.lease === null
            ? null
            : Math.max(0, nextCycle(this.#cadence, nowMs, this.parts.cadence).atMs - nowMs),
      },
      sources: { engine: engineSource?.health ?? null, archives: archiveSource?.health ?? null },
      links: {
        database: this.#links.database.health,
        channel: this.#links.channel.health,
        events: this.#links.events.health,
        // Who stands by tries neither, and so would never learn that they work again.
        wake: this.#leads ? this.#links.wake.health : UNTRIED,
        transitions: (this.#leads && this.parts.transitions?.health) || UNTRIED,
      },
      progressMs: this.#progressMs,
      lastCommitMs: this.#lastCommitMs,
      lastCycle: this.#lastCycle,
      totals: { ...this.#totals, takeovers: this.#keeper.takeovers },
      glancesGivenUp: { ...this.#glances.givenUp },
      orphans: { container: ids("container"), volume: ids("volume"), archive: ids("archive") },
      foreign: this.#memory.foreign,
      deaths: [...this.#memory.deaths.values()],
      held: this.#memory.held,
      complete: this.#complete,
      rivals: this.#memory.rivals,
      watch: this.#memory.watch,
    };
  }
}
