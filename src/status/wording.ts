/** How times, sizes and foreign texts are put into words for people, on a terminal and on the page. */

/** A name can hold escape sequences, line breaks, or what turns the rest of a line round. */
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

export const printable = (text: string): string => text.replace(HARMFUL, "\ufffd");

const MOST_CHARACTERS = 200;

/** Whatever somebody wrote there, in one short harmless line. */
export function shown(value: unknown, most = MOST_CHARACTERS): string {
  const text =
    typeof value === "string"
      ? value
      : value === undefined
        ? "unknown"
        : (JSON.stringify(value) ?? "unknown");
  // A link or a row must not be there without being seen.
  if (/^[\p{C}\p{Z}\p{M}]+$/u.test(text)) return `(${counted(text.length, "invisible character")})`;
  return printable(text.length > most ? `${text.slice(0, most - 1)}…` : text).toWellFormed();
}

export function ago(ms: number): string {
  return ms < 0 ? "in the database's future" : `${lasting(ms)} ago`;
}

/** `3.4 s`, `59 s`, `12 min`, `5 h`, `3 days`: two figures tell enough. */
export function lasting(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

/** `12.3 kB`; powers of a thousand. */
export function sizeOf(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return power === 0 ? `${bytes} B` : `${(bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}

/** `1 row`, `2 rows`, `10,000 rows`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${count === 1 ? one : many}`;

export const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ",");
