/**
 * The workspaces for whoever looks at the page: searched, filtered, a page at a time.
 *
 * It reads the rows that the loop keeps anyway, and only while somebody looks. The loop runs in the same thread, so a
 * pass over the rows is cut into small pieces, and what it found serves everybody for a while: the longer a pass takes,
 * the longer. Nothing is copied but the order of the rows; each row is read when it is shown.
 */
import { isJsonObject } from "../observer/conditions.ts";
import { addMs, type Instant } from "../observer/instant.ts";
import type { WorkspaceId } from "../observer/names.ts";
import type { ResourceKind } from "../observer/orphans.ts";
import type { WorkspaceRow } from "../observer/ports.ts";
import type { ObserverView, RowsView, RowView } from "../observer/view.ts";
import { Pace } from "./pace.ts";

/** By its container: `running`, `stopped`, `absent` exclude one another; the others are beside that. */
export const STATES = ["running", "stopped", "absent", "stale", "held", "orphan"] as const;
export type State = (typeof STATES)[number];

export interface RosterQuery {
  /** Part of an id or the beginning of a container's id, whatever the case; empty: all. */
  readonly q: string;
  readonly state: State | "all";
  /** From 1 on; beyond the last it is the last. */
  readonly page: number;
}

export interface RosterEntry {
  readonly id: WorkspaceId;
  /** Null: an orphan has none. */
  readonly row: WorkspaceRow | null;
  readonly isStale: boolean;
  /** Kinds of resources whose absence the guard holds back. */
  readonly held: readonly ResourceKind[];
  /** Kinds of resources that are there without a row. */
  readonly orphan: readonly ResourceKind[];
}

export interface RosterPage {
  /** Of all rows, and of orphans; not of what was searched for. */
  readonly counts: Readonly<Record<State | "all", number>>;
  readonly matches: number;
  readonly page: number;
  readonly pages: number;
  readonly entries: readonly RosterEntry[];
  /** The database's clock about now, as far as known. */
  readonly now: Instant | null;
}

export interface RosterParts {
  readonly rows: () => RowsView | null;
  readonly view: () => ObserverView;
  /** A row with an older stamp is stale. */
  readonly staleAfterMs: number;
  /** A clock that never goes back; for tests. */
  readonly nowMs?: () => number;
}

export const ROWS_PER_PAGE = 50;
/** What is found for so many searches is kept as long as the index. */
const MOST_SEARCHES = 32;
const FRESH_MS = 1_000;
/** Passes and searches take one part in so many of the time. */
const SHARE = 20;
/** Nobody looks any more: then nothing is held on to. */
const FORGET_MS = 30_000;
const SORTED_AT_ONCE = 1_000;

interface Line {
  readonly id: WorkspaceId;
  readonly key: string;
  readonly holder: RowView;
}

interface Index {
  readonly rows: RowsView;
  readonly lines: readonly Line[];
  readonly counts: Readonly<Record<Exclude<State, "held" | "orphan">, number>>;
  /** Put off by every search in it, so that searches are paid for as passes are. */
  freshUntilMs: number;
  /** What searches found in it, by what was searched for. */
  readonly found: Map<string, Promise<readonly Line[]>>;
}

export class Roster {
  #index: Index | null = null;
  #building: Promise<Index> | null = null;
  #forgetting: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly parts: RosterParts) {}

  #nowMs(): number {
    return this.parts.nowMs?.() ?? performance.now();
  }

  /** Null: this instance keeps no rows. */
  async page(query: RosterQuery): Promise<RosterPage | null> {
    const rows = this.parts.rows();
    if (rows === null) return null;
    const index = await this.#fresh(rows);
    const view = this.parts.view();
    const held = kindsById(view.held);
    const orphans = kindsById(view.orphans);
    const staleBefore = staleLimit(view, this.parts.staleAfterMs);
    const wanted = query.q.toLowerCase();
    const firstOf = (page: number) => (page - 1) * ROWS_PER_PAGE;

    const found: readonly (Line | WorkspaceId)[] =
      query.state === "orphan"
        ? [...orphans.keys()].filter((id) => id.toLowerCase().includes(wanted)).sort()
        : await search(index, query.state, wanted, ({ id, key, holder }) => {
            const isWanted = wanted === "" || key.includes(wanted) || isContainer(holder.row, wanted);
            return isWanted && isIn(holder.row, query.state, staleBefore, held.has(id));
          });
    const pages = Math.max(1, Math.ceil(found.length / ROWS_PER_PAGE));
    const page = Math.min(Math.max(1, query.page), pages);
    const shown = found.slice(firstOf(page), firstOf(page + 1));
    return {
      counts: { ...index.counts, all: rows.size, held: held.size, orphan: orphans.size },
      matches: found.length,
      page,
      pages,
      now: databaseNow(view),
      entries: shown.map((line) => {
        const id = typeof line === "string" ? line : line.id;
        const row = typeof line === "string" ? null : line.holder.row;
        return {
          id,
          row,
          isStale: row !== null && isStale(row, staleBefore),
          held: held.get(id) ?? [],
          orphan: orphans.get(id) ?? [],
        };
      }),
    };
  }

  /** One row, as it is now. */
  get(id: string): WorkspaceRow | null {
    return this.parts.rows()?.get(id as WorkspaceId)?.row ?? null;
  }

  async #fresh(rows: RowsView): Promise<Index> {
    clearTimeout(this.#forgetting);
    this.#forgetting = setTimeout(() => this.forget(), FORGET_MS);
    this.#forgetting.unref?.();
    const index = this.#index;
    if (index?.rows === rows && this.#nowMs() < index.freshUntilMs) return index;
    this.#building ??= this.#build(rows).finally(() => {
      this.#building = null;
    });
    return this.#building;
  }

  async #build(rows: RowsView): Promise<Index> {
    const pace = new Pace();
    const before = this.#index?.rows === rows ? this.#index.lines : [];
    const kept: Line[] = [];
    const known = new Set<RowView>();
    for (const line of before) {
      if (pace.isDue) await pace.rest();
      if (rows.get(line.id) !== line.holder) continue;
      kept.push(line);
      known.add(line.holder);
    }
    const counts = { running: 0, stopped: 0, absent: 0, stale: 0 };
    const staleBefore = staleLimit(this.parts.view(), this.parts.staleAfterMs);
    const fresh: Line[] = [];
    for (const holder of rows.values()) {
      if (pace.isDue) await pace.rest();
      const { row } = holder;
      const state = stateOf(row);
      if (state !== null) counts[state] += 1;
      if (isStale(row, staleBefore)) counts.stale += 1;
      if (!known.has(holder)) fresh.push({ id: row.id, key: row.id.toLowerCase(), holder });
    }
    const lines = await merged(kept, await sorted(fresh, pace), pace);
    const freshUntilMs = this.#nowMs() + Math.max(FRESH_MS, pace.workMs * SHARE);
    this.#index = { rows, lines, counts, freshUntilMs, found: new Map() };
    return this.#index;
  }

  forget(): void {
    clearTimeout(this.#forgetting);
    this.#index = null;
  }
}

function search(
  index: Index,
  state: State | "all",
  wanted: string,
  isMatch: (line: Line) => boolean,
): Promise<readonly Line[]> | readonly Line[] {
  const { lines, found } = index;
  if (state === "all" && wanted === "") return lines;
  const key = `${state} ${wanted}`;
  const known = found.get(key);
  if (known !== undefined) return known;
  if (found.size >= MOST_SEARCHES) found.clear();
  const searching = (async () => {
    const pace = new Pace();
    const matches: Line[] = [];
    for (const line of lines) {
      if (pace.isDue) await pace.rest();
      if (isMatch(line)) matches.push(line);
    }
    index.freshUntilMs += pace.workMs * SHARE;
    return matches;
  })();
  found.set(key, searching);
  return searching;
}

/** In order of id. */
async function sorted(lines: readonly Line[], pace: Pace): Promise<readonly Line[]> {
  if (lines.length <= SORTED_AT_ONCE) {
    const some = lines.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    if (pace.isDue) await pace.rest();
    return some;
  }
  const middle = lines.length >> 1;
  const [left, right] = [await sorted(lines.slice(0, middle), pace), await sorted(lines.slice(middle), pace)];
  return merged(left, right, pace);
}

async function merged(left: readonly Line[], right: readonly Line[], pace: Pace): Promise<readonly Line[]> {
  if (left.length === 0) return right;
  if (right.length === 0) return left;
  const all: Line[] = [];
  let next = 0;
  for (const line of left) {
    if (pace.isDue) await pace.rest();
    while (next < right.length && right[next]!.id < line.id) all.push(right[next++]!);
    all.push(line);
  }
  while (next < right.length) all.push(right[next++]!);
  return all;
}

export function stateOf({
  conditions: { container },
}: WorkspaceRow): "running" | "stopped" | "absent" | null {
  if (container === null) return "absent";
  if (!isJsonObject(container)) return null;
  return container.running === true ? "running" : "stopped";
}

const isStale = ({ observedAt }: WorkspaceRow, before: Instant | null): boolean =>
  observedAt === null || (before !== null && observedAt < before);

function isIn(
  row: WorkspaceRow,
  state: State | "all",
  staleBefore: Instant | null,
  isHeld: boolean,
): boolean {
  if (state === "all") return true;
  if (state === "stale") return isStale(row, staleBefore);
  if (state === "held") return isHeld;
  return stateOf(row) === state;
}

function isContainer({ conditions: { container } }: WorkspaceRow, wanted: string): boolean {
  const id = isJsonObject(container) ? container.container_id : undefined;
  return typeof id === "string" && id.startsWith(wanted);
}

/** What the database's clock shows by now: the youngest stamp of a listing, and the time since it was read. */
export function databaseNow(view: ObserverView): Instant | null {
  const known = Object.values(view.sources).flatMap((source) =>
    source === null || source.lastSuccessStamp === null || source.lastSuccessMs === null
      ? []
      : [
          addMs(
            source.lastSuccessStamp,
            (source.lastDurationMs ?? 0) + Math.max(0, view.nowMs - source.lastSuccessMs),
          ),
        ],
  );
  return known.length === 0 ? null : (Math.max(...known) as Instant);
}

function staleLimit(view: ObserverView, staleAfterMs: number): Instant | null {
  const now = databaseNow(view);
  return now === null ? null : addMs(now, -staleAfterMs);
}

function kindsById(
  lists: Readonly<Record<ResourceKind, readonly string[]>>,
): ReadonlyMap<WorkspaceId, ResourceKind[]> {
  const byId = new Map<WorkspaceId, ResourceKind[]>();
  for (const [kind, ids] of Object.entries(lists) as [ResourceKind, readonly WorkspaceId[]][]) {
    for (const id of ids) byId.set(id, [...(byId.get(id) ?? []), kind]);
  }
  return byId;
}
