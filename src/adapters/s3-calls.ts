/** How the S3 adapter waits: every call with a deadline, several with a bound, and nothing left running. */
import { pipeline, Readable, Transform } from "node:stream";

/** The deadline of one call passed. */
export class DeadlinePassed extends Error {
  override readonly name = "DeadlinePassed";
}

/**
 * Runs a call with a signal that fires with the caller's or at the deadline, and settles at that moment even if the
 * call doesn't (the SDK looks for credentials without a signal). Rejects with the caller's reason or DeadlinePassed.
 */
export async function withDeadline<T>(
  timeoutMs: number,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const controller = new AbortController();
  const cut = Promise.withResolvers<never>();
  const end = (reason: unknown) => {
    cut.reject(reason);
    controller.abort(reason);
  };
  const onAbort = () => end(signal.reason);
  const timer = setTimeout(() => end(new DeadlinePassed(`no answer within ${timeoutMs} ms`)), timeoutMs);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([cut.promise, call(controller.signal)]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Calls for each item, at most `parallel` at a time. When one fails the others are aborted; returns or throws the
 * first failure only when all have stopped.
 */
export async function forEachOf<Item>(
  items: Iterable<Item>,
  parallel: number,
  signal: AbortSignal,
  call: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  signal.throwIfAborted();
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const queue = [...items];
  let failure: { readonly error: unknown } | null = null;
  const work = async () => {
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
      try {
        await call(item, controller.signal);
      } catch (error) {
        failure ??= { error };
        queue.length = 0;
        controller.abort(error);
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(parallel, queue.length) }, work));
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  signal.throwIfAborted();
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
}

/** The answer is longer than any listing's page: whatever it is, it would fill the memory. */
export class BodyTooLong extends Error {
  override readonly name = "BodyTooLong";
}

/** All of a body; fails and closes its connection once it is longer than `maxBytes`. */
export async function readBytes(body: unknown, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of boundedBody(body, maxBytes) as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

/** The same body, which fails and closes its connection once it is longer than `maxBytes`. */
export function boundedBody(body: unknown, maxBytes: number): unknown {
  if (!(body instanceof Readable)) return body;
  let bytes = 0;
  const bound = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) done(new BodyTooLong(`the answer has more than ${maxBytes} bytes`));
      else done(null, chunk);
    },
  });
  // The error reaches the reader through `bound`; the callback only keeps it from being uncaught.
  pipeline(body, bound, () => {});
  return bound;
}
