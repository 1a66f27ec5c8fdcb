/**
 * Who signed in on the page with the token. A browser can't send it as a header, so it gets a random word instead, in a
 * cookie that no script can read and no other site can make it send. Here only the word's digest is kept.
 */
import { createHash, randomBytes } from "node:crypto";

/** A working day; then the token is asked for again. */
export const SESSION_MS = 12 * 3_600_000;
/** One more, and the oldest ends. */
export const MOST_SESSIONS = 64;

export class Sessions {
  /** When each ends, by digest; in the order in which they began. */
  readonly #endsAtMs = new Map<string, number>();

  /** @param nowMs a clock that never goes back */
  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  /** @returns the word to be given back */
  begin(): string {
    const word = randomBytes(32).toString("base64url");
    for (const [digest, endsAtMs] of this.#endsAtMs) {
      const isOver = endsAtMs <= this.nowMs();
      if (!isOver && this.#endsAtMs.size < MOST_SESSIONS) break;
      this.#endsAtMs.delete(digest);
    }
    this.#endsAtMs.set(digestOf(word), this.nowMs() + SESSION_MS);
    return word;
  }

  isOpen(word: string | undefined): boolean {
    if (word === undefined) return false;
    // Found by a digest that nobody can choose: how long it takes to compare tells nothing of the word.
    return (this.#endsAtMs.get(digestOf(word)) ?? Number.NEGATIVE_INFINITY) > this.nowMs();
  }

  end(word: string | undefined): void {
    if (word !== undefined) this.#endsAtMs.delete(digestOf(word));
  }

  get size(): number {
    return this.#endsAtMs.size;
  }
}

const digestOf = (word: string): string => createHash("sha256").update(word).digest("base64");
