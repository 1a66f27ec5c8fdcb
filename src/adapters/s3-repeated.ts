/**
 * A question that is asked again as it was asked before.
 *
 * A listing of one page is the same question at every look, and mostly has the same answer. So the request that the SDK
 * signed is sent once more, and an answer of the very same bytes means what it meant. Whatever else comes, a failure
 * included, tells nothing here: the page is then asked for through the SDK, which knows what it means.
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

/** Stores take a signature for fifteen minutes, by clocks that may differ by some of them. */
const REPEATED_FOR_MS = 5 * 60_000;

export class RepeatedQuestion<Answer extends object> {
  #last: {
    readonly request: SignedRequest;
    readonly page: Uint8Array;
    readonly answer: Answer;
    readonly askedMs: number;
  } | null = null;

  /** @param page the body that came, and what it meant */
  keep(request: SignedRequest, page: Uint8Array, answer: Answer): void {
    this.#last = { request, page, answer, askedMs: performance.now() };
  }

  /** @returns null: not known, or not unchanged. Rejects with the signal's reason and nothing else. */
  async ask(signal: AbortSignal): Promise<Answer | null> {
    const last = this.#last;
    if (last === null) return null;
    // Kept again by whoever gets the answer from the SDK.
    this.#last = null;
    if (performance.now() - last.askedMs > REPEATED_FOR_MS) return null;
    try {
      if (!(await answersWith(last.page, last.request, signal))) return null;
    } catch {
      signal.throwIfAborted();
      return null;
    }
    this.#last = last;
    return last.answer;
  }
}

async function answersWith(page: Uint8Array, request: SignedRequest, signal: AbortSignal): Promise<boolean> {
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
    return false;
  }
  const reader = response.body.getReader();
  let seen = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const expected = page.subarray(seen, seen + read.value.length);
    if (Buffer.compare(read.value, expected) !== 0) {
      await reader.cancel();
      return false;
    }
    seen += read.value.length;
  }
  return seen === page.length;
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
