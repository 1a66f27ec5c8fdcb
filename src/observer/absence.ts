/**
 * What may be believed of an absence. A listing that completed proves it (P1); these are the two cases in which
 * even that is not enough: two lists that contradict each other (P5), and a world that vanished at once (P7).
 */
import { isJsonObject, type Json, type JsonObject } from "./conditions.ts";
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
  /** Which engine answered, and under which prefix; null where it can't be told. */
  readonly identity: string | null;
}

/** What one workspace's pair was at one instant. */
export interface Pair {
  readonly container: ContainerSeen | undefined;
  readonly volume: VolumeSeen | undefined;
}

/**
 * May this pair never have been true? The two lists aren't taken at one instant, so it is looked at again (P5) when
 *
 * - there is a container without its volume, and the row doesn't say so yet. An engine refuses to remove the volume
 *   that a container mounts, running or not, so of all pairs that two lists can show this is the one that was never
 *   true, unless the container really mounts none; or
 * - container and volume both changed since the row was written. If only one did, the other was the same before and
 *   after, and the pair was true when the one was listed. If both did, and the container doesn't mount the volume,
 *   they may have passed one another.
 */
export function isSuspicious(row: WorkspaceRow, pair: Pair): boolean {
  const { container, volume } = row.conditions;
  if (pair.container !== undefined && pair.volume === undefined) {
    return !(isJsonObject(container) && isSame(container, pair.container) && volume === null);
  }
  return containerChanged(container, pair.container) && volumeChanged(volume, pair.volume);
}

const isSame = (stored: JsonObject, seen: ContainerSeen): boolean => stored.container_id === seen.containerId;

/** False where the row says nothing yet: then nothing is known to have changed. */
const containerChanged = (stored: Json | undefined, seen: ContainerSeen | undefined): boolean =>
  isJsonObject(stored) ? seen === undefined || !isSame(stored, seen) : stored === null && seen !== undefined;

const volumeChanged = (stored: Json | undefined, seen: VolumeSeen | undefined): boolean =>
  isJsonObject(stored) ? seen === undefined : stored === null && seen !== undefined;

/**
 * The second look: container, volume, container again, for the suspects alone. If the container is the same
 * before and after, the volume was read while it was so, and the pair was true at one instant. What still moves
 * after a few rounds is left out: its row is not written this time. So is what only now turns out to be gone: the
 * guard judges whole listings (P7).
 */
export async function lookAgain(
  engine: Pick<InstanceController, "listAll"> & VolumeProvider,
  prefix: string,
  suspects: ReadonlyMap<WorkspaceId, Pair>,
  signal: AbortSignal,
): Promise<ReadonlyMap<WorkspaceId, Pair>> {
  const settled = new Map<WorkspaceId, Pair>();
  let moving = new Set(suspects.keys());
  for (let round = 0; round < limits.secondLooks && moving.size > 0; round++) {
    const look = { signal, only: moving };
    const before = await engine.listAll(prefix, look);
    const volumes = await engine.listVolumes(prefix, look);
    const after = await engine.listAll(prefix, look);
    for (const id of moving) {
      const pair = { container: after.byWorkspace.get(id), volume: volumes.byWorkspace.get(id) };
      const hasVanished =
        isGone(suspects.get(id)?.container, pair.container) || isGone(suspects.get(id)?.volume, pair.volume);
      if (!hasVanished && isUnmoved(before.byWorkspace.get(id), pair.container)) settled.set(id, pair);
    }
    moving = new Set([...moving].filter((id) => !settled.has(id)));
  }
  return settled;
}

const isGone = (first: unknown, now: unknown): boolean => first !== undefined && now === undefined;

const isUnmoved = (before: ContainerSeen | undefined, after: ContainerSeen | undefined): boolean =>
  before?.containerId === after?.containerId &&
  before?.state === after?.state &&
  before?.health === after?.health &&
  before?.exitCode === after?.exitCode;

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
