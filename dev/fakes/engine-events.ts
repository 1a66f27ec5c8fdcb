/** The Engine's event log: the last 256 events for late comers, and whoever listens now. */

export type EventType = "container" | "volume" | "network";

export interface EngineEvent {
  type: EventType;
  /** `start`, `die`, `health_status: healthy` … */
  action: string;
  /** A container's id, a volume's name, a network's id. */
  actorId: string;
  attributes: Record<string, string>;
  /** Nanoseconds since the epoch; beyond 2^53, so not a number. Strictly increasing. */
  timeNano: bigint;
}

/** As many as dockerd keeps for `since`. */
const KEPT_EVENTS = 256;

export class EventLog {
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  #kept: EngineEvent[] = [];
  #lastNano = 0n;

  emit(nowMs: number, event: Omit<EngineEvent, "timeNano">): void {
    const nowNano = BigInt(Math.trunc(nowMs)) * 1_000_000n;
    this.#lastNano = nowNano > this.#lastNano ? nowNano : this.#lastNano + 1n;
    const stamped = { ...event, timeNano: this.#lastNano };
    this.#kept = [...this.#kept.slice(1 - KEPT_EVENTS), stamped];
    for (const listener of this.#listeners) listener(stamped);
  }

  /** Kept events at or after the given time, oldest first. */
  since(sinceNano: bigint): EngineEvent[] {
    return this.#kept.filter((event) => event.timeNano >= sinceNano);
  }

  /** Calls back for every event from now on. Returns the function that ends it. */
  subscribe(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/**
 * One line of `/events`. From API 1.52 on the old top-level `status`, `id` and `from` of container events are gone.
 * Written by hand around `timeNano`, since JSON.stringify would round it.
 */
export function eventLine(event: EngineEvent, withLegacyFields: boolean): string {
  const legacy =
    withLegacyFields && event.type === "container"
      ? { status: event.action, id: event.actorId, from: event.attributes.image }
      : {};
  // Go writes the keys of a map in byte order.
  const attributes = Object.fromEntries(
    Object.entries(event.attributes).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
  );
  const json = JSON.stringify({
    ...legacy,
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.actorId, Attributes: attributes },
    scope: "local",
    time: Number(event.timeNano / 1_000_000_000n),
  });
  return `${json.slice(0, -1)},"timeNano":${event.timeNano}}\n`;
}
