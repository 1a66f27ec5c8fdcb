/**
 * The rows as they were last read, kept from one look to the next, so that a look costs what changed and not what
 * there is. The table is the truth: whatever is written here is read back with the next reading, for it has changed.
 *
 * That also tells who edited what is the Observer's: a row that comes back otherwise than it was last found or written
 * was edited by somebody else. The repair itself needs nothing, for an edited condition differs from what is seen and is
 * written again; but a change of the world looks the same, and only this tells them apart.
 */
import type { ComposedRow } from "./compose.ts";
import { type ConditionKey, isJsonObject, type JsonObject, jsonEqual } from "./conditions.ts";
import { type FleetUnit, unclaimedOf } from "./fleet.ts";
import type { Instant } from "./instant.ts";
import { limits } from "./limits.ts";
import type { WorkspaceId } from "./names.ts";
import { HOSTED_KEYS, hostOf, isUnknown } from "./ownership.ts";
import type {
  ArchiveSeen,
  ContainerSeen,
  RowsCursor,
  RowsRead,
  RowWrite,
  VolumeSeen,
  WorkspaceRow,
} from "./ports.ts";

/** While the database's clock is in it, and looks come that often, no stamp is due. */
export interface Period {
  readonly from: Instant;
  readonly until: Instant;
  readonly horizonMs: number;
}
/** What the row was found to agree with: settled.ts. */
export interface SettledEngine extends Period {
  readonly container: ContainerSeen | undefined;
  readonly volume: VolumeSeen | undefined;
}
export interface SettledArchive extends Period {
  readonly archive: ArchiveSeen | undefined;
}

export interface MirroredRow {
  row: WorkspaceRow;
  /** What it holds if nobody else wrote it. Null: it is not known who wrote it last. */
  expected: WorkspaceRow | null;
  engine: SettledEngine | null;
  archives: SettledArchive | null;
  /** Of the newest engine listing that it was composed of. */
  engineOrder: number;
  /** In a fleet's table unit: the database's clock when it had been read without these claims; null: not yet. */
  unclaimedSince: Instant | null;
}

/** A reading under way. */
export interface Reading {
  readonly startedMs: number;
  /** Written since it began: what it tells of them may be older. */
  readonly overtaken: Set<WorkspaceId>;
  /** Perhaps written since it began: what it tells of them may be older or not. */
  readonly doubted: Set<WorkspaceId>;
}

/** A column of less precision rounds what is stored: up to half a second. */
const ROUNDING_US = 1_000_000;

export class RowMirror {
  readonly #rows = new Map<WorkspaceId, MirroredRow>();
  readonly #readings = new Set<Reading>();
  #cursor: RowsCursor | null = null;
  /** When all of it is read again, whatever the cursor tells. */
  #completeAtMs = Number.NEGATIVE_INFINITY;

  /** @param unit of a fleet; without one every resource of the table is one's own */
  constructor(private readonly unit?: FleetUnit) {}

  get size(): number {
    return this.#rows.size;
  }

  /** The WC waits for the outcome of some workspace. */
  get operationInFlight(): boolean {
    for (const { row } of this.#rows.values()) if (row.operationInFlight) return true;
    return false;
  }

  /** Whether the row holds that resource as present, as this one's own to judge. */
  holds({ conditions }: WorkspaceRow, kind: ConditionKey): boolean {
    return this.unit?.kind === "host"
      ? this.unit.ownership.isMine(conditions[kind])
      : isJsonObject(conditions[kind]);
  }

  /** How many rows do. */
  presentCount(kind: ConditionKey): number {
    let count = 0;
    for (const { row } of this.#rows.values()) if (this.holds(row, kind)) count += 1;
    return count;
  }

  /** The hosts that rows name. */
  owners(): Set<string> {
    const owners = new Set<string>();
    for (const { row } of this.#rows.values())
      for (const key of HOSTED_KEYS) {
        const host = hostOf(row.conditions[key]);
        if (host !== null) owners.add(host);
      }
    return owners;
  }

  /** What has been read up to now was so at this time or earlier. */
  readBy(now: Instant): void {
    for (const mirrored of this.#rows.values()) mirrored.unclaimedSince ??= now;
  }

  ids(): WorkspaceId[] {
    return [...this.#rows.keys()];
  }

  has(id: WorkspaceId): boolean {
    return this.#rows.has(id);
  }

  get(id: WorkspaceId): MirroredRow | undefined {
    return this.#rows.get(id);
  }

  values(): Iterable<MirroredRow> {
    return this.#rows.values();
  }

  /** For the next reading; null asks for all of it. */
  cursor(nowMs: number): RowsCursor | null {
    return nowMs >= this.#completeAtMs ? null : this.#cursor;
  }

  /** The next reading is a whole one. What is expected of the rows stays. */
  distrust(): void {
    this.#cursor = null;
  }

  begin(nowMs: number): Reading {
    const reading = { startedMs: nowMs, overtaken: new Set<WorkspaceId>(), doubted: new Set<WorkspaceId>() };
    this.#readings.add(reading);
    return reading;
  }

  end(reading: Reading): void {
    this.#readings.delete(reading);
  }

  #completeEveryMs(): number {
    const { unit } = this;
    return unit?.kind === "host"
      ? limits.ownCompleteEveryMs * (1 - limits.ownCompleteJitter * unit.random())
      : limits.completeEveryMs;
  }

  /** Takes a reading in. */
  merge({ all, rows, gone, cursor }: RowsRead, reading: Reading, nowMs: number): void {
    if (all !== null) {
      for (const id of this.#rows.keys()) if (!all.has(id)) this.#rows.delete(id);
      const tookMs = nowMs - reading.startedMs;
      this.#completeAtMs = nowMs + Math.max(this.#completeEveryMs(), tookMs * limits.completeShare);
    }
    for (const id of gone) this.#rows.delete(id);
    this.mergeSome(rows, reading);
    // What was left out of it has to be told once more.
    if (reading.doubted.size > 0) this.#cursor = all === null ? this.#cursor : null;
    else if (all !== null || reading.overtaken.size === 0) this.#cursor = cursor;
  }

  /** Whether `mergeSome` would change nothing. */
  isKnown(row: WorkspaceRow): boolean {
    const known = this.#rows.get(row.id);
    return known !== undefined && known.expected !== null && isSame(known.row, row);
  }

  /** Takes in what was read of some rows. One that was never seen is taken as it is. */
  mergeSome(rows: readonly WorkspaceRow[], reading: Reading): void {
    const { overtaken, doubted } = reading;
    for (const row of rows) {
      const known = this.#rows.get(row.id);
      if (known === undefined) {
        this.#rows.set(row.id, {
          row,
          expected: row,
          engine: null,
          archives: null,
          engineOrder: 0,
          unclaimedSince: null,
        });
      } else if (!overtaken.has(row.id) && !doubted.has(row.id)) {
        known.expected ??= row;
        if (isSame(known.row, row)) continue;
        const isTable = this.unit?.kind === "table";
        if (isTable && unclaimedOf(known.row.conditions) !== unclaimedOf(row.conditions))
          known.unclaimedSince = null;
        // Where others write as well, a reading beside this one may tell what was before.
        if (this.unit !== undefined)
          for (const other of this.#readings) if (other !== reading) other.doubted.add(row.id);
        known.row = row;
        known.engine = known.archives = null;
      }
    }
  }

  /**
   * What a commit made of a row.
   *
   * @returns whether it put right what somebody else had edited
   */
  wrote({ write, changes, order }: ComposedRow): boolean {
    for (const { overtaken } of this.#readings) overtaken.add(write.id);
    const known = this.#rows.get(write.id);
    if (known === undefined) return false;
    const { row, expected } = known;
    const isEdited =
      expected !== null &&
      (this.unit === undefined
        ? isMoved(row.observedAt, expected.observedAt) ||
          (changes.length > 0 && !isSameWorld(row.conditions, expected.conditions))
        : Object.keys(write.set).some((key) => this.#isEditedOwn(key as ConditionKey, row, expected)));
    known.row = known.expected = {
      ...row,
      conditions: merged(row.conditions, write),
      observedAt: write.observedAt,
    };
    known.engine = known.archives = null;
    known.engineOrder = order ?? known.engineOrder;
    return isEdited;
  }

  /** In a fleet other hosts write as well, and the table's unit marks what is lost: none of that is an edit. */
  #isEditedOwn(key: ConditionKey, row: WorkspaceRow, expected: WorkspaceRow): boolean {
    return (
      this.holds(row, key) &&
      this.holds(expected, key) &&
      !isUnknown(row.conditions[key]) &&
      !isUnknown(expected.conditions[key]) &&
      !jsonEqual(row.conditions[key], expected.conditions[key])
    );
  }

  /** The answer to a commit is missing: what was listed before what may be there now must not follow it (P3). */
  mayHaveWritten(composed: readonly ComposedRow[]): void {
    this.doubt(composed.map(({ write }) => write.id));
    for (const { write, order } of composed) {
      const known = this.#rows.get(write.id);
      if (known !== undefined) known.engineOrder = Math.max(known.engineOrder, order ?? known.engineOrder);
    }
  }

  /** Whether it was written, or by whom, is not known: what is read next of them is taken as it is. */
  doubt(ids: Iterable<WorkspaceId>): void {
    for (const id of ids) {
      for (const { doubted } of this.#readings) doubted.add(id);
      const known = this.#rows.get(id);
      if (known !== undefined) known.expected = null;
    }
  }
}

/** As the writing statement merges. */
function merged(stored: JsonObject, { set, observed, drop }: RowWrite): JsonObject {
  const stamps = isJsonObject(stored.observed) ? stored.observed : {};
  return { ...without(stored, drop), ...set, observed: { ...without(stamps, drop), ...observed } };
}

const without = (document: JsonObject, keys: readonly string[]): JsonObject =>
  keys.length === 0
    ? document
    : Object.fromEntries(Object.entries(document).filter(([key]) => !keys.includes(key)));

const isSame = (a: WorkspaceRow, b: WorkspaceRow): boolean =>
  a.operationInFlight === b.operationInFlight &&
  a.deleted === b.deleted &&
  a.observedAt === b.observedAt &&
  jsonEqual(a.conditions, b.conditions);

const isSameWorld = (a: JsonObject, b: JsonObject): boolean =>
  jsonEqual(a.container, b.container) && jsonEqual(a.volume, b.volume) && jsonEqual(a.archive, b.archive);

const isMoved = (stored: Instant | null, expected: Instant | null): boolean =>
  stored === null || expected === null ? stored !== expected : Math.abs(stored - expected) >= ROUNDING_US;
