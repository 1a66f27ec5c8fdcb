/** A listing of containers, from the Engine's words to the domain's. */
import * as v from "valibot";
import { parseContainerName, storableText, type WorkspaceId } from "../observer/names.ts";
import type { ContainerSeen, Listing } from "../observer/ports.ts";
import { parseExitCode, parseHealth } from "./docker-status-text.ts";

/** As much of an id as people use. */
const ID_DIGITS = 12;

const CONTAINER_SCHEMA = v.object({
  Id: v.pipe(v.string(), v.regex(/^[0-9a-f]{12,}$/, "expected an id of hexadecimal digits")),
  // Null or empty while a container is being removed. Not left out: without names nothing could be absent.
  Names: v.nullable(v.array(v.string())),
  Image: v.string(),
  // Seconds since 1970.
  Created: v.number(),
  State: v.pipe(v.string(), v.nonEmpty()),
  Status: v.string(),
  // From API 1.52.
  Health: v.nullish(v.object({ Status: v.nullish(v.string()) })),
});

export const CONTAINERS_SCHEMA = v.array(CONTAINER_SCHEMA);

export type ListedContainer = v.InferOutput<typeof CONTAINER_SCHEMA> & {
  /** Where a listing has it as a number: then the text isn't asked. Null for what has not ended. */
  readonly ExitCode?: number | null;
};

/**
 * Names are unique within an Engine, yet a workspace can be claimed twice: by an Engine of another kind, or by a
 * container that carries two names. Then running beats not running, the newer the older, and the id decides.
 */
export function collectContainers(
  containers: readonly ListedContainer[],
  prefix: string,
  only: ReadonlySet<WorkspaceId> | undefined,
): Listing<ContainerSeen> {
  const chosen = new Map<WorkspaceId, ListedContainer>();
  const contested = new Set<WorkspaceId>();
  for (const container of containers) {
    for (const name of container.Names ?? []) {
      const id = parseContainerName(name, prefix);
      if (id === null || (only !== undefined && !only.has(id))) continue;
      const rival = chosen.get(id);
      if (rival !== undefined && rival.Id !== container.Id) contested.add(id);
      if (rival === undefined || counts(container, rival)) chosen.set(id, container);
    }
  }
  const byWorkspace = new Map<WorkspaceId, ContainerSeen>();
  for (const [id, container] of chosen) byWorkspace.set(id, toSeen(container));
  return { byWorkspace, contested: [...contested] };
}

function counts(container: ListedContainer, rival: ListedContainer): boolean {
  const running = stateOf(container) === "running";
  if (running !== (stateOf(rival) === "running")) return running;
  if (container.Created !== rival.Created) return container.Created > rival.Created;
  return container.Id > rival.Id;
}

const stateOf = (container: ListedContainer): string => container.State.toLowerCase();

function toSeen(container: ListedContainer): ContainerSeen {
  const state = stateOf(container);
  return {
    state: storableText(state),
    health: parseHealth(state, container.Status, container.Health?.Status ?? undefined),
    exitCode: container.ExitCode === undefined ? parseExitCode(state, container.Status) : container.ExitCode,
    containerId: container.Id.slice(0, ID_DIGITS),
    image: storableText(container.Image),
  };
}
