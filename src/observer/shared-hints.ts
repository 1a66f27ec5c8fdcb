/** One source of hints for all loops of one process: a second connection would hear the same. */
import type { HintListener, HintSource } from "./ports.ts";

/** `host:vm-17` is meant for that one alone; whatever else a hint says, or nothing, is for all. */
export const hostOfHint = (payload: string): string | undefined =>
  payload.startsWith("host:") ? payload.slice("host:".length) : undefined;

/**
 * @returns what makes a source for one loop, of the hints that are for all or for one of these hosts; it is listened to
 * from the first loop that listens until the last has ended
 */
export function sharedHints(source: HintSource): (hosts: readonly string[]) => HintSource {
  const listeners = new Set<{ readonly hosts: readonly string[]; readonly listener: HintListener }>();
  let isUp = false;
  let stop = new AbortController();
  let listening = Promise.resolve();
  const toAll: HintListener = {
    onHint(subjects, host) {
      for (const { hosts, listener } of listeners)
        if (host === undefined || hosts.includes(host)) listener.onHint(subjects);
    },
    onUp() {
      isUp = true;
      for (const { listener } of listeners) listener.onUp();
    },
    onDown(cause) {
      isUp = false;
      for (const { listener } of listeners) listener.onDown(cause);
    },
  };
  return (hosts) => ({
    async listen(listener, signal) {
      const one = { hosts, listener };
      listeners.add(one);
      if (listeners.size === 1) {
        isUp = false;
        stop = new AbortController();
        listening = source.listen(toAll, stop.signal);
      } else if (isUp) listener.onUp();
      await ended(signal);
      listeners.delete(one);
      if (listeners.size > 0) return;
      stop.abort();
      await listening;
    },
  });
}

/** For a loop that has nothing to hear. */
export const silence: HintSource = { listen: (_, signal) => ended(signal) };

const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
