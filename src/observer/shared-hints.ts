/** One source of hints for two loops of one process: a second connection would hear the same. */
import type { HintListener, HintSource } from "./ports.ts";

/** @returns the source for the loop that outlives the other, and one that hears what the first does */
export function sharedHints(source: HintSource): { readonly first: HintSource; readonly second: HintSource } {
  let other: HintListener | null = null;
  let isUp = false;
  return {
    first: {
      listen: (listener, signal) =>
        source.listen(
          {
            onHint(subjects) {
              listener.onHint(subjects);
              other?.onHint(subjects);
            },
            onUp() {
              isUp = true;
              listener.onUp();
              other?.onUp();
            },
            onDown(cause) {
              isUp = false;
              listener.onDown(cause);
              other?.onDown(cause);
            },
          },
          signal,
        ),
    },
    second: {
      async listen(listener, signal) {
        other = listener;
        if (isUp) listener.onUp();
        await ended(signal);
        other = null;
      },
    },
  };
}

/** For a loop that has nothing to hear. */
export const silence: HintSource = { listen: (_, signal) => ended(signal) };

const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
