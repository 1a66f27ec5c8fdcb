/**
 * One seed: some rounds of chaos, each followed by peace, on the real loop. Every write is checked when it happens
 * (checks.ts); in peace the table must come to equal the truth, at the pace that was promised.
 */
import { type Random, randomInt, seededRandom } from "../../dev/fakes/random.ts";
import { ageMs } from "../../src/observer/instant.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import { Chaos } from "./chaos.ts";
import { Checks, saysArchive, saysContainer, saysVolume, Violation } from "./checks.ts";
import { Timeline } from "./clock.ts";
import { FakeDatabase } from "./database.ts";
import { type Domain, realDomain, type Sabotage } from "./domain.ts";
import { describeRates, drawRates, type FaultRates } from "./faults.ts";
import type { ListingWorld } from "./listings.ts";
import { Network } from "./network.ts";
import { cadence, ObserverProcess, type ProcessWorld } from "./process.ts";
import { Truth } from "./truth.ts";

export interface SimulationOptions {
  readonly domain?: Domain;
  readonly sabotage?: ReadonlySet<Sabotage>;
  /** Told everything that happens, as it happens. */
  readonly onTrace?: (line: string) => void;
}

export interface SimulationResult {
  readonly seed: number;
  /** Null: all promises were kept. */
  readonly failure: { readonly check: string; readonly message: string } | null;
  /** Equal for equal runs. */
  readonly trace: number;
  readonly rates: string;
  readonly events: number;
  readonly writes: number;
  readonly virtualMs: number;
}

const QUIET: FaultRates = Object.fromEntries(
  Object.keys(drawRates(() => 0.5)).map((name) => [name, 0]),
) as unknown as FaultRates;

/** Time for everything that chaos left behind to come to its end: calls that hang, a lease, back-off, the guard. */
const SETTLE_MS = 65_000;
/** A look itself, from the reading to the commit. */
const LOOK_MS = 1_500;

export function simulate(seed: number, options: SimulationOptions = {}): SimulationResult {
  const run = new Simulation(seed, options);
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

class Simulation {
  traceHash = 0;
  readonly timeline = new Timeline();
  readonly rates: FaultRates;
  readonly checks: Checks;
  readonly #random: Random;
  readonly #truth: Truth;
  readonly #database: FakeDatabase;
  readonly #listings: ListingWorld;
  readonly #world: ProcessWorld;
  readonly #processes: ObserverProcess[] = [];
  readonly #instances: number;
  #current: FaultRates = QUIET;
  #violation: Violation | null = null;

  constructor(
    seed: number,
    private readonly options: SimulationOptions,
  ) {
    const random = seededRandom(seed);
    // Neighbouring seeds start alike.
    for (let turn = 0; turn < 5; turn++) random();
    this.#random = random;
    this.rates = drawRates(random);
    const { timeline } = this;
    const count = 6 + randomInt(random, 7);
    const ids = Array.from({ length: count }, (_, n) => `w${n}` as WorkspaceId);
    this.#truth = new Truth(timeline, random, ids, new Set(random() < 0.5 ? ids.slice(0, 1) : []));
    const archivesConfigured = random() < 0.85;
    const trace = (what: string) => this.#trace(what);
    const fail = (check: string, what: string) => this.#fail(check, what);
    const sabotage = options.sabotage ?? new Set();
    const checkEpoch = !sabotage.has("no-fence");
    this.checks = new Checks(timeline, this.#truth, () => archivesConfigured, checkEpoch, fail);
    const network = new Network(timeline, random);
    const rates = () => this.#current;
    this.#database = new FakeDatabase(timeline, random, network, rates, sabotage, this.checks, trace);
    this.checks.database = this.#database;
    this.#listings = {
      timeline,
      random,
      truth: this.#truth,
      rates,
      sabotage,
      trace,
      down: { engine: null, archives: null },
      afterNextRead: null,
    };
    this.#instances = random() < 0.4 ? 2 : 1;
    this.#world = {
      timeline,
      random,
      network,
      archivesConfigured,
      trace,
      fail,
      database: this.#database,
      listings: this.#listings,
      checks: this.checks,
      domain: options.domain ?? realDomain,
      maxAgeMs: random() < 0.5 ? 10_000 : 60_000,
    };
    this.#truth.onChange = (id, what) => {
      if (what !== "engine") return;
      // Most events name what they are about.
      const subjects = random() < 0.9 ? [{ workspace: id, containerId: null }] : undefined;
      for (const one of this.#processes) one.events.hint(subjects);
    };
  }

  run(): void {
    const { ids } = this.#truth;
    for (const id of ids) if (this.#random() < 0.9) this.#chaos.insertRow(id);
    for (const id of ids)
      for (let step = 0; step < randomInt(this.#random, 4); step++) this.#truth.step(id, "engine");
    this.#chaos.ensureProcesses(this.#instances);
    const rounds = 1 + randomInt(this.#random, 2);
    for (let round = 0; round < rounds; round++) {
      this.#current = this.rates;
      this.#chaos.unleash(10_000 + this.#random() * 25_000);
      // Often the world comes to rest before the faults do, so that the last commit still meets them.
      if (this.#random() < 0.6) this.#chaos.calm(10_000);
      this.#makePeace();
      this.#advance(SETTLE_MS);
      this.#expectTruth("P9", "in peace");
      if (this.checks.publishedMs < this.checks.changedMs)
        this.#fail("P8", "the last changing commit was never announced");
    }
    this.#expectQuiet();
    this.#expectIdlePace();
    this.#expectHintPace();
    this.#expectIsolation();
    this.#advance(0);
  }

  readonly #chaos = new Chaos({
    advance: (ms) => this.#advance(ms),
    random: () => this.#random(),
    rates: () => this.rates,
    truth: () => this.#truth,
    database: () => this.#database,
    processes: this.#processes,
    checks: () => this.checks,
    trace: (what) => this.#trace(what),
    startProcess: (name) => new ObserverProcess(name, this.#world),
    timeline: this.timeline,
  });

  #makePeace(): void {
    this.#trace("peace");
    this.#current = QUIET;
    this.#chaos.heal();
    this.#chaos.ensureProcesses(this.#instances, false);
  }

  /** Every row that is observed says what is so; no stamp is too old. */
  #expectTruth(check: string, when: string): void {
    const problem = this.#firstUntruth();
    if (problem !== null) this.#fail(check, `${problem} ${when}`);
    const now = this.#database.now();
    for (const [id, row] of this.#database.rows) {
      if (row.deleted) continue;
      const age = row.observedAt === null ? Number.POSITIVE_INFINITY : ageMs(row.observedAt, now);
      if (age > this.#world.maxAgeMs + LOOK_MS)
        this.#fail("P2", `the stamp of ${id} is ${age} ms old ${when}`);
    }
  }

  #firstUntruth(archivesToo = true, engineToo = true): string | null {
    for (const [id, { deleted, conditions }] of this.#database.rows) {
      const { container, volume, archive } = conditions;
      const shown = [container, volume, archive].some((one) => typeof one === "object" && one !== null);
      if (deleted && !shown) continue;
      const is = this.#truth.now(id);
      const isTrue =
        (!engineToo || (saysContainer(container, is) && saysVolume(volume, is))) &&
        (!archivesToo || (this.#world.archivesConfigured ? saysArchive(archive, is) : archive === undefined));
      if (!isTrue) return `${id} says ${JSON.stringify(conditions)}, yet there is ${JSON.stringify(is)},`;
    }
    return null;
  }

  /** P10: nothing changed, so no condition is written. */
  #expectQuiet(): void {
    this.checks.changes = 0;
    this.#advance(21_000);
    if (this.checks.changes > 0) this.#fail("P10", "conditions were written though nothing had changed");
  }

  /** P9: with every hint lost, the table is right within one idle interval. */
  #expectIdlePace(): void {
    this.#current = { ...QUIET, hintLost: 1 };
    this.#changeOne();
    this.#advance(cadence.idleIntervalMs + LOOK_MS);
    this.#expectTruth("P9", "one idle interval after a change without a hint");
    if (this.checks.publishedMs < this.checks.changedMs) this.#fail("P8", "a commit was not announced");
  }

  /** P8: a change and a hint in mid-cycle, just after the listing has been read. */
  #expectHintPace(): void {
    // Until it is idle again, so that no active interval comes to the help of a lost hint.
    this.#advance(cadence.activeForMs + cadence.activeIntervalMs);
    let hintedMs: number | null = null;
    this.#listings.afterNextRead = () => {
      this.#changeOne();
      hintedMs = this.timeline.nowMs;
      this.#current = QUIET;
      for (const one of this.#processes) one.channel.hint();
    };
    while (hintedMs === null && this.#listings.afterNextRead !== null) this.#advance(10);
    this.#advance(LOOK_MS);
    this.#expectTruth("P8", `${LOOK_MS} ms after a hint in mid-cycle`);
  }

  /** P6: with one source down, the other is observed at the same pace. */
  #expectIsolation(): void {
    if (!this.#world.archivesConfigured) return;
    this.#current = { ...QUIET, hintLost: 1 };
    const engineDown = this.#random() < 0.5;
    this.#listings.down[engineDown ? "engine" : "archives"] = this.#random() < 0.7 ? "hang" : "error";
    this.#advance(25_000);
    if (engineDown) this.#truth.step(this.#truth.ids[0]!, "archives");
    else this.#changeOne();
    this.#advance(cadence.idleIntervalMs + LOOK_MS);
    const problem = this.#firstUntruth(engineDown, !engineDown);
    if (problem !== null)
      this.#fail("P6", `${problem} while only ${engineDown ? "the engine" : "S3"} is down`);
  }

  #changeOne(): void {
    const rows = [...this.#database.rows].filter(([, { deleted }]) => !deleted);
    const id = rows[randomInt(this.#random, rows.length)]?.[0];
    if (id !== undefined) this.#truth.step(id, "engine");
  }

  #advance(ms: number): void {
    this.timeline.advance(ms);
    if (this.#violation !== null) throw this.#violation;
  }

  #fail(check: string, what: string): void {
    this.#violation ??= new Violation(`${check}: ${what}, at ${this.timeline.nowMs.toFixed(1)} ms`);
    this.#trace(`VIOLATION ${this.#violation.message}`);
  }

  #trace(what: string): void {
    const line = `${this.timeline.nowMs.toFixed(3)} ${what}`;
    this.traceHash = Bun.hash.xxHash32(line, this.traceHash);
    this.options.onTrace?.(line);
  }
}
