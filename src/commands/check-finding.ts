/** One question of `observer check`, and what it found. */
import type { HintSource } from "../observer/ports.ts";
import { errorText } from "../status/error-text.ts";

export interface Finding {
  readonly name: string;
  /** `warning`: it works, but not as it should. */
  readonly result: "ok" | "warning" | "wrong" | "skipped";
  readonly detail: string;
}

/** Under a deadline. */
export type Ask = <T>(
  action: string,
  deadlineMs: number,
  work: (signal: AbortSignal) => Promise<T>,
) => Promise<T>;

type Outcome = Pick<Finding, "result" | "detail">;

/** @param otherwise what a failure counts as */
export async function* attempt<T>(
  name: string,
  work: () => Promise<readonly [T, Outcome]>,
  otherwise: "wrong" | "warning" = "wrong",
): AsyncGenerator<Finding, T | null> {
  try {
    const [value, outcome] = await work();
    yield { name, ...outcome };
    return value;
  } catch (cause) {
    yield { name, result: otherwise, detail: errorText(cause) };
    return null;
  }
}

/** Resolves at the first connection; rejects at the first failure. Leaves nothing running. */
export async function connects(
  source: HintSource,
  signal: AbortSignal,
  onHint: () => void = () => {},
): Promise<void> {
  const done = new AbortController();
  let failure: unknown = null;
  let isUp = false;
  await source.listen(
    {
      onHint,
      onUp: () => {
        isUp = true;
        done.abort();
      },
      onDown: (cause) => {
        failure = cause;
        done.abort();
      },
    },
    AbortSignal.any([signal, done.signal]),
  );
  if (!isUp) throw failure ?? signal.reason;
}
