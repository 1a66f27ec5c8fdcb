/**
 * Archives in an S3 store, by ListObjectsV2.
 *
 * A whole look reads every page below the prefix; a look at some workspaces reads `{prefix}{id}/` of each. Either
 * rejects (ArchivesError, or the signal's reason) unless every page was proven complete: see s3-page.ts. Of a page
 * only the newest archive per workspace is kept, so memory grows with workspaces and not with objects.
 *
 * The access key needs s3:ListBucket on the bucket and nothing else.
 */
import type { WorkspaceId } from "../observer/names.ts";
import type { ArchiveProvider, ArchiveSeen, Listing, Look } from "../observer/ports.ts";
import { forEachOf, withDeadline } from "./s3-calls.ts";
import { ArchivesError, archivesError, type StoreContext } from "./s3-errors.ts";
import { newestArchives } from "./s3-newest.ts";
import { compareKeys, pageSequence, type StoredObject } from "./s3-page.ts";
import { createS3Pages, MAX_PAGE_BYTES, type S3ArchivesOptions } from "./s3-pages.ts";
import { cutBetween, type KeyRange, type ListedRange, type RangeReader, WholeListings } from "./s3-ranges.ts";
import { type Answered, type Asked, askAgain } from "./s3-repeated.ts";

export type { S3ArchivesOptions } from "./s3-pages.ts";

export interface S3Archives extends ArchiveProvider {
  /** Asks for one key below the prefix, with the very permission that a listing needs. Rejects with ArchivesError. */
  head(prefix: string, signal: AbortSignal): Promise<StoreIdentity>;
  /** Closes every connection. */
  destroy(): void;
}

export interface StoreIdentity {
  readonly bucket: string;
  readonly region: string;
  /** Null: Amazon's. */
  readonly endpoint: string | null;
}

const EVERYTHING: KeyRange = { after: null, upTo: null };
/** What a store answers when it isn't asked for fewer. */
const MOST_PAGE_KEYS = 1_000;
/** Prefixes that are listed at the same time in a look at some workspaces. */
const PARALLEL_PREFIXES = 8;

export function createS3Archives(options: S3ArchivesOptions): S3Archives {
  const { bucket, pageTimeoutMs } = options;
  const pages = createS3Pages(options);
  const keys = options.pageKeys ?? null;
  const context = storeContext(options);
  const naming = { suffix: options.suffix, commitSuffix: options.commitSuffix };

  /**
   * Every object in a range of the keys below the prefix, in order of keys; resolves only when all were seen.
   *
   * @param answered the first page, if the store has told it already; what isn't believable is asked for again
   * @returns the question, if it was one
   */
  async function readAll(
    prefix: string,
    { after, upTo }: KeyRange,
    signal: AbortSignal,
    see: (object: StoredObject) => void,
    answered: Answered | null,
  ): Promise<Asked | null> {
    let sequence = pageSequence(bucket, prefix, after);
    let question: Asked | null = null;
    let isOver = false;
    const take = async (page: Answered | null) => {
      const { token } = sequence;
      const { answer, asked } = await pages.read({ prefix, after, token, keys }, signal, page);
      const objects = sequence.accept(answer);
      question = asked;
      for (const object of objects) {
        isOver ||= upTo !== null && compareKeys(object.key, upTo) > 0;
        if (!isOver) see(object);
      }
    };
    if (answered !== null)
      await take(answered).catch(() => {
        sequence = pageSequence(bucket, prefix, after);
      });
    while (!sequence.complete && !isOver) {
      signal.throwIfAborted();
      try {
        await take(null);
      } catch (error) {
        signal.throwIfAborted();
        throw archivesError(error, sequence.pages + 1, context);
      }
    }
    return sequence.pages === 1 ? question : null;
  }

  /** What has come to the question of the last time, if there was one. */
  async function repeat(
    question: Asked | null,
    signal: AbortSignal,
  ): Promise<Awaited<ReturnType<typeof askAgain>>> {
    if (question === null) return null;
    try {
      return await withDeadline(pageTimeoutMs, signal, (abortSignal) =>
        askAgain(question, MAX_PAGE_BYTES, abortSignal),
      );
    } catch (error) {
      signal.throwIfAborted();
      throw archivesError(error, 1, context);
    }
  }

  const ranges: RangeReader = {
    async read(prefix, range, cutAt, signal) {
      const again = await repeat(range.asked, signal);
      if (again === "same") return [range];
      const cut: ListedRange[] = [];
      let after = range.after;
      let newest = newestArchives({ prefix, ...naming }, range.found);
      let keys = 0;
      let lastKey = "";
      const question = await readAll(
        prefix,
        range,
        signal,
        (object) => {
          const end = keys < cutAt ? null : cutBetween(lastKey, object.key, prefix);
          if (end !== null) {
            cut.push({ after, upTo: end, found: newest.result(), keys, asked: null });
            after = end;
            newest = newestArchives({ prefix, ...naming }, range.found);
            keys = 0;
          }
          newest.see(object);
          keys += 1;
          lastKey = object.key;
        },
        again,
      );
      const isOne = cut.length === 0;
      cut.push({ after, upTo: range.upTo, found: newest.result(), keys, asked: isOne ? question : null });
      return cut;
    },
    isUnbelievable: (error) => error instanceof ArchivesError && error.fault === "incomplete",
  };
  const wholeListings = new WholeListings(ranges, options.pageKeys ?? MOST_PAGE_KEYS);

  async function listArchives(prefix: string, look: Look): Promise<Listing<ArchiveSeen>> {
    if (look.only === undefined) return wholeListings.list(prefix, look.signal);
    const byWorkspace = new Map<WorkspaceId, ArchiveSeen>();
    await forEachOf(look.only, PARALLEL_PREFIXES, look.signal, async (id, signal) => {
      const newest = newestArchives({ prefix, ...naming });
      await readAll(`${prefix}${id}/`, EVERYTHING, signal, newest.see, null);
      for (const [workspace, seen] of newest.result()) byWorkspace.set(workspace, seen);
    });
    return { byWorkspace, contested: [] };
  }

  return {
    listArchives,
    async head(prefix, signal) {
      try {
        const { answer } = await pages.read({ prefix, after: null, token: null, keys: 1 }, signal);
        pageSequence(bucket, prefix).accept(answer);
        return { bucket, region: await pages.region(), endpoint: context.endpoint };
      } catch (error) {
        signal.throwIfAborted();
        throw archivesError(error, 1, context);
      }
    },
    destroy: () => pages.destroy(),
  };
}

function storeContext({
  bucket,
  endpoint,
  forcePathStyle,
  credentials,
  pageTimeoutMs,
}: S3ArchivesOptions): StoreContext {
  const secrets = [credentials?.secretAccessKey, credentials?.sessionToken];
  return {
    bucket,
    // Of a URL with a password in it only the place is shown.
    endpoint: endpoint !== null && URL.canParse(endpoint) ? new URL(endpoint).origin : endpoint,
    forcePathStyle,
    pageTimeoutMs,
    secrets: secrets.filter((secret): secret is string => secret !== undefined && secret !== ""),
  };
}
