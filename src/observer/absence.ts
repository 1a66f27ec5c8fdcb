/**
 * What may be believed of an absence. A listing that completed proves it (P1); these are the two cases in which
 * even that is not enough: two lists that contradict each other (P5), and a world that vanished at once (P7).
 */
import { isJsonObject } from "./conditions.ts";
import { limits } from "./limits.ts";
import type { WorkspaceId } from "./names.ts";
import type {
  ContainerSeen,
  InstanceController,
  Listing,
  VolumeProvider,
  VolumeSeen,
  WorkspaceRow,
} from "./ports.ts";

/** Both lists of one engine. They are published together or not at all. */
export interface EngineListing {
  readonly containers: Listing<ContainerSeen>;
  readonly volumes: Listing<VolumeSeen>;
}

/** What one workspace's pair was at one instant. */
export interface Pair {
  readonly container: ContainerSeen | undefined;
  readonly volume: VolumeSeen | undefined;
}

/**
 * An engine refuses to remove the volume of a container, running or not. So a container without its volume is
 * either torn (the lists weren't taken at one instant) or a container that really has none. Of all combinations
 * that two lists can show this is the only one that need not have been true at some instant between them.
 * Where the row already says so, it was looked at twice when that was written.
 */
export function isTorn(row: WorkspaceRow, pair: Pair): boolean {
  if (pair.container === undefined || pair.volume !== undefined) return false;
  const stored = row.conditions;
  return !(
    isJsonObject(stored.container) &&
    stored.container.container_id === pair.container.containerId &&
    stored.volume === null
  );
}

/**
 * The second look: container, volume, container again, for the suspects alone. If the container is the same
 * before and after, the volume was read while it was so, and the pair was true at one instant. What still moves
 * after a few rounds is left out: its row is not written this time.
 */
export async function lookAgain(
  engine: InstanceController & VolumeProvider,
  prefix: string,
  suspects: ReadonlySet<WorkspaceId>,
  signal: AbortSignal,
): Promise<ReadonlyMap<WorkspaceId, Pair>> {
  const settled = new Map<WorkspaceId, Pair>();
  let moving = suspects;
  for (let round = 0; round < limits.secondLooks && moving.size > 0; round++) {
    const look = { signal, only: moving };
    const before = await engine.listAll(prefix, look);
    const volumes = await engine.listVolumes(prefix, look);
    const after = await engine.listAll(prefix, look);
    for (const id of moving) {
      const container = after.byWorkspace.get(id);
      // A container that is gone by now is for the next listing to tell: the guard judges whole listings (P7).
      if (container === undefined || !isSameContainer(before.byWorkspace.get(id), container)) continue;
      settled.set(id, { container, volume: volumes.byWorkspace.get(id) });
    }
    moving = new Set([...moving].filter((id) => !settled.has(id)));
  }
  return settled;
}

const isSameContainer = (before: ContainerSeen | undefined, after: ContainerSeen): boolean =>
  before?.containerId === after.containerId &&
  before.state === after.state &&
  before.health === after.health &&
  before.exitCode === after.exitCode;

export interface GuardConfig {
  readonly enabled: boolean;
  /** Fewer missing resources than this are never suspicious. */
  readonly min: number;
  /** Nor is this share, or a smaller one, of what the table holds as present. Below 1. */
  readonly ratio: number;
  /** Observations in a row that have to show the emptiness before it is believed. */
  readonly confirm: number;
}

/** How often in a row, and since when, each one was missing from a suspiciously empty listing. */
export type Suspicion = ReadonlyMap<WorkspaceId, { readonly seen: number; readonly sinceMs: number }>;

export const noSuspicion: Suspicion = new Map();

/**
 * The sudden-emptiness guard. It compares with the *table*, so that a restart with the wrong socket, prefix or
 * bucket is caught on the first look. Each absence is confirmed for itself: one that joins a long suspicion has been
 * seen once, not often.
 *
 * @param presentCount how many resources of this kind the table holds as present
 * @param missing those of them that the completed listing lacks
 * @returns the suspicion to carry on, and the missing ones that are to be held back
 */
export function judgeEmptiness(
  presentCount: number,
  missing: readonly WorkspaceId[],
  before: Suspicion,
  nowMs: number,
  config: GuardConfig,
): { readonly suspicion: Suspicion; readonly held: readonly WorkspaceId[] } {
  const suspicious =
    config.enabled && missing.length >= config.min && missing.length > config.ratio * presentCount;
  if (!suspicious) return { suspicion: noSuspicion, held: [] };
  const suspicion = new Map<WorkspaceId, { seen: number; sinceMs: number }>();
  const held: WorkspaceId[] = [];
  for (const id of missing) {
    const last = before.get(id);
    const next = { seen: (last?.seen ?? 0) + 1, sinceMs: last?.sinceMs ?? nowMs };
    suspicion.set(id, next);
    if (next.seen < config.confirm || nowMs - next.sinceMs < limits.guardConfirmMs) held.push(id);
  }
  return { suspicion, held };
}
