/**
 * Goal: one listing in flight, its stamp kept however late it answers, and a back-off that is the source's own.
 * Method: a listing that answers when the test says so, on virtual time.
 */
import { describe, expect, test } from "bun:test";
import { Source } from "../../../src/observer/source.ts";
import { Timeline, VirtualClock } from "../../simulation/clock.ts";
import { deferred, second } from "./support.ts";

function setUp(over: { deadlineMs?: number; random?: number; maxBackoffMs?: number } = {}) {
  const timeline = new Timeline();
  const clock = new VirtualClock(timeline);
  const calls: (ReturnType<typeof deferred<string>> & { signal: AbortSignal })[] = [];
  const transitions: [unknown, number, number][] = [];
  const source = new Source<string>(
    "engine",
    (signal) => {
      const call = { ...deferred<string>(), signal };
      calls.push(call);
      return call.promise;
    },
    {
      clock,
      deadlineMs: over.deadlineMs ?? 5_000,
      maxBackoffMs: over.maxBackoffMs ?? 10_000,
      random: () => over.random ?? 0,
      onTransition: (_, cause, { failures, downMs }) =>
        transitions.push([cause === null ? null : String(cause), failures, downMs]),
    },
  );
  const stop = new AbortController();
  const ask = (seconds: number) => {
    source.want();
    const started = source.startIfWanted(second(seconds), stop.signal);
    timeline.advance(0);
    return started;
  };
  return { timeline, source, calls, transitions, stop, ask };
}

describe("Source", () => {
  test("P2: a late answer keeps the stamp it was asked with", () => {
    const { source, calls, timeline, ask } = setUp();
    ask(1);
    timeline.advance(4_000);
    calls[0]!.resolve("world");
    timeline.advance(0);
    expect(source.take()).toEqual({
      stamp: second(1),
      order: 0,
      value: "world",
      durationMs: 4_000,
      afterUnseen: false,
    });
    expect(source.take()).toBeNull();
  });

  test("P12: at most one call in flight, and the wish is remembered", () => {
    const { source, calls, timeline, ask } = setUp();
    expect(ask(1)).not.toBeNull();
    expect(ask(2)).toBeNull();
    expect(calls).toHaveLength(1);
    calls[0]!.resolve("old");
    timeline.advance(0);
    expect(source.isPending).toBe(true);
    source.startIfWanted(second(3), new AbortController().signal);
    calls[1]!.resolve("new");
    timeline.advance(0);
    expect(source.take()).toMatchObject({ stamp: second(3), afterUnseen: true });
    expect(source.isPending).toBe(false);
  });

  test("P12: a call that outlives its deadline still counts as in flight", () => {
    const { source, calls, timeline, ask } = setUp();
    ask(1);
    timeline.advance(5_000);
    expect(source.health).toMatchObject({ inFlight: true, consecutiveFailures: 1 });
    expect(calls[0]!.signal.aborted).toBe(true);
    timeline.advance(60_000);
    expect(ask(2)).toBeNull();
    calls[0]!.resolve("much too late");
    timeline.advance(0);
    expect(source.take()).toBeNull();
    expect(ask(3)).not.toBeNull();
  });

  test("backs off, doubling, up to the bound, and forgets it on success", () => {
    const { source, calls, timeline, ask } = setUp({ maxBackoffMs: 2_000 });
    for (const backoffMs of [500, 1_000, 2_000, 2_000]) {
      expect(ask(1)).not.toBeNull();
      calls.at(-1)!.reject(new Error("down"));
      timeline.advance(backoffMs - 1);
      expect(ask(1)).toBeNull();
      timeline.advance(1);
    }
    ask(1);
    calls.at(-1)!.resolve("up");
    timeline.advance(0);
    expect(ask(1)).not.toBeNull();
    expect(source.health).toMatchObject({
      successes: 1,
      failures: 4,
      consecutiveFailures: 0,
      lastError: null,
    });
  });

  test("jitter takes up to a quarter off", () => {
    const { calls, timeline, ask } = setUp({ random: 0.999 });
    ask(1);
    calls[0]!.reject(new Error("down"));
    timeline.advance(376);
    expect(ask(1)).not.toBeNull();
  });

  test("says that it is down, again after 1, 2, 4 … minutes, and that it is back, with the count", () => {
    const { calls, timeline, transitions, ask } = setUp();
    for (let turn = 0; turn < 15; turn++) {
      ask(1);
      calls.at(-1)!.reject(new Error("down"));
      timeline.advance(20_000);
    }
    for (let turn = 0; turn < 2; turn++) {
      ask(1);
      calls.at(-1)!.resolve("up");
      timeline.advance(0);
    }
    ask(1);
    calls.at(-1)!.reject(new Error("down"));
    timeline.advance(0);
    expect(transitions).toEqual([
      ["Error: down", 1, 0],
      ["Error: down", 4, 60_000],
      ["Error: down", 7, 120_000],
      ["Error: down", 13, 240_000],
      [null, 15, 300_000],
      ["Error: down", 1, 0],
    ]);
  });

  test("being stopped is no failure", () => {
    const { source, timeline, stop, ask } = setUp();
    ask(1);
    stop.abort();
    timeline.advance(0);
    expect(source.health.failures).toBe(0);
  });

  test("a list() that throws at once is a failure like any other", () => {
    const timeline = new Timeline();
    const source = new Source<string>(
      "engine",
      () => {
        throw new Error("broken");
      },
      {
        clock: new VirtualClock(timeline),
        deadlineMs: 10,
        maxBackoffMs: 10,
        random: () => 0,
        onTransition() {},
      },
    );
    source.want();
    source.startIfWanted(second(1), new AbortController().signal);
    timeline.advance(0);
    expect(source.health).toMatchObject({ inFlight: false, lastError: "broken" });
  });

  test("forget() drops what was asked for before, an answer on its way included", () => {
    const { source, calls, timeline, ask } = setUp();
    ask(1);
    source.forget();
    calls[0]!.resolve("of an earlier term");
    timeline.advance(0);
    expect(source.take()).toBeNull();
    ask(2);
    calls[1]!.resolve("now");
    timeline.advance(0);
    expect(source.take()?.value).toBe("now");
  });
});
