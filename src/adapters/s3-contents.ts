/**
 * The entries of a ListObjectsV2 page, read out of its XML without a parser: the SDK's takes 20 to 30 ms for a page of
 * 1,000, which for 200,000 objects is five seconds of a core at every look.
 *
 * What is read here is cut out of the text, and the SDK parses what is left: everything that the page says of itself,
 * its errors, and whether it is XML to the end. Whatever isn't exactly of the form that every store writes is not
 * understood here, and left to the SDK whole.
 */
import type { ListEntry } from "./s3-page.ts";

export interface CutPage {
  /** The page without its entries. */
  readonly rest: string;
  readonly entries: readonly ListEntry[];
}

const OPEN = "<Contents>";
const CLOSE = "</Contents>";
/** Beyond references and simple elements there is nothing to understand in an entry. */
const STRANGE = /\r|<[!?]|<[A-Za-z][^>]*[\s/]|<[^>]*:/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
const SIZE = /^\d{1,16}$/;
const REFERENCES: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
};

/** @returns null: it is for the SDK to parse */
export function cutContents(page: string): CutPage | null {
  const start = page.indexOf(OPEN);
  if (start === -1) return null;
  const end = page.lastIndexOf(CLOSE) + CLOSE.length;
  if (end < start + OPEN.length) return null;
  const section = page.slice(start, end);
  const entries: ListEntry[] = [];
  let at = 0;
  while (at < section.length) {
    // White space between the entries, nothing else.
    const next = section.indexOf(OPEN, at);
    if (next === -1 || section.slice(at, next).trim() !== "") return null;
    const close = section.indexOf(CLOSE, next);
    if (close === -1) return null;
    const entry = readEntry(section.slice(next + OPEN.length, close));
    if (entry === null) return null;
    entries.push(entry);
    at = close + CLOSE.length;
  }
  const rest = page.slice(0, start) + page.slice(end);
  // Half an entry before the first or after the last whole one.
  return /<\/?Contents/.test(rest) ? null : { rest, entries };
}

function readEntry(text: string): ListEntry | null {
  if (STRANGE.test(text)) return null;
  const key = textOf(text, "Key");
  const modified = textOf(text, "LastModified");
  const size = textOf(text, "Size");
  if (key === null || modified === null || size === null) return null;
  if (!TIME.test(modified) || !SIZE.test(size)) return null;
  return { Key: ofItsOwn(key), LastModified: new Date(modified), Size: Number(size) };
}

/** A slice keeps the page alive that it was cut out of: as long as the listing is remembered, half a kilobyte an entry. */
const ofItsOwn = (text: string): string => Buffer.from(text).toString();

/** Of the one element of that name; null where there is none, or more, or where it holds other elements. */
function textOf(entry: string, name: string): string | null {
  const open = `<${name}>`;
  const start = entry.indexOf(open);
  if (start === -1 || entry.indexOf(open, start + open.length) !== -1) return null;
  const end = entry.indexOf("<", start + open.length);
  if (end === -1 || !entry.startsWith(`</${name}>`, end)) return null;
  return decoded(entry.slice(start + open.length, end));
}

/** Null: a reference that is not one of the five, or one that no character has. */
function decoded(text: string): string | null {
  if (!text.includes("&")) return text;
  let isUnderstood = true;
  const plain = text.replaceAll(/&[^;&]*;?/g, (reference) => {
    const known = REFERENCES[reference];
    if (known === undefined) isUnderstood = false;
    return known ?? "";
  });
  return isUnderstood ? plain : null;
}
