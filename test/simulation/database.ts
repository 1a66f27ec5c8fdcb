/**
 * A fake PostgreSQL: the workspaces, the lease, the clock, with the semantics of postgres-statements.ts. A statement
 * is done at one instant or not at all; its caller may never hear of it.
 */
import type { Random } from "../../dev/fakes/random.ts";
import { isJsonObject, type Json, type JsonObject } from "../../src/observer/conditions.ts";
import { addMs, formatInstant, type Instant, instant, parseInstant } from "../../src/observer/instant.ts";
import { limits } from "../../src/observer/limits.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import { doClaimsHold, hostOf } from "../../src/observer/ownership.ts";
import type {
  ConditionsStore,
  FleetReading,
  KnownWorld,
  Leadership,
  Lease,
  LeaseAnswer,
  OwnRows,
  RowsCursor,
  RowsRead,
  RowWrite,
  SaveOutcome,
  Transition,
  WorkspaceRow,
} from "../../src/observer/ports.ts";
import type { Timeline } from "./clock.ts";
import type { Sabotage } from "./domain.ts";
import { draw, type FaultRates } from "./faults.ts";
import type { Caller } from "./listings.ts";
import type { CallPlan, Network } from "./network.ts";

export interface StoredRow {
  operation: string;
  deleted: boolean;
  conditions: JsonObject;
  observedAt: Instant | null;
  /** Somebody holds the row's lock. */
  locks: number;
  /** When it was made, or somebody else last edited what is the Observer's. */
  editedMs: number;
}

export interface FakeLease {
  holder: string;
  epoch: number;
  expiresAt: Instant;
  known: KnownWorld;
}

export interface SaveWatcher {
  /** Called for every row that a save has just written. */
  wrote(caller: Caller, lease: Lease, write: RowWrite, before: StoredRow, after: StoredRow): void;
  saved(caller: Caller, lease: Lease, written: readonly RowWrite[]): void;
  loaded(caller: Caller, rows: readonly WorkspaceRow[]): void;
  /** The database told its clock. */
  toldClock(stamp: string): void;
  /** A lease was taken; a status was written. */
  acquired?(caller: Caller, scope: string): void;
  reported?(caller: Caller): void;
  readFleet?(caller: Caller): void;
}

/** The statement's own time-out. Its caller may have given up, or its wire be cut, long before. */
const LATEST_MS = 5_000;

const LEASE_CALLS = new Set(["acquire", "renew", "release"]);

const BASE_US = 1_795_464_000_000_000;

export class FakeDatabase {
  /** Called once, at the commit of the next change: nobody has heard of it yet. */
  afterNextChange: ((caller: Caller) => void) | null = null;
  readonly rows = new Map<WorkspaceId, StoredRow>();
  /** By scope, as `observer_lease` keeps them. */
  readonly leases = new Map<string, FakeLease>();
  /** Of a single observer. */
  get lease(): FakeLease | null {
    return this.leases.get("workspaces") ?? null;
  }
  /** By instance, as `observer_status` keeps them. */
  readonly statuses = new Map<string, { status: JsonObject; updatedAt: Instant }>();
  /** How far its clock has jumped. */
  offsetMs = 0;
  down: "error" | "hang" | null = null;
  /** A save holds the lease's row until it is over; whatever else needs that row waits. */
  readonly #leaseFreeAtMs = new Map<string, number>();
  /** As `observer_transitions` keeps them. */
  readonly transitions: { id: WorkspaceId; instance: string; transition: Transition }[] = [];

  constructor(
    private readonly timeline: Timeline,
    private readonly random: Random,
    private readonly network: Network,
    private readonly rates: () => FaultRates,
    private readonly sabotage: ReadonlySet<Sabotage>,
    private readonly watcher: SaveWatcher,
    private readonly trace: (what: string) => void,
  ) {}

  now(): Instant {
    return instant(BASE_US + (this.timeline.nowMs + this.offsetMs) * 1000);
  }

  leadership(caller: Caller, scope = "workspaces"): Leadership {
    const { name } = caller;
    const call = <T>(kind: string, signal: AbortSignal, act: () => T) =>
      this.#call(caller, kind, signal, act, scope);
    return {
      scope,
      acquire: (signal) =>
        call("acquire", signal, () => {
          const answer = this.#acquire(name, scope);
          if (answer.kind === "held") this.watcher.acquired?.(caller, scope);
          return answer;
        }),
      confirm: (lease, signal) => call("confirm", signal, () => this.#confirm(lease)),
      renew: (lease, signal) => call("renew", signal, () => this.#renew(lease)),
      release: (lease, signal) =>
        call("release", signal, () => {
          if (this.#isCurrent(lease)) this.leases.get(scope)!.expiresAt = this.now();
        }),
      now: (signal) => call("now", signal, () => this.#tell()),
      known: (signal) => call("known", signal, () => this.leases.get(scope)?.known ?? {}),
      remember: (lease, known, signal) =>
        call("remember", signal, () => {
          const kept = this.leases.get(scope);
          if (this.#isCurrent(lease) && kept) kept.known = { ...kept.known, ...known };
        }),
    };
  }

  /** As postgres-fleet.ts reads the signs of the hosts. */
  readFleet(caller: Caller, signal: AbortSignal): Promise<FleetReading> {
    return this.#call(caller, "fleet", signal, () => {
      this.watcher.readFleet?.(caller);
      const said = [...this.statuses].flatMap(([instance, { status, updatedAt }]) =>
        isJsonObject(status.fleet) ? [{ instance, updatedAt, fleet: status.fleet }] : [],
      );
      const leased = [...this.leases].flatMap(([scope, { holder }]) =>
        scope.startsWith("host:") && holder !== "" ? [scope.slice("host:".length)] : [],
      );
      const hosts = [...new Set([...leased, ...said.map(({ fleet }) => String(fleet.host))])].sort();
      const single = this.leases.get("workspaces");
      return {
        now: this.#tell(),
        isSingleLed: single !== undefined && single.expiresAt > this.now(),
        hosts: hosts.map((host) => {
          const its = said.filter(({ fleet }) => fleet.host === host);
          const lease = this.leases.get(`host:${host}`);
          const leader = lease?.holder || null;
          const signs = its.map(({ updatedAt }) => updatedAt);
          if (lease && leader !== null) signs.push(addMs(lease.expiresAt, -limits.leaseMs));
          const complete = its.find(({ instance }) => instance === leader)?.fleet.complete;
          return {
            host,
            leader,
            seenAt: signs.length === 0 ? null : (Math.max(...signs) as Instant),
            complete: isJsonObject(complete)
              ? { stamp: parseInstant(complete.stamp)!, except: complete.except as readonly WorkspaceId[] }
              : null,
            counts: { containers: null, volumes: null },
          };
        }),
      };
    });
  }

  /** As postgres-fleet.ts lets a host go for good. */
  forgetHost(host: string): void {
    const lease = this.leases.get(`host:${host}`);
    if (lease !== undefined)
      Object.assign(lease, { holder: "", epoch: lease.epoch + 1, expiresAt: this.now(), known: {} });
    for (const [instance, { status }] of this.statuses)
      if (isJsonObject(status.fleet) && status.fleet.host === host) this.statuses.delete(instance);
    for (const row of this.rows.values()) {
      if (row.locks > 0) continue;
      const keys = (["container", "volume"] as const).filter((key) => hostOf(row.conditions[key]) === host);
      if (keys.length === 0) continue;
      const stamps = isJsonObject(row.conditions.observed) ? row.conditions.observed : {};
      const without = (document: JsonObject, names: readonly string[]): JsonObject =>
        Object.fromEntries(Object.entries(document).filter(([name]) => !names.includes(name)));
      const observed = without(
        stamps,
        keys.map((key) => `${key}s`),
      );
      row.conditions = { ...without(row.conditions, keys), observed };
      row.observedAt = null;
    }
  }

  store(caller: Caller, fleet: { readonly archivesConfigured: boolean } | null = null): ConditionsStore {
    return {
      load: (since, signal, reader, own) =>
        this.#call(caller, "load", signal, () => {
          const read = own ? this.#readOwn(since, own) : this.#read(since);
          this.watcher.loaded(caller, this.#load());
          return { ...read, rows: read.rows.filter((row) => !(read.all && reader?.isKnown(row))) };
        }),
      loadOnly: (ids, signal) =>
        this.#call(caller, "load", signal, () => {
          const rows = this.#load();
          this.watcher.loaded(caller, rows);
          return rows.filter(({ id }) => ids.has(id));
        }),
      save: (lease, writes, signal) => this.#save(caller, lease, writes, signal, fleet),
      report: (status, signal) =>
        this.#call(caller, "report", signal, () => {
          this.statuses.set(caller.name, { status, updatedAt: this.now() });
          this.watcher.reported?.(caller);
        }),
    };
  }

  #plan(kind: string): CallPlan {
    const { random } = this;
    const rates = this.rates();
    const quick = { doneAfterMs: 0.2 + random() * 5, answerAfterMs: 0.2 + random() * 5 };
    if (this.down === "error") return { doneAfterMs: null, answerAfterMs: 1, failsWith: "refused" };
    if (this.down === "hang") return { doneAfterMs: null, answerAfterMs: null };
    const fault = draw<"error" | "hang" | "slow" | "ackLost" | "late" | "none">(
      random,
      {
        error: rates.queryError,
        hang: rates.queryHang,
        slow: rates.querySlow,
        ackLost: rates.ackLost,
        late: kind === "save" ? rates.saveLate : 0,
      },
      "none",
    );
    if (fault === "error") return { doneAfterMs: null, answerAfterMs: 1, failsWith: "reset" };
    if (fault === "hang") return { doneAfterMs: null, answerAfterMs: null, deaf: random() < 0.3 };
    if (fault === "slow") return { doneAfterMs: random() * 3_000, answerAfterMs: random() * 3_000 };
    if (fault === "late") {
      const late = { doneAfterMs: random() * LATEST_MS, answerAfterMs: null };
      return random() < 0.3 ? late : { ...late, breaksAfterMs: random() * 20 };
    }
    if (fault === "ackLost")
      return random() < 0.5 ? { ...quick, failsWith: "reset" } : { ...quick, answerAfterMs: null };
    return quick;
  }

  #call<T>(
    caller: Caller,
    kind: string,
    signal: AbortSignal,
    act: () => T,
    scope = "workspaces",
  ): Promise<T> {
    const plan = LEASE_CALLS.has(kind) ? this.#waitForLease(this.#plan(kind), scope) : this.#plan(kind);
    return this.network.call(caller, signal, plan, () => {
      this.trace(`${caller.name} ${kind}`);
      return act();
    });
  }

  #waitForLease(plan: CallPlan, scope: string): CallPlan {
    if (plan.doneAfterMs === null) return plan;
    const freeAtMs = this.#leaseFreeAtMs.get(scope) ?? 0;
    const doneAfterMs = Math.max(plan.doneAfterMs, freeAtMs - this.timeline.nowMs + 0.1);
    return { ...plan, doneAfterMs: doneAfterMs > LATEST_MS ? null : doneAfterMs };
  }

  #tell(): Instant {
    const now = this.now();
    this.watcher.toldClock(formatInstant(now));
    return now;
  }

  #isCurrent(lease: Lease): boolean {
    return (
      this.sabotage.has("epoch-ignored") ||
      this.sabotage.has("no-fence") ||
      String(this.leases.get(lease.scope)?.epoch) === lease.epoch
    );
  }

  #acquire(holder: string, scope: string): LeaseAnswer {
    const now = this.#tell();
    const single = this.lease;
    if (scope !== "workspaces" && single !== null && single.expiresAt > now)
      return { kind: "standby", holder: single.holder, now };
    const lease = this.leases.get(scope) ?? null;
    const free = lease === null || lease.expiresAt <= now || lease.expiresAt > addMs(now, 2 * limits.leaseMs);
    if (!free) return { kind: "standby", holder: lease.holder, now };
    const epoch = (lease?.epoch ?? 0) + 1;
    const known = lease?.known ?? {};
    this.leases.set(scope, { holder, epoch, expiresAt: addMs(now, limits.leaseMs), known });
    this.trace(`${holder} leads${scope === "workspaces" ? "" : ` ${scope}`}, epoch ${epoch}`);
    return { kind: "held", lease: { scope, holder, epoch: String(epoch) }, now, known };
  }

  #confirm(lease: Lease): LeaseAnswer {
    const now = this.#tell();
    return this.#isCurrent(lease)
      ? { kind: "held", lease, now, known: this.leases.get(lease.scope)?.known ?? {} }
      : { kind: "standby", holder: "", now };
  }

  #renew(lease: Lease): LeaseAnswer {
    const now = this.#tell();
    if (!this.#isCurrent(lease)) return { kind: "standby", holder: "", now };
    const kept = this.leases.get(lease.scope)!;
    kept.expiresAt = addMs(now, limits.leaseMs);
    return { kind: "held", lease, now, known: kept.known };
  }

  /** What differs from the rows that the cursor's reading handed out. */
  #read(since: RowsCursor | null): RowsRead {
    const rows = this.#load();
    const { cursor, changed, someWent } = this.#changedSince(since);
    // A deleted row can't be seen, but counted.
    if (someWent) return { all: new Set(rows.map(({ id }) => id)), rows, gone: [], cursor };
    const shown = new Set(rows.map(({ id }) => id));
    const isNews = ({ id }: WorkspaceRow) =>
      this.sabotage.has("changes-missed") ? changed.get(id) === "new" : changed.has(id);
    return {
      all: null,
      rows: rows.filter(isNews),
      gone: [...changed.keys()].filter((id) => !shown.has(id)),
      cursor,
    };
  }

  #changedSince(since: RowsCursor | null) {
    const cursor = {} as RowsCursor;
    this.#handedOut.set(
      cursor,
      new Map(
        [...this.rows].map(([id, row]) => [
          id,
          JSON.stringify([row.operation, row.deleted, row.conditions, row.observedAt]),
        ]),
      ),
    );
    const before = since && this.#handedOut.get(since);
    const now = this.#handedOut.get(cursor)!;
    const changed = new Map<WorkspaceId, "new" | "edited">();
    for (const [id, text] of now)
      if (before?.get(id) !== text) changed.set(id, before?.has(id) ? "edited" : "new");
    return { cursor, changed, someWent: !before || [...before.keys()].some((id) => !now.has(id)) };
  }
  readonly #handedOut = new WeakMap<RowsCursor, ReadonlyMap<WorkspaceId, string>>();

  /** As postgres-own-rows.ts reads: known rows by what changed, those that are seen as they are. */
  #readOwn(since: RowsCursor | null, { host, seen, known }: OwnRows): RowsRead {
    const loaded = this.#load();
    const { cursor, changed } = this.#changedSince(since);
    if (since === null) {
      const own = loaded.filter(({ id, conditions }) => seen.includes(id) || namesHost(conditions, host));
      return { all: new Set(own.map(({ id }) => id)), rows: own, gone: [], cursor };
    }
    const there = new Set(loaded.map(({ id }) => id));
    const isKnown = new Set(known);
    return {
      all: null,
      rows: loaded.filter(({ id }) => (isKnown.has(id) ? changed.has(id) : seen.includes(id))),
      gone: known.filter((id) => !there.has(id)),
      cursor,
    };
  }

  #load(): WorkspaceRow[] {
    const rows: WorkspaceRow[] = [];
    for (const [id, row] of this.rows) {
      const { container, volume, archive } = row.conditions;
      const shown = isJsonObject(container) || isJsonObject(volume) || isJsonObject(archive);
      if (row.deleted && (!shown || this.sabotage.has("deleted-rows-forgotten"))) continue;
      rows.push({
        id,
        operationInFlight: row.operation !== "NONE",
        deleted: row.deleted,
        conditions: row.conditions,
        observedAt: row.observedAt,
      });
    }
    return rows;
  }

  #save(
    caller: Caller,
    lease: Lease,
    writes: readonly RowWrite[],
    signal: AbortSignal,
    fleet: { readonly archivesConfigured: boolean } | null,
  ): Promise<SaveOutcome> {
    const plan = this.#waitForLease(this.#plan("save"), lease.scope);
    if (plan.doneAfterMs !== null)
      this.#leaseFreeAtMs.set(lease.scope, this.timeline.nowMs + plan.doneAfterMs);
    const mine = new Set<StoredRow>();
    // A statement that takes its time has locked its rows at its start.
    if (plan.doneAfterMs !== null && plan.doneAfterMs > 5 && this.#isCurrent(lease)) {
      for (const { id } of writes) {
        const row = this.rows.get(id);
        if (row === undefined || row.locks > 0) continue;
        row.locks += 1;
        mine.add(row);
      }
    }
    return this.network.call(caller, signal, plan, () => {
      for (const row of mine) row.locks -= 1;
      return this.#write(caller, lease, writes, fleet);
    });
  }

  #write(
    caller: Caller,
    lease: Lease,
    writes: readonly RowWrite[],
    fleet: { readonly archivesConfigured: boolean } | null,
  ): SaveOutcome {
    this.trace(`${caller.name} saves ${writes.map(({ id }) => id).join(" ")}, epoch ${lease.epoch}`);
    if (!this.#isCurrent(lease)) return { kind: "lease-lost" };
    const nowText = formatInstant(this.now());
    this.leases.get(lease.scope)!.expiresAt = addMs(this.now(), limits.leaseMs);
    const written: RowWrite[] = [];
    const skipped: WorkspaceId[] = [];
    const fenced: WorkspaceId[] = [];
    for (const write of writes) {
      const row = this.rows.get(write.id) ?? this.#inserted(write.id);
      if (row === undefined || row.locks > 0) {
        skipped.push(write.id);
        continue;
      }
      const stored = isJsonObject(row.conditions.observed) ? row.conditions.observed : {};
      const isNewer = Object.entries(write.observed).some(([source, stamp]) => {
        const before = textOf(stored[source]);
        return before !== null && before > stamp && before <= nowText;
      });
      const isRefused =
        fleet !== null &&
        !this.sabotage.has("claims-ignored") &&
        !doClaimsHold(write.claims ?? [], row.conditions);
      if (isRefused || (isNewer && !this.sabotage.has("no-fence"))) {
        fenced.push(write.id);
        continue;
      }
      const before = { ...row };
      const without = (document: JsonObject): JsonObject =>
        Object.fromEntries(Object.entries(document).filter(([key]) => !write.drop.includes(key)));
      row.conditions = this.sabotage.has("whole-document-replaced")
        ? { ...write.set, observed: write.observed }
        : {
            ...without(row.conditions),
            ...write.set,
            observed: { ...without(stored), ...write.observed },
          };
      row.observedAt = fleet === null ? write.observedAt : oldestOf(row.conditions, fleet, write.observedAt);
      for (const transition of write.transitions)
        this.transitions.push({ id: write.id, instance: lease.holder, transition });
      this.watcher.wrote(caller, lease, write, before, row);
      written.push(write);
    }
    this.watcher.saved(caller, lease, written);
    if (written.some(({ transitions }) => transitions.length > 0)) {
      const happens = this.afterNextChange;
      this.afterNextChange = null;
      happens?.(caller);
    }
    return { kind: "saved", written: new Set(written.map(({ id }) => id)), skipped, fenced };
  }

  #inserted(id: WorkspaceId): StoredRow | undefined {
    if (!this.sabotage.has("orphan-inserted")) return undefined;
    const row = {
      operation: "NONE",
      deleted: false,
      conditions: {},
      observedAt: null,
      locks: 0,
      editedMs: Number.NEGATIVE_INFINITY,
    };
    this.rows.set(id, row);
    return row;
  }
}

/** As the statement computes it. */
function oldestOf(
  { observed }: JsonObject,
  { archivesConfigured }: { readonly archivesConfigured: boolean },
  otherwise: Instant | null,
): Instant | null {
  const stamps = isJsonObject(observed) ? observed : {};
  const needed = ["containers", "volumes", ...(archivesConfigured ? ["archives"] : [])];
  if (needed.some((source) => !(source in stamps))) return null;
  const all = ["containers", "volumes", "archives"].flatMap((source) =>
    source in stamps ? [parseInstant(stamps[source])] : [],
  );
  return all.includes(null) ? otherwise : (Math.min(...all.map(Number)) as Instant);
}

/** As `#>>` reads it. */
const textOf = (value: Json | undefined): string | null =>
  value === undefined || value === null ? null : typeof value === "string" ? value : JSON.stringify(value);

export const stampOf = (row: StoredRow, source: string): string | null => {
  const { observed } = row.conditions;
  const stamp = isJsonObject(observed) ? observed[source] : undefined;
  return typeof stamp === "string" && parseInstant(stamp) !== null ? stamp : null;
};

const namesHost = (conditions: JsonObject, host: string): boolean =>
  [conditions.container, conditions.volume].some(
    (one) => isJsonObject(one) && (hostOf(one) ?? host) === host,
  );
