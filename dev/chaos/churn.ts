// Life on the platform: workspaces come, start, stop, are archived and go, a few deeds a second, until it is asked to rest.
import type { Random } from "../fakes/random.ts";
import { ABSENT } from "./journal.ts";
import type { Truth } from "./truth.ts";

/** Always there, so that no moment looks like a sudden emptiness; they start, end and are archived. */
export const STEADY = Array.from({ length: 8 }, (_, index) => `s${index}`);
/** Made and removed again and again. */
export const FLEETING = Array.from({ length: 6 }, (_, index) => `f${index}`);
export const IDS: readonly string[] = [...STEADY, ...FLEETING];

/** Between two deeds that depend on one another: clocks here count milliseconds. */
const GAP_MS = 5;

export class Churn {
  #resting = true;
  #workers: Promise<void>[] = [];
  readonly #busy = new Set<string>();
  deeds = 0;

  constructor(
    private readonly truth: Truth,
    private readonly random: Random,
  ) {}

  /** Every steady workspace runs and is archived; of the fleeting ones half are there. */
  async settle(): Promise<void> {
    for (const [index, id] of IDS.entries()) {
      if (index >= STEADY.length + FLEETING.length / 2) continue;
      await this.#bringUp(id);
      if (this.truth.journal.current("archive", id) === ABSENT) await this.truth.upload(id);
    }
  }

  start(): void {
    this.#resting = false;
    const { journal } = this.truth;
    this.#workers = [
      this.#work(STEADY, (id) =>
        this.truth.isRunning(id) ? this.truth.killContainer(id) : this.truth.startContainer(id),
      ),
      this.#work(FLEETING, (id) =>
        journal.current("volume", id) === ABSENT ? this.#bringUp(id) : this.#tearDown(id),
      ),
      this.#work(
        IDS.map((id) => `${id} archive`),
        (name) => {
          const [id = ""] = name.split(" ");
          const isRemoval = FLEETING.includes(id) && journal.current("archive", id) !== ABSENT;
          return isRemoval ? this.truth.removeArchive(id) : this.truth.upload(id);
        },
      ),
    ];
    // One that fails is told of by `rested`, not by the end of this process.
    for (const worker of this.#workers) worker.catch(() => {});
  }

  /** Begins nothing any more. What is under way ends in its time: `rested` resolves then. */
  rest(): void {
    this.#resting = true;
  }
  async rested(): Promise<void> {
    this.rest();
    const workers = this.#workers.splice(0);
    await Promise.all(workers);
  }

  async #work(names: readonly string[], deed: (name: string) => Promise<void>): Promise<void> {
    while (!this.#resting) {
      const name = names[Math.floor(this.random() * names.length)]!;
      if (!this.#busy.has(name)) {
        this.#busy.add(name);
        await deed(name);
        this.#busy.delete(name);
        this.deeds += 1;
      }
      await Bun.sleep(50 + this.random() * 250);
    }
  }

  async #bringUp(id: string): Promise<void> {
    if (this.truth.journal.current("volume", id) === ABSENT) await this.truth.createVolume(id);
    await Bun.sleep(GAP_MS);
    if (this.truth.container(id) === ABSENT) await this.truth.createContainer(id);
    if (this.truth.container(id) !== ABSENT && !this.truth.isRunning(id)) await this.truth.startContainer(id);
  }

  async #tearDown(id: string): Promise<void> {
    if (this.truth.container(id) !== ABSENT) await this.truth.removeContainer(id);
    await Bun.sleep(GAP_MS);
    // An Engine that was killed in between keeps the container, and with it the volume.
    if (this.truth.container(id) === ABSENT) await this.truth.removeVolume(id);
  }
}
