// Workspaces of a benchmark: the same ones in every run.
import { createHash } from "node:crypto";

export const PREFIX = "ws-";

/** A UUID, for that is what most platforms have; the same for the same number. */
export function workspaceId(index: number): string {
  const hex = createHash("sha1").update(`workspace ${index}`).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    "-",
  );
}

export const workspaceIds = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => workspaceId(at));

export const containerName = (id: string): string => `${PREFIX}${id}`;
export const volumeName = (id: string): string => `${PREFIX}${id}-home`;
export const archiveKey = (id: string, operation = "op-1"): string =>
  `${PREFIX}${id}/${operation}/home.tar.zst`;
