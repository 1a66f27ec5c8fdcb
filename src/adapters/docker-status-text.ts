/**
 * What the Engine's `Status` text says besides its age: "Up 5 minutes (healthy)", "Exited (137) 2 hours ago".
 * Below API 1.52 a listing has no other place for health, and in no version one for the exit code.
 */
import type { Health } from "../observer/ports.ts";

const HEALTH_WORDS: Readonly<Record<string, Health>> = {
  healthy: "healthy",
  unhealthy: "unhealthy",
  starting: "starting",
  "health: starting": "starting",
};

/** States in which the process has not ended, whatever their text has in parentheses. */
const WITHOUT_EXIT_CODE: ReadonlySet<string> = new Set(["created", "running", "paused", "removing"]);

/**
 * Only a running container has a health: Engines from API 1.52 say "none" for all others, older ones show the
 * text of the other state, and an upgrade of the Engine must not look like a transition of its containers.
 *
 * @param state lower case
 * @param field `Health.Status` of the listing, where it has one
 */
export function parseHealth(state: string, statusText: string, field: string | undefined): Health {
  if (state !== "running") return "none";
  if (field === "none") return "none";
  const word = field ?? /\(([^()]*)\)\s*$/.exec(statusText)?.[1] ?? "";
  return Object.hasOwn(HEALTH_WORDS, word) ? HEALTH_WORDS[word]! : "none";
}

/**
 * "Exited (137) 2 hours ago", "Restarting (1) 5 seconds ago", "Dead (0) …".
 *
 * @param state lower case
 * @returns null where the text has none, and for states that can't have one
 */
export function parseExitCode(state: string, statusText: string): number | null {
  if (WITHOUT_EXIT_CODE.has(state)) return null;
  // Windows has exit codes up to 2^32, so ten digits.
  const code = /^[A-Za-z ]+\((-?\d{1,10})\)/.exec(statusText)?.[1];
  return code === undefined ? null : Number(code) + 0;
}
