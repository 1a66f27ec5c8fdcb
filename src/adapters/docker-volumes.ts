/** A listing of volumes, from the Engine's words to the domain's. */
import * as v from "valibot";
import { parseVolumeName, storableText, type WorkspaceId } from "../observer/names.ts";
import type { Listing, VolumeSeen } from "../observer/ports.ts";
import { EngineFault } from "./docker-fault.ts";
import { excerpt } from "./foreign-text.ts";

export const VOLUME_SCHEMA = v.object({ Name: v.string(), Driver: v.string() });

export const VOLUMES_SCHEMA = v.object({
  Volumes: v.nullable(v.array(VOLUME_SCHEMA)),
  Warnings: v.nullish(v.array(v.string())),
});

type Volumes = v.InferOutput<typeof VOLUMES_SCHEMA>;

/**
 * Throws an EngineFault when the Engine warns: then a volume driver didn't answer, and its volumes are missing
 * from the list without being gone (P1).
 */
export function collectVolumes(
  answer: Volumes,
  prefix: string,
  only: ReadonlySet<WorkspaceId> | undefined,
): Listing<VolumeSeen> {
  const warnings = answer.Warnings ?? [];
  if (warnings.length > 0) {
    throw new EngineFault(
      `the Engine's answer is incomplete, it warns "${excerpt(warnings.join("; "))}": see to that volume driver`,
    );
  }
  const byWorkspace = new Map<WorkspaceId, VolumeSeen>();
  const contested = new Set<WorkspaceId>();
  for (const volume of answer.Volumes ?? []) {
    const id = parseVolumeName(volume.Name, prefix);
    if (id === null || (only !== undefined && !only.has(id))) continue;
    const seen = { name: storableText(volume.Name), driver: storableText(volume.Driver) };
    const rival = byWorkspace.get(id);
    // Two drivers may hold a volume of one name; which one counts must not depend on the order of the answer.
    if (rival !== undefined && rival.driver !== seen.driver) contested.add(id);
    if (rival === undefined || seen.driver < rival.driver) byWorkspace.set(id, seen);
  }
  return { byWorkspace, contested: [...contested] };
}
