/** A condition that changed, as a fact: what it was, what it is, and what explains it. People search for these later. */
import { type Condition, type ConditionKey, isJsonObject, type Json, type JsonObject } from "./conditions.ts";
import { ageMs, type Instant, parseInstant, parseRfc3339 } from "./instant.ts";
import { hostOf } from "./ownership.ts";
import type { ContainerDeath, Summary } from "./ports.ts";

/** What of a condition explains it to whoever reads the transition later. */
const TELLING = {
  container: ["container_id", "image", "health", "exit_code"],
  volume: ["volume_name", "driver"],
  archive: ["archive_key", "size_bytes", "uploaded_at"],
} as const;

/** What a resource is called: all that is left to say of one that is gone. */
const IDENTITY = { container: "container_id", volume: "volume_name", archive: "archive_key" } as const;

export function summarise(condition: Json | undefined | Condition): Summary {
  if (condition === undefined) return { reason: "unknown", message: "" };
  if (condition === null) return { reason: "absent", message: "" };
  const { reason, message } = condition as JsonObject;
  return {
    reason: typeof reason === "string" ? reason : "unreadable",
    message: typeof message === "string" ? message : "",
  };
}

/** Of a resource that is gone, which one it was. `death` is what only an inspect told, if that was looked into. */
export function detailsOf(
  key: ConditionKey,
  stored: Json | undefined,
  fresh: Json | undefined,
  death: ContainerDeath | undefined,
  restarts?: number,
): JsonObject {
  if (!isJsonObject(fresh)) {
    const was = isJsonObject(stored) ? stored[IDENTITY[key]] : undefined;
    return { ...(typeof was === "string" ? { [IDENTITY[key]]: was } : {}), ...hostDetails(stored) };
  }
  const told: JsonObject = {
    ...Object.fromEntries(TELLING[key].map((field) => [field, fresh[field]])),
    ...hostDetails(fresh),
  };
  if (key !== "container") return told;
  if (death === undefined) return restarts ? { ...told, restart_count: restarts } : told;
  return {
    ...told,
    oom_killed: death.oomKilled,
    error: death.error,
    finished_at: death.finishedAt,
    restart_count: death.restartCount,
  };
}

/** Where many hosts write into one table, which of them has it, or had it. */
function hostDetails(condition: Json | undefined): JsonObject {
  const host = hostOf(condition);
  return host === null ? {} : { host };
}

/**
 * From reality to the row, where reality tells its time: when a container ended (by the Engine's clock), when an
 * archive was uploaded (by the store's). Null elsewhere, and at a row's first observation: that was no change.
 */
export function lagMs(
  key: ConditionKey,
  stored: Json | undefined,
  fresh: Json | undefined,
  death: ContainerDeath | undefined,
  at: Instant,
): number | null {
  if (stored === undefined || !isJsonObject(fresh)) return null;
  const before = isJsonObject(stored) ? stored : {};
  if (key === "container") {
    const ended = death === undefined || before.exit_code === fresh.exit_code ? null : death.finishedAt;
    return since(ended, at);
  }
  // When the newest is removed, the one before it counts again: nothing was uploaded.
  if (key !== "archive" || before.archive_key === fresh.archive_key) return null;
  const [was, is] = [parseRfc3339(before.uploaded_at), parseRfc3339(fresh.uploaded_at)];
  return was !== null && is !== null && is < was ? null : since(fresh.uploaded_at, at);
}

function since(happened: Json | undefined, at: Instant): number | null {
  const then = parseInstant(happened) ?? parseRfc3339(happened);
  return then === null ? null : Math.round(ageMs(then, at));
}
