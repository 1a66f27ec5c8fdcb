import { chown, readdir } from "node:fs/promises";
import { join } from "node:path";

/** "nobody": PostgreSQL and PgBouncer refuse to run as root. */
const UNPRIVILEGED_ID = 65_534;

export const isRoot = (): boolean => process.getuid?.() === 0;

/** Command prefix that drops root's privileges; empty where there are none to drop. */
export function unprivileged(): string[] {
  if (!isRoot()) return [];
  return ["setpriv", `--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, "--clear-groups", "--"];
}

/** Gives files to the user that `unprivileged()` becomes, folders with all that is in them. */
export async function giveToUnprivileged(...paths: string[]): Promise<void> {
  if (!isRoot()) return;
  for (const path of paths) {
    await chown(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    const entries = await readdir(path).catch(() => []);
    await giveToUnprivileged(...entries.map((entry) => join(path, entry)));
  }
}
