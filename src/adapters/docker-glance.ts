/**
 * What a glance asks: the few containers and volumes that events named, by calls that cost an Engine the same however many
 * others it has. Null wherever they don't suffice for a proof: then a list by names has to tell.
 */
import * as v from "valibot";
import { containerName, volumeName, type WorkspaceId } from "../observer/names.ts";
import type { ContainerSeen, Listing, Look, VolumeSeen } from "../observer/ports.ts";
import { CONTAINERS_SCHEMA, collectContainers } from "./docker-containers.ts";
import { EngineFault } from "./docker-fault.ts";
import { idFilter, listPath } from "./docker-filters.ts";
import type { DockerTransport } from "./docker-transport.ts";
import { collectVolumes, VOLUME_SCHEMA } from "./docker-volumes.ts";

/** So many resources are asked for by their names, one call each. */
const ASKED_BY_NAME = 4;

const NAMED_SCHEMA = v.object({ Id: v.string(), Name: v.string() });

export interface Glance extends Look {
  readonly transport: DockerTransport;
  readonly apiVersion: string;
  readonly prefix: string;
}

/**
 * Containers by the ids that events named, for an Engine looks at nobody else for ids, and through all of its names for a
 * filter by name (15 ms among 1,000). Whoever isn't found by them is asked for by name.
 *
 * Absence (P1) is told by both: the list of its ids doesn't show it, and the Engine says in its own words that nobody has
 * that name. A 404 in other words may come from anything that stands before an Engine.
 */
export async function findContainers(glance: Glance): Promise<Listing<ContainerSeen> | null> {
  const { only, named } = glance;
  if (only === undefined || named === undefined) return null;
  const byId = await listByIds(glance, only, named);
  if (byId === null) return null;
  const missing = new Set([...only].filter((id) => !byId.byWorkspace.has(id)));
  if (missing.size === 0) return byId;
  if (missing.size > ASKED_BY_NAME) return null;
  const holders = await Promise.all(
    [...missing].map((id) => holderOf(glance, containerName(id, glance.prefix))),
  );
  const ids = holders.filter((holder) => holder !== "nobody");
  if (ids.includes("unknown")) return null;
  const byName = await listByIds(glance, missing, new Set(ids));
  // Renamed or removed in between: a list by names is one instant.
  if (byName === null || byName.byWorkspace.size !== ids.length) return null;
  return {
    byWorkspace: new Map([...byId.byWorkspace, ...byName.byWorkspace]),
    contested: [...byId.contested, ...byName.contested],
  };
}

async function listByIds(
  { transport, apiVersion, prefix, signal }: Glance,
  only: ReadonlySet<WorkspaceId>,
  ids: ReadonlySet<string>,
): Promise<Listing<ContainerSeen> | null> {
  if (ids.size === 0) return collectContainers([], prefix, only);
  const filter = idFilter(
    [...ids],
    prefix,
    [...only].map((id) => containerName(id, prefix)),
  );
  if (filter === null) return null;
  const path = listPath(apiVersion, "containers/json", { all: "1" }, filter);
  return collectContainers(await transport.getJson(path, CONTAINERS_SCHEMA, signal), prefix, only);
}

/** The full id of the container that has that name. */
async function holderOf(
  { transport, apiVersion, signal }: Glance,
  name: string,
): Promise<string | "nobody" | "unknown"> {
  const path = `/v${apiVersion}/containers/${encodeURIComponent(name)}/json`;
  try {
    const { Id, Name } = await transport.getJson(path, NAMED_SCHEMA, signal);
    // What is no name may be the beginning of somebody's id.
    return Name === `/${name}` ? Id : "unknown";
  } catch (error) {
    signal.throwIfAborted();
    const isWord = error instanceof EngineFault && error.status === 404;
    return isWord && error.said === `No such container: ${name}` ? "nobody" : "unknown";
  }
}

/**
 * A few volumes by their names, which costs an Engine next to nothing where a list costs all of its volumes. That is
 * a proof of presence alone: null when one isn't found, or isn't told.
 */
export async function findVolumes({
  transport,
  apiVersion,
  prefix,
  only,
  signal,
}: Glance): Promise<Listing<VolumeSeen> | null> {
  if (only === undefined || only.size > ASKED_BY_NAME) return null;
  const paths = [...only].map((id) => encodeURIComponent(volumeName(id, prefix)));
  const volumes = await Promise.all(
    paths.map((name) =>
      transport.findJson(`/v${apiVersion}/volumes/${name}`, VOLUME_SCHEMA, signal).catch(() => {
        signal.throwIfAborted();
        return null;
      }),
    ),
  );
  const found = volumes.filter((volume) => volume !== null);
  const listing = collectVolumes({ Volumes: found }, prefix, only);
  return listing.byWorkspace.size === only.size ? listing : null;
}
