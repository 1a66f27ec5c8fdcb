/** Picks the newest complete archive of each workspace out of a listing, one object at a time. */
import { parseArchiveKey, storableText, type WorkspaceId } from "../observer/names.ts";
import type { ArchiveSeen } from "../observer/ports.ts";
import { compareKeys, type StoredObject } from "./s3-page.ts";

export interface ArchiveNaming {
  readonly prefix: string;
  /** `/home.tar.zst` */
  readonly suffix: string;
  /** `.meta`: an archive counts once its key followed by this exists. Null: it counts at once. */
  readonly commitSuffix: string | null;
}

/** What a listing found, for the next one. */
export type FoundArchives = ReadonlyMap<WorkspaceId, ArchiveSeen>;

export interface NewestArchives {
  /** Takes the next object. Objects come in the order of `compareKeys`. */
  see(object: StoredObject): void;
  result(): FoundArchives;
}

/**
 * Keeps one object per workspace, and with a commit suffix the few that may still be committed: not the listing. What
 * is what it was is kept as it was, for 100,000 new objects and their texts with each listing are 60 MB.
 */
export function newestArchives(naming: ArchiveNaming, before: FoundArchives = new Map()): NewestArchives {
  const { prefix, suffix, commitSuffix } = naming;
  const newest = new Map<WorkspaceId, ArchiveSeen>();
  // In order of keys, whatever begins with an archive's key follows it directly, its commit object too. So only
  // archives whose key the current one begins with can still be committed.
  let uncommitted: { id: WorkspaceId; object: StoredObject }[] = [];

  function count(id: WorkspaceId, object: StoredObject): void {
    const best = newest.get(id);
    if (best !== undefined && !isNewer(object, best)) return;
    const known = before.get(id);
    newest.set(id, known !== undefined && isSame(known, object) ? known : archiveSeen(object));
  }

  return {
    see(object) {
      if (commitSuffix !== null) {
        for (const archive of uncommitted)
          if (object.key === archive.object.key + commitSuffix) count(archive.id, archive.object);
        uncommitted = uncommitted.filter((archive) => object.key.startsWith(archive.object.key));
      }
      const id = parseArchiveKey(object.key, prefix, suffix);
      if (id === null) return;
      if (commitSuffix === null) count(id, object);
      else uncommitted.push({ id, object });
    },
    result: () => newest,
  };
}

/** Of two uploaded in the same instant (S3 knows seconds) the greater key counts, so that every look agrees. */
function isNewer(a: StoredObject, b: ArchiveSeen): boolean {
  const thanMs = Date.parse(b.uploadedAt);
  return a.modifiedMs === thanMs ? compareKeys(a.key, b.key) > 0 : a.modifiedMs > thanMs;
}

const isSame = (a: ArchiveSeen, b: StoredObject): boolean =>
  a.key === b.key && a.sizeBytes === b.sizeBytes && Date.parse(a.uploadedAt) === b.modifiedMs;

const archiveSeen = (object: StoredObject): ArchiveSeen => ({
  key: storableText(object.key),
  sizeBytes: object.sizeBytes,
  uploadedAt: new Date(object.modifiedMs).toISOString(),
});
