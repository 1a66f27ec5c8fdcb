/** The Engine's event stream, from bytes to hints. */
import { parseContainerName, parseVolumeName } from "../observer/names.ts";
import type { Subject } from "../observer/ports.ts";

/** An event is less than 2 KB, unless somebody has put a novel into labels. */
const LINE_LIMIT_CHARACTERS = 1024 * 1024;

/**
 * Puts lines together that came in pieces.
 *
 * @returns the lines that are complete; null stands for one that was too long to keep
 */
export function createLineSplitter(
  limitCharacters = LINE_LIMIT_CHARACTERS,
): (bytes: Uint8Array) => (string | null)[] {
  const decoder = new TextDecoder();
  let rest = "";
  let skipping = false;
  return (bytes) => {
    const lines: (string | null)[] = [];
    const pieces = decoder.decode(bytes, { stream: true }).split("\n");
    pieces.forEach((piece, index) => {
      const ends = index < pieces.length - 1;
      if (!skipping) rest += piece;
      if (!skipping && rest.length > limitCharacters) {
        lines.push(null);
        rest = "";
        skipping = true;
      }
      if (!ends) return;
      if (!skipping) lines.push(rest);
      rest = "";
      skipping = false;
    });
    return lines;
  };
}

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
  "oom",
  "resize",
  "sync",
  "top",
  "unmount",
  "update",
]);

/**
 * What a line of the stream says that a listing may show otherwise now: nothing (an empty list), what some workspaces
 * are (the list), or anything (null). What can't be understood may be about anything; only what surely is about
 * something else is not.
 */
export function subjectsOf(line: string, prefix: string): Subject[] | null {
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
  if (type === "volume") {
    if (actor === null) return null;
    const workspace = parseVolumeName(actor, prefix);
    return workspace === null ? [] : [{ workspace, containerId: null }];
  }
  const names = [
    textAt(event, "Actor", "Attributes", "name"),
    // A rename takes a name away as well.
    textAt(event, "Actor", "Attributes", "oldName"),
  ].filter((name) => name !== null);
  if (names.length === 0) return null;
  return names.flatMap((name) => {
    const workspace = parseContainerName(name.startsWith("/") ? name : `/${name}`, prefix);
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
