/** Fake hint channels and the wake-up: hints get lost, come twice, come late, and the line is cut. */
import type { Random } from "../../dev/fakes/random.ts";
import type { HintListener, HintSource, Subject, WakePublisher } from "../../src/observer/ports.ts";
import type { Owner, Timeline } from "./clock.ts";
import type { FaultRates } from "./faults.ts";
import type { Network } from "./network.ts";

export class FakeChannel implements HintSource {
  #listener: HintListener | null = null;

  constructor(
    private readonly timeline: Timeline,
    private readonly random: Random,
    private readonly rates: () => FaultRates,
    private readonly owner: Owner,
  ) {}

  listen(listener: HintListener, signal: AbortSignal): Promise<void> {
    this.#connect(listener, signal);
    return new Promise((resolve) => {
      const end = () => {
        this.#listener = null;
        this.timeline.after(1, resolve, this.owner);
      };
      if (signal.aborted) end();
      else signal.addEventListener("abort", end, { once: true });
    });
  }

  #connect(listener: HintListener, signal: AbortSignal): void {
    this.timeline.after(
      1 + this.random() * 20,
      () => {
        if (signal.aborted) return;
        this.#listener = listener;
        this.#signal = signal;
        listener.onUp();
      },
      this.owner,
    );
  }
  #signal: AbortSignal | null = null;

  hint(subjects?: readonly Subject[]): void {
    const { random } = this;
    const rates = this.rates();
    if (random() < rates.hintCut && this.#listener !== null && this.#signal !== null) {
      const listener = this.#listener;
      this.#listener = null;
      this.timeline.after(1, () => listener.onDown(new Error("cut")), this.owner);
      const signal = this.#signal;
      this.timeline.after(random() * 3_000, () => this.#connect(listener, signal));
      return;
    }
    if (random() < rates.hintLost) return;
    const times = random() < rates.hintTwice ? 2 : 1;
    for (let time = 0; time < times; time++)
      this.timeline.after(1 + random() * 5, () => this.#listener?.onHint(subjects), this.owner);
  }
}

export const fakeWake = (
  network: Network,
  random: Random,
  rates: () => FaultRates,
  owner: Owner,
  published: () => void,
): WakePublisher => ({
  publish(signal) {
    const roll = random();
    const { wakeError, wakeAckLost } = rates();
    if (roll < wakeError / 2)
      return network.call(
        owner,
        signal,
        { doneAfterMs: null, answerAfterMs: 1, failsWith: "refused" },
        published,
      );
    if (roll < wakeError)
      return network.call(owner, signal, { doneAfterMs: null, answerAfterMs: null }, published);
    const answerAfterMs = roll < wakeError + wakeAckLost ? null : 1;
    return network.call(owner, signal, { doneAfterMs: 1 + random() * 5, answerAfterMs }, published);
  },
});
