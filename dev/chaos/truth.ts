// The only hands that touch workspaces here: every deed goes into the journal, and what became of one whose answer got
// lost is looked up, by ways that no fault is in.
import type { EngineClient } from "../services/engine.ts";
import { waitFor } from "../services/wait.ts";
import { ABSENT, containerValue, inSomeState, type Journal, type Kind, PRESENT } from "./journal.ts";
import type { Store } from "./store.ts";

/** A container's new state may be listed this much after the Engine's answer: it is written to disk in between. */
const SETTLE_MS = 1_000;
const LOST_DEADLINE_MS = 180_000;

export class Truth {
  #uploads = 0;

  constructor(
    readonly journal: Journal,
    private readonly engine: EngineClient,
    private readonly store: Store,
  ) {}

  container = (id: string): string => this.journal.current("container", id);
  isRunning = (id: string): boolean => this.container(id).endsWith(" Running");

  createVolume = (id: string) =>
    this.#do(
      "volume",
      id,
      () => this.engine.createVolume(`ws-${id}-home`),
      () => PRESENT,
    );

  removeVolume = (id: string) =>
    this.#do(
      "volume",
      id,
      () => this.engine.removeVolume(`ws-${id}-home`),
      () => ABSENT,
    );

  createContainer = (id: string) =>
    this.#do(
      "container",
      id,
      () => this.engine.create({ name: `ws-${id}`, volume: `ws-${id}-home` }),
      (containerId) => containerValue(containerId, "Created"),
    );

  startContainer = (id: string) => this.#change(id, "Running", () => this.engine.start(`ws-${id}`));
  killContainer = (id: string) => this.#change(id, "Exited", () => this.engine.kill(`ws-${id}`));

  removeContainer(id: string): Promise<void> {
    const [containerId = ""] = this.container(id).split(" ");
    return this.#do(
      "container",
      id,
      () => this.engine.remove(`ws-${id}`),
      () => ABSENT,
      // A container that is being removed is killed first, and may say so.
      { through: inSomeState(containerId) },
    );
  }

  /** The new one becomes the newest at once; the one before it goes then. */
  async upload(id: string): Promise<void> {
    const before = this.journal.current("archive", id);
    const key = `ws-${id}/op${String(++this.#uploads).padStart(6, "0")}/home.tar.zst`;
    await this.#do(
      "archive",
      id,
      () => this.store.put(key, "archive"),
      () => key,
    );
    if (before !== ABSENT && this.journal.current("archive", id) === key)
      await this.#do(
        "archive",
        id,
        () => this.store.remove(before),
        () => key,
      );
  }

  removeArchive(id: string): Promise<void> {
    const key = this.journal.current("archive", id);
    return this.#do(
      "archive",
      id,
      () => this.store.remove(key),
      () => ABSENT,
    );
  }

  #change(id: string, reason: string, deed: () => Promise<unknown>): Promise<void> {
    const [containerId = ""] = this.container(id).split(" ");
    return this.#do("container", id, deed, () => containerValue(containerId, reason), {
      settleMs: SETTLE_MS,
    });
  }

  async #do<T>(
    kind: Kind,
    id: string,
    deed: () => Promise<T>,
    becomes: (answer: T) => string,
    options: { settleMs?: number; through?: string } = {},
  ): Promise<void> {
    const beganMs = Date.now();
    try {
      const answer = await deed();
      this.journal.moved(kind, id, becomes(answer), beganMs, Date.now() + 1, options);
    } catch {
      await this.lookUp(kind, id, beganMs);
    }
  }

  /** What is there now, whatever happened since then. Waits until the service answers. */
  async lookUp(kind: Kind, id: string, sinceMs: number): Promise<void> {
    const { value } = await waitFor(
      `the truth about the ${kind} of ${id}`,
      LOST_DEADLINE_MS,
      async () => ({
        value: await this.#ask(kind, id),
      }),
      100,
    );
    this.#settle(kind, id, value, sinceMs);
  }

  #settle(kind: Kind, id: string, value: string, sinceMs: number): void {
    const before = this.journal.current(kind, id);
    const nowMs = Date.now() + 1;
    // In the meantime it may have been in any state.
    for (const containerId of kind === "container" ? new Set([idOf(before), idOf(value)]) : []) {
      if (containerId !== null)
        this.journal.moved(kind, id, before, sinceMs, nowMs, { through: inSomeState(containerId) });
    }
    this.journal.moved(kind, id, value, sinceMs, nowMs, kind === "container" ? { settleMs: SETTLE_MS } : {});
  }

  async #ask(kind: Kind, id: string): Promise<string> {
    if (kind === "archive") return (await this.store.keys(`ws-${id}/`)).at(-1) ?? ABSENT;
    if (kind === "volume")
      return (await this.engine.listVolumes()).includes(`ws-${id}-home`) ? PRESENT : ABSENT;
    return (await this.#containers()).get(id) ?? ABSENT;
  }

  async #containers(): Promise<Map<string, string>> {
    const listed = await this.engine.list();
    return new Map(
      listed.flatMap(({ Id, Names, State }) =>
        (Names ?? []).map((name) => [
          name.replace(/^\/ws-/, ""),
          containerValue(Id, State[0]!.toUpperCase() + State.slice(1)),
        ]),
      ),
    );
  }

  /** After an Engine's death: its containers ended with it, each at some time since then. */
  async lookUpContainers(ids: readonly string[], sinceMs: number): Promise<void> {
    const { containers } = await waitFor(
      "the Engine's containers",
      LOST_DEADLINE_MS,
      async () => ({
        containers: await this.#containers(),
      }),
      100,
    );
    for (const id of ids) this.#settle("container", id, containers.get(id) ?? ABSENT, sinceMs);
  }

  /** The journal is judged too: names what it says and what is really there, where they differ. */
  async audit(ids: readonly string[]): Promise<string[]> {
    const [containers, volumes] = [await this.#containers(), await this.engine.listVolumes()];
    const keys = await this.store.keys("ws-");
    return ids.flatMap((id) => {
      const really: Record<Kind, string> = {
        container: containers.get(id) ?? ABSENT,
        volume: volumes.includes(`ws-${id}-home`) ? PRESENT : ABSENT,
        archive: keys.findLast((key) => key.startsWith(`ws-${id}/`)) ?? ABSENT,
      };
      return (Object.keys(really) as Kind[])
        .filter((kind) => this.journal.current(kind, id) !== really[kind])
        .map(
          (kind) =>
            `${kind} ${id}: the journal says ${this.journal.current(kind, id)}, it is ${really[kind]}`,
        );
    });
  }
}

const idOf = (value: string): string | null => (value === ABSENT ? null : (value.split(" ")[0] ?? null));
