/** One page of a listing, through the SDK, which signs, tries again and tells errors; its entries are read without it. */
import { Readable } from "node:stream";
import { ListObjectsV2Command, S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { boundedBody, readBytes, withDeadline } from "./s3-calls.ts";
import { cutContents } from "./s3-contents.ts";
import type { ListAnswer, ListEntry } from "./s3-page.ts";
import { type Answered, type Asked, asked, type SignedRequest } from "./s3-repeated.ts";

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

export interface PageQuestion {
  readonly prefix: string;
  /** The key that it begins behind; null: with the first. */
  readonly after: string | null;
  /** Of the page before. */
  readonly token: string | null;
  /** Null: as many as the store gives. */
  readonly keys: number | null;
}

export interface Page {
  readonly answer: ListAnswer;
  /** Null: what went over the line isn't known. */
  readonly asked: Asked | null;
}

export interface S3Pages {
  /** @param answered what the store has answered to that already */
  read(question: PageQuestion, signal: AbortSignal, answered?: Answered | null): Promise<Page>;
  region(): Promise<string>;
  destroy(): void;
}

/** What went over the line for a call, by its context. */
interface Exchange {
  readonly asked: Asked;
  /** Cut out of it before the SDK parsed it; null: the SDK parsed it all. */
  readonly entries: readonly ListEntry[] | null;
}
const exchanges = new WeakMap<object, Exchange>();

/** A page of 1,000 keys of 1 KiB, every character escaped, is smaller. */
export const MAX_PAGE_BYTES = 16 * 1024 * 1024;
/** Attempts per page: a reset or a 503 is worth another one, within the page's deadline. */
const MAX_ATTEMPTS = 3;

export function createS3Pages(options: S3ArchivesOptions): S3Pages {
  const client = createClient(options);
  return {
    async read({ prefix, after, token, keys }, signal, answered = null) {
      const command = new ListObjectsV2Command({
        Bucket: options.bucket,
        Prefix: prefix,
        ...(token !== null ? { ContinuationToken: token } : after !== null ? { StartAfter: after } : {}),
        ...(keys === null ? {} : { MaxKeys: keys }),
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
      const answer = await withDeadline(options.pageTimeoutMs, signal, (abortSignal) =>
        client.send(command, { abortSignal }),
      );
      const exchange = exchanges.get(context) ?? null;
      const entries = exchange?.entries ?? null;
      return {
        answer: entries === null ? answer : { ...answer, Contents: entries },
        asked: exchange?.asked ?? null,
      };
    },
    region: () => client.config.region(),
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
      const page = await readBytes(response.body, MAX_PAGE_BYTES);
      const cut = cutContents(new TextDecoder().decode(page));
      exchanges.set(context, {
        asked: asked(args.request as SignedRequest, page),
        entries: cut?.entries ?? null,
      });
      response.body = cut === null ? page : new TextEncoder().encode(cut.rest);
      return result;
    },
    { step: "deserialize", priority: "low", name: "cutContents" },
  );
  return client;
}

const nothing = (): void => {};
/** The SDK's warnings would go to stdout, between the log's JSON lines. */
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
