// What the Engine's tests need around them: the real clock, and an ear for hints.
import { waitFor } from "../../dev/services/wait.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import type { HintListener, HintSource } from "../../src/observer/ports.ts";

/** The one that the product runs on. */
export const realClock = systemClock;

/** Long enough for a busy machine, short enough to end a test that hangs. */
export const deadline = (ms = 20_000): AbortSignal => AbortSignal.timeout(ms);

export interface Ear {
  readonly hints: number;
  readonly ups: number;
  readonly downs: readonly unknown[];
  /** Resolves once the counts are at least these. */
  heard(counts: { hints?: number; ups?: number; downs?: number }): Promise<void>;
  /** Fires the signal; resolves when `listen()` did. */
  stop(): Promise<void>;
}

export function listenTo(source: HintSource): Ear {
  const stopping = new AbortController();
  let hints = 0;
  let ups = 0;
  const downs: unknown[] = [];
  const listener: HintListener = {
    onHint: () => {
      hints += 1;
    },
    onUp: () => {
      ups += 1;
    },
    onDown: (cause) => {
      downs.push(cause);
    },
  };
  const listening = source.listen(listener, stopping.signal);
  return {
    get hints() {
      return hints;
    },
    get ups() {
      return ups;
    },
    downs,
    async heard(counts) {
      const text = JSON.stringify(counts);
      await waitFor(
        `the event stream to say ${text}`,
        15_000,
        () => hints >= (counts.hints ?? 0) && ups >= (counts.ups ?? 0) && downs.length >= (counts.downs ?? 0),
        2,
      );
    },
    async stop() {
      stopping.abort(new Error("the test is over"));
      await listening;
    },
  };
}
