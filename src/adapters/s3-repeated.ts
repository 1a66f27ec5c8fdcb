/**
 * A question that is asked again as it was asked before.
 *
 * A page of a listing is the same question at every look, and mostly has the same answer. So the request that the SDK
 * signed is sent once more, and an answer of the very same bytes (by their SHA-256) means what it meant. What other
 * bytes mean the SDK has to tell: they are handed to it as if it had asked itself. Whatever else comes, a failure
 * included, tells nothing.
 *
 * Why: through the SDK a page costs 3 to 5 ms of CPU as long as its code is not compiled, which at a look every ten
 * seconds takes hours. That is more than all the rest of a look at 100 workspaces.
 */

import { createHash } from "node:crypto";
import { readBody } from "./http-body.ts";

/** As the SDK hands it to its transport, signature and all. */
export interface SignedRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly query: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
}

/** A question, and what came. */
export interface Asked {
  readonly request: SignedRequest;
  /** Of the answer's body. */
  readonly digest: string;
  /** Monotonic milliseconds: until then a store takes the signature. */
  readonly untilMs: number;
}

/** An answer with status 200, whole as far as HTTP can tell. */
export interface Answered {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/**
 * Stores take a signature for fifteen minutes, by clocks that may differ by some of them. Of many questions that were
 * signed at once not all become too old at once.
 */
const REPEATED_FOR_MS = { least: 3 * 60_000, most: 6 * 60_000 };

export const asked = (request: SignedRequest, body: Uint8Array): Asked => ({
  request,
  digest: digestOf(body),
  untilMs:
    performance.now() +
    REPEATED_FOR_MS.least +
    Math.random() * (REPEATED_FOR_MS.most - REPEATED_FOR_MS.least),
});

const digestOf = (body: Uint8Array): string => createHash("sha256").update(body).digest("base64");

/**
 * Asks again.
 *
 * @returns what else came than the last time; null: nothing is known. Rejects with the signal's reason and nothing else.
 */
export async function askAgain(
  { request, digest, untilMs }: Asked,
  maxBytes: number,
  signal: AbortSignal,
): Promise<"same" | Answered | null> {
  if (performance.now() > untilMs) return null;
  try {
    const answered = await answerTo(request, maxBytes, signal);
    return answered !== null && digestOf(answered.body) === digest ? "same" : answered;
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

async function answerTo(
  request: SignedRequest,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Answered | null> {
  const response = await fetch(urlOf(request), {
    headers: { ...request.headers, "accept-encoding": "identity", "cache-control": "no-cache" },
    redirect: "manual",
    // The SDK goes directly as well.
    proxy: false,
    timeout: false,
    signal,
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    return null;
  }
  return { headers: Object.fromEntries(response.headers), body: await readBody(response, maxBytes) };
}

function urlOf({ protocol, hostname, port, path, query }: SignedRequest): string {
  const parameters = Object.entries(query).flatMap(([name, values]) =>
    [values]
      .flat()
      .map((value) => `${percentEncoded(name)}${value === null ? "" : `=${percentEncoded(value)}`}`),
  );
  return `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}${path}?${parameters.join("&")}`;
}

/** As signatures want it: what `encodeURIComponent` leaves alone beyond letters, digits and `-_.~` too. */
const percentEncoded = (text: string): string =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
