// What really existed, and when: for every container, volume and archive the states it was in, each with the interval
// in which it may have been seen. All times are this machine's clock, which is the database's too.

export type Kind = "container" | "volume" | "archive";

/** No such thing. Other values: a volume's "present", an archive's key, a container's "id Reason". */
export const ABSENT = "absent";
export const PRESENT = "present";
/** A container in a state between two others: some Engine calls pass through several. */
export const inSomeState = (containerId: string): string => `${containerId} *`;
export const containerValue = (containerId: string, reason: string): string =>
  `${containerId.slice(0, 12)} ${reason}`;

/** It may have been seen from the first to the last, milliseconds since 1970, both included. */
export interface Possible {
  readonly value: string;
  readonly fromMs: number;
  toMs: number;
}

export class Journal {
  readonly #histories = new Map<string, Possible[]>();

  #history(kind: Kind, id: string): Possible[] {
    const key = `${kind} ${id}`;
    let history = this.#histories.get(key);
    if (history === undefined) {
      history = [{ value: ABSENT, fromMs: 0, toMs: Number.POSITIVE_INFINITY }];
      this.#histories.set(key, history);
    }
    return history;
  }

  current(kind: Kind, id: string): string {
    return this.#history(kind, id).at(-1)!.value;
  }

  /**
   * From one value to another by a deed that began and ended then.
   * @param settleMs how long after it the old value may still be shown: an Engine writes states to disk before it lists
   *   them. What is gone or new it knows at once, so those get none, and no older value outlives them.
   */
  moved(
    kind: Kind,
    id: string,
    to: string,
    beganMs: number,
    endedMs: number,
    options: { settleMs?: number; through?: string } = {},
  ): void {
    const history = this.#history(kind, id);
    const last = history.at(-1)!;
    if (options.through !== undefined) {
      history.splice(-1, 0, { value: options.through, fromMs: beganMs, toMs: endedMs });
    }
    if (last.value === to) return;
    last.toMs = endedMs + (options.settleMs ?? 0);
    if (to === ABSENT || last.value === ABSENT) {
      for (const state of history) state.toMs = Math.min(state.toMs, endedMs);
    }
    history.push({ value: to, fromMs: beganMs, toMs: Number.POSITIVE_INFINITY });
  }

  /** The states that show this value and may have been seen in the interval. */
  possible(kind: Kind, id: string, value: string, fromMs: number, toMs: number): Possible[] {
    return this.#history(kind, id).filter(
      (state) => shows(state.value, value) && state.fromMs <= toMs && state.toMs >= fromMs,
    );
  }

  /** The part of the journal that a claim is judged by, for people. */
  excerpt(kind: Kind, id: string, fromMs: number, toMs: number): string {
    const history = this.#history(kind, id);
    const from = Math.max(0, history.findIndex((state) => state.toMs >= fromMs) - 2);
    return history
      .slice(from)
      .filter((state) => state.fromMs <= toMs + 1_000)
      .map((state) => `    ${kind} ${id} ${state.value}: ${clock(state.fromMs)} to ${clock(state.toMs)}`)
      .join("\n");
  }
}

function shows(state: string, claim: string): boolean {
  return state === claim || (state.endsWith(" *") && claim.startsWith(state.slice(0, -1)));
}

/** Time of day with milliseconds. */
export function clock(ms: number): string {
  if (ms <= 0) return "ever";
  return Number.isFinite(ms) ? new Date(ms).toISOString().slice(11, 23) : "now";
}
