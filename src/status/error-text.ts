/** Error texts as they may be shown: without credentials, bounded, and storable in a jsonb column. */
import { storableText } from "../observer/names.ts";

const MOST_CHARACTERS = 500;
/** Masking reads no further than this: an adapter may have quoted a whole body. */
const MOST_READ = 5_000;

/**
 * `scheme://user:password@` in any spelling, up to the *last* `@` of the word: a password that was not
 * percent-encoded may hold `/` and `@`. Adapters mask already; this is for the library message they didn't foresee.
 */
const USER_INFO = /\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s"'<>]*@/gi;

/** Masked first and cut afterwards, so that no cut leaves half of a password behind. At most 500 characters. */
export function publicText(text: string): string {
  const masked = text.slice(0, MOST_READ).replace(USER_INFO, "$1***@");
  return storableText(masked.length > MOST_CHARACTERS ? `${masked.slice(0, MOST_CHARACTERS - 1)}…` : masked);
}

export const errorText = (cause: unknown): string =>
  publicText(cause instanceof Error ? cause.message : String(cause));
