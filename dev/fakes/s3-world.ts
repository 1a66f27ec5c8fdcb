import { createHash } from "node:crypto";

export interface StoredObject {
  key: string;
  sizeBytes: number;
  lastModifiedMs: number;
  /** As S3 gives it, in double quotes. */
  etag: string;
  /** null: only the size is known, and the content is that many zero bytes. */
  body: Buffer | null;
}

export interface PutOptions {
  sizeBytes?: number;
  lastModified?: Date;
  body?: Buffer | string;
}

export interface ListQuery {
  prefix: string;
  /** Only keys after this one, by UTF-8 bytes; null: from the beginning. */
  after: string | null;
  limit: number;
}

/** The objects of one bucket, always in the UTF-8 byte order of their keys, which is not JavaScript's order. */
export class Bucket {
  readonly createdMs: number;
  readonly #nowMs: () => number;
  readonly #entries: Array<{ bytes: Buffer; object: StoredObject }> = [];

  constructor(
    readonly name: string,
    nowMs: () => number,
  ) {
    this.#nowMs = nowMs;
    this.createdMs = nowMs();
  }

  get objectCount(): number {
    return this.#entries.length;
  }

  /** All keys in order. */
  keys(): string[] {
    return this.#entries.map((entry) => entry.object.key);
  }

  /** Writes or overwrites an object. A body decides the size. */
  put(key: string, options: PutOptions = {}): StoredObject {
    const body = options.body === undefined ? null : Buffer.from(options.body);
    const sizeBytes = body?.length ?? options.sizeBytes ?? 0;
    const digest = createHash("md5").update(body ?? `${key} ${sizeBytes}`);
    const object: StoredObject = {
      key,
      sizeBytes,
      lastModifiedMs: options.lastModified?.getTime() ?? this.#nowMs(),
      etag: `"${digest.digest("hex")}"`,
      body,
    };
    const bytes = Buffer.from(key);
    const at = this.#firstNotBefore(bytes);
    const exists = this.#entries[at]?.object.key === key;
    this.#entries.splice(at, exists ? 1 : 0, { bytes, object });
    return object;
  }

  get(key: string): StoredObject | undefined {
    const entry = this.#entries[this.#firstNotBefore(Buffer.from(key))];
    return entry?.object.key === key ? entry.object : undefined;
  }

  /** @returns whether it was there */
  delete(key: string): boolean {
    const at = this.#firstNotBefore(Buffer.from(key));
    if (this.#entries[at]?.object.key !== key) return false;
    this.#entries.splice(at, 1);
    return true;
  }

  clear(): void {
    this.#entries.length = 0;
  }

  /** The next objects in order, and whether more follow. */
  list(query: ListQuery): { objects: StoredObject[]; more: boolean } {
    const prefix = Buffer.from(query.prefix);
    let at = this.#firstNotBefore(prefix);
    if (query.after !== null) {
      const after = Buffer.from(query.after);
      let next = this.#firstNotBefore(after);
      if (this.#entries[next]?.bytes.equals(after)) next++;
      at = Math.max(at, next);
    }
    const objects: StoredObject[] = [];
    for (; ; at++) {
      const entry = this.#entries[at];
      if (!entry?.bytes.subarray(0, prefix.length).equals(prefix)) return { objects, more: false };
      if (objects.length === query.limit) return { objects, more: true };
      objects.push(entry.object);
    }
  }

  #firstNotBefore(bytes: Buffer): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(this.#entries[middle]!.bytes, bytes) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
