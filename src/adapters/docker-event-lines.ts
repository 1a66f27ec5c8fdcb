/** The Engine's event stream, from bytes to hints. */
import { parseContainerName, parseVolumeName } from "../observer/names.ts";
import type { Subject } from "../observer/ports.ts";

/**
 * Actions after which a listing shows the same as before. An action that isn't known is a hint: a look too many
 * costs milliseconds. `kill` is only the signal, `die` follows when it worked.
 */
const CHANGES_NOTHING: ReadonlySet<string> = new Set([
  "archive-path",
  "attach",
  "checkpoint",
  "cleanup",
  "commit",
  "copy",
  "detach",
  "export",
  "extract-to-dir",
  "init",
  "kill",
  "mount",
  "resize",
  "sync",
  "top",
  "unmount",
  "update",
]);

/** Containers whose health is remembered; of more, the least recently heard of are forgotten. */
const REMEMBERED_HEALTHS = 100_000;

/**
 * What Podman last told of each container's health: it tells of every health check, where Docker tells of changes alone,
 * and a look for each would never let the Observer become idle.
 */
export class ToldHealth {
  readonly #told = new Map<string, string>();

  isNews(containerId: string, health: string): boolean {
    const isNews = this.#told.get(containerId) !== health;
    this.#told.delete(containerId);
    this.#told.set(containerId, health);
    if (this.#told.size > REMEMBERED_HEALTHS) this.#told.delete(this.#told.keys().next().value!);
    return isNews;
  }

  /** Something else happened to it: whatever is told next is news. */
  forget(containerId: string): void {
    this.#told.delete(containerId);
  }

  /** What was told meanwhile nobody heard. */
  forgetAll(): void {
    this.#told.clear();
  }
}

/**
 * What a line of the stream says that a listing may show otherwise now: nothing (an empty list), what some workspaces
 * are (the list), or anything (null). What can't be understood may be about anything; only what surely is about
 * something else is not.
 */
export function subjectsOf(line: string, prefix: string, told = new ToldHealth()): Subject[] | null {
  if (line.trim() === "") return [];
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return null;
  }
  const type = textAt(event, "Type");
  const action = textAt(event, "Action");
  if (type === null || action === null) return null;
  if (type !== "container" && type !== "volume") return [];
  // exec_die, "exec_start: sh -c true": health checks make three of them each time.
  if (CHANGES_NOTHING.has(action) || action.startsWith("exec")) return [];
  const actor = textAt(event, "Actor", "ID");
  const name = textAt(event, "Actor", "Attributes", "name");
  if (type === "volume") {
    // Podman leaves the ID empty and names the volume where a container's name would be.
    const volume = actor || (name ?? actor);
    if (volume === null) return null;
    const workspace = parseVolumeName(volume, prefix);
    return workspace === null ? [] : [{ workspace, containerId: null }];
  }
  const health = textAt(event, "HealthStatus");
  if (action !== "health_status" && actor !== null) told.forget(actor);
  if (health !== null && actor !== null && action === "health_status" && !told.isNews(actor, health))
    return [];
  // A rename takes a name away as well, and Podman doesn't say which.
  const oldName = textAt(event, "Actor", "Attributes", "oldName");
  if (action === "rename" && oldName === null) return null;
  const names = [name, oldName].filter((each) => each !== null);
  if (names.length === 0) return null;
  return names.flatMap((each) => {
    const workspace = parseContainerName(each.startsWith("/") ? each : `/${each}`, prefix);
    return workspace === null ? [] : [{ workspace, containerId: actor }];
  });
}

function textAt(value: unknown, ...path: readonly string[]): string | null {
  let at = value;
  for (const key of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return null;
    at = (at as Record<string, unknown>)[key];
  }
  return typeof at === "string" ? at : null;
}
