/**
 * Archives in an S3 store, by ListObjectsV2.
 *
 * A whole look reads every page below the prefix; a look at some workspaces reads `{prefix}{id}/` of each. Either
 * rejects (ArchivesError, or the signal's reason) unless every page was proven complete: see s3-page.ts. Of a page
 * only the newest archive per workspace is kept, so memory grows with workspaces and not with objects.
 *
 * The access key needs s3:ListBucket on the bucket and nothing else.
 */
import { Readable } from "node:stream";
import { ListObjectsV2Command, S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { WorkspaceId } from "../observer/names.ts";
import type { ArchiveProvider, ArchiveSeen, Listing, Look } from "../observer/ports.ts";
import { boundedBody, forEachOf, readText, withDeadline } from "./s3-calls.ts";
import { cutContents } from "./s3-contents.ts";
import { archivesError, type StoreContext } from "./s3-errors.ts";
import { type FoundArchives, newestArchives } from "./s3-newest.ts";
import { type ListEntry, pageSequence, type StoredObject } from "./s3-page.ts";
import { type Answered, type Repeated, RepeatedQuestion, type SignedRequest } from "./s3-repeated.ts";

export interface S3ArchivesOptions {
  readonly bucket: string;
  /** `/home.tar.zst` */
  readonly suffix: string;
  /** `.meta`; null: an archive counts as soon as it is there. */
  readonly commitSuffix: string | null;
  readonly forcePathStyle: boolean;
  /** Null: `us-east-1` with an endpoint, which is what other stores sign with; else the SDK's own chain. */
  readonly region: string | null;
  /** Null: Amazon's. */
  readonly endpoint: string | null;
  /** Null: the SDK's default chain. */
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string | undefined;
  } | null;
  /** Longest that one page may take, retries included. */
  readonly pageTimeoutMs: number;
  /** Keys per page, 1 to 1,000, which is the default. */
  readonly pageKeys?: number;
}

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

/** What went over the line for a call, by its context. */
interface Exchange {
  readonly request: SignedRequest;
  /** The answer's body. */
  readonly page: string;
  /** Cut out of it before the SDK parsed it; null: the SDK parsed it all. */
  readonly entries: readonly ListEntry[] | null;
}
const exchanges = new WeakMap<object, Exchange>();

/** Prefixes that are listed at the same time in a look at some workspaces. */
const PARALLEL_PREFIXES = 8;
/** A page of 1,000 keys of 1 KiB, every character escaped, is smaller. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;
/** Attempts per page: a reset or a 503 is worth another one, within the page's deadline. */
const MAX_ATTEMPTS = 3;

export function createS3Archives(options: S3ArchivesOptions): S3Archives {
  const { bucket, pageTimeoutMs } = options;
  const client = createClient(options);
  const context = storeContext(options);
  let found: FoundArchives = new Map();
  const wholeLook = new RepeatedQuestion<Listing<ArchiveSeen>>(MAX_PAGE_BYTES);

  /** @param answered what the store has answered to that already */
  async function readPage(
    prefix: string,
    token: string | null,
    keys: number | undefined,
    signal: AbortSignal,
    answered: Answered | null = null,
  ) {
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: prefix,
      ...(token === null ? {} : { ContinuationToken: token }),
      ...(keys === undefined ? {} : { MaxKeys: keys }),
    });
    let context: object = {};
    command.middlewareStack.add(
      (next, own) => (args) => {
        context = own;
        return next(args);
      },
      { step: "initialize", name: "ownContext" },
    );
    if (answered !== null)
      command.middlewareStack.add(
        () => async () => ({
          response: { statusCode: 200, headers: answered.headers, body: Readable.from([answered.body]) },
        }),
        { step: "deserialize", priority: "low", name: "answered" },
      );
    const answer = await withDeadline(pageTimeoutMs, signal, (abortSignal) =>
      client.send(command, { abortSignal }),
    );
    const exchange = exchanges.get(context) ?? null;
    const entries = exchange?.entries ?? null;
    return { exchange, answer: entries === null ? answer : { ...answer, Contents: entries } };
  }

  /**
   * Every object below the prefix, in order of keys; resolves only when all were seen.
   *
   * @param answered the first page, if the store has told it already; what isn't believable is asked for again
   * @returns what went over the line, if it was one page
   */
  async function readAll(
    prefix: string,
    signal: AbortSignal,
    see: (object: StoredObject) => void,
    answered: Answered | null,
  ): Promise<Exchange | null> {
    let sequence = pageSequence(bucket, prefix);
    let last: Exchange | null = null;
    if (answered !== null) {
      try {
        const { answer, exchange } = await readPage(prefix, null, options.pageKeys, signal, answered);
        for (const object of sequence.accept(answer)) see(object);
        last = exchange;
      } catch {
        sequence = pageSequence(bucket, prefix);
      }
    }
    while (!sequence.complete) {
      signal.throwIfAborted();
      try {
        const { answer, exchange } = await readPage(prefix, sequence.token, options.pageKeys, signal);
        for (const object of sequence.accept(answer)) see(object);
        last = exchange;
      } catch (error) {
        signal.throwIfAborted();
        throw archivesError(error, sequence.pages + 1, context);
      }
    }
    return sequence.pages === 1 ? last : null;
  }

  /** The last whole look's question, if it was one. */
  async function askAgain(
    prefix: string,
    signal: AbortSignal,
  ): Promise<Repeated<Listing<ArchiveSeen>> | null> {
    try {
      return await withDeadline(pageTimeoutMs, signal, (abortSignal) => wholeLook.ask(prefix, abortSignal));
    } catch (error) {
      signal.throwIfAborted();
      throw archivesError(error, 1, context);
    }
  }

  async function listArchives(prefix: string, look: Look): Promise<Listing<ArchiveSeen>> {
    const naming = { prefix, suffix: options.suffix, commitSuffix: options.commitSuffix };
    const byWorkspace = new Map<WorkspaceId, ArchiveSeen>();
    const isWhole = look.only === undefined;
    // Several archives of a workspace are its history, no contest.
    const listing = { byWorkspace, contested: [] };
    const readInto = async (below: string, signal: AbortSignal, answered: Answered | null = null) => {
      const newest = newestArchives(naming, found);
      const exchange = await readAll(below, signal, newest.see, answered);
      const result = newest.result();
      for (const [id, { seen }] of result) byWorkspace.set(id, seen);
      if (isWhole) found = result;
      return exchange;
    };
    if (look.only === undefined) {
      const again = await askAgain(prefix, look.signal);
      if (again?.kind === "same") return again.answer;
      const exchange = await readInto(prefix, look.signal, again?.answered);
      if (exchange !== null)
        wholeLook.keep(prefix, exchange.request, new TextEncoder().encode(exchange.page), listing);
    } else
      await forEachOf(look.only, PARALLEL_PREFIXES, look.signal, async (id, signal) => {
        await readInto(`${prefix}${id}/`, signal);
      });
    return listing;
  }

  return {
    listArchives,
    async head(prefix, signal) {
      try {
        pageSequence(bucket, prefix).accept((await readPage(prefix, null, 1, signal)).answer);
        return { bucket, region: await client.config.region(), endpoint: context.endpoint };
      } catch (error) {
        signal.throwIfAborted();
        throw archivesError(error, 1, context);
      }
    },
    destroy: () => client.destroy(),
  };
}

function createClient(options: S3ArchivesOptions): S3Client {
  const { credentials, endpoint, region, pageTimeoutMs } = options;
  const config: S3ClientConfig = {
    forcePathStyle: options.forcePathStyle,
    maxAttempts: MAX_ATTEMPTS,
    retryMode: "standard",
    // Stores that aren't Amazon's know no such headers.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // A bucket elsewhere is a wrong setting that the error names; following it would cost every look a detour.
    followRegionRedirects: false,
    requestHandler: {
      // Half the page's time, so that a second address or attempt has a chance.
      connectionTimeout: Math.ceil(pageTimeoutMs / 2),
      // The page's deadline is the abort signal's; without these two a stopped server would outlive even a bug there.
      requestTimeout: pageTimeoutMs,
      throwOnRequestTimeout: true,
    },
    logger: SILENT,
  };
  if (credentials !== null) {
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    config.credentials = { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  }
  if (endpoint !== null) config.endpoint = endpoint;
  if (region !== null) config.region = region;
  else if (endpoint !== null) config.region = "us-east-1";
  const client = new S3Client(config);
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args);
      const response = result.response as { body?: unknown; statusCode?: number };
      exchanges.delete(context);
      if (response.statusCode !== 200 || !(response.body instanceof Readable)) {
        response.body = boundedBody(response.body, MAX_PAGE_BYTES);
        return result;
      }
      const page = await readText(response.body, MAX_PAGE_BYTES);
      const cut = cutContents(page);
      exchanges.set(context, { request: args.request as SignedRequest, page, entries: cut?.entries ?? null });
      response.body = new TextEncoder().encode(cut?.rest ?? page);
      return result;
    },
    { step: "deserialize", priority: "low", name: "cutContents" },
  );
  return client;
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

const nothing = (): void => {};
/** The SDK's warnings would go to stdout, between the log's JSON lines. */
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
