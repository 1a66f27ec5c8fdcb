/**
 * P7 from outside: of whole listings that were answered to one instance, which resources of the table have been
 * missing, in how many answers in a row, and since when. No mass of absences may be written sooner than they were
 * confirmed.
 */
import { isJsonObject } from "../../src/observer/conditions.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type { RowWrite, WorkspaceRow } from "../../src/observer/ports.ts";
import type { Timeline } from "./clock.ts";
import type { Caller } from "./listings.ts";

export type Kind = "container" | "volume" | "archive";

export const guard = { enabled: true, min: 5, ratio: 0.5, confirm: 3 } as const;
const CONFIRM_MS = 10_000;

interface Seen {
  /** Since when, and how often in a row, a listing lacked this one. */
  readonly missing: Map<WorkspaceId, { count: number; sinceMs: number }>;
}

export class Emptiness {
  readonly #seen = new Map<string, Seen>();
  readonly #loaded = new Map<Caller, readonly WorkspaceRow[]>();

  constructor(
    private readonly timeline: Timeline,
    private readonly fail: (what: string) => void,
  ) {}

  loaded(caller: Caller, rows: readonly WorkspaceRow[]): void {
    this.#loaded.set(caller, rows);
  }

  answered(caller: Caller, kind: Kind, ids: ReadonlySet<WorkspaceId>, all: Iterable<WorkspaceId>): void {
    const key = `${caller.name} ${kind}`;
    const seen = this.#seen.get(key) ?? { missing: new Map() };
    this.#seen.set(key, seen);
    for (const id of all) {
      if (ids.has(id)) seen.missing.delete(id);
      else {
        const last = seen.missing.get(id);
        seen.missing.set(id, {
          count: (last?.count ?? 0) + 1,
          sinceMs: last?.sinceMs ?? this.timeline.nowMs,
        });
      }
    }
  }

  /** Called when a save has been done, with what it wrote. */
  saved(caller: Caller, written: readonly RowWrite[]): void {
    const rows = this.#loaded.get(caller) ?? [];
    for (const kind of ["container", "volume", "archive"] as const) {
      const present = new Set(
        rows.filter(({ conditions }) => isJsonObject(conditions[kind])).map(({ id }) => id),
      );
      const lost = written.filter(({ id, set }) => set[kind] === null && present.has(id));
      if (lost.length < guard.min || lost.length <= guard.ratio * present.size) continue;
      const { missing } = this.#seen.get(`${caller.name} ${kind}`) ?? { missing: new Map() };
      const hasty = lost.filter(({ id }) => {
        const last = missing.get(id);
        return (
          last === undefined || last.count < guard.confirm || this.timeline.nowMs - last.sinceMs < CONFIRM_MS
        );
      });
      if (hasty.length > 0)
        this.fail(
          `${lost.length} of ${present.size} ${kind}s were written off, ${hasty.length} of them unconfirmed`,
        );
    }
  }
}
