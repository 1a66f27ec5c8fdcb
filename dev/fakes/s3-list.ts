import type { Answer } from "./faults.ts";
import { escapeXml, S3Refusal } from "./s3-error.ts";
import type { Bucket, StoredObject } from "./s3-world.ts";

/** What is odd about one page of a listing. Short pages are legal, everything else is a broken store. */
export interface ListQuirk {
  /** Serve at most so many keys, fewer than asked for, with IsTruncated true while more follow. */
  keysMax?: number;
  /** The page's NextContinuationToken is the one that led to it: an endless loop for the trusting. */
  repeatToken?: true;
  /** IsTruncated true, and no NextContinuationToken. */
  dropToken?: true;
  /** IsTruncated false though more follows, and no token: the false end of a listing. */
  claimEnd?: true;
  /** KeyCount says this. */
  keyCount?: number;
  /** Name says this: somebody else's bucket. */
  name?: string;
  /** No IsTruncated element at all. */
  omitIsTruncated?: true;
}

/** Where a listing stands; inside the opaque token. */
interface Position {
  /** Number of the page to be served, from 1. */
  page: number;
  after: string | null;
}

const MAX_KEYS = 1000;

/** Reads the position that a ListObjectsV2 request asks for. A token wins over start-after. */
export function listPosition(query: URLSearchParams): Position {
  const token = query.get("continuation-token");
  if (token === null) return { page: 1, after: query.get("start-after") || null };
  try {
    const [page, after] = JSON.parse(Buffer.from(token, "base64").toString());
    if (Number.isInteger(page) && (after === null || typeof after === "string")) return { page, after };
  } catch {
    // Refused below, as a token of the wrong form is.
  }
  throw new S3Refusal("InvalidArgument", "The continuation token provided is incorrect");
}

/** The ListBucketResult of ListObjectsV2. */
export function listAnswer(bucket: Bucket, query: URLSearchParams, quirk: ListQuirk): Answer {
  const position = listPosition(query);
  const prefix = query.get("prefix") ?? "";
  const startAfter = query.get("start-after");
  const maxKeys = readMaxKeys(query.get("max-keys"));
  const encoding = query.get("encoding-type");
  if (encoding !== null && encoding !== "url") {
    throw new S3Refusal("InvalidArgument", "Invalid Encoding Method specified in Request");
  }
  if (query.get("delimiter"))
    throw new S3Refusal("NotImplemented", "This store lists without delimiter only");

  const limit = Math.min(maxKeys, quirk.keysMax ?? maxKeys);
  const { objects, more } = bucket.list({ prefix, after: position.after, limit });
  // With max-keys=0 there is no last key to go on from, so S3 says that nothing follows.
  const truncated = more && maxKeys > 0 && !quirk.claimEnd;
  const next: Position = quirk.repeatToken
    ? position
    : { page: position.page + 1, after: objects.at(-1)?.key ?? position.after };
  const text = (value: string) => escapeXml(encoding === "url" ? encodeKey(value) : value);

  const body = [
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
    element("Name", escapeXml(quirk.name ?? bucket.name)),
    element("Prefix", text(prefix)),
    startAfter === null ? "" : element("StartAfter", text(startAfter)),
    query.has("continuation-token")
      ? element("ContinuationToken", escapeXml(query.get("continuation-token")!))
      : "",
    truncated && !quirk.dropToken ? element("NextContinuationToken", token(next)) : "",
    element("KeyCount", String(quirk.keyCount ?? objects.length)),
    element("MaxKeys", String(maxKeys)),
    encoding === null ? "" : element("EncodingType", encoding),
    quirk.omitIsTruncated ? "" : element("IsTruncated", String(truncated)),
    ...objects.map((object) => contents(object, text)),
    "</ListBucketResult>",
  ].join("");
  return { status: 200, headers: { "Content-Type": "application/xml" }, body };
}

function contents(object: StoredObject, text: (value: string) => string): string {
  return element(
    "Contents",
    element("Key", text(object.key)) +
      element("LastModified", new Date(object.lastModifiedMs).toISOString()) +
      element("ETag", escapeXml(object.etag)) +
      element("Size", String(object.sizeBytes)) +
      element("StorageClass", "STANDARD"),
  );
}

function element(name: string, content: string): string {
  return content === "" ? `<${name}/>` : `<${name}>${content}</${name}>`;
}

/** Has `+`, `/` and `=` in it, so that a client that forgets to encode it fails. */
function token(position: Position): string {
  return Buffer.from(JSON.stringify([position.page, position.after])).toString("base64");
}

function readMaxKeys(text: string | null): number {
  if (text === null || text === "") return MAX_KEYS;
  if (!/^\d{1,10}$/.test(text)) {
    throw new S3Refusal("InvalidArgument", "Provided max-keys not an integer or within integer range");
  }
  return Math.min(Number(text), MAX_KEYS);
}

/** encoding-type=url: percent-encoding of the UTF-8 bytes, with slashes left and spaces as `+`. */
function encodeKey(key: string): string {
  return encodeURIComponent(key.toWellFormed())
    .replace(/%2F/g, "/")
    .replace(/%20/g, "+")
    .replace(/[!'()]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
