/**
 * One seed of a fleet: some hosts, each with one or two observers, on one table; workspaces move, are had by two at once, and
 * hosts freeze, die, lose sight of their Engine or of the database. Every write is checked when it happens
 * (fleet-checks.ts). Then peace: each row says what is, whichever host has it; a host that stays silent is lost, not gone.
 */
import { type Random, randomInt, seededRandom } from "../../dev/fakes/random.ts";
import type { EngineListing } from "../../src/observer/absence.ts";
import { ageMs } from "../../src/observer/instant.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import { HostOwnership } from "../../src/observer/ownership.ts";
import type { ArchiveSeen, Listing, Log, Look } from "../../src/observer/ports.ts";
import { sharedHints, silence } from "../../src/observer/shared-hints.ts";
import { hostSign } from "../../src/status/fleet-view.ts";
import { FakeChannel, fakeWake } from "./channels.ts";
import { saysArchive, saysContainer, saysVolume, Violation } from "./checks.ts";
import { Timeline, VirtualClock } from "./clock.ts";
import { FakeDatabase, type StoredRow } from "./database.ts";
import { type Domain, realDomain, type Sabotage } from "./domain.ts";
import { guard } from "./emptiness.ts";
import { describeRates, drawRates, type FaultRates } from "./faults.ts";
import { FleetChecks, type HostTruth } from "./fleet-checks.ts";
import { type Caller, fakeArchives, fakeEngine, type ListingWorld } from "./listings.ts";
import { Network } from "./network.ts";
import { cadence } from "./process.ts";
import type { SimulationOptions, SimulationResult } from "./simulation.ts";
import { Truth } from "./truth.ts";

const LOST_AFTER_MS = 30_000;
const MAX_AGE_MS = 30_000;
const QUIET = Object.fromEntries(
  Object.keys(drawRates(() => 0.5)).map((name) => [name, 0]),
) as unknown as FaultRates;
/** Calls that hang, leases, back-off, the guard, and signs that have to be watched before they count. */
const SETTLE_MS = 90_000;
/** A look, and what it takes until all have committed theirs and it is proven. */
const PROVEN_MS = 3 * cadence.idleIntervalMs + 5_000;

export function simulateFleet(seed: number, options: SimulationOptions = {}): SimulationResult {
  const run = new FleetSimulation(seed, options);
  let failure: SimulationResult["failure"] = null;
  try {
    run.run();
  } catch (cause) {
    if (!(cause instanceof Violation)) throw cause;
    failure = { check: cause.message.slice(0, cause.message.indexOf(":")), message: cause.message };
  }
  return {
    seed,
    failure,
    trace: run.traceHash,
    rates: describeRates(run.rates),
    events: run.timeline.events,
    writes: run.checks.writes,
    virtualMs: run.timeline.nowMs,
  };
}

interface SimulatedHost extends HostTruth {
  readonly listings: ListingWorld;
}

class FleetSimulation {
  traceHash = 0;
  readonly timeline = new Timeline();
  readonly rates: FaultRates;
  readonly checks: FleetChecks;
  readonly random: Random;
  readonly network: Network;
  readonly database: FakeDatabase;
  readonly store: ListingWorld;
  readonly ids: readonly WorkspaceId[];
  readonly domain: Domain;
  readonly #sabotage: ReadonlySet<Sabotage>;
  readonly #hosts = new Map<string, SimulatedHost>();
  readonly #processes: Member[] = [];
  readonly #perHost: number;
  readonly #locked: StoredRow[] = [];
  current: FaultRates = QUIET;
  #started = 0;
  #violation: Violation | null = null;

  constructor(
    seed: number,
    private readonly options: SimulationOptions,
  ) {
    const random = seededRandom(seed);
    for (let turn = 0; turn < 5; turn++) random();
    this.random = random;
    const drawn = drawRates(random);
    // The clock of the database, and what else a single observer meets, are simulation.ts's.
    this.rates = { ...drawn, clockJump: 0, clockJumpSmall: 0, handEdit: 0, wrongSocket: 0 };
    this.domain = options.domain ?? realDomain;
    this.#sabotage = options.sabotage ?? new Set();
    this.ids = Array.from({ length: 4 + randomInt(random, 4) }, (_, n) => `w${n}` as WorkspaceId);
    const { timeline } = this;
    const rates = () => this.current;
    const listingsOf = (truth: Truth): ListingWorld => ({
      timeline,
      random,
      truth,
      rates,
      sabotage: this.#sabotage,
      trace: this.trace,
      down: { engine: null, archives: null },
      afterNextRead: null,
    });
    this.store = listingsOf(new Truth(timeline, random, this.ids, new Set()));
    for (let n = 1; n <= 2 + randomInt(random, 2); n++) this.#addHost(`vm-${n}`, listingsOf);
    this.#perHost = 1 + randomInt(random, 2);
    this.network = new Network(timeline, random);
    this.checks = new FleetChecks(
      timeline,
      this.#hosts,
      this.store.truth,
      (caller) => (caller as Member).host.name,
      LOST_AFTER_MS,
      this.fail,
    );
    this.database = new FakeDatabase(
      timeline,
      random,
      this.network,
      rates,
      this.#sabotage,
      this.checks,
      this.trace,
    );
    this.checks.database = this.database;
  }

  #addHost(name: string, listingsOf: (truth: Truth) => ListingWorld): void {
    const truth = new Truth(this.timeline, this.random, this.ids, new Set());
    const since = new Map<string, number>();
    truth.onChange = (id) => {
      const is = truth.now(id);
      for (const key of ["container", "volume"] as const) {
        const place = `${id} ${key}`;
        if (is[key] === undefined) since.delete(place);
        else if (!since.has(place)) since.set(place, this.timeline.nowMs);
      }
      const subjects = this.random() < 0.9 ? [{ workspace: id, containerId: null }] : undefined;
      for (const one of this.#processes) if (one.host.name === name) one.events.hint(subjects);
    };
    const never = Number.NEGATIVE_INFINITY;
    this.#hosts.set(name, {
      name,
      truth,
      since,
      listings: listingsOf(truth),
      listedMs: never,
      signMs: never,
      isRegistered: false,
    });
  }

  run(): void {
    for (const id of this.ids) if (this.random() < 0.9) this.#insertRow(id);
    for (const id of this.ids) if (this.random() < 0.8) this.#anyHost().truth.createAll(id);
    this.#ensureProcesses();
    const rounds = 1 + randomInt(this.random, 2);
    for (let round = 0; round < rounds; round++) {
      this.current = this.rates;
      this.#unleash(20_000 + this.random() * 60_000);
      this.#makePeace();
      this.advance(SETTLE_MS);
      this.#expectTruth("in peace");
    }
    this.#expectNoFlapping();
    if (this.random() < 0.6) this.#expectLost();
    this.advance(0);
  }

  #unleash(durationMs: number): void {
    const { random, timeline, rates } = this;
    const untilMs = timeline.nowMs + durationMs;
    const accidents: readonly (readonly [number, () => void])[] = [
      [rates.churn / 4, () => this.#churn()],
      [0.3, () => this.#move()],
      [0.15, () => this.#split()],
      [rates.rowChange / 2, () => this.#changeRow()],
      [rates.rowLock, () => this.#lockRow()],
      [rates.pause, () => this.#pause()],
      [rates.kill, () => this.#one()?.kill()],
      [rates.stop, () => this.#one()?.stop()],
      [rates.databaseDown, () => this.#stopDatabase()],
      [rates.wrongSocket + 0.03, () => this.#stopEngine()],
    ];
    const total = accidents.reduce((sum, [rate]) => sum + rate, 0);
    while (timeline.nowMs < untilMs) {
      this.advance(random() < 0.4 ? random() * 20 : (random() * 4_000) / Math.max(total, 0.2));
      let roll = random() * total;
      for (const [rate, happen] of accidents) {
        roll -= rate;
        if (roll >= 0) continue;
        happen();
        break;
      }
      if (random() < 0.05) this.#ensureProcesses();
    }
  }

  /** A workspace belongs to one host, mostly. */
  #churn(): void {
    const id = this.#id();
    const home = this.#hostWith(id) ?? this.#anyHost();
    if (this.random() < 0.8) home.truth.step(id, "engine");
    else this.store.truth.step(id, "archives");
    if (this.random() < 0.2) this.#hint();
  }

  /** By archive and restore: gone here, then made there, at once or a while later; or the old volume stays. */
  #move(): void {
    const id = this.#id();
    const home = this.#hostWith(id);
    const { truth } = this.#anyHost();
    if (home?.truth === truth) return;
    if (home !== undefined && this.random() < 0.7) home.truth.removeAll(id, false);
    else if (home?.truth.now(id).container) home.truth.set(id, { container: undefined });
    const arrive = () => {
      if (this.current !== QUIET) truth.createAll(id);
    };
    if (this.random() < 0.5) arrive();
    else this.timeline.after(this.random() * 15_000, arrive);
  }

  #split(): void {
    const id = this.#id();
    for (const { truth } of this.#hosts.values()) if (this.random() < 0.7) truth.createAll(id);
  }

  #changeRow(): void {
    const id = this.#id();
    const { rows } = this.database;
    const row = rows.get(id);
    if (row === undefined) this.#insertRow(id);
    else if (this.random() < 0.15) rows.delete(id);
    else row.operation = row.operation === "NONE" ? "START" : "NONE";
    this.#hint();
  }

  #insertRow(id: WorkspaceId): void {
    const editedMs = this.timeline.nowMs;
    this.database.rows.set(id, {
      operation: "NONE",
      deleted: false,
      conditions: {},
      observedAt: null,
      locks: 0,
      editedMs,
    });
  }

  #lockRow(): void {
    const row = this.database.rows.get(this.#id());
    if (row === undefined) return;
    row.locks += 1;
    this.#locked.push(row);
    this.timeline.after(this.random() * 8_000, () => this.#unlock(row));
  }

  #unlock(row: StoredRow): void {
    const index = this.#locked.indexOf(row);
    if (index < 0) return;
    this.#locked.splice(index, 1);
    row.locks -= 1;
  }

  #pause(): void {
    const one = this.#one();
    if (one === undefined) return;
    this.trace(`${one.name} is paused`);
    one.pause();
    this.timeline.after(this.random() * (this.random() < 0.5 ? 5_000 : 2 * LOST_AFTER_MS), () =>
      one.resume(),
    );
  }

  #stopDatabase(): void {
    this.database.down = this.random() < 0.5 ? "error" : "hang";
    this.trace("the database is down");
    const forMs = this.random() * (this.random() < 0.6 ? 12_000 : 2 * LOST_AFTER_MS);
    this.timeline.after(forMs, () => {
      if (this.database.down !== null) this.checks.awayMs = this.timeline.nowMs;
      this.database.down = null;
      // Somebody is back before the others, whose pause goes on.
      this.#one()?.channel.hint();
    });
  }

  #stopEngine(): void {
    const { listings, name } = this.#anyHost();
    listings.down.engine = this.random() < 0.5 ? "error" : "hang";
    this.trace(`the engine of ${name} is down`);
    this.timeline.after(this.random() * 20_000, () => {
      listings.down.engine = null;
    });
  }

  #makePeace(): void {
    this.trace("peace");
    this.current = QUIET;
    if (this.database.down !== null) this.checks.awayMs = this.timeline.nowMs;
    this.database.down = null;
    for (const row of this.database.rows.values()) row.operation = "NONE";
    for (const row of [...this.#locked]) this.#unlock(row);
    for (const { listings } of this.#hosts.values()) listings.down.engine = null;
    for (const one of this.#processes) one.resume();
    this.#ensureProcesses();
    // Somebody clears up after a split brain.
    for (const id of this.ids) {
      const having = [...this.#hosts.values()].filter(({ truth }) => hasAny(truth, id));
      const keeper = having[randomInt(this.random, Math.max(1, having.length))];
      for (const host of having) if (host !== keeper) host.truth.removeAll(id, false);
    }
  }

  #expectTruth(when: string): void {
    const now = this.database.now();
    for (const [id, { conditions, observedAt }] of this.database.rows) {
      const home = this.#hostWith(id);
      const is = home?.truth.now(id) ?? { container: undefined, volume: undefined, archive: undefined };
      const text = `${id} says ${JSON.stringify(conditions)}, yet ${home?.name ?? "nobody"} has ${JSON.stringify(is)}, ${when}`;
      if (!saysContainer(conditions.container, is) || !saysVolume(conditions.volume, is))
        this.fail("P9", text);
      if (!saysArchive(conditions.archive, this.store.truth.now(id))) this.fail("P9", text);
      for (const key of ["container", "volume"] as const) {
        const condition = conditions[key] as { host?: string; unknown?: boolean } | null;
        if (condition && (condition.host !== home?.name || condition.unknown !== undefined))
          this.fail("P9", text);
      }
      const age = observedAt === null ? Number.POSITIVE_INFINITY : ageMs(observedAt, now);
      if (age > MAX_AGE_MS + PROVEN_MS) this.fail("P2", `the stamp of ${id} is ${age} ms old ${when}`);
    }
  }

  /** Two have the same, for good, and one of them is started anew: it is decided at most once more. */
  #expectNoFlapping(): void {
    const id = [...this.database.rows.keys()][0];
    if (id === undefined) return;
    for (const { truth } of this.#hosts.values()) {
      truth.createAll(id);
      const { container } = truth.now(id);
      if (container) truth.set(id, { container: { ...container, state: "running", exitCode: null } });
    }
    this.advance(2 * cadence.idleIntervalMs);
    const before = this.checks.ousted;
    this.#one()?.stop();
    this.advance(5_000);
    this.#ensureProcesses();
    this.advance(60_000);
    if (this.checks.ousted > before) this.fail("flapping", `${id} changed hands though nothing changed`);
    this.#makePeace();
    this.advance(SETTLE_MS);
    this.#expectTruth("after a split");
  }

  /** A host is silent for good: lost, then forgotten. */
  #expectLost(): void {
    const host = this.#anyHost();
    const inserted = "fresh" as WorkspaceId;
    for (const one of [...this.#processes]) if (one.host === host) one.kill();
    this.trace(`${host.name} is dead`);
    this.advance(LOST_AFTER_MS + PROVEN_MS + 20_000);
    const claimed = [...this.database.rows].filter(([, { conditions }]) =>
      [conditions.container, conditions.volume].some(
        (one) => (one as { host?: string } | null)?.host === host.name,
      ),
    );
    for (const [id, { conditions }] of claimed)
      for (const key of ["container", "volume"] as const) {
        const condition = conditions[key] as { host?: string; unknown?: boolean } | null;
        if (condition?.host === host.name && condition.unknown !== true)
          this.fail("lost", `${id} still says ${JSON.stringify(condition)} though ${host.name} is dead`);
      }
    this.#insertRow(inserted);
    this.#hint();
    this.advance(PROVEN_MS);
    const { conditions } = this.database.rows.get(inserted)!;
    if ("container" in conditions || "volume" in conditions)
      this.fail("P1", `${inserted} says ${JSON.stringify(conditions)} though ${host.name} has not looked`);
    this.#expectRestored(host, claimed[0]?.[0]);
    this.database.forgetHost(host.name);
    host.isRegistered = false;
    // Its machine is gone as well.
    for (const id of this.ids) host.truth.removeAll(id, false);
    this.#hint();
    this.advance(PROVEN_MS + 20_000);
    for (const id of [...claimed.map(([one]) => one), inserted]) {
      const row = this.database.rows.get(id)!.conditions;
      if (row.container === undefined || row.volume === undefined)
        this.fail("P9", `${id} says ${JSON.stringify(row)} though ${host.name} was forgotten`);
    }
  }

  /** What a lost host had is made on another one, which starts only then: it has not seen it appear. */
  #expectRestored(lost: SimulatedHost, id: WorkspaceId | undefined): void {
    const other = [...this.#hosts.values()].find((host) => host !== lost)!;
    if (id === undefined) return;
    for (const one of this.#processes) if (one.host === other) one.kill();
    other.truth.createAll(id);
    const { container } = other.truth.now(id);
    other.truth.set(id, { container: { ...container!, state: "exited", exitCode: 1, health: "none" } });
    this.#processes.push(new Member(`${other.name}-${this.#started++}`, other, this));
    this.advance(PROVEN_MS);
    const restored = this.database.rows.get(id)!.conditions.container as { host?: string } | null;
    if (restored?.host !== other.name)
      this.fail("P9", `${id} still says ${JSON.stringify(restored)} though ${other.name} has it`);
  }

  #ensureProcesses(): void {
    const processes = this.#processes;
    for (let index = processes.length - 1; index >= 0; index--)
      if (!processes[index]!.isUp) processes.splice(index, 1);
    for (const host of this.#hosts.values())
      while (processes.filter((one) => one.host === host).length < this.#perHost)
        processes.push(new Member(`${host.name}-${this.#started++}`, host, this));
  }

  #hint(): void {
    for (const one of this.#processes) one.channel.hint();
  }

  #hostWith = (id: WorkspaceId): SimulatedHost | undefined =>
    [...this.#hosts.values()].find(({ truth }) => hasAny(truth, id));
  #anyHost = (): SimulatedHost => [...this.#hosts.values()][randomInt(this.random, this.#hosts.size)]!;
  #one = (): Member | undefined =>
    this.#processes[randomInt(this.random, Math.max(1, this.#processes.length))];
  #id = (): WorkspaceId => this.ids[randomInt(this.random, this.ids.length)]!;

  advance(ms: number): void {
    this.timeline.advance(ms);
    if (this.#violation !== null) throw this.#violation;
  }

  readonly fail = (check: string, what: string): void => {
    this.#violation ??= new Violation(`${check}: ${what}, at ${this.timeline.nowMs.toFixed(1)} ms`);
    this.trace(`VIOLATION ${this.#violation.message}`);
  };

  readonly trace = (what: string): void => {
    const line = `${this.timeline.nowMs.toFixed(3)} ${what}`;
    this.traceHash = Bun.hash.xxHash32(line, this.traceHash);
    this.options.onTrace?.(line);
  };
}

const hasAny = (truth: Truth, id: WorkspaceId): boolean => {
  const { container, volume } = truth.now(id);
  return container !== undefined || volume !== undefined;
};

/** One observer of a host: both of its loops, on one clock. */
class Member implements Caller {
  state: Caller["state"] = "running";
  readonly backlog: (() => void)[] = [];
  readonly wrongEngine = false;
  readonly wrongBucket = false;
  readonly channel: FakeChannel;
  readonly events: FakeChannel;
  #ended = 0;
  readonly #stop = new AbortController();

  constructor(
    readonly name: string,
    readonly host: SimulatedHost,
    private readonly world: FleetSimulation,
  ) {
    const { timeline, random, network, database, domain, trace } = world;
    const clock = new VirtualClock(timeline, this);
    const rates = () => world.current;
    this.channel = new FakeChannel(timeline, random, rates, this);
    this.events = new FakeChannel(timeline, random, rates, this);
    const hintsFor = sharedHints(this.channel);
    const engine = fakeEngine(host.listings, this);
    const archives = fakeArchives(world.store, this);
    const note = (level: string) => (event: string) => trace(`${name} ${level} ${event}`);
    const log: Log = { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
    const options = { clock, random, maxBackoffMs: cadence.idleIntervalMs, onTransition: () => {} };
    const common = {
      clock,
      engine,
      config: {
        prefix: "ws-",
        maxAgeMs: MAX_AGE_MS,
        listTimeoutMs: 5_000,
        writeTimeoutMs: 5_000,
        sourcePatienceMs: 750,
        // Its counts are few here, and its patience is simulation.ts's.
        guard: { ...guard, enabled: false },
      },
      store: database.store(this, { archivesConfigured: true }),
      wake: fakeWake(network, random, rates, this, () => {}),
      lookAt: (look: Look) => this.#listEngine(engine, look),
      archivesIdentity: null,
    };
    const loops = [
      new domain.Loop({
        instance: name,
        cadence,
        channel: hintsFor([host.name]),
        events: this.events,
        log,
        random: () => 0,
        prepare: async () => {},
        describe: (view) => ({ fleet: hostSign(view, host.name) }),
        cycle: {
          ...common,
          leadership: database.leadership(this, `host:${host.name}`),
          engineSource: new domain.Source<EngineListing>(
            "engine",
            (signal) => this.#listEngine(engine, { signal }),
            { ...options, deadlineMs: 5_000 },
          ),
          archiveSource: null,
          countsArchives: true,
          unit: { kind: "host", ownership: new HostOwnership(host.name), random: () => 0 },
        },
      }),
      new domain.Loop({
        instance: name,
        cadence,
        channel: hintsFor([host.name]),
        events: silence,
        log,
        random: () => 0,
        prepare: async () => {},
        describe: null,
        cycle: {
          ...common,
          leadership: database.leadership(this, "archives"),
          engineSource: null,
          archiveSource: new domain.Source<Listing<ArchiveSeen>>(
            "archives",
            (signal) => archives.listArchives("ws-", { signal }),
            { ...options, deadlineMs: 120_000 },
          ),
          unit: {
            kind: "table",
            registry: { read: (signal) => database.readFleet(this, signal) },
            lostAfterMs: LOST_AFTER_MS,
          },
        },
      }),
    ];
    for (const loop of loops)
      loop.run(this.#stop.signal).then(
        () => {
          this.#ended += 1;
        },
        (cause) => world.fail("loop", `${name} threw: ${cause instanceof Error ? cause.stack : cause}`),
      );
  }

  pause(): void {
    if (this.state === "running") this.state = "paused";
  }
  resume(): void {
    if (this.state === "paused") this.world.timeline.resume(this);
  }
  kill(): void {
    this.state = "dead";
    this.backlog.length = 0;
  }
  stop(): void {
    if (this.state === "running") this.#stop.abort();
  }
  get isUp(): boolean {
    return this.state !== "dead" && this.#ended === 0 && !this.#stop.signal.aborted;
  }

  async #listEngine(
    engine: ReturnType<typeof fakeEngine>,
    { signal, ...which }: Look,
  ): Promise<EngineListing> {
    const startedMs = this.world.timeline.nowMs;
    const other = new AbortController();
    const stop = () => other.abort();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const look = { ...which, signal: other.signal };
    const calls = [engine.listAll("ws-", look), engine.listVolumes("ws-", look)] as const;
    try {
      const [containers, volumes] = await Promise.all(calls);
      if (which.only === undefined) this.host.listedMs = Math.max(this.host.listedMs, startedMs);
      return { containers, volumes, identity: null };
    } catch (cause) {
      other.abort();
      await Promise.allSettled(calls);
      throw cause;
    }
  }
}
