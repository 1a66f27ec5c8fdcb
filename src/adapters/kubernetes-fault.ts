/** A fault of the Kubernetes API server or of the way to it, in words that fit after "Cannot list pods: ". */
import { codeOf, excerpt } from "./foreign-text.ts";

export class KubernetesFault extends Error {
  override readonly name = "KubernetesFault";
  /** The HTTP status, or that of a Status in a stream, where that is what was wrong. */
  readonly status: number | null;

  constructor(message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options);
    this.status = options.status ?? null;
  }

  /** The version that was asked for is compacted away. It says nothing about what exists. */
  get isExpired(): boolean {
    return this.status === 410;
  }
}

/** What is asked for, and under which right of the Role. */
export interface Question {
  readonly verb: "list" | "watch";
  readonly resource: "pods" | "persistentvolumeclaims";
}

const SERVER = "the API server";

export function givenUp(signal: AbortSignal, doing: string): KubernetesFault {
  const reason: unknown = signal.reason;
  const why = reason instanceof Error ? reason.message : String(reason);
  return new KubernetesFault(`given up while ${doing} (${excerpt(why)})`, { cause: reason });
}

/** What `fetch` throws when there is no answer at all. */
export function explainFailedConnection(error: unknown, server: string): KubernetesFault {
  const code = codeOf(error);
  const text = error instanceof Error ? error.message : String(error);
  const known = connectionText(code, server);
  return new KubernetesFault(known ?? `no answer from ${server}: ${excerpt(`${code} ${text}`)}`, {
    cause: error,
  });
}

function connectionText(code: string, server: string): string | null {
  switch (code) {
    case "ECONNREFUSED":
    case "ConnectionRefused":
      return `nobody listens at ${server} (${code}): is this ${SERVER}, and does a NetworkPolicy let the Observer reach it?`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the host of ${server} has no address (${code}): check the server in KUBECONFIG`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ETIMEDOUT":
      return `the host of ${server} can't be reached (${code}): does a NetworkPolicy let the Observer reach it?`;
    case "ECONNRESET":
    case "ECONNABORTED":
    case "EPIPE":
    case "ConnectionClosed":
      return `the connection to ${server} was closed before the answer was complete (${code})`;
  }
  if (/^Malformed|^InvalidHTTP|^HPE_|^EPROTO/.test(code)) {
    return `what listens at ${server} doesn't speak HTTP in this way (${code}): is it https:// instead of http://, or the other way round?`;
  }
  if (/CERT|SSL|TLS|ISSUER|SIGNATURE/i.test(code)) {
    return `TLS with ${server} failed (${code}): check the certificate authority and the client certificate that KUBECONFIG or the service account holds`;
  }
  return null;
}

/** Any status but 200. `body` is a Status of the API, or whatever stands in front of it says. */
export function explainStatus(
  status: number,
  body: string,
  asked: Question | null,
  namespace: string,
): KubernetesFault {
  const words = `${SERVER} answered ${status}${said(body)}`;
  return new KubernetesFault(`${words}${hint(status, asked, namespace)}`, { status });
}

function said(body: string): string {
  let text = body;
  try {
    const json: unknown = JSON.parse(body);
    if (typeof json === "object" && json !== null && "message" in json && typeof json.message === "string") {
      text = json.message;
    }
  } catch {
    // Not a Status: shown as it came.
  }
  const line = excerpt(text);
  return line === "" ? "" : ` "${line}"`;
}

function hint(status: number, asked: Question | null, namespace: string): string {
  if (status === 401) {
    return ": it doesn't take this token or certificate; renew it in KUBECONFIG, or see that the service account's token is mounted";
  }
  if (status === 403 && asked !== null) {
    return `: the right to ${asked.verb} ${asked.resource} in the namespace ${namespace} is missing; bind packaging/kubernetes/role.yaml to who the Observer is (docs/kubernetes.md)`;
  }
  if (status === 404) return ": is this a Kubernetes API server?";
  if (status === 410) return ": this version is compacted away; the next look asks anew";
  if (status >= 300 && status < 400) return ", a redirect, which is not followed: name the API server itself";
  return status >= 500 ? ": see the API server's own log" : "";
}

export function notAList(what: string, cause?: unknown): KubernetesFault {
  return new KubernetesFault(`${SERVER} answered 200 with ${what}: is this a Kubernetes API server?`, {
    cause,
  });
}
