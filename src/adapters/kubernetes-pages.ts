/**
 * A page of a list, as text and as what was made of it. Most pages are byte for byte what they were at the last look but
 * for the version in their head, and pods are long: of 5,000 the parsing takes as long as a server needs for a third of them.
 */
import { createHash } from "node:crypto";
import { type Fields, fieldsOf } from "./kubernetes-fields.ts";
import { parseJson } from "./kubernetes-transport.ts";

export interface Page<T> {
  readonly kind: unknown;
  readonly metadata: Fields;
  /** Null: there is no list of items. */
  readonly items: readonly T[] | null;
}

/** What was made of the pages of the last whole list, by the SHA-256 of all from their items on. */
export class KnownPages<T> {
  #known: ReadonlyMap<string, readonly T[]> = new Map();

  /** For one list; what it doesn't show any more is forgotten when it is `done`. */
  begin(): { read(body: Uint8Array, parse: (object: Fields) => T): Page<T>; done(): void } {
    const seen = new Map<string, readonly T[]>();
    return {
      read: (body, parse) => {
        const cut = startOfItems(body);
        const head = cut === null ? null : headOf(body.subarray(0, cut));
        const digest = head && createHash("sha256").update(body.subarray(cut!)).digest("base64");
        const known = digest === null ? undefined : this.#known.get(digest);
        const page = known && head ? { ...head, items: known } : readPage(body, parse);
        if (digest !== null && page.items !== null && isSameHead(page, head)) seen.set(digest, page.items);
        return page;
      },
      done: () => {
        this.#known = seen;
      },
    };
  }
}

/** @throws KubernetesFault for what is no JSON, or not all of it */
export function readPage<T>(body: Uint8Array, parse: (object: Fields) => T): Page<T> {
  const { kind, metadata, items } = fieldsOf(parseJson(body));
  return {
    kind,
    metadata: fieldsOf(metadata),
    items: Array.isArray(items) ? items.map((object) => parse(fieldsOf(object))) : null,
  };
}

type Head = Omit<Page<never>, "items">;

const HEAD_BYTES = 4_096;
const ITEMS = '"items":[';

/** A server writes version and token before the items. Null: this one doesn't. */
function startOfItems(body: Uint8Array): number | null {
  const at = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, HEAD_BYTES)).indexOf(ITEMS);
  return at < 0 ? null : at;
}

/** Of a page whose items were left out. */
function headOf(start: Uint8Array): Head | null {
  try {
    const { kind, metadata } = fieldsOf(JSON.parse(`${new TextDecoder().decode(start)}${ITEMS}]}`));
    return { kind, metadata: fieldsOf(metadata) };
  } catch {
    return null;
  }
}

/** What the head says is what the page says: nothing behind the items says otherwise. */
const isSameHead = ({ kind, metadata }: Head, head: Head | null): boolean =>
  head !== null && kind === head.kind && JSON.stringify(metadata) === JSON.stringify(head.metadata);

/** The token of the next page, before this one is parsed: a guess. */
export function foretoldToken(body: Uint8Array): string | null {
  const cut = startOfItems(body);
  const token = cut === null ? undefined : headOf(body.subarray(0, cut))?.metadata.continue;
  return typeof token === "string" && token !== "" ? token : null;
}
