/** The runtime for the other architecture, as the registry's own client fetches it: nothing of it is ever executed here. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json";
import { readLock } from "./lock.ts";
import { runTool } from "./tool.ts";

const root = join(import.meta.dir, "../..");
const PACKAGE = "@oven/bun-linux-aarch64";

/**
 * Path of a Bun for arm64, of the version in package.json; fetched once into `.cache`, and only what bun.lock has the
 * hash of. Not a dependency: 107 MB with every install, for whoever makes packages.
 */
export function arm64Runtime(): string {
  const version = manifest.devDependencies.bun;
  const folder = join(root, ".cache", `bun-linux-aarch64-${version}`);
  const runtime = join(folder, "package/bin/bun");
  if (existsSync(runtime)) return runtime;
  mkdirSync(join(root, ".cache"), { recursive: true });
  const fresh = mkdtempSync(join(root, ".cache/fetch-"));
  try {
    const fileName = runTool(["npm", "pack", "--silent", `${PACKAGE}@${version}`], { cwd: fresh }).trim();
    const tarball = join(fresh, fileName);
    const found = `sha512-${createHash("sha512").update(readFileSync(tarball)).digest("base64")}`;
    const expected = readLock().packages[PACKAGE]?.[3];
    if (found !== expected)
      throw new Error(
        `Cannot use ${PACKAGE}@${version}: its hash is ${found}, not ${expected} as in bun.lock`,
      );
    runTool(["tar", "-xzf", fileName], { cwd: fresh });
    rmSync(tarball);
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return runtime;
}
