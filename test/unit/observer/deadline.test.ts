/**
 * Goal: an await ends at its deadline or with its parent, whatever the work does, and leaves no timer behind.
 * Method: works that answer, fail, obey and ignore their signal, on virtual time.
 */
import { describe, expect, test } from "bun:test";
import { DeadlineError, StoppedError, withDeadline } from "../../../src/observer/deadline.ts";
import { Timeline, VirtualClock } from "../../simulation/clock.ts";
import { deferred } from "./support.ts";

function setUp() {
  const timeline = new Timeline();
  return { timeline, clock: new VirtualClock(timeline) };
}
const outcomeOf = (promise: Promise<unknown>) => {
  const seen: { value?: unknown; cause?: unknown; settled: boolean } = { settled: false };
  promise.then(
    (value) => Object.assign(seen, { value, settled: true }),
    (cause) => Object.assign(seen, { cause, settled: true }),
  );
  return seen;
};

describe("P12: withDeadline()", () => {
  test("answers what the work answers, and fails as it fails", () => {
    const { timeline, clock } = setUp();
    const good = outcomeOf(withDeadline(clock, 100, "Cannot a", async () => 42));
    const bad = outcomeOf(withDeadline(clock, 100, "Cannot b", () => Promise.reject(new Error("no"))));
    const thrown = outcomeOf(
      withDeadline(clock, 100, "Cannot c", () => {
        throw new Error("at once");
      }),
    );
    timeline.advance(0);
    expect(good.value).toBe(42);
    expect((bad.cause as Error).message).toBe("no");
    expect((thrown.cause as Error).message).toBe("at once");
  });

  test("the deadline is one of a step, where the work says that it goes on", () => {
    const { timeline, clock } = setUp();
    const work = deferred<number>();
    let goesOn = () => {};
    const seen = outcomeOf(
      withDeadline(clock, 100, "Cannot load", (_, step) => {
        goesOn = step;
        return work.promise;
      }),
    );
    timeline.advance(90);
    goesOn();
    timeline.advance(99);
    expect(seen.settled).toBe(false);
    timeline.advance(1);
    expect(seen.cause).toBeInstanceOf(DeadlineError);
  });

  test("rejects at the deadline, though the work ignores its signal; the late answer is dropped", () => {
    const { timeline, clock } = setUp();
    const work = deferred<number>();
    let signal: AbortSignal | undefined;
    const seen = outcomeOf(
      withDeadline(clock, 100, "Cannot list", (given) => {
        signal = given;
        return work.promise;
      }),
    );
    timeline.advance(99);
    expect(seen.settled).toBe(false);
    expect(signal?.aborted).toBe(false);
    timeline.advance(1);
    expect(seen.cause).toBeInstanceOf(DeadlineError);
    expect((seen.cause as Error).message).toStartWith("Cannot list: no answer within 100 ms: ");
    expect(signal?.aborted).toBe(true);
    work.reject(new Error("late, and nobody's unhandled rejection"));
    timeline.advance(1);
    expect(seen.cause).toBeInstanceOf(DeadlineError);
  });

  test("names the deadline, not the error of work that obeyed", () => {
    const { timeline, clock } = setUp();
    const seen = outcomeOf(
      withDeadline(clock, 100, "Cannot list", (signal) => {
        const work = deferred<never>();
        signal.addEventListener("abort", () => work.reject(new Error("AbortError")));
        return work.promise;
      }),
    );
    timeline.advance(100);
    expect(seen.cause).toBeInstanceOf(DeadlineError);
  });

  test("ends with its parent, and doesn't begin after it", () => {
    const { timeline, clock } = setUp();
    const parent = new AbortController();
    const seen = outcomeOf(withDeadline(clock, 100, "Cannot list", () => deferred().promise, parent.signal));
    timeline.advance(10);
    parent.abort();
    timeline.advance(0);
    expect(seen.cause).toBeInstanceOf(StoppedError);
    let began = false;
    const after = outcomeOf(
      withDeadline(
        clock,
        100,
        "Cannot list",
        async () => {
          began = true;
        },
        parent.signal,
      ),
    );
    timeline.advance(0);
    expect(after.cause).toBeInstanceOf(StoppedError);
    expect(began).toBe(false);
  });

  test("leaves no timer behind", () => {
    const { timeline, clock } = setUp();
    void withDeadline(clock, 100, "Cannot a", async () => 42);
    timeline.advance(0);
    const { events } = timeline;
    timeline.advance(1_000);
    expect(timeline.events).toBe(events);
  });
});
