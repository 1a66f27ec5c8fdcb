/** bun.lock: JSON with trailing commas. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface LockedDependencies {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalPeers?: readonly string[];
}

/** `name@version`, registry (empty: the default one), what it needs, `sha512-…` in base64. */
export type LockedPackage = readonly [string, string, LockedDependencies, string];

export interface Lock {
  readonly workspaces: { readonly "": { readonly dependencies: Readonly<Record<string, string>> } };
  /** By place: a name, or `parent/name` where a parent has a version of its own. */
  readonly packages: Readonly<Record<string, LockedPackage>>;
  readonly patchedDependencies?: Readonly<Record<string, string>>;
}

export function parseLock(text: string): Lock {
  return JSON.parse(text.replace(/,(\s*[}\]])/g, "$1")) as Lock;
}

export const readLock = (): Lock => parseLock(readFileSync(join(import.meta.dir, "../../bun.lock"), "utf8"));
