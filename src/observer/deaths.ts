/**
 * Why containers died. A listing says "Exited (137)", which may be a kill or the kernel's lack of memory; only an
 * inspect tells. Each container that has newly exited gets one, bounded in number and time, before its row is written.
 *
 * An Engine hears of the lack of memory beside the exit, now and then a moment later. So a 137 that is not called so gets
 * a second inspect with what is looked at next.
 */
import { isJsonObject } from "./conditions.ts";
import { limits } from "./limits.ts";
import type { WorkspaceId } from "./names.ts";
import { isUnknown } from "./ownership.ts";
import type { ContainerDeath, ContainerSeen, InstanceController, WorkspaceRow } from "./ports.ts";

export interface KnownDeath extends ContainerDeath {
  readonly workspaceId: WorkspaceId;
  readonly containerId: string;
  /** Monotonic milliseconds. */
  readonly learntMs: number;
  /** It was asked twice. */
  readonly isConfirmed: boolean;
}

/** By container id. Kept while the container is listed, and for a while after, for whoever asks what happened. */
export type Deaths = Map<string, KnownDeath>;

const isOver = (seen: ContainerSeen): boolean => seen.state === "exited" || seen.state === "dead";

/** Its exit is news to the row: somebody will want to know why. */
export function hasNewlyDied(row: WorkspaceRow, seen: ContainerSeen): boolean {
  if (!isOver(seen)) return false;
  const { container } = row.conditions;
  return !(
    isJsonObject(container) &&
    container.container_id === seen.containerId &&
    container.exit_code === seen.exitCode &&
    container.running === false &&
    // What was known of its end went with the mark.
    !isUnknown(container)
  );
}

/** Killed, by whom is not certain yet. */
export const isDoubtful = ({ exitCode, oomKilled, isConfirmed }: KnownDeath): boolean =>
  exitCode === 137 && !oomKilled && !isConfirmed;

/** Asks about each, a few at a time. What can't be learnt is left out: the exit itself is known from the listing. */
export async function learnDeaths(
  engine: Pick<InstanceController, "explainDeath">,
  dead: readonly Pick<KnownDeath, "workspaceId" | "containerId" | "isConfirmed">[],
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

export function rememberDeaths(deaths: Deaths, learnt: readonly KnownDeath[]): void {
  for (const death of learnt) {
    // The latest last, whichever was known before.
    deaths.delete(death.containerId);
    deaths.set(death.containerId, death);
  }
}

/** Forgets a container that runs again, and in time those that are gone. */
export function forgetDeaths(deaths: Deaths, listed: Iterable<ContainerSeen>, nowMs: number): void {
  if (deaths.size === 0) return;
  const over = new Set<string>();
  for (const seen of listed) {
    if (!isOver(seen)) deaths.delete(seen.containerId);
    else if (deaths.has(seen.containerId)) over.add(seen.containerId);
  }
  for (const { containerId, learntMs } of deaths.values())
    if (!over.has(containerId) && nowMs - learntMs >= limits.deathsKeptMs) deaths.delete(containerId);
  for (const oldest of deaths.keys()) {
    if (deaths.size <= limits.deathsKept) break;
    deaths.delete(oldest);
  }
}
