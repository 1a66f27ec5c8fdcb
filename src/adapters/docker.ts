/**
 * The Docker Engine (20.10 or newer), and what speaks its API: lists containers and volumes in one call each.
 *
 * Every call rejects with an Error `Cannot list containers: …` unless the listing is complete (P1), and settles
 * as soon as its signal fires. Nothing is retried here: the next look is never far.
 */
import * as v from "valibot";
import { containerName, storableText, volumeName } from "../observer/names.ts";
import type { InstanceController, Look, VolumeProvider } from "../observer/ports.ts";
import { CONTAINERS_SCHEMA, collectContainers } from "./docker-containers.ts";
import { type DockerEndpoint, EngineFault } from "./docker-fault.ts";
import { listPath, nameFilter } from "./docker-filters.ts";
import { INSPECT_SCHEMA, toDeath } from "./docker-inspect.ts";
import { createDockerTransport } from "./docker-transport.ts";
import { createVersionNegotiator } from "./docker-version.ts";
import { collectVolumes, VOLUMES_SCHEMA } from "./docker-volumes.ts";

export { createDockerEvents, type DockerEventsOptions } from "./docker-events.ts";
export type { DockerEndpoint } from "./docker-fault.ts";

export interface DockerEngineOptions {
  readonly endpoint: DockerEndpoint;
}

export interface EngineInfo {
  /** Unique to the installation; empty where the Engine has none. */
  readonly id: string;
  readonly serverVersion: string;
  /** The negotiated one. */
  readonly apiVersion: string;
  /** The Engine's host. */
  readonly name: string;
}

export interface DockerEngine extends InstanceController, VolumeProvider {
  info(signal: AbortSignal): Promise<EngineInfo>;
}

const INFO_SCHEMA = v.object({
  ID: v.optional(v.string(), ""),
  Name: v.optional(v.string(), ""),
  ServerVersion: v.optional(v.string()),
});

export function createDockerEngine(options: DockerEngineOptions): DockerEngine {
  const transport = createDockerTransport(options.endpoint);
  const versions = createVersionNegotiator(transport);

  async function named<T>(action: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      versions.forget();
      if (!(error instanceof EngineFault)) throw error;
      throw new Error(`Cannot ${action}: ${error.message}`, { cause: error.cause ?? error });
    }
  }

  return {
    listAll: (prefix, look) =>
      named("list containers", async () => {
        if (asksForNothing(look)) return NOTHING;
        const { apiVersion } = await versions.get(look.signal);
        const filter = nameFilter(prefix, look.only && [...look.only].map((id) => containerName(id, prefix)));
        const path = listPath(apiVersion, "containers/json", { all: "1" }, filter);
        const containers = await transport.getJson(path, CONTAINERS_SCHEMA, look.signal);
        return collectContainers(containers, prefix, look.only);
      }),

    listVolumes: (prefix, look) =>
      named("list volumes", async () => {
        if (asksForNothing(look)) return NOTHING;
        const { apiVersion } = await versions.get(look.signal);
        const filter = nameFilter(prefix, look.only && [...look.only].map((id) => volumeName(id, prefix)));
        const path = listPath(apiVersion, "volumes", {}, filter);
        return collectVolumes(await transport.getJson(path, VOLUMES_SCHEMA, look.signal), prefix, look.only);
      }),

    explainDeath: (containerId, signal) =>
      named("inspect a container", async () => {
        const { apiVersion } = await versions.get(signal);
        const path = `/v${apiVersion}/containers/${encodeURIComponent(containerId)}/json`;
        const inspected = await transport.findJson(path, INSPECT_SCHEMA, signal);
        return inspected && toDeath(inspected);
      }),

    info: (signal) =>
      named("ask the Engine who it is", async () => {
        const version = await versions.get(signal);
        const info = await transport.getJson(`/v${version.apiVersion}/info`, INFO_SCHEMA, signal);
        return {
          id: storableText(info.ID),
          name: storableText(info.Name),
          serverVersion: storableText(info.ServerVersion ?? version.serverVersion),
          apiVersion: version.apiVersion,
        };
      }),
  };
}

/** An empty filter would ask for everything. */
const asksForNothing = (look: Look): boolean => look.only !== undefined && look.only.size === 0;
const NOTHING = { byWorkspace: new Map<never, never>(), contested: [] };
