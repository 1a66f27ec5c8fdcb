/**
 * Keeps open pages up to date by server-sent events: each frame holds the sections of the page that changed.
 *
 * Nothing happens while nobody watches. However often something is reported, a frame is composed once a second at most,
 * and once every few seconds in any case, for ages grow by themselves and a connection that is silent is taken for dead.
 * A reader that doesn't read is skipped, and dropped in time: nothing is queued for it.
 */

/** By the `id` of the element whose content it is. */
export type Sections = Readonly<Record<string, string>>;

export interface Watcher {
  /** What it looks at; who looks at the same gets the same. */
  readonly key: string;
  readonly compose: () => Promise<Sections>;
  /** Asked before every frame: a session may have ended. */
  readonly isAllowed: () => boolean;
}

interface Subscriber extends Watcher {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** As last sent. */
  sections: Sections;
  readAtMs: number;
}

export const MOST_SUBSCRIBERS = 16;
export const LEAST_INTERVAL_MS = 1_000;
export const HEARTBEAT_MS = 5_000;
/** Who has read nothing for so long is gone. */
export const UNREAD_MS = 30_000;

const encoder = new TextEncoder();
const HELLO = encoder.encode("retry: 2000\n\n");
const HEARTBEAT = encoder.encode(": still here\n\n");

export class Live {
  readonly #subscribers = new Set<Subscriber>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #sentMs = Number.NEGATIVE_INFINITY;
  #isSending = false;
  #isClosed = false;

  /** @param onError hears of a frame that could not be composed; the next one is tried all the same */
  constructor(private readonly onError: (cause: unknown) => void = () => {}) {}

  get size(): number {
    return this.#subscribers.size;
  }

  /** Null: there are too many already, or it has come to an end. */
  subscribe(watcher: Watcher): ReadableStream<Uint8Array> | null {
    if (this.#isClosed || this.#subscribers.size >= MOST_SUBSCRIBERS) return null;
    let subscriber: Subscriber;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        subscriber = { ...watcher, controller, sections: {}, readAtMs: performance.now() };
        this.#subscribers.add(subscriber);
        controller.enqueue(HELLO);
        this.notify();
      },
      cancel: () => this.#remove(subscriber),
    });
  }

  /** Something may have changed. */
  notify(): void {
    if (this.#subscribers.size > 0) this.#wake(this.#sentMs + LEAST_INTERVAL_MS);
  }

  /** Ends all streams: an answer that never ends would hold up the end of the process. */
  close(): void {
    this.#isClosed = true;
    for (const subscriber of this.#subscribers) this.#end(subscriber);
  }

  #wake(atMs: number): void {
    if (atMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = atMs;
    this.#timer = setTimeout(() => void this.#fire(), Math.max(0, atMs - performance.now()));
  }

  async #fire(): Promise<void> {
    this.#dueMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    if (this.#isSending) return this.#wake(nowMs + LEAST_INTERVAL_MS);
    this.#sentMs = nowMs;
    this.#isSending = true;
    try {
      await this.#sendToAll(nowMs);
    } catch (cause) {
      this.onError(cause);
    } finally {
      this.#isSending = false;
    }
    if (this.#subscribers.size > 0) this.#wake(this.#sentMs + HEARTBEAT_MS);
  }

  async #sendToAll(nowMs: number): Promise<void> {
    const composed = new Map<string, Promise<Sections>>();
    for (const subscriber of [...this.#subscribers]) {
      if (!subscriber.isAllowed()) {
        this.#end(subscriber);
        continue;
      }
      if ((subscriber.controller.desiredSize ?? 0) <= 0) {
        if (nowMs - subscriber.readAtMs >= UNREAD_MS) this.#end(subscriber);
        continue;
      }
      subscriber.readAtMs = nowMs;
      const { key, compose } = subscriber;
      const composing = composed.get(key) ?? compose();
      composed.set(key, composing);
      const sections = await composing;
      // It may have gone meanwhile.
      if (this.#subscribers.has(subscriber)) send(subscriber, sections);
    }
  }

  #end(subscriber: Subscriber): void {
    this.#remove(subscriber);
    subscriber.controller.close();
  }

  #remove(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
    if (this.#subscribers.size > 0) return;
    clearTimeout(this.#timer);
    this.#dueMs = Number.POSITIVE_INFINITY;
  }
}

function send(subscriber: Subscriber, sections: Sections): void {
  const changed = Object.entries(sections).filter(([id, text]) => subscriber.sections[id] !== text);
  subscriber.sections = sections;
  subscriber.controller.enqueue(
    changed.length === 0
      ? HEARTBEAT
      : encoder.encode(`event: page\ndata: ${JSON.stringify(Object.fromEntries(changed))}\n\n`),
  );
}
