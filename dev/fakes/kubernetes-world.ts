// What a simulated API server holds: pods and claims of a namespace, each version of them that is not compacted away,
// and what happened in which order.
import { randomUUID } from "node:crypto";

// biome-ignore lint/suspicious/noExplicitAny: objects of the API are what a client wrote.
type Anything = any;
export type KubeObject = Record<string, Anything> & {
  metadata: Record<string, Anything> & { name: string; uid: string; resourceVersion: string };
};
export type Resource = "pods" | "persistentvolumeclaims";

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly resource: Resource;
  readonly version: number;
  readonly object: KubeObject;
}

/** Answered as a Status. */
export class ApiError extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
    readonly metadata: Record<string, string> = {},
  ) {
    super(message);
  }
}

export const expired = (metadata: Record<string, string> = {}) =>
  new ApiError(410, "Expired", "The provided version or continue parameter is too old", metadata);

interface Version {
  readonly version: number;
  /** Null: deleted. */
  readonly object: KubeObject | null;
}

export class KubernetesWorld {
  readonly #objects: Record<Resource, Map<string, Version[]>> = {
    pods: new Map(),
    persistentvolumeclaims: new Map(),
  };
  #events: WatchEvent[] = [];
  #version = 100;
  #compacted = 100;
  readonly #watchers = new Set<(event: WatchEvent) => void>();

  get version(): number {
    return this.#version;
  }

  /** Something else of the server's changed, as it does all the time. */
  touch(): void {
    this.#version += 1;
  }

  /** Versions before the present one can't be read any more. */
  compact(): void {
    this.#compacted = this.#version;
    this.#events = [];
  }

  create(resource: Resource, object: Record<string, Anything>): KubeObject {
    const name: string = object.metadata?.name ?? "";
    if (!/^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name))
      throw new ApiError(422, "Invalid", `metadata.name: Invalid value: "${name}"`);
    if (this.find(resource, name) !== null)
      throw new ApiError(409, "AlreadyExists", `${resource} "${name}" already exists`);
    const metadata = {
      ...object.metadata,
      name,
      uid: randomUUID(),
      creationTimestamp: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
      resourceVersion: "",
    };
    const status = { phase: "Pending", ...object.status };
    return this.#put(resource, "ADDED", name, { ...object, metadata, status });
  }

  find(resource: Resource, name: string): KubeObject | null {
    return this.#objects[resource].get(name)?.at(-1)?.object ?? null;
  }

  /** A merge patch; of a subresource only its own part counts, of the object all but the status. */
  patch(resource: Resource, name: string, patch: Record<string, Anything>, isStatus: boolean): KubeObject {
    const before = this.#existing(resource, name);
    const { status, ...rest } = patch;
    const merged = merge(before, isStatus ? { status } : rest) as KubeObject;
    if (JSON.stringify(merged) === JSON.stringify(before)) return before;
    return this.#put(resource, "MODIFIED", name, merged);
  }

  /** With finalizers it is only marked, as a claim is that a pod uses. */
  delete(resource: Resource, name: string): KubeObject {
    const before = this.#existing(resource, name);
    if ((before.metadata.finalizers ?? []).length > 0) {
      const metadata = { ...before.metadata, deletionTimestamp: new Date().toISOString() };
      return this.#put(resource, "MODIFIED", name, { ...before, metadata });
    }
    return this.#put(resource, "DELETED", name, before);
  }

  /** All there was at a version, by name. */
  at(resource: Resource, version: number): KubeObject[] {
    if (version < this.#compacted) throw expired();
    const names = [...this.#objects[resource].keys()].sort();
    return names.flatMap((name) => {
      const versions = this.#objects[resource].get(name)!;
      return versions.findLast((one) => one.version <= version)?.object ?? [];
    });
  }

  /** Calls back with everything after a version. Returns how to end it. */
  watch(resource: Resource, version: number, onEvent: (event: WatchEvent) => void): () => void {
    if (version < this.#compacted) throw expired();
    for (const event of this.#events)
      if (event.resource === resource && event.version > version) onEvent(event);
    const watcher = (event: WatchEvent) => {
      if (event.resource === resource) onEvent(event);
    };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #existing(resource: Resource, name: string): KubeObject {
    const found = this.find(resource, name);
    if (found === null) throw new ApiError(404, "NotFound", `${resource} "${name}" not found`);
    return found;
  }

  #put(
    resource: Resource,
    type: "ADDED" | "MODIFIED" | "DELETED",
    name: string,
    object: KubeObject,
  ): KubeObject {
    this.#version += 1;
    const version = this.#version;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    const versions = this.#objects[resource].get(name) ?? [];
    versions.push({ version, object: type === "DELETED" ? null : stored });
    this.#objects[resource].set(name, versions);
    const event = { type, resource, version, object: stored };
    this.#events.push(event);
    for (const watcher of this.#watchers) watcher(event);
    return stored;
  }
}

function merge(target: Anything, patch: Anything): Anything {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === "object" && target !== null && !Array.isArray(target);
  const merged: Record<string, Anything> = isObject ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else if (value !== undefined) merged[key] = merge(merged[key], value);
  }
  return merged;
}
