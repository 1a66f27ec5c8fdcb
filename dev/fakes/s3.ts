import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Answer, beforeAnswer, FaultBoard, sendAnswer } from "./faults.ts";
import { listenHttp } from "./http-server.ts";
import { checkSignature, type S3Credentials } from "./s3-auth.ts";
import { errorAnswer, S3Refusal } from "./s3-error.ts";
import { type ListQuirk, listAnswer, listPosition } from "./s3-list.ts";
import { Bucket, type StoredObject } from "./s3-world.ts";

/**
 * A small S3 store in memory, path style, on loopback. It knows buckets, single objects and ListObjectsV2, and
 * answers NotImplemented to the rest: multipart, copies, versions, delimiters, streaming signatures.
 */

export type S3Operation =
  | "ListObjectsV2"
  | "GetBucketLocation"
  | "HeadBucket"
  | "CreateBucket"
  | "PutObject"
  | "GetObject"
  | "HeadObject"
  | "DeleteObject"
  | "Unknown";

/** Faults hit an operation, or one page of a listing: `ListObjectsV2#3`. */
export type S3Route = S3Operation | `ListObjectsV2#${number}`;

export interface S3Options {
  /** Default 0: any free port. */
  port?: number;
  /** A first bucket; default "archives". */
  bucket?: string;
  region?: string;
  /** null: nothing is signed. Default: see `s3DefaultCredentials`. */
  credentials?: S3Credentials | null;
  nowMs?: () => number;
}

export interface FakeS3 {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: S3Credentials | null;
  /** The first bucket. */
  readonly bucket: Bucket;
  readonly buckets: Map<string, Bucket>;
  readonly faults: FaultBoard<S3Route>;
  /** Quirks of a listing by page number from 1; one for "all" pages steps back behind a page's own. */
  readonly listQuirks: Map<number | "all", ListQuirk>;
  /** The last 1,000 operations, oldest first. */
  readonly operations: S3Operation[];
  stop(): Promise<void>;
}

export const s3DefaultCredentials: S3Credentials = {
  accessKeyId: "OBSERVERTESTKEY",
  secretAccessKey: "observer-test-secret",
};

export async function startS3(options: S3Options = {}): Promise<FakeS3> {
  const nowMs = options.nowMs ?? Date.now;
  const region = options.region ?? "us-east-1";
  const credentials = options.credentials === undefined ? s3DefaultCredentials : options.credentials;
  const first = new Bucket(options.bucket ?? "archives", nowMs);
  const buckets = new Map([[first.name, first]]);
  const faults = new FaultBoard<S3Route>();
  const listQuirks = new Map<number | "all", ListQuirk>();
  const operations: S3Operation[] = [];

  const server = await listenHttp({ port: options.port ?? 0 }, async (request, response) => {
    const target = readTarget(request);
    operations.push(target.operation);
    if (operations.length > 1000) operations.shift();
    const body = await readBody(request);
    const page = pageOf(target);
    const fault = faults.take(...(page === null ? [] : [`ListObjectsV2#${page}` as const]), target.operation);
    if (!(await beforeAnswer(response, fault))) return;
    try {
      if (credentials) checkSignature(request, credentials, nowMs());
      const answer = perform(request, target, body);
      if (answer === null) await sendZeros(response, requireObject(target));
      else await sendAnswer(response, answer, fault);
    } catch (error) {
      if (!(error instanceof S3Refusal)) throw error;
      await sendAnswer(response, errorAnswer(error, target.resource), fault);
    }
  });

  /** @returns null for an object without a stored body, which is sent as zeros */
  function perform(request: IncomingMessage, target: Target, body: Buffer): Answer | null {
    switch (target.operation) {
      case "ListObjectsV2": {
        const bucket = requireBucket(target.bucket);
        const quirk = listQuirks.get(listPosition(target.query).page) ?? listQuirks.get("all") ?? {};
        return listAnswer(bucket, target.query, quirk);
      }
      case "GetBucketLocation": {
        requireBucket(target.bucket);
        // us-east-1 is told by an empty element.
        const constraint = region === "us-east-1" ? "" : region;
        const xmlns = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
        return xml(`<LocationConstraint ${xmlns}>${constraint}</LocationConstraint>`);
      }
      case "HeadBucket":
        requireBucket(target.bucket);
        return { status: 200, headers: { "x-amz-bucket-region": region }, body: "" };
      case "CreateBucket":
        if (buckets.has(target.bucket)) throw new S3Refusal("BucketAlreadyOwnedByYou");
        buckets.set(target.bucket, new Bucket(target.bucket, nowMs));
        return { status: 200, headers: { Location: `/${target.bucket}` }, body: "" };
      case "PutObject": {
        const bucket = requireBucket(target.bucket);
        const isStreaming = String(request.headers["x-amz-content-sha256"]).startsWith("STREAMING-");
        if (isStreaming || request.headers["x-amz-copy-source"] !== undefined)
          throw new S3Refusal("NotImplemented");
        return { status: 200, headers: { ETag: bucket.put(target.key, { body }).etag }, body: "" };
      }
      case "GetObject":
      case "HeadObject": {
        const object = requireObject(target);
        if (target.operation === "HeadObject")
          return { status: 200, headers: objectHeaders(object), body: "" };
        return object.body && { status: 200, headers: objectHeaders(object), body: object.body };
      }
      case "DeleteObject":
        requireBucket(target.bucket).delete(target.key);
        return { status: 204, headers: {}, body: "" };
      case "Unknown":
        throw new S3Refusal("NotImplemented");
    }
  }

  function requireBucket(name: string): Bucket {
    const bucket = buckets.get(name);
    if (!bucket) throw new S3Refusal("NoSuchBucket");
    return bucket;
  }

  function requireObject(target: Target): StoredObject {
    const object = requireBucket(target.bucket).get(target.key);
    if (!object) throw new S3Refusal("NoSuchKey");
    return object;
  }

  return {
    endpoint: `http://127.0.0.1:${server.port}`,
    region,
    credentials,
    bucket: first,
    buckets,
    faults,
    listQuirks,
    operations,
    stop: () => server.stop(),
  };
}

interface Target {
  operation: S3Operation;
  bucket: string;
  key: string;
  query: URLSearchParams;
  /** `/bucket/key`, decoded, for error texts. */
  resource: string;
}

/** What a path-style request is about. Only queries that belong to a known operation are accepted. */
function readTarget(request: IncomingMessage): Target {
  const url = new URL(request.url ?? "/", "http://s3");
  // Not url.pathname: it would resolve `..`, which is a legal part of a key.
  const [rawPath = "/"] = (request.url ?? "/").split("?");
  const resource = decodeURIComponent(rawPath);
  const [, bucket = "", key = ""] = /^\/([^/]*)\/?(.*)$/s.exec(resource) ?? [];
  const query = url.searchParams;
  const unknownQuery = [...query.keys()].some(
    (name) => !LIST_QUERY.has(name) && name !== "x-id" && name !== "location",
  );
  return { operation: operationOf(), bucket, key, query, resource };

  function operationOf(): S3Operation {
    const method = request.method ?? "";
    if (bucket === "" || unknownQuery) return "Unknown";
    if (key !== "") {
      const operations = {
        PUT: "PutObject",
        GET: "GetObject",
        HEAD: "HeadObject",
        DELETE: "DeleteObject",
      } as const;
      return operations[method as keyof typeof operations] ?? "Unknown";
    }
    if (method === "HEAD") return "HeadBucket";
    if (method === "PUT") return "CreateBucket";
    if (method !== "GET") return "Unknown";
    if (query.has("location")) return "GetBucketLocation";
    return query.get("list-type") === "2" ? "ListObjectsV2" : "Unknown";
  }
}

const LIST_QUERY = new Set(
  "list-type prefix start-after continuation-token max-keys encoding-type delimiter fetch-owner".split(" "),
);

function pageOf(target: Target): number | null {
  if (target.operation !== "ListObjectsV2") return null;
  try {
    return listPosition(target.query).page;
  } catch {
    return null;
  }
}

function objectHeaders(object: StoredObject): Record<string, string> {
  return {
    "Content-Type": "application/octet-stream",
    "Content-Length": String(object.sizeBytes),
    ETag: object.etag,
    "Last-Modified": new Date(object.lastModifiedMs).toUTCString(),
    "Accept-Ranges": "bytes",
  };
}

function xml(content: string): Answer {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n${content}`;
  return { status: 200, headers: { "Content-Type": "application/xml" }, body };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Hundreds of megabytes of nothing, without holding them. */
async function sendZeros(response: ServerResponse, object: StoredObject): Promise<void> {
  response.writeHead(200, objectHeaders(object));
  const zeros = Buffer.alloc(64 * 1024);
  function* chunks() {
    for (let left = object.sizeBytes; left > 0; left -= zeros.length) yield zeros.subarray(0, left);
  }
  await pipeline(Readable.from(chunks()), response);
}
