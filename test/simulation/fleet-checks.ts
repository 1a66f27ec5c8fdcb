/**
 * What must hold of every write where many hosts write into one table, checked against the truth of each host. It shares
 * no code with what it checks; it knows who may write what.
 */
import { isJsonObject, type Json, type JsonObject } from "../../src/observer/conditions.ts";
import { formatInstant } from "../../src/observer/instant.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type { Lease, RowWrite } from "../../src/observer/ports.ts";
import { saysArchive, saysContainer, saysVolume } from "./checks.ts";
import type { Timeline } from "./clock.ts";
import type { FakeDatabase, SaveWatcher, StoredRow } from "./database.ts";
import type { Caller } from "./listings.ts";
import type { Truth } from "./truth.ts";

const KEYS = ["container", "volume"] as const;
type Key = (typeof KEYS)[number];

/** What the checks know of a host, whatever its observers say. */
export interface HostTruth {
  readonly name: string;
  readonly truth: Truth;
  /** When the last whole listing that completed was begun. */
  listedMs: number;
  /** When its observers last gave a sign that arrived. */
  signMs: number;
  /** It held its lease once, and was not forgotten. */
  isRegistered: boolean;
  /** Workspace and key → since when it has what it has now. */
  readonly since: Map<string, number>;
}

export class FleetChecks implements SaveWatcher {
  writes = 0;
  database!: FakeDatabase;
  /** How often a key went from one live host's to another's. */
  ousted = 0;
  /** When the database was last away: meanwhile nobody could give a sign. */
  awayMs = Number.NEGATIVE_INFINITY;
  readonly #told = new Map<string, number>();
  /** Who read the signs of the hosts → how old they were then. */
  readonly #silences = new Map<Caller, ReadonlyMap<string, number>>();
  readonly #begun = new WeakMap<StoredRow, Partial<Record<string, number>>>();
  /** Row and key → who ousted whom, as they were then. */
  readonly #oustings = new Map<string, Set<string>>();

  constructor(
    private readonly timeline: Timeline,
    private readonly hosts: ReadonlyMap<string, HostTruth>,
    private readonly store: Truth,
    private readonly hostOf: (caller: Caller) => string,
    private readonly lostAfterMs: number,
    private readonly fail: (check: string, what: string) => void,
  ) {}

  toldClock(stamp: string): void {
    this.#told.set(stamp, this.timeline.nowMs);
  }
  acquired(caller: Caller, scope: string): void {
    if (scope.startsWith("host:")) this.hosts.get(this.hostOf(caller))!.isRegistered = true;
  }
  reported(caller: Caller): void {
    const host = this.hosts.get(this.hostOf(caller))!;
    host.signMs = this.timeline.nowMs;
    host.isRegistered = true;
  }
  readFleet(caller: Caller): void {
    const silences = [...this.hosts.values()]
      .filter(({ isRegistered }) => isRegistered)
      .map(({ name, signMs }) => [name, this.timeline.nowMs - signMs] as const);
    this.#silences.set(caller, new Map(silences));
  }
  loaded(): void {}
  saved(): void {}

  wrote(caller: Caller, lease: Lease, write: RowWrite, before: StoredRow, after: StoredRow): void {
    this.writes += 1;
    if (String(this.database.leases.get(lease.scope)?.epoch) !== lease.epoch)
      this.fail("P3", `${caller.name} wrote ${write.id} with an epoch that is over`);
    const begun = { ...this.#begun.get(after) };
    for (const [source, stamp] of Object.entries(write.observed)) {
      const toldMs = this.#told.get(stamp);
      if (toldMs === undefined) {
        this.fail("P2", `${write.id} has a stamp that the database never told: ${stamp}`);
        continue;
      }
      if ((begun[source] ?? Number.NEGATIVE_INFINITY) > toldMs)
        this.fail("P3", `${write.id}: an older ${source} was written over a newer one`);
      begun[source] = toldMs;
    }
    this.#begun.set(after, begun);
    const host = this.hostOf(caller);
    for (const key of KEYS) {
      const isTouched = key in write.set || `${key}s` in write.observed;
      if (!isTouched) {
        if (!same(before.conditions[key], after.conditions[key]))
          this.fail("P6", `${write.id}: ${key} changed without a word of it`);
      } else if (lease.scope === `host:${host}`) this.#byHost(host, key, write, before, after, begun);
      else if (lease.scope.startsWith("host:"))
        this.fail("ownership", `${caller.name} of ${host} wrote under the lease ${lease.scope}`);
      else this.#byTable(caller, key, write, before, after, begun);
    }
    if ("archive" in write.set) this.#archive(lease, write, after, begun);
    this.#observedAt(write.id, after);
  }

  #byHost(
    host: string,
    key: Key,
    { id }: RowWrite,
    before: StoredRow,
    after: StoredRow,
    begun: Partial<Record<string, number>>,
  ): void {
    const [was, is] = [before.conditions[key], after.conditions[key]];
    const what = `${id}: ${host} wrote ${key} ${JSON.stringify(is)} over ${JSON.stringify(was)}`;
    const { truth } = this.hosts.get(host)!;
    const seen = truth.during(id, begun[`${key}s`] ?? 0, this.timeline.nowMs);
    const says = key === "container" ? saysContainer : saysVolume;
    if (!seen.some((state) => says(is, state)))
      this.fail(is === null ? "P1" : "P2", `${what}, which never was so`);
    if (is === null) {
      if (!isJsonObject(was) || was.host !== host) this.fail("ownership", `${what}: it was not the reporter`);
      return;
    }
    if (!isJsonObject(is) || is.host !== host || is.unknown !== undefined) {
      this.fail("ownership", `${what}: not in its own name`);
      return;
    }
    if (!isJsonObject(was) || was.host === host || was.unknown === true) return;
    // From one live host to another: never back and forth while both have what they had.
    this.ousted += 1;
    if (key === "container" && was.running === true && is.running !== true)
      this.fail("contest", `${what}: one that runs was ousted by one that doesn't`);
    const winner = this.#likeness(host, key, id, is, after.conditions);
    const loser = this.#likeness(String(was.host), key, id, was, before.conditions);
    const oustings = this.#oustings.get(`${id} ${key}`) ?? new Set();
    this.#oustings.set(`${id} ${key}`, oustings);
    if (oustings.has(`${loser} over ${winner}`)) this.fail("flapping", `${what}, which had ousted it`);
    oustings.add(`${winner} over ${loser}`);
  }

  /** Who it is, what it has, since when, and in which state. */
  #likeness(
    host: string,
    key: Key,
    id: WorkspaceId,
    condition: JsonObject,
    { container }: JsonObject,
  ): string {
    // What is gone by now was another one than what comes.
    const since = this.hosts.get(host)?.since.get(`${id} ${key}`) ?? this.timeline.nowMs;
    // A volume goes with the container, whatever becomes of that.
    const c = isJsonObject(container) ? [container.host, container.container_id, container.running] : null;
    const state = key === "container" ? condition.running : c;
    return JSON.stringify([host, since, condition.container_id ?? null, state]);
  }

  #byTable(
    caller: Caller,
    key: Key,
    write: RowWrite,
    before: StoredRow,
    after: StoredRow,
    begun: Partial<Record<string, number>>,
  ): void {
    const { id } = write;
    const [was, is] = [before.conditions[key], after.conditions[key]];
    const what = `${id}: ${key} ${JSON.stringify(is)} was written over ${JSON.stringify(was)}`;
    const stamp = write.observed[`${key}s`];
    if (isJsonObject(is)) {
      if (!isJsonObject(was) || is.unknown !== true || is.reason !== "HostLost" || stamp !== undefined) {
        this.fail("ownership", `${what}: the table's unit saw nothing`);
        return;
      }
      for (const field of Object.keys({ ...was, ...is }))
        if (
          !["reason", "message", "unknown", "last_transition_at"].includes(field) &&
          !same(was[field], is[field])
        )
          this.fail("lost", `${what}: ${field} is not what it was`);
      const host = String(was.host);
      // What came while the statement was on its way it can't have known; the host's next look puts it right.
      const silentMs = this.#silences.get(caller)?.get(host) ?? 0;
      if (silentMs < this.lostAfterMs)
        this.fail("lost", `${what}, though ${host} had given a sign ${silentMs.toFixed(0)} ms before`);
      if (this.timeline.nowMs - this.awayMs < this.lostAfterMs / 2)
        this.fail("lost", `${what}, though nobody could give a sign until a moment ago`);
      return;
    }
    if (isJsonObject(was)) this.fail("ownership", `${what}: a host's word was taken away`);
    const fromMs = begun[`${key}s`];
    if (stamp === undefined || fromMs === undefined) {
      this.fail("P2", `${what} without a stamp`);
      return;
    }
    for (const { name, truth, listedMs } of this.hosts.values()) {
      // One that registered while the statement was on its way is not asked for yet.
      if (!this.#silences.get(caller)?.has(name)) continue;
      if (listedMs < fromMs) this.fail("P1", `${what}, though ${name} has not looked since`);
      if (!truth.during(id, fromMs, this.timeline.nowMs).some((state) => state[key] === undefined))
        this.fail("P1", `${what}, though ${name} has had it all the time`);
    }
  }

  #archive(
    lease: Lease,
    { id, observed }: RowWrite,
    after: StoredRow,
    begun: Partial<Record<string, number>>,
  ): void {
    if (lease.scope !== "archives")
      this.fail("ownership", `${id}: an archive was written under ${lease.scope}`);
    if (observed.archives === undefined) this.fail("P2", `${id}: an archive without its stamp`);
    const seen = this.store.during(id, begun.archives ?? 0, this.timeline.nowMs);
    if (!seen.some((state) => saysArchive(after.conditions.archive, state)))
      this.fail("P1", `${id}: the archive was never so`);
  }

  #observedAt(id: WorkspaceId, { conditions, observedAt }: StoredRow): void {
    const observed: JsonObject = isJsonObject(conditions.observed) ? conditions.observed : {};
    const stamps = ["containers", "volumes", "archives"].map((source) => observed[source]);
    const expected = stamps.some((stamp) => stamp === undefined) ? null : ([...stamps].sort()[0] as string);
    const is = observedAt === null ? null : formatInstant(observedAt);
    if (is !== expected)
      this.fail("P2", `${id}: observed_at ${is} is not the smallest of ${stamps.join(", ")}`);
  }
}

const same = (left: Json | undefined, right: Json | undefined): boolean =>
  left === right || JSON.stringify(left) === JSON.stringify(right);
