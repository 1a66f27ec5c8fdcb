/**
 * Notices that somebody else edited what this instance wrote, and counts when that was put right.
 *
 * Every cycle compares the table with the world, so the repair itself needs nothing: an edited condition differs
 * from what was seen and is written again. But a change of the world looks the same. What tells them apart is what
 * this instance last wrote, or found when it first read the row: one number per row, of the conditions without their
 * stamps, so that it is computed anew only when they change.
 */
import type { ComposedRow } from "./compose.ts";
import type { Json, JsonObject } from "./conditions.ts";
import type { Instant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";
import type { WorkspaceRow } from "./ports.ts";

interface Expected {
  /** Of the three conditions. */
  readonly print: number;
  readonly observedAt: Instant | null;
}

/** What each row should hold if nobody else wrote it; as many as there are rows. */
export type ExpectedRows = ReadonlyMap<WorkspaceId, Expected>;

/** A column of less precision rounds what is stored: up to half a second. */
const ROUNDING_US = 1_000_000;

/** One cycle's part. */
export class DriftWatch {
  /** Edited by somebody else, and restored by this cycle. */
  readonly repaired = new Set<WorkspaceId>();
  #rows = new Map<WorkspaceId, WorkspaceRow>();
  #expected: Map<WorkspaceId, Expected> | null = null;

  constructor(private readonly before: ExpectedRows) {}

  /** A row that was never seen is taken as it is; one that is gone is forgotten. */
  loaded(rows: readonly WorkspaceRow[]): void {
    const expected = new Map<WorkspaceId, Expected>();
    for (const row of rows) {
      this.#rows.set(row.id, row);
      expected.set(row.id, this.before.get(row.id) ?? found(row));
    }
    this.#expected = expected;
  }

  written({ write, changes }: ComposedRow): void {
    const row = this.#rows.get(write.id);
    const expected = this.#expected?.get(write.id);
    if (row === undefined || expected === undefined) return;
    const isChange = changes.length > 0 || write.drop.length > 0;
    const isEdited =
      isMoved(row.observedAt, expected.observedAt) ||
      (changes.length > 0 && fingerprint(row.conditions) !== expected.print);
    if (isEdited) this.repaired.add(write.id);
    const conditions = { ...row.conditions, ...write.set };
    for (const key of write.drop) delete conditions[key];
    this.#expected?.set(write.id, {
      print: isChange ? fingerprint(conditions) : expected.print,
      observedAt: write.observedAt,
    });
  }

  /** Whether it was written, or by whom, is not known: the next cycle takes it as it is. */
  forget(ids: Iterable<WorkspaceId>): void {
    for (const id of ids) this.#expected?.delete(id);
  }

  get expected(): ExpectedRows {
    return this.#expected ?? this.before;
  }
}

const found = ({ conditions, observedAt }: WorkspaceRow): Expected => ({
  print: fingerprint(conditions),
  observedAt,
});

const isMoved = (stored: Instant | null, expected: Instant | null): boolean =>
  stored === null || expected === null ? stored !== expected : Math.abs(stored - expected) >= ROUNDING_US;

const fingerprint = ({ container, volume, archive }: JsonObject): number =>
  hashJson({ container, volume, archive });

/** 32 bits; the order of keys doesn't count (jsonb has its own), and a key without a value is none. */
function hashJson(value: Json | undefined): number {
  if (typeof value !== "object" || value === null) return hashText(JSON.stringify(value) ?? "");
  let sum = Array.isArray(value) ? 1 : 2;
  for (const [key, item] of Object.entries(value)) {
    if (item !== undefined) sum = (sum + Math.imul(hashText(key) ^ 0x9e3779b9, hashJson(item) | 1)) | 0;
  }
  return Math.imul(sum ^ (sum >>> 16), 0x85ebca6b);
}

/** FNV-1a. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash;
}
