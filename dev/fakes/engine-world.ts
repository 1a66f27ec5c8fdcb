import { EventLog, type EventType } from "./engine-events.ts";
import {
  type Container,
  type ContainerSpec,
  checkContainerName,
  checkVolumeName,
  EngineRefusal,
  NETWORK,
  newContainer,
  runningRefusal,
  sha256,
  type Volume,
} from "./engine-model.ts";
import type { HealthStatus } from "./engine-status-text.ts";

/**
 * The containers and volumes of one simulated Engine. Each operation changes the world at once, then emits the
 * events that dockerd 20.10 emits for it, in its order: at its `die` event a container is already listed as exited.
 * A `ref` is a name, an id or an unambiguous start of an id. What dockerd refuses throws an EngineRefusal.
 */
export class EngineWorld {
  readonly events = new EventLog();
  readonly #containers = new Map<string, Container>();
  readonly #volumes = new Map<string, Volume>();
  readonly #healthAtStart = new Map<string, HealthStatus>();
  readonly #nowMs: () => number;
  readonly #seed: string;
  #created = 0;

  /** `nowMs` is the Engine's wall clock; the same seed and the same operations give the same ids. */
  constructor(options: { nowMs?: () => number; seed?: string } = {}) {
    this.#nowMs = options.nowMs ?? Date.now;
    this.#seed = options.seed ?? "engine";
  }

  get nowMs(): number {
    return this.#nowMs();
  }

  /** Newest first, as the list is. */
  containers(): Container[] {
    return [...this.#containers.values()].reverse();
  }

  volumes(): Volume[] {
    return [...this.#volumes.values()];
  }

  container(ref: string): Container {
    const name = ref.replace(/^\//, "");
    const exact = this.#containers.get(ref) ?? this.containers().find((other) => other.name === name);
    if (exact) return exact;
    const byPrefix = ref === "" ? [] : this.containers().filter((other) => other.id.startsWith(ref));
    if (byPrefix.length > 1) {
      throw new EngineRefusal(400, `Multiple IDs found with provided prefix: ${ref}`);
    }
    if (!byPrefix[0]) throw new EngineRefusal(404, `No such container: ${ref}`);
    return byPrefix[0];
  }

  volume(name: string): Volume {
    const volume = this.#volumes.get(name);
    if (!volume) throw new EngineRefusal(404, `get ${name}: no such volume`);
    return volume;
  }

  createContainer(spec: ContainerSpec): Container {
    checkContainerName(spec.name);
    const holder = this.containers().find((other) => other.name === spec.name);
    if (holder) {
      throw new EngineRefusal(
        409,
        `Conflict. The container name "/${spec.name}" is already in use by container "${holder.id}". ` +
          "You have to remove (or rename) that container to be able to reuse that name.",
      );
    }
    // dockerd tells of a volume's creation here even when it existed before.
    if (spec.volume !== undefined) this.createVolume(spec.volume);
    const container = newContainer(sha256(`${this.#seed} ${++this.#created}`), spec, this.nowMs);
    if (spec.health) this.#healthAtStart.set(container.id, spec.health);
    this.#containers.set(container.id, container);
    this.#tell(container, "create");
    return container;
  }

  /** Does nothing to a container that runs. */
  start(ref: string): void {
    const container = this.container(ref);
    const { state } = container;
    if (state.paused) {
      throw new EngineRefusal(409, "cannot start a paused container, try unpause instead");
    }
    if (state.running && !state.restarting) return;
    const health = this.#healthAtStart.get(container.id);
    Object.assign(state, {
      running: true,
      restarting: false,
      oomKilled: false,
      exitCode: 0,
      startedMs: this.nowMs,
      health: health === undefined ? null : { status: health, failingStreak: health === "unhealthy" ? 3 : 0 },
    });
    this.#tellNetwork(container, "connect");
    this.#tellMount(container, "mount");
    this.#tell(container, "start");
  }

  /** SIGTERM, and the process ends with `exitCode`. Does nothing to a container that doesn't run. */
  stop(ref: string, options: { exitCode?: number } = {}): void {
    const container = this.container(ref);
    if (!container.state.running) return;
    this.#tell(container, "kill", { signal: "15" });
    this.#die(container, options.exitCode ?? 143);
    this.#tell(container, "stop");
  }

  /** SIGKILL: exit code 137. */
  kill(ref: string): void {
    const container = this.#running(ref, `Cannot kill container: ${ref}: `);
    this.#tell(container, "kill", { signal: "9" });
    this.#die(container, 137);
  }

  /** The process ends by itself; 0 is a clean end, anything else a crash. */
  exit(ref: string, exitCode: number): void {
    this.#die(this.#running(ref), exitCode);
  }

  /** The kernel kills the process for its memory: an `oom` event, then exit code 137. */
  oom(ref: string): void {
    const container = this.#running(ref);
    this.#tell(container, "oom");
    container.state.oomKilled = true;
    this.#die(container, 137);
  }

  /** A restart policy at work: the process has ended and waits to be started again (by `start`). */
  crashLoop(ref: string, exitCode: number): void {
    const container = this.#running(ref);
    this.#die(container, exitCode);
    container.restartCount++;
    container.state.running = true;
    container.state.restarting = true;
  }

  pause(ref: string): void {
    const container = this.#running(ref);
    if (container.state.paused) {
      throw new EngineRefusal(409, `Container ${container.id} is already paused`);
    }
    container.state.paused = true;
    endHealthChecks(container);
    this.#tell(container, "pause");
  }

  unpause(ref: string): void {
    const container = this.container(ref);
    if (!container.state.paused) throw new EngineRefusal(500, `Container ${container.id} is not paused`);
    container.state.paused = false;
    this.#tell(container, "unpause");
  }

  restart(ref: string): void {
    this.stop(ref);
    this.start(ref);
    this.#tell(this.container(ref), "restart");
  }

  /** The health check's verdict on a running container. `starting` emits no event, as in dockerd. */
  setHealth(ref: string, status: HealthStatus): void {
    const container = this.#running(ref);
    const changed = container.state.health?.status !== status;
    container.state.health = { status, failingStreak: status === "unhealthy" ? 3 : 0 };
    if (!this.#healthAtStart.has(container.id)) this.#healthAtStart.set(container.id, "starting");
    if (changed && status !== "starting") this.#tell(container, `health_status: ${status}`);
  }

  /** The state between a removal's beginning and its end, which a list can catch. */
  beginRemoval(ref: string): void {
    const container = this.container(ref);
    if (container.state.running) throw runningRefusal(container);
    container.state.removing = true;
  }

  /** A removal that failed half-way leaves a dead container. */
  markDead(ref: string): void {
    const container = this.container(ref);
    Object.assign(container.state, { running: false, paused: false, restarting: false, removing: false });
    container.state.dead = true;
  }

  /** Refused for a running container, unless forced. */
  removeContainer(ref: string, options: { force?: boolean } = {}): void {
    const container = this.container(ref);
    if (container.state.running) {
      if (!options.force) throw runningRefusal(container);
      this.kill(container.id);
    }
    this.#containers.delete(container.id);
    this.#healthAtStart.delete(container.id);
    const links = `/${container.name}/`;
    for (const other of this.#containers.values()) {
      other.aliases = other.aliases.filter((alias) => !alias.startsWith(links));
    }
    this.#tell(container, "destroy");
  }

  /** A link: the list then shows one more name of the target, `/{from}/{alias}`. */
  addAlias(ref: string, from: string, alias: string): void {
    this.container(ref).aliases.push(`/${from}/${alias}`);
  }

  rename(ref: string, name: string): void {
    checkContainerName(name);
    const container = this.container(ref);
    const oldName = `/${container.name}`;
    container.name = name;
    this.#tell(container, "rename", { oldName });
  }

  /** Gives the volume that has the name already, if there is one. */
  createVolume(name: string, options: { labels?: Record<string, string>; driver?: string } = {}): Volume {
    checkVolumeName(name);
    const volume = this.#volumes.get(name) ?? {
      name,
      driver: options.driver ?? "local",
      labels: options.labels ?? null,
      createdMs: this.nowMs,
    };
    this.#volumes.set(name, volume);
    this.#emit("volume", "create", name, { driver: volume.driver });
    return volume;
  }

  /** Refused while a container, running or not, uses it. */
  removeVolume(name: string): void {
    const volume = this.volume(name);
    const users = this.users(name).map((container) => container.id);
    if (users.length > 0) {
      throw new EngineRefusal(409, `remove ${name}: volume is in use - [${users.join(", ")}]`);
    }
    this.#volumes.delete(name);
    this.#emit("volume", "destroy", name, { driver: volume.driver });
  }

  users(volumeName: string): Container[] {
    return this.containers().filter((container) => container.mount?.volume === volumeName);
  }

  /** Everything gone without an event, as after a re-installed host. */
  wipe(): void {
    this.#containers.clear();
    this.#volumes.clear();
    this.#healthAtStart.clear();
  }

  #running(ref: string, prefix = ""): Container {
    const container = this.container(ref);
    if (!container.state.running) {
      throw new EngineRefusal(409, `${prefix}Container ${container.id} is not running`);
    }
    return container;
  }

  #die(container: Container, exitCode: number): void {
    Object.assign(container.state, { running: false, paused: false, restarting: false });
    container.state.exitCode = exitCode;
    container.state.finishedMs = this.nowMs;
    endHealthChecks(container);
    this.#tell(container, "die", { exitCode: String(exitCode) });
    this.#tellNetwork(container, "disconnect");
    this.#tellMount(container, "unmount");
  }

  #tell(container: Container, action: string, extra: Record<string, string> = {}): void {
    const attributes = { ...container.labels, image: container.image, name: container.name, ...extra };
    this.#emit("container", action, container.id, attributes);
  }

  #tellMount(container: Container, action: "mount" | "unmount"): void {
    if (!container.mount) return;
    const { volume, destination } = container.mount;
    const mounted = action === "mount" ? { destination, propagation: "", "read/write": "true" } : {};
    this.#emit("volume", action, volume, { container: container.id, driver: "local", ...mounted });
  }

  #tellNetwork(container: Container, action: "connect" | "disconnect"): void {
    const { id, name, type } = NETWORK;
    this.#emit("network", action, id, { container: container.id, name, type });
  }

  #emit(type: EventType, action: string, actorId: string, attributes: Record<string, string>): void {
    this.events.emit(this.nowMs, { type, action, actorId, attributes });
  }
}

/** dockerd calls a container unhealthy, without an event, while nobody checks it: paused, just resumed, or ended. */
function endHealthChecks(container: Container): void {
  if (container.state.health) container.state.health.status = "unhealthy";
}
