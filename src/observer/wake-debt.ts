/**
 * Which commits the controller has not been told of. It is owed a wake-up for every committed change, through lost
 * answers and a channel that is down (P8); so this is shared by all that write, and outlives a cycle.
 */
export class WakeDebt {
  #owed = 0;
  #paid = 0;
  #unsettled = 0;
  #settled = 0;

  /** A change was committed, or may have been. */
  owe(): void {
    this.#owed += 1;
  }

  get isOwed(): boolean {
    return this.#owed > this.#paid;
  }

  /** What a wake-up that is published from now on covers. */
  get mark(): number {
    return this.#owed;
  }

  paid(mark: number): void {
    this.#paid = Math.max(this.#paid, mark);
  }

  /**
   * A commit may have happened, or may happen yet. Announced before it, it would never be announced after it; so nothing
   * is announced until it is over. A renewal of the lease waits for it: both need the lease's row.
   */
  unsettled(): void {
    this.#unsettled += 1;
  }

  get isUnsettled(): boolean {
    return this.#unsettled > this.#settled;
  }

  /** What a renewal that begins now will have waited for. */
  get unsettledMark(): number {
    return this.#unsettled;
  }

  settled(mark: number): void {
    this.#settled = Math.max(this.#settled, mark);
  }
}
