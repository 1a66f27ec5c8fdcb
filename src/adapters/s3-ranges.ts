/**
 * Whole listings of a store that are repeated every few seconds.
 *
 * A listing of many pages is cut into ranges of keys between workspaces, each a little less than a page. From then on
 * the ranges are listed side by side instead of one page after the other, and each by the very question of the last time
 * (s3-repeated.ts): what is answered by the same bytes costs neither the SDK nor a parser. Together the ranges are the
 * whole: each goes on from where the one before it ends, and is read until a key beyond its own end, or to the last page.
 */
import type { WorkspaceId } from "../observer/names.ts";
import type { ArchiveSeen, Listing } from "../observer/ports.ts";
import { forEachOf } from "./s3-calls.ts";
import type { FoundArchives } from "./s3-newest.ts";
import { compareKeys } from "./s3-page.ts";
import type { Asked } from "./s3-repeated.ts";

/** Keys behind `after`, up to `upTo`; null: from the first, to the last. */
export interface KeyRange {
  readonly after: string | null;
  readonly upTo: string | null;
}

export interface ListedRange extends KeyRange {
  readonly found: FoundArchives;
  /** Keys in it, archives or not. */
  readonly keys: number;
  /** The question that was answered by all of it in one page; null: there is none to repeat. */
  readonly asked: Asked | null;
}

export interface RangeReader {
  /**
   * Lists a range, and cuts it where it has more keys than that.
   *
   * @returns it, or the very same object when nothing has changed
   */
  read(
    prefix: string,
    range: ListedRange,
    cutAt: number,
    signal: AbortSignal,
  ): Promise<readonly ListedRange[]>;
  /** The store answered otherwise than a listing may be. */
  isUnbelievable(error: unknown): boolean;
}

/** Ranges that are listed at the same time. */
const PARALLEL = 16;
/** Fewer pages are quick enough one after the other. */
const LEAST_PAGES = 8;
/** Of a page. What is added to a range must find room in it, and what is beyond its end is listed for nothing. */
const FIRST_CUT = 0.8;
const LATER_CUT = 0.95;

const EVERYTHING: ListedRange = { after: null, upTo: null, found: new Map(), keys: 0, asked: null };

export class WholeListings {
  #prefix = "";
  #ranges: readonly ListedRange[] = [EVERYTHING];
  #listing: Listing<ArchiveSeen> | null = null;
  /** Not every store knows what it is to begin behind a key. */
  #areRangesKnown = true;

  /** @param pageKeys most keys of a page */
  constructor(
    private readonly reader: RangeReader,
    private readonly pageKeys: number,
  ) {}

  /** The very same listing when nothing has changed. */
  async list(prefix: string, signal: AbortSignal): Promise<Listing<ArchiveSeen>> {
    if (prefix !== this.#prefix) this.#forget(prefix);
    const before = this.#ranges;
    const cutAt = Math.max(1, Math.floor(this.pageKeys * (before.length === 1 ? FIRST_CUT : LATER_CUT)));
    const read: (readonly ListedRange[])[] = [];
    try {
      await forEachOf(before.entries(), PARALLEL, signal, async ([at, range], either) => {
        read[at] = await this.reader.read(prefix, range, cutAt, either);
      });
    } catch (error) {
      if (before.length > 1 && this.reader.isUnbelievable(error)) {
        this.#areRangesKnown = false;
        this.#forget(prefix);
      }
      throw error;
    }
    const listed = read.flat();
    if (this.#listing !== null && listed.every((range, at) => range === before[at])) return this.#listing;
    this.#ranges = this.#joined(listed);
    // Several archives of a workspace are its history, no contest.
    this.#listing = { byWorkspace: foundIn(this.#ranges), contested: [] };
    return this.#listing;
  }

  #forget(prefix: string): void {
    this.#prefix = prefix;
    this.#ranges = [EVERYTHING];
    this.#listing = null;
  }

  /** Neighbours that have become small become one, and all of them where there are few pages. */
  #joined(ranges: readonly ListedRange[]): readonly ListedRange[] {
    const keys = ranges.reduce((sum, range) => sum + range.keys, 0);
    const isCut = this.#areRangesKnown && keys > LEAST_PAGES * this.pageKeys;
    const most = isCut ? this.pageKeys * FIRST_CUT : Number.POSITIVE_INFINITY;
    const groups: ListedRange[][] = [];
    let size = 0;
    for (const range of ranges) {
      if (groups.length === 0 || size + range.keys > most) {
        groups.push([]);
        size = 0;
      }
      groups.at(-1)!.push(range);
      size += range.keys;
    }
    return groups.map(joined);
  }
}

function joined(group: readonly ListedRange[]): ListedRange {
  const [first, ...more] = group;
  if (more.length === 0) return first!;
  const keys = group.reduce((sum, range) => sum + range.keys, 0);
  return { after: first!.after, upTo: more.at(-1)!.upTo, found: foundIn(group), keys, asked: null };
}

function foundIn(ranges: readonly ListedRange[]): FoundArchives {
  if (ranges.length === 1) return ranges[0]!.found;
  const found = new Map<WorkspaceId, ArchiveSeen>();
  for (const range of ranges) for (const [id, archive] of range.found) found.set(id, archive);
  return found;
}

/**
 * Where a range may end between two neighbouring keys: with all that one workspace has. Null: nowhere, or they belong
 * together. What ends a range is no key of an archive: `ws-7f3c0` follows all of `ws-7f3c/…`.
 */
export function cutBetween(before: string, next: string, prefix: string): string | null {
  const end = before.indexOf("/", prefix.length);
  if (end === -1) return null;
  const cut = `${before.slice(0, end)}0`;
  return compareKeys(before, cut) < 0 && compareKeys(cut, next) < 0 ? cut : null;
}
