/**
 * A question that is asked again as it was asked before.
 *
 * A listing of one page is the same question at every look, and mostly has the same answer. So the request that the SDK
 * signed is sent once more, and an answer of the very same bytes means what it meant. What other bytes mean the SDK has to
 * tell: they are handed to it as if it had asked itself. Whatever else comes, a failure included, tells nothing.
 *
 * Why: through the SDK a page costs 3 to 5 ms of CPU as long as its code is not compiled, which at a look every ten
 * seconds takes hours. That is more than all the rest of a look at 100 workspaces.
 */

/** As the SDK hands it to its transport, signature and all. */
export interface SignedRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly query: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the store answered to the same question. */
export type Repeated<Answer> =
  | { readonly kind: "same"; readonly answer: Answer }
  | { readonly kind: "other"; readonly answered: Answered };

/** An answer with status 200, whole as far as HTTP can tell. */
export interface Answered {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Stores take a signature for fifteen minutes, by clocks that may differ by some of them. */
const REPEATED_FOR_MS = 5 * 60_000;

export class RepeatedQuestion<Answer extends object> {
  #last: {
    readonly prefix: string;
    readonly request: SignedRequest;
    readonly page: Uint8Array;
    readonly answer: Answer;
    readonly askedMs: number;
  } | null = null;

  constructor(private readonly maxBytes: number) {}

  /** @param page the body that came, and what it meant */
  keep(prefix: string, request: SignedRequest, page: Uint8Array, answer: Answer): void {
    this.#last = { prefix, request, page, answer, askedMs: performance.now() };
  }

  /** @returns null: nothing is known. Rejects with the signal's reason and nothing else. */
  async ask(prefix: string, signal: AbortSignal): Promise<Repeated<Answer> | null> {
    const last = this.#last;
    if (last?.prefix !== prefix) return null;
    // Kept again by whoever gets the answer from the SDK.
    this.#last = null;
    if (performance.now() - last.askedMs > REPEATED_FOR_MS) return null;
    try {
      const answered = await askAgain(last.request, this.maxBytes, signal);
      if (answered === null) return null;
      if (Buffer.compare(answered.body, last.page) !== 0) return { kind: "other", answered };
    } catch {
      signal.throwIfAborted();
      return null;
    }
    this.#last = last;
    return { kind: "same", answer: last.answer };
  }
}

async function askAgain(
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
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    return null;
  }
  const chunks: Uint8Array[] = [];
  let seen = 0;
  const reader = response.body.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    chunks.push(read.value);
    seen += read.value.length;
    if (seen > maxBytes) {
      await reader.cancel();
      return null;
    }
  }
  return { headers: Object.fromEntries(response.headers), body: Buffer.concat(chunks, seen) };
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
