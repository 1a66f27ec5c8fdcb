/** For a long computation in the thread of the loop, which must not have to wait for it: work a little, let others go first. */
const PIECE_MS = 3;
/** The clock is looked at now and then only. */
const STEPS = 128;

export class Pace {
  #sinceMs = performance.now();
  #workMs = 0;
  #steps = 0;

  /** To be asked at every step. */
  get isDue(): boolean {
    this.#steps = (this.#steps + 1) % STEPS;
    return this.#steps === 0 && performance.now() - this.#sinceMs >= PIECE_MS;
  }

  async rest(): Promise<void> {
    this.#workMs = this.workMs;
    await new Promise((resolve) => setImmediate(resolve));
    this.#sinceMs = performance.now();
  }

  /** Without the rests. */
  get workMs(): number {
    return this.#workMs + performance.now() - this.#sinceMs;
  }
}
