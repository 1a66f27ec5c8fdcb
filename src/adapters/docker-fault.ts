/** A fault of the Engine or of the way to it, in words that fit after "Cannot list containers: ". */
import type * as v from "valibot";
import { codeOf, excerpt } from "./foreign-text.ts";

export class EngineFault extends Error {
  override readonly name = "EngineFault";
  /** The HTTP status, where that is what was wrong. */
  readonly status: number | null;
  /** The Engine's own words, where the answer has the form that an Engine gives them. */
  readonly said: string | null;

  constructor(
    message: string,
    options: ErrorOptions & { readonly status?: number; readonly said?: string | null } = {},
  ) {
    super(message, options);
    this.status = options.status ?? null;
    this.said = options.said ?? null;
  }
}

/** Where the Engine listens. */
export type DockerEndpoint =
  | { readonly kind: "unix"; readonly socketPath: string }
  | {
      readonly kind: "tcp";
      /** `http://host:port` or `https://host:port`. */
      readonly url: string;
      /** PEM texts. */
      readonly tls: {
        readonly ca?: string | null | undefined;
        readonly cert?: string | null | undefined;
        readonly key?: string | null | undefined;
        readonly verify: boolean;
      } | null;
    };

export const describeEndpoint = (endpoint: DockerEndpoint): string =>
  endpoint.kind === "unix" ? endpoint.socketPath : endpoint.url;

/** The deadline passed, or the whole program is stopping: the caller knows which. */
export function givenUp(signal: AbortSignal, doing: string): EngineFault {
  const reason: unknown = signal.reason;
  const why = reason instanceof Error ? reason.message : String(reason);
  return new EngineFault(`given up while ${doing} (${excerpt(why)})`, { cause: reason });
}

/** What `fetch` throws when there is no answer at all. Its messages mislead, its codes are right. */
export function explainFailedConnection(error: unknown, endpoint: DockerEndpoint): EngineFault {
  const at = describeEndpoint(endpoint);
  const code = codeOf(error);
  const known = connectionText(code, at, endpoint.kind);
  // The cause would be told beside it ("Was there a typo in the url?"), and send whoever reads it after the wrong thing.
  return known !== null
    ? new EngineFault(known)
    : new EngineFault(unknownText(error, code, at), { cause: error });
}

function connectionText(code: string, at: string, kind: DockerEndpoint["kind"]): string | null {
  switch (code) {
    case "ENOENT":
      return `there is no socket at ${at} (ENOENT): start dockerd, or let DOCKER_HOST name its socket`;
    case "EACCES":
    case "EPERM":
      return `the socket ${at} may not be used by this user (${code}): add the user to the socket's group, usually "docker"; a rootless Engine's opens to its own user only`;
    case "ECONNREFUSED":
      return `nobody listens at ${at} (ECONNREFUSED): is dockerd running${
        kind === "unix" ? ", and is this its socket" : ", and does it listen there"
      }?`;
    case "ENAMETOOLONG":
      return `the path ${at} is too long for a unix socket (ENAMETOOLONG): 107 bytes are the most`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the host of ${at} has no address (${code}): let DOCKER_HOST name the Engine's host`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ETIMEDOUT":
      return `the host of ${at} can't be reached (${code})`;
    case "ECONNRESET":
    case "ECONNABORTED":
    case "EPIPE":
    case "ConnectionClosed":
      return `the connection to ${at} was closed before the answer was complete (${code}): did the Engine stop, or is it somebody else's socket?`;
    case "EPROTO":
      return `no TLS at ${at} (EPROTO): the Engine there speaks plain HTTP, or refuses this certificate; see DOCKER_TLS_VERIFY and DOCKER_CERT_PATH`;
  }
  if (/^Malformed|^InvalidHTTP|^HPE_/.test(code)) {
    return `what listens at ${at} doesn't speak HTTP (${code}): let DOCKER_HOST name the Docker Engine`;
  }
  if (/CERT|SSL|TLS|ISSUER|SIGNATURE/i.test(code)) {
    return `TLS with ${at} failed (${code}): check ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH`;
  }
  return null;
}

function unknownText(error: unknown, code: string, at: string): string {
  const text = error instanceof Error ? error.message : String(error);
  return `no answer from ${at}: ${excerpt(code === "" || text.includes(code) ? text : `${code}: ${text}`)}`;
}

/** Any status but 200. Engines answer `{"message": "…"}`, what stands in front of them anything. */
export function explainStatus(status: number, body: string, location: string | null): EngineFault {
  if (status >= 300 && status < 400) {
    const target = location === null ? "" : ` to "${excerpt(location)}"`;
    return new EngineFault(
      `the Engine answered ${status}, a redirect${target}, which is not followed: let DOCKER_HOST name the Engine itself`,
    );
  }
  const said = ownWords(body);
  const line = excerpt(said ?? body);
  const quoted = line === "" ? "" : ` "${line}"`;
  return new EngineFault(`the Engine answered ${status}${quoted}${statusHint(status)}`, { status, said });
}

function ownWords(body: string): string | null {
  try {
    const json: unknown = JSON.parse(body);
    if (typeof json === "object" && json !== null && "message" in json && typeof json.message === "string")
      return json.message;
  } catch {
    // Not the Engine's own form of an error.
  }
  return null;
}

function statusHint(status: number): string {
  if (status === 401 || status === 403) {
    return ": what stands before the Engine must allow GET on /version, /info, /containers/json, /containers/{id}/json, /volumes and /events";
  }
  if (status === 404) return ": is this a Docker Engine?";
  return status >= 500 ? ": see the Engine's own log" : "";
}

export function notJson(body: string, cause: unknown): EngineFault {
  const what =
    body.trim() === "" ? "an empty body" : `something that is not JSON, or not all of it: "${excerpt(body)}"`;
  return new EngineFault(`the Engine answered 200 with ${what}: is this a Docker Engine?`, { cause });
}

export function wrongShape(path: string, issue: v.BaseIssue<unknown>): EngineFault {
  const where = path === "" ? "" : ` at ${excerpt(path)}`;
  return new EngineFault(
    `the Engine's answer has another shape than the Engine API's${where}: ${excerpt(issue.message)}; is this a Docker Engine?`,
  );
}
