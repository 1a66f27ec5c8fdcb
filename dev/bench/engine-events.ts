// The Engine's event stream, followed by the benchmark itself: when, by the Engine's own clock, did it happen?

export interface EngineEvent {
  readonly action: string;
  readonly container: string;
  /** Milliseconds since 1970, to the microsecond. */
  readonly atMs: number;
}

export interface EventStream {
  readonly events: readonly EngineEvent[];
  close(): void;
}

export async function followEvents(socketPath: string): Promise<EventStream> {
  const events: EngineEvent[] = [];
  const ending = new AbortController();
  const filters = encodeURIComponent(JSON.stringify({ type: ["container"] }));
  const response = await fetch(`http://engine/events?filters=${filters}`, {
    unix: socketPath,
    signal: ending.signal,
    // An idle stream stays open.
    timeout: false,
  } as RequestInit);
  const read = async () => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body!) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      events.push(...lines.flatMap(parseEvent));
    }
  };
  read().catch((error: unknown) => {
    if (!ending.signal.aborted) console.error("The Engine's event stream broke off:", error);
  });
  return { events, close: () => ending.abort() };
}

/** `timeNano` is larger than a double can hold exactly, so its digits are read from the text. */
export function parseEvent(line: string): EngineEvent[] {
  if (line.trim() === "") return [];
  const { Action, Actor } = JSON.parse(line) as { Action: string; Actor: { Attributes: { name?: string } } };
  const nanos = /"timeNano":(\d+)/.exec(line)?.[1];
  if (nanos === undefined || Actor.Attributes.name === undefined) return [];
  return [{ action: Action, container: Actor.Attributes.name, atMs: Number(BigInt(nanos) / 1000n) / 1000 }];
}
