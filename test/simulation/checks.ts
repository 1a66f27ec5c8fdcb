/**
 * What must hold of every single write, checked against the history of the truth; it shares no code with what it
 * checks. Time here is the world's own, which nobody in it can read.
 */
import { isJsonObject, type Json, type JsonObject } from "../../src/observer/conditions.ts";
import { formatInstant } from "../../src/observer/instant.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type { Lease, RowWrite, WorkspaceRow } from "../../src/observer/ports.ts";
import type { Timeline } from "./clock.ts";
import type { FakeDatabase, SaveWatcher, StoredRow } from "./database.ts";
import { Emptiness } from "./emptiness.ts";
import type { Caller } from "./listings.ts";
import type { Resources, Truth } from "./truth.ts";

export class Violation extends Error {
  override name = "Violation";
}

const SOURCES = { container: "containers", volume: "volumes", archive: "archives" } as const;
type Kind = keyof typeof SOURCES;
/** Longest time from a load to a write that was composed from it. */
const EDIT_MS = 20_000;
const KINDS = Object.keys(SOURCES) as Kind[];

export class Checks implements SaveWatcher {
  /** When a save last changed a condition. */
  changedMs = Number.NEGATIVE_INFINITY;
  publishedMs = Number.NEGATIVE_INFINITY;
  /** Conditions written since this was last set to 0, that differed from what was stored. */
  changes = 0;
  writes = 0;
  readonly emptiness: Emptiness;
  database!: FakeDatabase;
  /** Stamp → when it was told. */
  readonly #told = new Map<string, number>();
  /** Row and source → when the observation that it holds was begun. */
  readonly #begun = new WeakMap<StoredRow, Partial<Record<Kind, number>>>();
  readonly #wrong = new Map<Caller, { fromMs: number; toMs: number }[]>();

  constructor(
    private readonly timeline: Timeline,
    private readonly truth: Truth,
    archivesConfigured: () => boolean,
    private readonly checkEpoch: boolean,
    private readonly fail: (check: string, what: string) => void,
  ) {
    this.#isConfigured = archivesConfigured;
    this.emptiness = new Emptiness(timeline, (what) => fail("P7", what));
  }
  readonly #isConfigured: () => boolean;

  toldClock(stamp: string): void {
    this.#told.set(stamp, this.timeline.nowMs);
  }

  loaded(caller: Caller, rows: readonly WorkspaceRow[]): void {
    this.emptiness.loaded(caller, rows);
  }

  /** From now on, or no longer, this one sees another world. */
  sees(caller: Caller, isWrong: boolean): void {
    const periods = this.#wrong.get(caller) ?? [];
    this.#wrong.set(caller, periods);
    if (isWrong) periods.push({ fromMs: this.timeline.nowMs, toMs: Number.POSITIVE_INFINITY });
    else if (periods.length > 0) periods.at(-1)!.toMs = Math.min(periods.at(-1)!.toMs, this.timeline.nowMs);
  }

  wrote(caller: Caller, lease: Lease, write: RowWrite, before: StoredRow, after: StoredRow): void {
    const nowMs = this.timeline.nowMs;
    this.writes += 1;
    this.#checkShape(write);
    if (this.checkEpoch && String(this.database.lease?.epoch) !== lease.epoch)
      this.fail("P3", `${caller.name} wrote ${write.id} with epoch ${lease.epoch}, which is over`);
    // Who edits stamps takes the fence away.
    const begun = edited(after, nowMs) ? {} : { ...this.#begun.get(after) };
    for (const kind of KINDS) {
      const stamp = write.observed[SOURCES[kind]];
      if (stamp === undefined) continue;
      const toldMs = this.#told.get(stamp);
      if (toldMs === undefined) {
        this.fail("P2", `${write.id} has a ${kind} stamp that the database never told: ${stamp}`);
        continue;
      }
      if ((begun[kind] ?? Number.NEGATIVE_INFINITY) > toldMs)
        this.fail("P3", `${write.id}: an older ${kind} was written over a newer one`);
      begun[kind] = toldMs;
    }
    this.#begun.set(after, begun);
    for (const kind of KINDS) {
      const changed = !sameJson(before.conditions[kind], after.conditions[kind]);
      const isDropped = write.drop.includes(kind);
      if (changed) {
        this.changes += 1;
        // What nobody observes, and somebody wrote by hand, is taken out without a word.
        if (!isDropped) this.changedMs = nowMs;
        if (write.observed[SOURCES[kind]] === undefined && !isDropped)
          this.fail("P6", `${write.id}: ${kind} changed without an observation of it`);
      }
      const noted = write.transitions.filter(({ key }) => key === kind).length;
      const expected = changed && !isDropped ? 1 : 0;
      if (noted !== expected && !edited(after, nowMs))
        this.fail(
          "transitions",
          `${write.id}: ${kind} changed ${expected} times and is noted ${noted} times`,
        );
    }
    this.#checkTruth(caller, write, after, begun);
    this.#checkObservedAt(write.id, after);
  }

  saved(caller: Caller, _: Lease, written: readonly RowWrite[]): void {
    this.emptiness.saved(caller, written);
    for (const id of this.database.rows.keys())
      if (!this.truth.ids.includes(id) || !this.known.has(id)) this.fail("P4", `a row ${id} was inserted`);
  }
  /** Ids of rows that somebody else made. */
  readonly known = new Set<WorkspaceId>();

  #checkShape({ id, set, observed, drop }: RowWrite): void {
    for (const key of [...Object.keys(set), ...drop.filter((name) => name !== "archives")])
      if (!(key in SOURCES)) this.fail("P4", `${id}: wrote the key ${key}`);
    for (const source of Object.keys(observed))
      if (!Object.values<string>(SOURCES).includes(source)) this.fail("P4", `${id}: stamped ${source}`);
    for (const kind of KINDS)
      if (kind in set !== SOURCES[kind] in observed) this.fail("P2", `${id}: ${kind} without its stamp`);
    if ("container" in set !== "volume" in set) this.fail("P5", `${id}: half a pair was written`);
  }

  /** P1, P2, P5: what the row says now was true at one instant between its stamp and now. */
  #checkTruth(caller: Caller, write: RowWrite, after: StoredRow, begun: Partial<Record<Kind, number>>): void {
    const nowMs = this.timeline.nowMs;
    const { container, volume, archive } = after.conditions;
    if (begun.archive !== undefined && write.observed.archives !== undefined) {
      const seen = this.truth.during(write.id, begun.archive, nowMs);
      const isTrue = seen.some((state) => saysArchive(archive, state));
      if (!isTrue && !this.#mayBeWrong(caller, begun.archive, nowMs))
        this.fail(
          archive === null ? "P1" : "P2",
          `${write.id}: the archive was never so: ${JSON.stringify(archive)}`,
        );
    }
    if (begun.container === undefined || write.observed.containers === undefined) return;
    if (this.#mayBeWrong(caller, begun.container, nowMs)) return;
    const seen = this.truth.during(write.id, begun.container, nowMs);
    const hasContainer = seen.some((state) => saysContainer(container, state));
    const hasVolume = seen.some((state) => saysVolume(volume, state));
    const pair = JSON.stringify([container, volume]);
    if (!hasContainer)
      this.fail(container === null ? "P1" : "P2", `${write.id}: the container was never so: ${pair}`);
    else if (!hasVolume)
      this.fail(volume === null ? "P1" : "P2", `${write.id}: the volume was never so: ${pair}`);
    else if (
      !edited(after, nowMs) &&
      !seen.some((state) => saysContainer(container, state) && saysVolume(volume, state))
    )
      this.fail("P5", `${write.id}: the pair was never so at one instant: ${pair}`);
  }

  #mayBeWrong(caller: Caller, fromMs: number, toMs: number): boolean {
    return (this.#wrong.get(caller) ?? []).some((period) => period.fromMs <= toMs && period.toMs >= fromMs);
  }

  /** P2: the smallest stamp of the sources that are observed at all; nothing before each was once. */
  #checkObservedAt(id: WorkspaceId, { conditions, observedAt, editedMs }: StoredRow): void {
    const observed: JsonObject = isJsonObject(conditions.observed) ? conditions.observed : {};
    const names = this.#isConfigured() ? ["containers", "volumes", "archives"] : ["containers", "volumes"];
    // Composed from what was loaded: an edit in mid-cycle is put right by the next.
    if (observedAt === null || edited({ editedMs }, this.timeline.nowMs)) return;
    const text = formatInstant(observedAt);
    for (const name of names) {
      const stamp = observed[name];
      if (typeof stamp !== "string" || stamp < text)
        this.fail("P2", `${id}: observed_at ${text} claims more than ${name} ${stamp}`);
    }
  }
}

const edited = ({ editedMs }: Pick<StoredRow, "editedMs">, nowMs: number): boolean =>
  nowMs - editedMs < EDIT_MS;

const sameJson = (left: Json | undefined, right: Json | undefined): boolean =>
  left === right || JSON.stringify(left) === JSON.stringify(right);

export function saysContainer(stored: Json | undefined, { container }: Resources): boolean {
  if (container === undefined || !isJsonObject(stored)) return stored === null && container === undefined;
  return (
    stored.container_id === container.containerId &&
    stored.running === (container.state === "running") &&
    String(stored.reason).toLowerCase() === container.state &&
    stored.health === container.health &&
    stored.exit_code === container.exitCode
  );
}

export function saysVolume(stored: Json | undefined, { volume }: Resources): boolean {
  if (volume === undefined || !isJsonObject(stored)) return stored === null && volume === undefined;
  return stored.exists === true && stored.volume_name === volume.name;
}

export function saysArchive(stored: Json | undefined, { archive }: Resources): boolean {
  if (archive === undefined || !isJsonObject(stored)) return stored === null && archive === undefined;
  return (
    stored.archive_key === archive.key &&
    stored.size_bytes === archive.sizeBytes &&
    stored.uploaded_at === archive.uploadedAt
  );
}
