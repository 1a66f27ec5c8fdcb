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
 */
export async function withDeadline<T>(
  clock: Clock,
  deadlineMs: number,
  action: string,
  work: (signal: AbortSignal) => Promise<T>,
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
    void clock.sleep(deadlineMs, timer.signal).then(() => {
      if (timer.signal.aborted) return;
      controller.abort(new DeadlineError(`${action}: no answer within ${deadlineMs} ms`));
    });
    const working = work(controller.signal);
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
