/** HTTP to a Kubernetes API server with plain `fetch`. Everything rejects with a KubernetesFault. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { excerpt } from "./foreign-text.ts";
import { BodyTooLarge, readBody } from "./http-body.ts";
import {
  explainFailedConnection,
  explainStatus,
  givenUp,
  KubernetesFault,
  notAList,
  type Question,
} from "./kubernetes-fault.ts";

/** Where a namespace's workspaces are, and as whom they are asked for. */
export interface KubernetesEndpoint {
  /** `https://host:port`, perhaps with a path, without a slash at its end. */
  readonly server: string;
  readonly namespace: string;
  /** Of pods and claims alike; null: all of the namespace. */
  readonly selector: string | null;
  /** The label whose value names the workspace; null: the name does. */
  readonly workspaceLabel: string | null;
  readonly token: string | null;
  /** Read for each call: the kubelet replaces a service account's token once an hour. */
  readonly tokenFile: string | null;
  /** PEM texts. */
  readonly tls: {
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
    readonly verify: boolean;
    readonly serverName: string | null;
  };
}

/** A page of 500 pods is 3 MB. */
const BODY_LIMIT_BYTES = 256 * 1024 * 1024;
const ERROR_BODY_LIMIT_BYTES = 64 * 1024;

export interface KubernetesTransport {
  /** The whole body of a GET that answered 200. */
  getBody(path: string, asked: Question | null, signal: AbortSignal): Promise<Uint8Array>;
  /** A GET whose body goes on until the signal fires; resolves when the headers came and say 200. */
  openStream(path: string, asked: Question, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

export function createKubernetesTransport(endpoint: KubernetesEndpoint): KubernetesTransport {
  const { server, namespace, tls } = endpoint;
  const secure = server.startsWith("https:")
    ? {
        tls: {
          rejectUnauthorized: tls.verify,
          ...(tls.ca ? { ca: tls.ca } : {}),
          ...(tls.cert ? { cert: tls.cert } : {}),
          ...(tls.key ? { key: tls.key } : {}),
          ...(tls.serverName ? { serverName: tls.serverName } : {}),
        },
      }
    : {};

  const failure = (error: unknown, signal: AbortSignal, doing: string): KubernetesFault => {
    if (error instanceof KubernetesFault) return error;
    if (error instanceof BodyTooLarge)
      return new KubernetesFault(`the API server's answer is ${error.message}`);
    return signal.aborted ? givenUp(signal, doing) : explainFailedConnection(error, server);
  };

  async function get(path: string, asked: Question | null, signal: AbortSignal): Promise<Response> {
    const token = currentToken(endpoint);
    let response: Response;
    try {
      response = await fetch(`${server}${path}`, {
        ...secure,
        // A redirect's target is not the server that the operator named.
        redirect: "manual",
        headers: {
          accept: "application/json",
          "accept-encoding": "identity",
          "user-agent": "observer",
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        },
        // The caller's signal is the only deadline: fetch's own ends quiet streams after some minutes.
        timeout: false,
        signal,
      } as BunFetchRequestInit);
    } catch (error) {
      throw failure(error, signal, "waiting for the API server's answer");
    }
    if (response.status === 200) return response;
    const body = await readBody(response, ERROR_BODY_LIMIT_BYTES).catch((error: unknown) => {
      if (error instanceof BodyTooLarge) return error.start;
      throw failure(error, signal, `reading the API server's answer ${response.status}`);
    });
    throw explainStatus(response.status, new TextDecoder().decode(body), asked, namespace);
  }

  return {
    async getBody(path, asked, signal) {
      const response = await get(path, asked, signal);
      return await readBody(response, BODY_LIMIT_BYTES).catch((error: unknown) => {
        throw failure(error, signal, "reading the API server's answer");
      });
    },

    async openStream(path, asked, signal) {
      const response = await get(path, asked, signal);
      if (response.body === null) throw new KubernetesFault("the API server answered 200 without a body");
      return response.body;
    },
  };
}

/** A document that is cut off anywhere is no JSON (P1). */
export function parseJson(body: Uint8Array): unknown {
  try {
    // Fatal: a damaged byte in a name would otherwise make it another name, and its workspace absent.
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    const start = excerpt(new TextDecoder().decode(body.subarray(0, 4096)));
    throw notAList(start === "" ? "an empty body" : `what is not JSON, or not all of it: "${start}"`, cause);
  }
}

function currentToken({ token, tokenFile }: KubernetesEndpoint): string | null {
  if (tokenFile === null) return token;
  let text: string;
  try {
    text = readFileSync(tokenFile, "utf8").trim();
  } catch (cause) {
    throw new KubernetesFault(`the token's file ${tokenFile} cannot be read`, { cause });
  }
  if (!/^[\x21-\x7e]+$/.test(text)) throw new KubernetesFault(`the file ${tokenFile} holds no token`);
  return text;
}

/**
 * Which world is observed (P7). A namespace's own uid can't be read with the rights of a Role. So it is where the server
 * is, whom it is vouched for by (each cluster makes its own authority, and many call their server 10.96.0.1), and which
 * part of it is looked at.
 */
export function identityOf({ server, namespace, selector, workspaceLabel, tls }: KubernetesEndpoint): string {
  const ca = tls.ca === null ? "" : ` with authority ${fingerprint(tls.ca)}`;
  const part = [
    `namespace ${namespace}`,
    ...(selector === null ? [] : [`selector ${selector}`]),
    ...(workspaceLabel === null ? [] : [`label ${workspaceLabel}`]),
  ];
  return `kubernetes at ${server}${ca}, ${part.join(", ")}`;
}

const fingerprint = (pem: string): string =>
  createHash("sha256").update(pem.replaceAll(/\s/g, "")).digest("hex").slice(0, 16);
