/** The small forms that a setting's text can have. A parser answers the value, or what it expected instead. */
import { isIPv4, isIPv6 } from "node:net";

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  /** Follows "must be": `a whole number from 1 to 5`. */
  | { readonly ok: false; readonly expected: string };

export const parsed = <T>(value: T): Parsed<T> => ({ ok: true, value });
export const expected = (what: string): Parsed<never> => ({ ok: false, expected: what });

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

function durationMs(text: string): number | null {
  const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
  return match === null ? null : Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
}

/** `500ms`, `10s`, `5m`, `1h` → milliseconds, within both bounds, which are durations themselves. */
export function parseDuration(text: string, min: string, max: string): Parsed<number> {
  const value = durationMs(text);
  if (value === null) return expected("a duration such as 10s or 500ms");
  const [least, most] = [durationMs(min), durationMs(max)];
  if (least === null || most === null) throw new Error(`Bug: ${min} to ${max} is no range of durations`);
  return value < least || value > most ? expected(`a duration from ${min} to ${max}`) : parsed(value);
}

/** 90000 → `90s`, in the largest unit that is exact. */
export function formatDuration(ms: number): string {
  if (ms !== 0 && ms % UNIT_MS.h === 0) return `${ms / UNIT_MS.h}h`;
  if (ms !== 0 && ms % UNIT_MS.m === 0) return `${ms / UNIT_MS.m}m`;
  return ms % UNIT_MS.s === 0 ? `${ms / UNIT_MS.s}s` : `${ms}ms`;
}

export function parseInteger(text: string, min: number, max: number): Parsed<number> {
  const value = /^\d{1,12}$/.test(text) ? Number(text) : -1;
  return value < min || value > max ? expected(`a whole number from ${min} to ${max}`) : parsed(value);
}

/** `0.5` → 0.5; above 0, below 1. */
export function parseRatio(text: string): Parsed<number> {
  const value = /^\d{0,3}(?:\.\d{1,12})?$/.test(text) && text !== "" ? Number(text) : 0;
  return value > 0 && value < 1 ? parsed(value) : expected("a number above 0 and below 1, such as 0.5");
}

export function parseSwitch(text: string): Parsed<boolean> {
  const value = text.toLowerCase();
  if (["on", "true", "yes", "1"].includes(value)) return parsed(true);
  if (["off", "false", "no", "0"].includes(value)) return parsed(false);
  return expected("on or off");
}

export function parseChoice(text: string, choices: readonly string[]): Parsed<string> {
  const value = text.toLowerCase();
  return choices.includes(value) ? parsed(value) : expected(oneOf(choices));
}

/** `["a", "b", "c"]` → `a, b or c`. */
export const oneOf = (words: readonly string[]): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;

export function parsePort(text: string, min: 0 | 1 = 1): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  return port >= min && port <= 65_535 ? port : null;
}

/** A host name (letters, digits, `-`, `_`, labels apart by dots) or an IPv4 address. */
export function isHostName(text: string): boolean {
  if (isIPv4(text)) return true;
  // What ends in digits would be read as an address by some resolvers (`127.1`), and as a name by others.
  if (/^(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?$/i.test(text)) return false;
  return text.length <= 253 && /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?)+$/i.test(text);
}

/**
 * `host`, `host:port`, `[v6]`, `[v6]:port` → host without brackets, and port or the default.
 * Answers a problem as text (after "has") that never repeats the input: it may hold a misplaced password.
 */
export function parseHostPort(text: string, defaultPort: number): { host: string; port: number } | string {
  const match = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(text);
  if (match === null) return "a host that is neither a name nor an address (an IPv6 address needs brackets)";
  const inside = match[1] as string;
  const host = inside.startsWith("[") ? inside.slice(1, -1) : inside;
  if (host === "") return "no host";
  if (inside.startsWith("[") ? !isIPv6(host) : !isHostName(host))
    return "a host that is neither a name nor an address";
  const port = match[2] === undefined ? defaultPort : parsePort(match[2]);
  return port === null ? "a port that is not a number from 1 to 65535" : { host, port };
}

/** Linux takes no longer path for a unix socket. */
const SOCKET_PATH_BYTES = 107;

/** Answers a problem as text (after "has"), or null. */
export function socketPathProblem(path: string): string | null {
  if (!path.startsWith("/")) return "a socket path that is not absolute";
  if (/[\u0000-\u001f\u007f]/.test(path)) return "a control character in its socket path";
  return Buffer.byteLength(path) > SOCKET_PATH_BYTES
    ? `a socket path longer than ${SOCKET_PATH_BYTES} bytes`
    : null;
}

/** In quotes, on one line, shortened: fit for a message. */
export function quote(text: string): string {
  const whole = text.toWellFormed();
  return JSON.stringify(whole.length > 120 ? `${whole.slice(0, 120)}…` : whole);
}
