// Live: open pages are kept up to date. Goal: no frame without a watcher, one a second at most however much is reported,
// one every few seconds in any case, a bounded number of watchers, nothing queued for who doesn't read, and only what
// changed is sent. Method: simulated timers; the streams are read by hand.
import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import {
  HEARTBEAT_MS,
  LEAST_INTERVAL_MS,
  Live,
  MOST_SUBSCRIBERS,
  type Sections,
  UNREAD_MS,
} from "../../src/status/live.ts";
import { pageOf } from "./status-page-fixtures.ts";

let sections: Sections = {};
let composed = 0;
let live: Live;

beforeEach(() => {
  jest.useFakeTimers();
  sections = { a: "1", b: "1" };
  composed = 0;
  live = new Live();
});
afterEach(() => {
  live.close();
  jest.useRealTimers();
});

const watch = (key = "/", isAllowed = () => true) =>
  live.subscribe({
    key,
    isAllowed,
    compose: async () => {
      composed += 1;
      return sections;
    },
  });

/** Time goes by, in steps, and what waits for promises is done in between. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    jest.advanceTimersByTime(100);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
}

function reading(stream: ReadableStream<Uint8Array>) {
  const frames: string[] = [];
  const state = { frames, isOver: false };
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  void (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      frames.push(decoder.decode(value));
    }
    state.isOver = true;
  })();
  return Object.assign(state, { reader });
}
const data = (frame: string | undefined) =>
  JSON.parse(/^event: page\ndata: (.*)\n\n$/.exec(frame ?? "")?.[1] ?? "null");

describe("a frame", () => {
  test("is not composed while nobody watches", async () => {
    for (let n = 0; n < 100; n++) live.notify();
    expect(jest.getTimerCount()).toBe(0);
    await pass(60_000);
    expect(composed).toBe(0);
  });

  test("comes at once to who begins to watch, and after a report within a second", async () => {
    const { frames } = reading(watch()!);
    await pass(100);
    expect(frames[0]).toBe("retry: 2000\n\n");
    expect(data(frames[1])).toEqual({ a: "1", b: "1" });
    sections = { a: "1", b: "2" };
    live.notify();
    await pass(LEAST_INTERVAL_MS);
    expect(data(frames[2])).toEqual({ b: "2" });
  });

  test("is one a second at most, however much is reported", async () => {
    reading(watch()!);
    for (let n = 0; n < 100; n++) {
      live.notify();
      await pass(100);
    }
    expect(composed).toBeGreaterThanOrEqual(9);
    expect(composed).toBeLessThanOrEqual(11);
  });

  test("comes every few seconds in silence too; as a comment when nothing changed", async () => {
    const { frames } = reading(watch()!);
    await pass(100);
    await pass(3 * HEARTBEAT_MS);
    expect(frames.slice(2)).toEqual([": still here\n\n", ": still here\n\n", ": still here\n\n"]);
  });

  test("is composed once for all who look at the same", async () => {
    const readers = ["/", "/", "/?q=a"].map((key) => reading(watch(key)!));
    await pass(100);
    expect(composed).toBe(2);
    for (const { frames } of readers) expect(data(frames[1])).toEqual(sections);
  });

  test("that can't be composed is told of, and the next one is tried", async () => {
    const causes: unknown[] = [];
    live = new Live((cause) => causes.push(cause));
    let isBroken = true;
    const stream = live.subscribe({
      key: "/",
      isAllowed: () => true,
      compose: async () => {
        if (isBroken) throw new Error("no view");
        return sections;
      },
    })!;
    const { frames } = reading(stream);
    await pass(100);
    expect(causes).toEqual([new Error("no view")]);
    isBroken = false;
    await pass(HEARTBEAT_MS);
    expect(data(frames[1])).toEqual(sections);
  });
});

describe("who watches", () => {
  test("is one of sixteen at most, and a place that is left is free", async () => {
    const readers = Array.from({ length: MOST_SUBSCRIBERS }, () => reading(watch()!));
    expect(watch()).toBeNull();
    await readers[3]!.reader.cancel();
    expect(live.size).toBe(MOST_SUBSCRIBERS - 1);
    expect(watch()).not.toBeNull();
  });

  test("leaves nothing to be done behind", async () => {
    const { reader } = reading(watch()!);
    await pass(100);
    await reader.cancel();
    live.notify();
    await pass(60_000);
    expect(composed).toBe(1);
  });

  test("P12: and doesn't read, is skipped, gets what it missed in one, and is dropped in time", async () => {
    const slow = watch()!;
    const other = reading(watch()!);
    await pass(100);
    sections = { a: "2", b: "1" };
    await pass(HEARTBEAT_MS);
    expect(data(other.frames[2])).toEqual({ a: "2" });
    await pass(UNREAD_MS + HEARTBEAT_MS);
    expect(live.size).toBe(1);
    const late = reading(slow);
    await pass(100);
    expect(late.frames).toHaveLength(1);
    expect(late.isOver).toBe(true);
  });

  test("and may not any more, is sent away before the next frame", async () => {
    let isAllowed = true;
    const { frames, ...rest } = reading(watch("/", () => isAllowed)!);
    await pass(100);
    const before = frames.length;
    isAllowed = false;
    sections = { a: "secret" };
    await pass(HEARTBEAT_MS);
    expect(frames).toHaveLength(before);
    expect(live.size).toBe(0);
    expect(rest).toBeDefined();
  });

  test("P12: is let go when it is over, and nobody comes in any more", async () => {
    const readers = [reading(watch()!), reading(watch()!)];
    live.close();
    await pass(100);
    expect(readers.map(({ isOver }) => isOver)).toEqual([true, true]);
    expect(watch()).toBeNull();
  });
});

describe("/events", () => {
  test("is a stream of events; HEAD takes no place; too many get 503", async () => {
    const { app, page } = pageOf();
    const first = await app.request("/events?q=a");
    expect(first.headers.get("content-type")).toBe("text/event-stream");
    expect(first.headers.get("cache-control")).toBe("no-store");
    expect((await app.request("/events", { method: "HEAD" })).status).toBe(200);
    expect(page.live.size).toBe(1);
    const { frames, reader } = reading(first.body!);
    await pass(1_000);
    const { title, headline } = data(frames[1]);
    expect([title, headline]).toEqual(["Well · host-1 · Observer", "All well."]);
    for (let n = 1; n < MOST_SUBSCRIBERS; n++) await app.request("/events");
    const refused = await app.request("/events");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "30"]);
    await reader.cancel();
    page.close();
  });
});
