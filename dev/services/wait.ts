/**
 * Polls until the probe answers something other than `undefined` or `false`, and returns that.
 * A probe that throws counts as "not yet"; its last error becomes the cause when the deadline passes.
 */
export async function waitFor<T>(
  what: string,
  deadlineMs: number,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  pollMs = 15,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  let lastError: unknown;
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer as T;
      lastError = undefined;
    } catch (error) {
      if (error instanceof Fatal) throw error.cause;
      lastError = error;
    }
    if (performance.now() >= endMs) {
      throw new Error(`Cannot wait any longer for ${what}: ${deadlineMs} ms have passed`, {
        cause: lastError,
      });
    }
    await Bun.sleep(pollMs);
  }
}

/** Thrown by a probe when waiting on is pointless; `waitFor` then throws its cause at once. */
export class Fatal extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}
