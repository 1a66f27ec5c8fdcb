/** One at a time, in the order of asking. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  #count = 0;

  /** The number of the latest turn. */
  get latest(): number {
    return this.#count;
  }

  /** @param work gets the number of its turn, from 1 on */
  take<T>(work: (turn: number) => Promise<T>): Promise<T> {
    const done = this.#last.then(() => {
      this.#count += 1;
      return work(this.#count);
    });
    this.#last = done.then(
      () => {},
      () => {},
    );
    return done;
  }
}
