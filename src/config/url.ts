/**
 * Splits connection URLs, and shows them without their secrets.
 *
 * The platform's URL class knows neither several hosts nor a socket's folder in the place of the host, and is
 * generous where a mistyped password would end up in a host or a path.
 */

export interface SplitUrl {
  /** Lower case, without `://`. */
  readonly scheme: string;
  readonly user: string | null;
  readonly password: string | null;
  /** Between credentials and path, still percent-encoded: `h1:1,h2:2`, `[::1]`, `%2Frun%2Fpostgresql`. */
  readonly authority: string;
  /** With its leading slash, or empty; decoded. */
  readonly path: string;
  /** Decoded, names as written. */
  readonly parameters: ReadonlyMap<string, string>;
}

const URL_FORM = /^([a-z][a-z0-9+.-]{0,29}):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/i;

/**
 * @param beginning scheme of an example: `postgres://`
 * @param problem is given texts that follow the setting's name, and repeat nothing that could be secret
 */
export function splitUrl(text: string, beginning: string, problem: (what: string) => void): SplitUrl | null {
  if (/[\u0000-\u0020\u007f]/.test(text)) {
    problem("must not contain spaces or control characters");
    return null;
  }
  const match = URL_FORM.exec(text);
  const [, scheme = "", place = "", path = "", query = ""] = match ?? [];
  if (match === null || place.split("@").length > 2 || `${path}${query}`.includes("@")) {
    problem(
      /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
        ? "has characters in its user name or password that must be percent-encoded (@ as %40, / as %2F, : as %3A, ? as %3F, # as %23)"
        : `must be a URL, such as one that begins with ${beginning}`,
    );
    return null;
  }
  const at = place.indexOf("@");
  const credentials = at < 0 ? null : place.slice(0, at);
  const colon = credentials?.indexOf(":") ?? -1;
  let broken = false;
  const decode = (part: string): string => {
    const decoded = percentDecode(part);
    if (decoded === null) broken = true;
    return decoded ?? "";
  };
  const user = credentials === null ? "" : decode(colon < 0 ? credentials : credentials.slice(0, colon));
  const password = credentials === null || colon < 0 ? "" : decode(credentials.slice(colon + 1));
  const parameters = new Map<string, string>();
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    if (equals < 0) problem("has a parameter without a value");
    if (parameters.has(name)) problem(`has the parameter ${safeName(name)} twice`);
    parameters.set(name, equals < 0 ? "" : decode(pair.slice(equals + 1)));
  }
  const decodedPath = decode(path);
  if (broken) {
    problem("has a broken percent-encoding (a percent sign itself is written %25)");
    return null;
  }
  return {
    scheme: scheme.toLowerCase(),
    user: user === "" ? null : user,
    password: password === "" ? null : password,
    authority: at < 0 ? place : place.slice(at + 1),
    path: decodedPath,
    parameters,
  };
}

/** Null where the encoding is broken, or hides a NUL, which no service takes. */
export function percentDecode(text: string): string | null {
  try {
    const decoded = decodeURIComponent(text);
    return decoded.includes("\u0000") ? null : decoded;
  } catch {
    return null;
  }
}

/** A parameter's name, as far as it can't be a piece of a password. */
export const safeName = (name: string): string => (/^[A-Za-z_.-]{1,30}$/.test(name) ? name : "***");

/** Parameters whose values say nothing secret. */
const OPEN_PARAMETERS = new Set([
  "host",
  "port",
  "user",
  "dbname",
  "db",
  "sslmode",
  "sslrootcert",
  "application_name",
  "connect_timeout",
  "target_session_attrs",
  "search_path",
  "options",
]);

/**
 * `postgres://me:secret@db/x` → `postgres://me:***@db/x`. What doesn't have a URL's form is hidden whole: where a
 * password ends can't be known there.
 */
export function maskUrl(text: string): string {
  const match = URL_FORM.exec(text);
  if (match === null) return /^[a-z][a-z0-9+.-]{0,29}:\/\//i.exec(text)?.[0].concat("***") ?? "***";
  const [, scheme = "", place = "", path = "", query = ""] = match;
  const [first = "", second, ...more] = place.split("@");
  // Without an @ a password may stand where the port belongs: only digits are a port.
  const portLike = (second ?? first)
    .split(",")
    .every((host) => /^(?:\[[^\]]*\]|[^:]*)(?::\d{0,5})?$/.test(host));
  if (more.length > 0 || `${path}${query}`.includes("@") || path.includes(":") || !portLike)
    return `${scheme}://***`;
  // Alone before the @, a user name is often a password (redis://secret@host).
  const [name = "", password = ""] = first.split(":");
  const credentials = second === undefined ? "" : password === "" ? "***@" : `${name}:***@`;
  const parameters = query.split("&").map((pair) => {
    const equals = pair.indexOf("=");
    const name = pair.slice(0, Math.max(equals, 0));
    if (OPEN_PARAMETERS.has(name)) return pair;
    return name === "" ? "***" : `${safeName(name)}=***`;
  });
  return `${scheme}://${credentials}${second ?? first}${path}${query === "" ? "" : `?${parameters.join("&")}`}`;
}
