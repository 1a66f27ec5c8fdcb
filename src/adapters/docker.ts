/**
 * The Docker Engine (20.10 or newer), and what speaks its API: lists containers and volumes in one call each.
 *
 * Every call rejects with an Error `Cannot list containers: …` unless the listing is complete (P1), and settles
 * as soon as its signal fires. Nothing is retried here: the next look is never far.
 */
import * as v from "valibot";
import { containerName, storableText, volumeName } from "../observer/names.ts";
import type { ContainerSeen, Engine, Listing, Look } from "../observer/ports.ts";
import { CONTAINERS_SCHEMA, collectContainers, type ListedContainer } from "./docker-containers.ts";
import { type DockerEndpoint, EngineFault } from "./docker-fault.ts";
import { FilterWorth, listPath, nameFilter } from "./docker-filters.ts";
import { findContainers, findVolumes } from "./docker-glance.ts";
import { createIdentityAsker } from "./docker-identity.ts";
import { INSPECT_SCHEMA, toDeath } from "./docker-inspect.ts";
import { PODMAN_CONTAINERS_PATH, PODMAN_CONTAINERS_SCHEMA, podmanIdentity } from "./docker-podman.ts";
import { createDockerTransport, LastAnswer } from "./docker-transport.ts";
import { createVersionNegotiator } from "./docker-version.ts";
import { collectVolumes, VOLUMES_SCHEMA } from "./docker-volumes.ts";

export { createDockerEvents, type DockerEventsOptions } from "./docker-events.ts";
export type { DockerEndpoint } from "./docker-fault.ts";

export interface DockerEngineOptions {
  readonly endpoint: DockerEndpoint;
}

const INFO_SCHEMA = v.object({
  ID: v.optional(v.string(), ""),
  Name: v.optional(v.string(), ""),
  DockerRootDir: v.optional(v.string(), ""),
  ServerVersion: v.optional(v.string()),
});

export function createDockerEngine(options: DockerEngineOptions): Engine {
  const transport = createDockerTransport(options.endpoint);
  const versions = createVersionNegotiator(transport);
  /** Of the containers alone: an Engine lists its volumes in another order each time. */
  const last = new LastAnswer<Listing<ContainerSeen>>();
  const worth = new FilterWorth();

  async function named<T>(action: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      versions.forget();
      if (!(error instanceof EngineFault)) throw error;
      throw new Error(`Cannot ${action}: ${error.message}`, { cause: error.cause ?? error });
    }
  }

  const engine: Engine = {
    async listBoth(prefix, { signal, ...which }) {
      const others = new AbortController();
      const look = { ...which, signal: AbortSignal.any([signal, others.signal]) };
      const calls = [
        engine.listAll(prefix, look),
        engine.listVolumes(prefix, look),
        identity.ask(look.signal),
      ] as const;
      try {
        const [containers, volumes, { id, socket }] = await Promise.all(calls);
        if (socket !== identity.socket()) {
          throw new Error(
            "Cannot list the Engine: its socket was replaced while it was listed; the next look asks anew",
          );
        }
        return { containers, volumes, engineId: id };
      } catch (cause) {
        others.abort(cause);
        await Promise.allSettled(calls);
        throw cause;
      }
    },

    listAll: (prefix, look) =>
      named("list containers", async () => {
        if (asksForNothing(look)) return NOTHING;
        const { kind, apiVersion } = await versions.get(look.signal);
        const found =
          kind === "docker" ? await findContainers({ ...look, transport, apiVersion, prefix }) : null;
        if (found !== null) return found;
        const isWhole = look.only === undefined;
        const isFiltered = !isWhole || worth.isFiltered();
        const names = look.only && [...look.only].map((id) => containerName(id, prefix));
        const filter = isFiltered ? nameFilter(prefix, names) : null;
        const make = (containers: readonly ListedContainer[]) => {
          const listing = collectContainers(containers, prefix, look.only);
          if (!isFiltered) worth.saw(containers.length, listing.byWorkspace.size);
          return listing;
        };
        const known = isWhole ? last : null;
        if (kind === "podman") {
          const path = listPath(...PODMAN_CONTAINERS_PATH, { all: "true" }, filter);
          return transport.getMade(path, PODMAN_CONTAINERS_SCHEMA, look.signal, make, known);
        }
        const path = listPath(apiVersion, "containers/json", { all: "1" }, filter);
        return transport.getMade(path, CONTAINERS_SCHEMA, look.signal, make, known);
      }),

    listVolumes: (prefix, look) =>
      named("list volumes", async () => {
        if (asksForNothing(look)) return NOTHING;
        const { apiVersion } = await versions.get(look.signal);
        const found = await findVolumes({ ...look, transport, apiVersion, prefix });
        if (found !== null) return found;
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
          id: storableText(version.kind === "podman" ? podmanIdentity(info) : info.ID),
          name: storableText(info.Name),
          serverVersion: storableText(info.ServerVersion ?? version.serverVersion),
          apiVersion: version.apiVersion,
        };
      }),
  };
  const identity = createIdentityAsker(options.endpoint, async (signal) => {
    try {
      const { id } = await engine.info(signal);
      return id === "" ? null : id;
    } catch (error) {
      if (signal.aborted) throw error;
      return null;
    }
  });
  return engine;
}

/** An empty filter would ask for everything. */
const asksForNothing = (look: Look): boolean => look.only !== undefined && look.only.size === 0;
const NOTHING = { byWorkspace: new Map<never, never>(), contested: [] };
