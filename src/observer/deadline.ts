/** Every await has a deadline (P12). */
import type { Clock } from "./ports.ts";

const SETTLED = "settled";

export class DeadlineError extends Error {
  override name = "DeadlineError";
}

export class StoppedError extends Error {
  override name = "StoppedError";
}

/**
 * Runs `work` with a signal that fires at the deadline or with `parent`, and settles no later than that, even if
 * the work ignores its signal. Its late outcome is then dropped.
 *
 * @param action for the message: `Cannot list containers`
 * @param work what has several steps calls `goesOn` after each: the deadline is one of a step
 */
export async function withDeadline<T>(
  clock: Clock,
  deadlineMs: number,
  action: string,
  work: (signal: AbortSignal, goesOn: () => void) => Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  if (parent?.aborted) throw new StoppedError(`${action}: stopped`);
  const controller = new AbortController();
  const timer = new AbortController();
  const stop = () => controller.abort(new StoppedError(`${action}: stopped`));
  parent?.addEventListener("abort", stop, { once: true });
  try {
    const aborted = new Promise<never>((_, reject) => {
      controller.signal.addEventListener("abort", () => reject(controller.signal.reason), { once: true });
    });
    let endMs = clock.monotonicMs() + deadlineMs;
    const watch = async (leftMs: number): Promise<void> => {
      await clock.sleep(leftMs, timer.signal);
      if (timer.signal.aborted) return;
      const moreMs = endMs - clock.monotonicMs();
      if (moreMs > 0) return watch(moreMs);
      controller.abort(
        new DeadlineError(
          `${action}: no answer within ${deadlineMs} ms: what is asked hangs, is overloaded or cut off; see its own log`,
        ),
      );
    };
    void watch(deadlineMs);
    const working = work(controller.signal, () => {
      endMs = clock.monotonicMs() + deadlineMs;
    });
    // Whichever loses the race must not become an unhandled rejection.
    working.catch(() => {});
    aborted.catch(() => {});
    return await Promise.race([working, aborted]);
  } catch (cause) {
    // An adapter that obeyed its signal rejects with an error of its own; the deadline is the better answer.
    throw controller.signal.aborted ? controller.signal.reason : cause;
  } finally {
    // Without a reason every call would make a DOMException with a stack of its own.
    timer.abort(SETTLED);
    parent?.removeEventListener("abort", stop);
  }
}
