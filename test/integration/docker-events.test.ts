// P9, P12: the event stream is hints only, comes back by itself after whatever ends it, and ends with its signal.
//
// Method: a server that says word for word what each test wants, and a clock that the test moves.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { waitFor } from "../../dev/services/wait.ts";
import { createDockerEvents } from "../../src/adapters/docker.ts";
import type { Clock } from "../../src/observer/ports.ts";
import { type Ear, listenTo } from "../contract/engine-support.ts";
import { CHUNKED, chunk, json, type ScriptedEngine, startScriptedEngine } from "./docker-scripted-engine.ts";

interface ManualClock extends Clock {
  /** Every sleep there was, in the order in which they began. */
  readonly asked: readonly number[];
  /** How many of them are under way. */
  readonly sleeping: number;
  advance(ms: number): void;
}

function manualClock(): ManualClock {
  let nowMs = 0;
  const asked: number[] = [];
  const sleepers = new Set<{ dueMs: number; wake: () => void }>();
  return {
    monotonicMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        asked.push(ms);
        if (signal?.aborted) return resolve();
        const sleeper = {
          dueMs: nowMs + ms,
          wake: () => {
            sleepers.delete(sleeper);
            resolve();
          },
        };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", sleeper.wake, { once: true });
      }),
    asked,
    get sleeping() {
      return sleepers.size;
    },
    advance(ms) {
      nowMs += ms;
      for (const sleeper of [...sleepers]) if (sleeper.dueMs <= nowMs) sleeper.wake();
    },
  };
}

let server: ScriptedEngine;
let clock: ManualClock;
let ear: Ear;
let streams: Socket[];

const start = () => {
  ear = listenTo(createDockerEvents({ endpoint: server.endpoint, prefix: "ws-", clock, random: () => 1 }));
};
const event = (name: string, action = "start") =>
  `${JSON.stringify({ Type: "container", Action: action, Actor: { ID: "f", Attributes: { name } } })}\n`;
const say = (text: string) => streams.at(-1)!.write(chunk(text));
const CONNECT_MS = 5_000;
const RENEW_MS = 600_000;
/** Until a pause is under way that is shorter than a deadline; answers its length. */
const pause = () =>
  waitFor("the pause before the next try", 5_000, () => {
    const ms = clock.asked.at(-1);
    return clock.sleeping === 1 && ms !== CONNECT_MS && ms !== RENEW_MS && ms;
  });

beforeEach(async () => {
  server = await startScriptedEngine();
  clock = manualClock();
  streams = [];
  server.script("/events", (socket) => {
    streams.push(socket);
    socket.write(CHUNKED);
  });
});
afterEach(async () => {
  await ear.stop();
  expect(clock.sleeping).toBe(0);
  await waitFor("all connections to be closed", 5_000, () => streams.every((socket) => socket.destroyed));
  await server.stop();
});

test("asks for containers and volumes only, and is up as soon as the headers came", async () => {
  start();
  await ear.heard({ ups: 1 });
  const filters = encodeURIComponent('{"type":["container","volume"]}');
  expect(server.requests).toEqual(["/version", `/v1.41/events?filters=${filters}`]);
  expect(ear.hints).toBe(0);
});

test("events in pieces and in heaps are hints; foreign ones are not; a malformed line is", async () => {
  start();
  await ear.heard({ ups: 1 });
  const line = event("ws-a");
  say(line.slice(0, 20));
  say(line.slice(20));
  await ear.heard({ hints: 1 });
  say(event("other") + event("xws-a") + event("ws-a", "exec_start: true") + event("ws-a", "top"));
  say("this is no JSON\n");
  await ear.heard({ hints: 2 });
  expect(ear.hints).toBe(2);
  // A line that never ends doesn't take the memory, and what follows it is understood again.
  for (let piece = 0; piece < 20; piece++) say("x".repeat(100_000));
  await ear.heard({ hints: 3 });
  say(`\n${event("other")}`);
  say(event("ws-b"));
  await ear.heard({ hints: 4 });
  expect([ear.hints, ear.ups, ear.downs]).toEqual([4, 1, []]);
});

test("an event in several bytes per character, split within one", async () => {
  start();
  await ear.heard({ ups: 1 });
  const bytes = Buffer.from(event("ws-a").replace('"f"', '"ü€😀"'));
  const middle = bytes.indexOf("😀") + 2;
  for (const part of [bytes.subarray(0, middle), bytes.subarray(middle)]) {
    streams[0]!.write(
      Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]),
    );
  }
  await ear.heard({ hints: 1 });
  expect(ear.downs).toEqual([]);
});

test("pauses grow from 100 ms to 5 s, each try is told, and they are short again after a good time", async () => {
  server.script("/events", json({ message: "busy" }, 503));
  start();
  const pauses: number[] = [];
  for (let attempt = 1; attempt <= 8; attempt++) {
    // Every try sleeps twice: the deadline of the connection, then the pause.
    await waitFor("the pause", 5_000, () => clock.asked.length === 2 * attempt);
    const ms = clock.asked.at(-1)!;
    pauses.push(ms);
    if (attempt < 8) clock.advance(ms);
  }
  expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  expect(ear.downs.map(String)).toEqual(
    Array(8).fill(
      "Error: Cannot follow the Engine's events: the Engine answered 503 \"busy\": see the Engine's own log",
    ),
  );
  server.script("/events", (socket) => {
    streams.push(socket);
    socket.write(CHUNKED);
  });
  clock.advance(5_000);
  await ear.heard({ ups: 1 });
  clock.advance(6_000);
  streams[0]!.destroy();
  await ear.heard({ downs: 9 });
  expect(String(ear.downs.at(-1))).toMatch(
    /events: the connection to \S+ was closed before .*did the Engine stop/,
  );
  expect(await pause()).toBe(100);
});

test("a stream that the Engine ends properly is down as well", async () => {
  start();
  await ear.heard({ ups: 1 });
  streams[0]!.end("0\r\n\r\n");
  await ear.heard({ downs: 1 });
  expect(String(ear.downs[0])).toContain("the Engine ended the event stream");
  clock.advance(await pause());
  await ear.heard({ ups: 2 });
});

test("P12: headers that don't come are not waited for", async () => {
  server.script("/events", () => {});
  start();
  await waitFor("the request", 5_000, () => server.requests.length === 2);
  clock.advance(CONNECT_MS);
  await ear.heard({ downs: 1 });
  expect(String(ear.downs[0])).toContain(
    "given up while waiting for the Engine's answer (5000 ms have passed)",
  );
  await waitFor("the connection to be closed", 5_000, () => server.openConnections === 0);
});

test("P12: a silent stream is renewed after ten minutes, which is no failure", async () => {
  start();
  await ear.heard({ ups: 1 });
  clock.advance(9 * 60_000);
  expect(streams).toHaveLength(1);
  clock.advance(60_000);
  await ear.heard({ ups: 2 });
  expect(ear.downs).toEqual([]);
  await waitFor("the old stream to be closed", 5_000, () => streams[0]!.destroyed);
  say(event("ws-a"));
  await ear.heard({ hints: 1 });
});

test.each(["while connecting", "while listening", "while pausing", "at once"])(
  "P12: it ends with its signal %s",
  async (phase) => {
    if (phase === "while connecting") server.script("/events", () => {});
    if (phase === "while pausing") server.script("/events", json({}, 500));
    start();
    if (phase === "while connecting") await waitFor("the request", 5_000, () => server.requests.length === 2);
    if (phase === "while listening") await ear.heard({ ups: 1 });
    if (phase === "while pausing") await pause();
    const downs = ear.downs.length;
    await ear.stop();
    expect(ear.downs.length).toBe(downs);
    await waitFor("no stream to be open", 5_000, () => streams.every((socket) => socket.destroyed));
  },
);
