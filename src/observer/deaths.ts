/**
 * Why containers died. A listing says "Exited (137)", which may be a kill or the kernel's lack of memory; only an
 * inspect tells. Each container that has newly exited gets one, bounded in number and time, before its row is written.
 */
import { isJsonObject } from "./conditions.ts";
import { limits } from "./limits.ts";
import type { WorkspaceId } from "./names.ts";
import type { ContainerDeath, ContainerSeen, InstanceController, WorkspaceRow } from "./ports.ts";

export interface KnownDeath extends ContainerDeath {
  readonly workspaceId: WorkspaceId;
  readonly containerId: string;
  /** Monotonic milliseconds. */
  readonly learntMs: number;
}

/** By container id. Kept while the container is listed, and for a while after, for whoever asks what happened. */
export type Deaths = ReadonlyMap<string, KnownDeath>;

const isOver = (seen: ContainerSeen): boolean => seen.state === "exited" || seen.state === "dead";

/** Its exit is news to the row: somebody will want to know why. */
export function hasNewlyDied(row: WorkspaceRow, seen: ContainerSeen): boolean {
  if (!isOver(seen)) return false;
  const { container } = row.conditions;
  return !(
    isJsonObject(container) &&
    container.container_id === seen.containerId &&
    container.exit_code === seen.exitCode &&
    container.running === false
  );
}

/** Asks about each, a few at a time. What can't be learnt is left out: the exit itself is known from the listing. */
export async function learnDeaths(
  engine: Pick<InstanceController, "explainDeath">,
  dead: readonly { readonly workspaceId: WorkspaceId; readonly containerId: string }[],
  nowMs: number,
  signal: AbortSignal,
): Promise<KnownDeath[]> {
  const learnt: KnownDeath[] = [];
  const waiting = dead.slice(0, limits.deathsPerCycle);
  const ask = async () => {
    for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
      const death = await engine.explainDeath(next.containerId, signal).catch(() => null);
      if (death !== null) learnt.push({ ...death, ...next, learntMs: nowMs });
    }
  };
  await Promise.all(Array.from({ length: limits.deathsInParallel }, ask));
  return learnt;
}

/** Forgets a container that runs again, and in time those that are gone. */
export function rememberDeaths(
  before: Deaths,
  learnt: readonly KnownDeath[],
  listed: Iterable<ContainerSeen>,
  nowMs: number,
): Deaths {
  const over = new Set<string>();
  const alive = new Set<string>();
  for (const seen of listed) (isOver(seen) ? over : alive).add(seen.containerId);
  const kept = [...before.values(), ...learnt].filter(
    ({ containerId, learntMs }) =>
      !alive.has(containerId) && (over.has(containerId) || nowMs - learntMs < limits.deathsKeptMs),
  );
  return new Map(kept.slice(-limits.deathsKept).map((death) => [death.containerId, death]));
}
