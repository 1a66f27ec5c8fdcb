/** OTLP over HTTP, with JSON: https://opentelemetry.io/docs/specs/otlp/#otlphttp */

export interface OtlpEndpoint {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type Signal = "metrics" | "traces";

export class OtlpFault extends Error {
  override name = "OtlpFault";
  constructor(
    message: string,
    /** The same may be taken another time: the collector is down, or busy. */
    readonly isPassing: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The statuses that the protocol says to send again after. */
const PASSING = [429, 502, 503, 504];
/** Of a refusal's body, for the log. */
const MOST_CHARACTERS = 200;
const MOST_BYTES = 4_096;

/**
 * Sends one export; resolves when it was taken.
 *
 * @throws {OtlpFault}
 */
export type OtlpSender = (signal: Signal, body: unknown, abort: AbortSignal) => Promise<void>;

export function createOtlpSender({ endpoint, headers }: OtlpEndpoint): OtlpSender {
  return async (signal, body, abort) => {
    const url = `${endpoint}/v1/${signal}`;
    let response: Response;
    try {
      response = await fetch(url, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify(body),
        // A redirect's target is not whom the operator gave the headers to.
        redirect: "manual",
        signal: abort,
      });
    } catch (cause) {
      throw new OtlpFault(`Cannot send ${signal} to ${url}: no answer`, true, { cause });
    }
    const text = await startOf(response).catch(() => "");
    if (response.ok) return;
    throw new OtlpFault(
      `Cannot send ${signal} to ${url}: it answered ${response.status}${text === "" ? "" : ` ${JSON.stringify(text)}`}`,
      PASSING.includes(response.status),
    );
  };
}

/** Reads no more than it needs, and leaves nothing open. */
async function startOf(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += decoder.decode(part.value, { stream: true });
      bytes += part.value.length;
      if (bytes >= MOST_BYTES) break;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
  return text.slice(0, MOST_CHARACTERS);
}
