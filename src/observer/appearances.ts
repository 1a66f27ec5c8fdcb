/**
 * When a host saw resources appear. What was there at its first look may be of any age; what appeared since is dated by
 * the look that showed it, once, so that a claim to a contested workspace never becomes younger.
 */
import type { EngineListing } from "./absence.ts";
import { formatInstant, type Instant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";
import type { HostedKey } from "./ownership.ts";
import type { ContainerSeen, Listing, VolumeSeen } from "./ports.ts";

interface Appeared {
  readonly identity: string;
  readonly since: string;
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
  listed(before: Listed, now: EngineListing, stamp: Instant): void {
    this.#compare("container", before.container, now.containers, stamp);
    this.#compare("volume", before.volume, now.volumes, stamp);
  }

  /** A look at these alone. */
  glanced(ids: ReadonlySet<WorkspaceId>, before: Listed, now: EngineListing, stamp: Instant): void {
    for (const id of ids) {
      this.#note("container", id, before.container, now.containers.byWorkspace.get(id), stamp);
      this.#note("volume", id, before.volume, now.volumes.byWorkspace.get(id), stamp);
    }
  }

  #compare(key: HostedKey, before: Listing<Seen> | null, now: Listing<Seen>, stamp: Instant): void {
    // One that was begun before the resource was seen, by a glance, says nothing of it.
    for (const [id, { since }] of this.#of[key])
      if (!now.byWorkspace.has(id) && since < formatInstant(stamp)) this.#of[key].delete(id);
    for (const [id, seen] of now.byWorkspace)
      if (before?.byWorkspace.get(id) !== seen) this.#note(key, id, before, seen, stamp);
  }

  #note(
    key: HostedKey,
    id: WorkspaceId,
    before: Listing<Seen> | null,
    seen: Seen | undefined,
    stamp: Instant,
  ): void {
    if (before === null || seen === undefined) return;
    const identity = identityOf(seen);
    const last = before.byWorkspace.get(id);
    if (last !== undefined && identityOf(last) === identity) return;
    if (this.#of[key].get(id)?.identity !== identity)
      this.#of[key].set(id, { identity, since: formatInstant(stamp) });
  }
}
