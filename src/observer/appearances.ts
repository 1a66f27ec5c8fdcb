/**
 * When a host saw resources appear. What was there at its first look may be of any age; what appeared since is dated by
 * the look that showed it, once, so that a claim to a contested workspace never becomes younger.
 */
import type { EngineListing, Pair } from "./absence.ts";
import { formatInstant, type Instant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";
import type { HostedKey } from "./ownership.ts";
import type { ContainerSeen, Listing, VolumeSeen } from "./ports.ts";

interface Appeared {
  readonly identity: string;
  readonly since: string;
  /** Of the look that showed it first: an older one may show what was there before. */
  readonly order: number;
  /** The latest stamp that had been read when it was noted: what was begun later would have shown it. */
  readonly notedBy: number;
}

/** A look: its stamp, its place among the stamps of this process, and the latest of these. */
export interface LookOrder {
  readonly stamp: Instant;
  readonly order: number;
  readonly latest: number;
}

export interface Listed {
  readonly container: Listing<ContainerSeen> | null;
  readonly volume: Listing<VolumeSeen> | null;
}

type Seen = ContainerSeen | VolumeSeen;
const identityOf = (seen: Seen): string => ("containerId" in seen ? seen.containerId : seen.driver);

export class Appearances {
  readonly #of = {
    container: new Map<WorkspaceId, Appeared>(),
    volume: new Map<WorkspaceId, Appeared>(),
  };

  at(key: HostedKey, id: WorkspaceId): string | null {
    return this.#of[key].get(id)?.since ?? null;
  }

  /** @param before the listings that were taken in last */
  listed(before: Listed, now: EngineListing, look: LookOrder): void {
    this.#compare("container", before.container, now.containers, look);
    this.#compare("volume", before.volume, now.volumes, look);
  }

  /** A look at these alone. */
  glanced(ids: ReadonlySet<WorkspaceId>, before: Listed, now: EngineListing, look: LookOrder): void {
    for (const id of ids) {
      const pair = { container: now.containers.byWorkspace.get(id), volume: now.volumes.byWorkspace.get(id) };
      this.saw(id, before, pair, look);
    }
  }

  /** What one workspace has, as a look at it alone showed. */
  saw(id: WorkspaceId, before: Listed, { container, volume }: Pair, look: LookOrder): void {
    this.#note("container", id, before.container, container, look);
    this.#note("volume", id, before.volume, volume, look);
  }

  #compare(key: HostedKey, before: Listing<Seen> | null, now: Listing<Seen>, look: LookOrder): void {
    // One that was begun before a glance had seen the resource says nothing of it.
    for (const [id, { notedBy }] of this.#of[key])
      if (!now.byWorkspace.has(id) && look.order > notedBy) this.#of[key].delete(id);
    for (const [id, seen] of now.byWorkspace)
      if (before?.byWorkspace.get(id) !== seen) this.#note(key, id, before, seen, look);
  }

  #note(
    key: HostedKey,
    id: WorkspaceId,
    before: Listing<Seen> | null,
    seen: Seen | undefined,
    { stamp, order, latest }: LookOrder,
  ): void {
    if (before === null || seen === undefined) return;
    const identity = identityOf(seen);
    const last = before.byWorkspace.get(id);
    if (last !== undefined && identityOf(last) === identity) return;
    const known = this.#of[key].get(id);
    if (known !== undefined && (known.identity === identity || order < known.order)) return;
    this.#of[key].set(id, { identity, since: formatInstant(stamp), order, notedBy: latest });
  }
}
