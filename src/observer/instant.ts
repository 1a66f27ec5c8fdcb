/**
 * Instants of the database's clock, in whole microseconds since 1970 (exact: the year 2255 still fits 2^53).
 *
 * As text they have one fixed width, `2026-11-23T20:02:34.123456Z`, so the order of the texts is the order of
 * the instants. The writing statement relies on that: it compares stamps as text, and so no hand-edited stamp
 * can make it fail on a cast.
 */
export type Instant = number & { readonly __unit: "microseconds" };

const TEXT = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})(\d{3})Z$/;

export const instant = (microseconds: number): Instant => Math.trunc(microseconds) as Instant;

export const addMs = (at: Instant, ms: number): Instant => instant(at + Math.round(ms * 1000));

export const ageMs = (at: Instant, now: Instant): number => (now - at) / 1000;

/** The last few. A thousand rows have the same stamps: with texts of their own, those of 100,000 rows would be 25 MB. */
const formatted = new Map<Instant, string>();
const FORMATTED = 8;

export function formatInstant(at: Instant): string {
  const known = formatted.get(at);
  if (known !== undefined) return known;
  const text = formatAnew(at);
  formatted.set(at, text);
  if (formatted.size > FORMATTED) formatted.delete(formatted.keys().next().value!);
  return text;
}

function formatAnew(at: Instant): string {
  const ms = Math.floor(at / 1000);
  // biome-ignore lint/style/noRestrictedGlobals: formatting a given instant reads no clock
  const text = new Date(ms).toISOString();
  return `${text.slice(0, -1)}${String(at - ms * 1000).padStart(3, "0")}Z`;
}

const RFC_3339 = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;

/** What an Engine or a store calls a time, to the microsecond; null for anything else. */
export function parseRfc3339(text: unknown): Instant | null {
  const match = typeof text === "string" ? RFC_3339.exec(text) : null;
  if (match === null) return null;
  // biome-ignore lint/style/noRestrictedGlobals: parsing a given text reads no clock
  const ms = Date.parse(`${match[1]!.replace(/[t ]/, "T")}${match[3]!.toUpperCase()}`);
  return Number.isNaN(ms) ? null : instant(ms * 1000 + Number((match[2] ?? "").slice(0, 6).padEnd(6, "0")));
}

/** Null for anything but the one fixed-width form: what somebody else wrote is not one of our stamps. */
export function parseInstant(text: unknown): Instant | null {
  if (typeof text !== "string") return null;
  const match = TEXT.exec(text);
  if (match === null) return null;
  // biome-ignore lint/style/noRestrictedGlobals: parsing a given text reads no clock
  const ms = Date.parse(`${match[1]}.${match[2]}Z`);
  return Number.isNaN(ms) ? null : instant(ms * 1000 + Number(match[3]));
}
