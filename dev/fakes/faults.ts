import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * One thing that goes wrong with an answer. Several fields combine: `delayMs` comes first, then at most one of
 * `hang` and `reset`, then what the answer says, then how its bytes travel.
 */
export interface Fault {
  /** Hit this many requests, then be gone; default: until cleared. */
  times?: number;
  delayMs?: number;
  /** Never answer; the connection stays open. */
  hang?: true;
  /** Close the connection before the first byte. */
  reset?: true;
  status?: number;
  headers?: Record<string, string>;
  /** Instead of the real body; "" for an empty one. A status of 400 or more without a body gets an empty one. */
  body?: string;
  /** What a proxy would do: 307 to this location, empty body. */
  redirectTo?: string;
  /** A wrong shape made out of the true answer. */
  rewrite?: (body: string) => string;
  /** Send this many bytes of the body, then close the connection with the promised rest unsent. */
  truncateAfterBytes?: number;
  /** Send the body byte by byte, one every so many milliseconds. */
  dripIntervalMs?: number;
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string | Buffer;
}

/** Go sends bodies up to this size with a length, larger ones in chunks. */
const CHUNKED_FROM_BYTES = 2048;

/** Faults by route, changed while the server runs. A fault on the route itself wins over one on `all`. */
export class FaultBoard<Route extends string> {
  readonly #faults = new Map<Route | "all", Fault>();

  /** Replaces the route's fault, if it had one. */
  set(route: Route | "all", fault: Fault): void {
    this.#faults.set(route, { ...fault });
  }

  /** Without a route: every fault is gone. */
  clear(route?: Route | "all"): void {
    if (route === undefined) this.#faults.clear();
    else this.#faults.delete(route);
  }

  /** The fault that hits a request known by these routes, first match first; counts it. */
  take(...routes: Route[]): Fault | undefined {
    const route = [...routes, "all" as const].find((candidate) => this.#faults.has(candidate));
    if (route === undefined) return undefined;
    const fault = this.#faults.get(route)!;
    if (fault.times !== undefined && --fault.times <= 0) this.#faults.delete(route);
    return fault;
  }
}

/**
 * Waits as the fault asks.
 * @returns false when there is nothing left to answer: the client is gone, hangs for ever or was cut off
 */
export async function beforeAnswer(response: ServerResponse, fault: Fault | undefined): Promise<boolean> {
  if (fault?.delayMs && !(await pause(response, fault.delayMs))) return false;
  if (fault?.hang) return false;
  if (fault?.reset) {
    response.req.socket.destroy();
    return false;
  }
  return true;
}

/** Sends the answer with what the fault makes of it. Resolves when the last byte is handed over. */
export async function sendAnswer(
  response: ServerResponse,
  answer: Answer,
  fault: Fault | undefined,
): Promise<void> {
  const { status, headers, body } = faultyAnswer(answer, fault);
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const withoutBody = response.req.method === "HEAD" || status === 204 || status === 304;
  const length: Record<string, string> =
    bytes.length > CHUNKED_FROM_BYTES && headers["Content-Length"] === undefined
      ? {}
      : { "Content-Length": String(bytes.length) };
  response.writeHead(status, status === 204 || status === 304 ? headers : { ...length, ...headers });
  if (withoutBody) {
    response.end();
  } else if (fault?.truncateAfterBytes !== undefined) {
    await write(response, bytes.subarray(0, Math.min(fault.truncateAfterBytes, bytes.length)));
    response.req.socket.destroy();
  } else if (fault?.dripIntervalMs !== undefined) {
    for (const byte of bytes) {
      await write(response, Buffer.of(byte));
      if (!(await pause(response, fault.dripIntervalMs))) return;
    }
    response.end();
  } else {
    response.end(bytes);
  }
}

function faultyAnswer(answer: Answer, fault: Fault | undefined): Answer {
  if (!fault) return answer;
  if (fault.redirectTo !== undefined) {
    return { status: fault.status ?? 307, headers: { Location: fault.redirectTo }, body: "" };
  }
  const status = fault.status ?? answer.status;
  const fallback = fault.status !== undefined && fault.status >= 400 ? "" : answer.body;
  const body = fault.body ?? fallback;
  return {
    status,
    headers: { ...answer.headers, ...fault.headers },
    body: fault.rewrite ? fault.rewrite(body.toString()) : body,
  };
}

/** @returns false when the client went away meanwhile */
async function pause(response: ServerResponse, durationMs: number): Promise<boolean> {
  const gone = new AbortController();
  const onClose = () => gone.abort();
  response.once("close", onClose);
  try {
    await sleep(durationMs, undefined, { signal: gone.signal });
    return true;
  } catch {
    return false;
  } finally {
    response.off("close", onClose);
  }
}

function write(response: ServerResponse, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) {
    response.flushHeaders();
    return Promise.resolve();
  }
  return new Promise((resolve) => response.write(bytes, () => resolve()));
}
