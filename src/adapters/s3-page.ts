/**
 * What one page of a listing must look like before anything is concluded from it (P1).
 *
 * The SDK turns an empty or foreign 200 into an empty page without a complaint, and a proxy, a cache or a store with
 * a bug can answer another question than the one asked. An absence may only follow from pages that are proven to be
 * the whole answer, in sequence, so every statement a page makes about itself is checked against what came.
 */

/** The parts of a ListObjectsV2 answer that are read: all of them foreign, so none is trusted. */
export interface ListAnswer {
  readonly $metadata?: { readonly httpStatusCode?: number | undefined } | undefined;
  readonly Name?: unknown;
  readonly Prefix?: unknown;
  readonly KeyCount?: unknown;
  readonly IsTruncated?: unknown;
  readonly ContinuationToken?: unknown;
  readonly NextContinuationToken?: unknown;
  readonly StartAfter?: unknown;
  readonly EncodingType?: unknown;
  readonly CommonPrefixes?: unknown;
  readonly Contents?: readonly ListEntry[] | undefined;
}

export interface ListEntry {
  readonly Key?: unknown;
  readonly LastModified?: unknown;
  readonly Size?: unknown;
}

export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970 by the store's clock. */
  readonly modifiedMs: number;
}

/** The page proves nothing: `message` says what is wrong with it. */
export class UnbelievablePage extends Error {
  override readonly name = "UnbelievablePage";
}

export interface PageSequence {
  /** Token to ask the next page with; null for the first one. */
  readonly token: string | null;
  /** The last page has been accepted: everything below the prefix was seen. */
  readonly complete: boolean;
  /** Pages accepted so far. */
  readonly pages: number;
  /** Checks the answer to the question with `token` and moves on. Throws UnbelievablePage. */
  accept(answer: ListAnswer): StoredObject[];
}

/**
 * The pages of one listing of `bucket` below `prefix`, in order.
 *
 * @param after the key that it begins behind
 */
export function pageSequence(bucket: string, prefix: string, after: string | null = null): PageSequence {
  let token: string | null = null;
  let complete = false;
  let pages = 0;
  let lastKey = after;
  const tokens = new Set<string>();

  function accept(answer: ListAnswer): StoredObject[] {
    if (complete) throw new Error("page sequence: a page after the last one");
    requireSelfDescription(answer, bucket, prefix, token);
    if (isSaid(answer.StartAfter) && answer.StartAfter !== after)
      refuse(`it begins behind ${quote(answer.StartAfter)}`);
    const objects = (answer.Contents ?? []).map((entry) => parseObject(entry, prefix));
    for (const { key } of objects) {
      if (!survivesXml(key)) continue;
      if (lastKey !== null && compareKeys(lastKey, key) >= 0)
        refuse(`key ${quote(key)} comes after ${quote(lastKey)}: keys must ascend in UTF-8 order`);
      lastKey = key;
    }
    const next = nextToken(answer);
    if (next !== null && tokens.has(next)) refuse("its continuation token has been given before");
    if (next === null) complete = true;
    else tokens.add(next);
    token = next;
    pages += 1;
    return objects;
  }

  return {
    get token() {
      return token;
    },
    get complete() {
      return complete;
    },
    get pages() {
      return pages;
    },
    accept,
  };
}

function requireSelfDescription(
  answer: ListAnswer,
  bucket: string,
  prefix: string,
  token: string | null,
): void {
  const status = answer.$metadata?.httpStatusCode;
  if (status !== 200) refuse(`it came with status ${status ?? "unknown"} instead of 200`);
  if (answer.IsTruncated === undefined && answer.Name === undefined)
    refuse("it is empty or not an S3 listing at all");
  if (typeof answer.IsTruncated !== "boolean") refuse("it doesn't say whether it is truncated");
  // Ceph knows buckets of other tenants as `tenant:bucket` and answers without the tenant.
  if (answer.Name !== bucket && !(typeof answer.Name === "string" && bucket.endsWith(`:${answer.Name}`)))
    refuse(`it is about bucket ${quote(answer.Name)}`);
  const came = answer.Contents?.length ?? 0;
  if (answer.CommonPrefixes !== undefined) refuse("it groups keys, which nobody asked for");
  if (answer.KeyCount !== came) refuse(`it claims ${quote(answer.KeyCount)} keys and has ${came}`);
  // Keys are asked for as they are: XML carries whatever can be a workspace's, and encodings differ between stores.
  if (isSaid(answer.EncodingType)) refuse(`its keys are encoded (${quote(answer.EncodingType)})`);
  // Both are optional in practice, but a store or cache that repeats another question has answered that one.
  if (isSaid(answer.Prefix) && answer.Prefix !== prefix) refuse(`it is about prefix ${quote(answer.Prefix)}`);
  if (isSaid(answer.ContinuationToken) && answer.ContinuationToken !== token)
    refuse("it answers another continuation token");
}

function nextToken(answer: ListAnswer): string | null {
  const next = answer.NextContinuationToken;
  if (answer.IsTruncated === true) {
    if (typeof next !== "string" || next === "") refuse("it is truncated but has no continuation token");
    return next;
  }
  if (isSaid(next)) refuse("it has a continuation token but says that it is the last");
  return null;
}

function parseObject(entry: ListEntry, prefix: string): StoredObject {
  const { Key: key, LastModified: modified, Size: size } = entry;
  if (typeof key !== "string" || key === "") refuse("an entry has no key");
  if (!key.startsWith(prefix)) refuse(`key ${quote(key)} isn't below the prefix ${quote(prefix)}`);
  const modifiedMs = modified instanceof Date ? modified.getTime() : Number.NaN;
  if (Number.isNaN(modifiedMs)) refuse(`key ${quote(key)} has no time of upload`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    refuse(`key ${quote(key)} has no valid size`);
  return { key, sizeBytes: size, modifiedMs };
}

/**
 * XML changes some characters on the way (line ends are normalised, other control characters are replaced by some
 * stores), and a changed key may stand out of order without anything being wrong. No workspace has such a name.
 */
function survivesXml(key: string): boolean {
  return !/[\u0000-\u001f\u007f\ufffd-\uffff]/.test(key);
}

/**
 * Order of the UTF-8 bytes, in which S3 lists: negative, zero or positive. JavaScript's own order of UTF-16 units
 * differs in one thing: surrogate pairs (above U+FFFF) stand before U+E000–U+FFFF there.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    if (isSurrogate(x) !== isSurrogate(y)) return isSurrogate(x) ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;

const isSaid = (value: unknown): boolean => value !== undefined && value !== null && value !== "";
const quote = (value: unknown): string =>
  value === undefined ? "(none)" : JSON.stringify(typeof value === "string" ? value.slice(0, 200) : value);

function refuse(what: string): never {
  throw new UnbelievablePage(what);
}
