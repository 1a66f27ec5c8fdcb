/**
 * What really exists, at every instant since the beginning: the simulated Engine and store draw from it, and the
 * checks ask it whether what was written was ever true.
 *
 * It keeps the Engine's rule: the volume of a container that mounts it can't be removed, nor the container be made
 * before it. A workspace of the kind `bare` has containers that mount nothing, and never a volume.
 */
import { type Random, randomInt } from "../../dev/fakes/random.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type { ArchiveSeen, ContainerSeen, VolumeSeen } from "../../src/observer/ports.ts";
import type { Timeline } from "./clock.ts";

export interface Resources {
  readonly container: ContainerSeen | undefined;
  readonly volume: VolumeSeen | undefined;
  readonly archive: ArchiveSeen | undefined;
}

interface Moment {
  readonly fromMs: number;
  readonly resources: Resources;
}

const NOTHING: Resources = { container: undefined, volume: undefined, archive: undefined };

export class Truth {
  onChange: (id: WorkspaceId, what: "engine" | "archives") => void = () => {};
  readonly #history = new Map<WorkspaceId, Moment[]>();

  constructor(
    private readonly timeline: Timeline,
    private readonly random: Random,
    readonly ids: readonly WorkspaceId[],
    private readonly bare: ReadonlySet<WorkspaceId>,
  ) {
    for (const id of ids) this.#history.set(id, [{ fromMs: 0, resources: NOTHING }]);
  }

  now(id: WorkspaceId): Resources {
    return this.#history.get(id)!.at(-1)!.resources;
  }

  /** Everything that was so at some instant of the interval, ends included. */
  during(id: WorkspaceId, fromMs: number, toMs: number): Resources[] {
    const history = this.#history.get(id);
    if (history === undefined) return [NOTHING];
    const states: Resources[] = [];
    for (let index = history.length - 1; index >= 0; index--) {
      const { fromMs: beganMs, resources } = history[index]!;
      if (beganMs <= toMs) states.push(resources);
      if (beganMs < fromMs) break;
    }
    return states;
  }

  set(id: WorkspaceId, change: Partial<{ [K in keyof Resources]: Resources[K] | undefined }>): void {
    const resources = { ...this.now(id), ...change } as Resources;
    this.#history.get(id)!.push({ fromMs: this.timeline.nowMs, resources });
    this.onChange(id, "archive" in change ? "archives" : "engine");
  }

  /** One step that the Engine or the store would allow. */
  step(id: WorkspaceId, kind: "engine" | "archives"): void {
    const { random } = this;
    const { container, volume } = this.now(id);
    if (kind === "archives") {
      this.set(id, {
        archive: this.now(id).archive !== undefined && random() < 0.4 ? undefined : this.#archive(id),
      });
      return;
    }
    if (container !== undefined) {
      if (random() < 0.35) this.set(id, { container: undefined });
      else this.set(id, { container: this.#next(container) });
    } else if (this.bare.has(id)) this.set(id, { container: this.#container() });
    else if (volume === undefined) this.set(id, { volume: { name: `ws-${id}-home`, driver: "local" } });
    else if (random() < 0.35) this.set(id, { volume: undefined });
    else this.set(id, { container: this.#container() });
  }

  /** Container and volume go; a torn pair in the making. */
  removeAll(id: WorkspaceId, withArchive: boolean): void {
    if (this.now(id).container !== undefined) this.set(id, { container: undefined });
    if (this.now(id).volume !== undefined) this.set(id, { volume: undefined });
    if (withArchive && this.now(id).archive !== undefined) this.set(id, { archive: undefined });
  }

  createAll(id: WorkspaceId): void {
    if (this.now(id).volume === undefined && !this.bare.has(id)) this.step(id, "engine");
    if (this.now(id).container === undefined) this.set(id, { container: this.#container() });
  }

  #container(): ContainerSeen {
    const containerId = randomInt(this.random, 2 ** 32)
      .toString(16)
      .padStart(12, "0");
    return { state: "running", health: "none", exitCode: null, containerId, image: "code:1" };
  }

  #next(container: ContainerSeen): ContainerSeen {
    const pick = randomInt(this.random, 5);
    if (pick === 0)
      return { ...container, state: "exited", health: "none", exitCode: randomInt(this.random, 256) };
    if (pick === 1) return { ...container, state: "paused", exitCode: null };
    if (pick === 2) return { ...container, state: "running", health: "healthy", exitCode: null };
    if (pick === 3) return { ...container, state: "running", health: "unhealthy", exitCode: null };
    return { ...container, state: "running", health: "none", exitCode: null };
  }

  #archive(id: WorkspaceId): ArchiveSeen {
    const op = randomInt(this.random, 2 ** 32).toString(16);
    return {
      key: `ws-${id}/${op}/home.tar.zst`,
      sizeBytes: randomInt(this.random, 1e9),
      uploadedAt: `2026-11-23T20:00:00.${String(randomInt(this.random, 1000)).padStart(3, "0")}Z`,
    };
  }
}
