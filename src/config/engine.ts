/**
 * `DOCKER_HOST`, `DOCKER_TLS_VERIFY`, `DOCKER_TLS` and `DOCKER_CERT_PATH`, as the docker CLI reads them: the two
 * flags are on with any value, and mean nothing on a unix socket.
 */
import { parseHostPort, quote, socketPathProblem } from "./parse.ts";
import type { ConfigSource } from "./source.ts";
import type { EngineConfig, EngineTls } from "./types.ts";
import { splitUrl } from "./url.ts";

const NAME = "DOCKER_HOST";
export const CERTIFICATES = ["ca.pem", "cert.pem", "key.pem"] as const;
const UNSUPPORTED: Readonly<Record<string, string>> = {
  ssh: "ssh:// is not supported; forward the socket with ssh -L and use unix://",
  npipe: "named pipes exist on Windows only, which is not supported",
  fd: "fd:// is for the Engine itself; use unix:// with the path of its socket",
};

/** Null where something is wrong; every problem is then in `source`. */
export const readEngine = (source: ConfigSource): EngineConfig | null =>
  readEndpoint(
    source,
    source.textOrDefault(NAME) ?? "",
    (what) => source.problem(NAME, what),
    () => readTls(source, certificateFolder(source)),
  );

/**
 * @param tell hears what is wrong with the text: what follows the setting's name
 * @param tls asked for the certificates where they are needed
 * @returns null where something is wrong
 */
export function readEndpoint(
  source: ConfigSource,
  text: string,
  tell: (what: string) => void,
  tls: () => EngineTls | null,
): EngineConfig | null {
  const before = source.problems.length;
  const problem = (what: string): void => tell(`${what} (got ${source.shown(NAME, text)})`);
  const scheme = /^([a-z]+):\/\//.exec(text)?.[1] ?? "";
  if (Object.hasOwn(UNSUPPORTED, scheme)) {
    problem(`cannot be used: ${UNSUPPORTED[scheme]}`);
    return null;
  }
  if (!["unix", "tcp", "http", "https"].includes(scheme)) {
    const hint = text.startsWith("/") ? "; for a socket write unix:// before its path" : "";
    tell(`must start with unix://, tcp://, http:// or https://, not ${source.shown(NAME, text)}${hint}`);
    return null;
  }
  const url = splitUrl(text, "unix://", problem);
  if (url === null) return null;
  if (url.user !== null || url.password !== null) problem("must not have a user or password");
  if (url.parameters.size > 0) problem("must not have parameters");
  const config = scheme === "unix" ? readUnix(url.authority, url.path, problem) : readTcp();
  return source.problems.length > before ? null : config;

  function readTcp(): EngineConfig | null {
    const tlsWanted = source.text("DOCKER_TLS_VERIFY") !== null || source.text("DOCKER_TLS") !== null;
    const path = (url?.path ?? "").replace(/^\/$/, "");
    if (path !== "") problem("must not have a path");
    if (tlsWanted && scheme === "http")
      problem("says http://, and DOCKER_TLS_VERIFY or DOCKER_TLS asks for TLS; keep one of them");
    const certificates = tlsWanted ? tls() : null;
    const secure = tlsWanted || scheme === "https";
    const place = parseHostPort(url?.authority ?? "", secure ? 2376 : 2375);
    if (typeof place === "string") {
      problem(`has ${place}`);
      return null;
    }
    const host = place.host.includes(":") ? `[${place.host}]` : place.host;
    return { kind: "tcp", url: `${secure ? "https" : "http"}://${host}:${place.port}`, tls: certificates };
  }
}

function readUnix(authority: string, path: string, problem: (what: string) => void): EngineConfig {
  if (authority !== "") problem("has no absolute path; a socket is written unix:///path, with three slashes");
  else {
    const fault = socketPathProblem(path);
    if (fault !== null) problem(`has ${fault}`);
  }
  return { kind: "unix", socketPath: path };
}

/** @param folder null: there is none, and that has been said */
export function readTls(source: ConfigSource, folder: string | null): EngineTls | null {
  for (const name of ["DOCKER_TLS_VERIFY", "DOCKER_TLS"] as const) {
    const text = source.text(name);
    if (text !== null && /^(?:0|false|no|off)$/i.test(text))
      source.warn(
        name,
        `is ${quote(text)}, and any value turns TLS on, as with the docker CLI; unset it for none`,
      );
  }
  if (folder === null) return null;
  const read = (file: string, mark: RegExp): string => {
    const path = `${folder}/${file}`;
    const pem = source.file("DOCKER_CERT_PATH", path, "the file");
    if (pem !== null && !mark.test(pem))
      source.problem("DOCKER_CERT_PATH", `cannot be used: the file ${quote(path)} is not in PEM form`);
    return pem ?? "";
  };
  return {
    ca: read(CERTIFICATES[0], /-----BEGIN CERTIFICATE-----/),
    cert: read(CERTIFICATES[1], /-----BEGIN CERTIFICATE-----/),
    key: read(CERTIFICATES[2], /-----BEGIN [A-Z ]*PRIVATE KEY-----/),
    verify: source.text("DOCKER_TLS_VERIFY") !== null,
  };
}

/** Without a slash at its end. */
export function certificateFolder(source: ConfigSource): string | null {
  const given = source.text("DOCKER_CERT_PATH");
  if (given !== null) return given.replace(/\/+$/, "");
  const home = source.text("HOME");
  if (home !== null) return `${home}/.docker`;
  source.problem("DOCKER_CERT_PATH", "is missing: TLS is asked for, and without HOME there is no ~/.docker");
  return null;
}
