/** Keeps the objects of the last listing where nothing changed, so that a look can tell by identity what did. */
import type { Listing } from "./ports.ts";

export function keepUnchanged<Seen extends object>(
  before: Listing<Seen> | null,
  now: Listing<Seen>,
): Listing<Seen> {
  if (before === null || before === now) return now;
  const byWorkspace = new Map(now.byWorkspace);
  for (const [id, seen] of byWorkspace) {
    const last = before.byWorkspace.get(id);
    if (last !== undefined && isSameFlat(last, seen)) byWorkspace.set(id, last);
  }
  return { byWorkspace, contested: now.contested };
}

export function isSameListing<Seen extends object>(before: Listing<Seen>, now: Listing<Seen>): boolean {
  if (before === now) return true;
  if (before.byWorkspace.size !== now.byWorkspace.size) return false;
  for (const [id, seen] of now.byWorkspace) {
    const last = before.byWorkspace.get(id);
    if (last === undefined || (last !== seen && !isSameFlat(last, seen))) return false;
  }
  return true;
}

/** What a listing shows of a resource are plain values. */
function isSameFlat<Seen extends object>(a: Seen, b: Seen): boolean {
  for (const key in a) if (a[key] !== b[key]) return false;
  for (const key in b) if (!(key in a)) return false;
  return true;
}
