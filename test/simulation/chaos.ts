/** What goes wrong between the calls, and how it is mended again. */
import { type Random, randomInt } from "../../dev/fakes/random.ts";
import { formatInstant } from "../../src/observer/instant.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type { Checks } from "./checks.ts";
import type { Timeline } from "./clock.ts";
import type { FakeDatabase, StoredRow } from "./database.ts";
import type { FaultRates } from "./faults.ts";
import type { ObserverProcess } from "./process.ts";
import type { Truth } from "./truth.ts";

export interface ChaosWorld {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly advance: (ms: number) => void;
  readonly rates: () => FaultRates;
  readonly truth: () => Truth;
  readonly database: () => FakeDatabase;
  readonly checks: () => Checks;
  readonly processes: ObserverProcess[];
  readonly startProcess: (name: string) => ObserverProcess;
  readonly trace: (what: string) => void;
}

export class Chaos {
  #started = 0;
  readonly #locked: StoredRow[] = [];

  constructor(private readonly world: ChaosWorld) {}

  /** Steps of the world and accidents, at the seed's rates, for so long. */
  unleash(durationMs: number): void {
    const { timeline, random } = this.world;
    const rates = this.world.rates();
    const untilMs = timeline.nowMs + durationMs;
    const accidents: readonly (readonly [number, () => void])[] = [
      [rates.churn, () => this.#churn()],
      [rates.rowChange, () => this.#changeRow()],
      [rates.rowLock, () => this.#lockRow()],
      [rates.handEdit, () => this.#editByHand()],
      [rates.massRemoval, () => this.#removeMost()],
      [rates.pause, () => this.#pause()],
      [rates.kill, () => this.#one()?.kill()],
      [rates.stop, () => this.#one()?.stop()],
      [rates.clockJump, () => this.#jump(random() < 0.7 ? -3_600_000 : 3_600_000)],
      [rates.clockJumpSmall, () => this.#jump((random() - 0.6) * 20_000)],
      [rates.wrongSocket, () => this.#blind()],
      [rates.databaseDown, () => this.#stopDatabase()],
    ];
    const total = accidents.reduce((sum, [rate]) => sum + rate, 0);
    while (timeline.nowMs < untilMs) {
      // Some come within milliseconds of one another, so that they meet in one cycle.
      this.world.advance(random() < 0.5 ? random() * 20 : (random() * 4_000) / Math.max(total, 0.2));
      let roll = random() * total;
      for (const [rate, happen] of accidents) {
        roll -= rate;
        if (roll >= 0) continue;
        happen();
        break;
      }
      if (random() < 0.05) this.ensureProcesses(1);
    }
  }

  /** Nothing happens any more, but calls go on failing, and sometimes an instance dies, with a commit or between two. */
  calm(durationMs: number): void {
    const { random } = this.world;
    const dies = this.world.rates().kill > 0 && random() < 0.3;
    if (dies && random() < 0.5)
      this.world.database().afterNextChange = ({ name }) =>
        this.world.processes.find((one) => one.name === name)?.kill();
    this.world.advance((durationMs / 2) * random());
    if (dies) {
      if (this.world.database().afterNextChange === null) this.#one()?.kill();
      this.world.database().afterNextChange = null;
      this.ensureProcesses(1);
    }
    this.world.advance((durationMs / 2) * random());
  }

  heal(): void {
    const database = this.world.database();
    database.down = null;
    for (const row of database.rows.values()) row.operation = "NONE";
    for (const row of this.#locked.splice(0)) row.locks -= 1;
    for (const one of this.world.processes) {
      this.#see(one, false);
      one.resume();
    }
  }

  ensureProcesses(count: number, mayBeWrong = true): void {
    const { processes } = this.world;
    for (let index = processes.length - 1; index >= 0; index--) {
      if (!processes[index]!.isUp) processes.splice(index, 1);
    }
    while (processes.length < count) {
      const started = this.world.startProcess(`p${this.#started++}`);
      processes.push(started);
      // Restarted with another socket, prefix or bucket.
      if (mayBeWrong && this.world.random() < this.world.rates().wrongSocket * 4) this.#see(started, true);
    }
  }

  insertRow(id: WorkspaceId): void {
    const editedMs = this.world.timeline.nowMs;
    const row = { operation: "NONE", deleted: false, conditions: {}, observedAt: null, locks: 0, editedMs };
    this.world.database().rows.set(id, row);
    this.world.checks().known.add(id);
  }

  #see(process: ObserverProcess, isWrong: boolean): void {
    const { random } = this.world;
    process.wrongEngine = isWrong && random() < 0.7;
    process.wrongBucket = isWrong && (!process.wrongEngine || random() < 0.3);
    this.world.checks().sees(process, isWrong);
    this.world.trace(`${process.name} sees ${isWrong ? "another" : "the right"} world`);
  }

  #blind(): void {
    const one = this.#one();
    if (one === undefined) return;
    this.#see(one, true);
    // Sometimes for a moment, sometimes longer than the guard takes to believe it.
    this.world.timeline.after(this.world.random() * 25_000, () => this.#see(one, false));
  }

  #churn(): void {
    const { random } = this.world;
    const truth = this.world.truth();
    const id = this.#id();
    const pick = random();
    if (pick < 0.6) truth.step(id, "engine");
    else if (pick < 0.8) truth.step(id, "archives");
    else if (pick < 0.9) truth.removeAll(id, random() < 0.3);
    else truth.createAll(id);
    if (random() < 0.2) for (const one of this.world.processes) one.channel.hint();
  }

  #removeMost(): void {
    const { random } = this.world;
    this.world.trace("most is removed");
    for (const id of this.world.truth().ids) if (random() < 0.85) this.world.truth().removeAll(id, true);
  }

  #changeRow(): void {
    const { random } = this.world;
    const { rows } = this.world.database();
    const id = this.#id();
    const row = rows.get(id);
    const pick = random();
    if (row === undefined) this.insertRow(id);
    else if (pick < 0.15) {
      rows.delete(id);
      this.world.checks().known.delete(id);
    } else if (pick < 0.35) row.deleted = true;
    else if (pick < 0.45) row.deleted = false;
    else row.operation = row.operation === "NONE" ? "START" : "NONE";
    if (random() < 0.5) for (const one of this.world.processes) one.channel.hint();
  }

  #lockRow(): void {
    const row = this.world.database().rows.get(this.#id());
    if (row === undefined) return;
    row.locks += 1;
    this.#locked.push(row);
    this.world.timeline.after(this.world.random() * 8_000, () => {
      const index = this.#locked.indexOf(row);
      if (index < 0) return;
      this.#locked.splice(index, 1);
      row.locks -= 1;
    });
  }

  /** Somebody edits what is ours. */
  #editByHand(): void {
    const { random } = this.world;
    const row = this.world.database().rows.get(this.#id());
    if (row === undefined || row.locks > 0) return;
    const key = ["container", "volume", "archive"][randomInt(random, 3)]!;
    const edits = [
      { ...row.conditions, [key]: null },
      { ...row.conditions, [key]: { by: "hand" } },
      {
        ...row.conditions,
        observed: { containers: "zzz", volumes: 3, archives: formatInstant(this.world.database().now()) },
      },
      {},
    ];
    row.conditions = edits[randomInt(random, edits.length)]!;
    row.editedMs = this.world.timeline.nowMs;
  }

  #pause(): void {
    const one = this.#one();
    if (one === undefined) return;
    const forMs = this.world.random() * (this.world.random() < 0.5 ? 2_000 : 30_000);
    this.world.trace(`${one.name} is paused`);
    one.pause(this.world.random() < 0.5);
    this.world.timeline.after(forMs, () => one.resume());
  }

  #jump(ms: number): void {
    this.world.database().offsetMs += ms;
    this.world.trace(`the database's clock jumps ${ms.toFixed(0)} ms`);
  }

  #stopDatabase(): void {
    const database = this.world.database();
    database.down = this.world.random() < 0.5 ? "error" : "hang";
    this.world.trace("the database is down");
    this.world.timeline.after(this.world.random() * 12_000, () => {
      database.down = null;
    });
  }

  #one(): ObserverProcess | undefined {
    const { processes, random } = this.world;
    return processes[randomInt(random, Math.max(1, processes.length))];
  }

  #id(): WorkspaceId {
    const { ids } = this.world.truth();
    return ids[randomInt(this.world.random, ids.length)]!;
  }
}
