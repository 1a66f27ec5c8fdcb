/** A call over a wire: it leaves, is done somewhere in the world, and its answer comes back, or not. */
import type { Random } from "../../dev/fakes/random.ts";
import type { Owner, Timeline } from "./clock.ts";

export interface CallPlan {
  /** From now until it is done over there; null: it gets lost. */
  readonly doneAfterMs: number | null;
  /** From then until the answer is here; null: nothing ever comes. */
  readonly answerAfterMs: number | null;
  /** The answer is an error of the wire, whatever was done. */
  readonly failsWith?: string;
  /** The wire breaks after this, while over there it is still being done. */
  readonly breaksAfterMs?: number;
  /** Doesn't react to its signal. */
  readonly deaf?: boolean;
}

export class Network {
  constructor(
    private readonly timeline: Timeline,
    private readonly random: Random,
  ) {}

  /** What is done runs in the world, whatever has become of the caller; the answer waits for a paused one. */
  call<T>(owner: Owner, signal: AbortSignal, plan: CallPlan, act: () => T): Promise<T> {
    const { timeline } = this;
    return new Promise<T>((resolve, reject) => {
      const answer = (settle: () => void) => {
        if (plan.answerAfterMs !== null) timeline.after(plan.answerAfterMs, settle, owner);
      };
      if (plan.doneAfterMs === null) {
        if (plan.failsWith !== undefined) answer(() => reject(new Error(plan.failsWith)));
      } else {
        timeline.after(plan.doneAfterMs, () => {
          try {
            const value = act();
            answer(() => (plan.failsWith === undefined ? resolve(value) : reject(new Error(plan.failsWith))));
          } catch (cause) {
            answer(() => reject(cause));
          }
        });
      }
      if (plan.breaksAfterMs !== undefined)
        timeline.after(plan.breaksAfterMs, () => reject(new Error("reset")), owner);
      if (plan.deaf) return;
      const onAbort = () => {
        timeline.after(this.random() * 5, () => reject(new Error("aborted")), owner);
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}
