/**
 * Composes the conditions of one workspace out of what was seen, and compares them with what is stored.
 * The document is the contract with the WorkspaceController: docs/contract.md, schema/conditions.schema.json.
 */
import { parseInstant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";
import type { ArchiveSeen, ContainerDeath, ContainerSeen, VolumeSeen } from "./ports.ts";

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** In a fleet a container and a volume name the host that reported them, and say so when that gives no sign any more. */
type Hosted = {
  readonly host?: string;
  readonly unknown?: true;
};

export type ContainerCondition = Hosted & {
  readonly workspace_id: string;
  readonly running: boolean;
  readonly reason: string;
  readonly message: string;
  readonly container_id: string;
  readonly image: string;
  readonly health: string;
  readonly exit_code: number | null;
  readonly last_transition_at: string;
};

export type VolumeCondition = Hosted & {
  readonly workspace_id: string;
  readonly exists: true;
  readonly reason: string;
  readonly message: string;
  readonly volume_name: string;
  readonly driver: string;
  readonly last_transition_at: string;
};

export type ArchiveCondition = {
  readonly workspace_id: string;
  readonly exists: true;
  readonly reason: "ArchiveUploaded";
  readonly message: string;
  readonly archive_key: string;
  readonly size_bytes: number;
  readonly uploaded_at: string;
  readonly last_transition_at: string;
};

export type Condition = ContainerCondition | VolumeCondition | ArchiveCondition;

/**
 * Engine state → the reason people search for, one word. Unknown states of newer engines come out capitalised as well;
 * what has no letters is `Unknown`.
 */
export function reasonOf(state: string): string {
  const words = state.match(/[A-Za-z][A-Za-z0-9]*/g) ?? ["unknown"];
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}

/** Stable text for people: no ages, no clocks (P10). */
export function describeContainer(seen: ContainerSeen): string {
  const health =
    seen.health === "none" ? "" : `, ${seen.health === "starting" ? "health check starting" : seen.health}`;
  const exit = seen.exitCode === null ? "" : ` with code ${seen.exitCode}`;
  return seen.state === "restarting" && exit !== ""
    ? `restarting after exit${exit}`
    : `${seen.state}${exit}${health}`;
}

interface End {
  readonly reason: string;
  readonly message: string;
}

/** 137 alone is a kill like any other: only the Engine knows that memory ran out. */
function explainEnd(seen: ContainerSeen, death: ContainerDeath): End {
  const restarts = death.restartCount === 0 ? "" : ` after ${death.restartCount} restarts`;
  const error = death.error === "" ? "" : `: ${death.error}`;
  return {
    reason: death.oomKilled ? "OOMKilled" : reasonOf(seen.state),
    message: `${describeContainer(seen)}${death.oomKilled ? ", out of memory" : ""}${restarts}${error}`,
  };
}

/** Between one listing and the next it may have started again, or ended once more. */
const isEndOf = ({ state, exitCode }: ContainerSeen, death: ContainerDeath): boolean =>
  (state === "exited" || state === "dead") && (exitCode === null || exitCode === death.exitCode);

/** What was learnt of the very same end by an earlier process, which looked into it: the row remembers. */
function storedEnd(seen: ContainerSeen, stored: Json | undefined): End | null {
  if (!isJsonObject(stored) || seen.exitCode === null || stored.running !== false) return null;
  const { container_id, exit_code, reason, message } = stored;
  const isSameEnd = container_id === seen.containerId && exit_code === seen.exitCode;
  if (!isSameEnd || typeof reason !== "string" || typeof message !== "string") return null;
  return (reason === "OOMKilled" || reason === reasonOf(seen.state)) &&
    message.startsWith(describeContainer(seen))
    ? { reason, message }
    : null;
}

const endOf = (
  seen: ContainerSeen,
  stored: Json | undefined,
  death: ContainerDeath | undefined,
): End | null =>
  death !== undefined && isEndOf(seen, death) ? explainEnd(seen, death) : storedEnd(seen, stored);

/** An engine whose listing says why leaves nothing to be explained. */
const ownWord = (seen: ContainerSeen): End | null =>
  seen.reason === undefined
    ? null
    : { reason: seen.reason, message: seen.message ?? describeContainer(seen) };

/** The fields whose change is a transition; the other fields only describe. */
const MEANING = {
  container: ["running", "reason", "health", "exit_code", "container_id"],
  volume: ["exists", "reason", "volume_name", "driver"],
  archive: ["exists", "reason", "archive_key", "uploaded_at"],
} as const;

export type ConditionKey = keyof typeof MEANING;

/**
 * @param stored what the row holds under this key, whoever wrote it
 * @param changedAt RFC 3339; becomes `last_transition_at` if the meaning differs from what is stored
 * @param death why it exited, if that was looked into
 */
export function composeContainer(
  id: WorkspaceId,
  seen: ContainerSeen | undefined,
  stored: Json | undefined,
  changedAt: string,
  death?: ContainerDeath,
): ContainerCondition | null {
  if (seen === undefined) return null;
  const end = ownWord(seen) ?? endOf(seen, stored, death);
  return stamped("container", stored, {
    workspace_id: id,
    running: seen.state === "running",
    reason: end?.reason ?? reasonOf(seen.state),
    message: end?.message ?? describeContainer(seen),
    container_id: seen.containerId,
    image: seen.image,
    health: seen.health,
    exit_code: seen.exitCode,
    last_transition_at: changedAt,
  });
}

export function composeVolume(
  id: WorkspaceId,
  seen: VolumeSeen | undefined,
  stored: Json | undefined,
  changedAt: string,
): VolumeCondition | null {
  if (seen === undefined) return null;
  return stamped("volume", stored, {
    workspace_id: id,
    exists: true,
    reason: seen.reason ?? "VolumeExists",
    message: seen.message ?? `volume ${seen.name} exists`,
    volume_name: seen.name,
    driver: seen.driver,
    last_transition_at: changedAt,
  });
}

export function composeArchive(
  id: WorkspaceId,
  seen: ArchiveSeen | undefined,
  stored: Json | undefined,
  changedAt: string,
): ArchiveCondition | null {
  if (seen === undefined) return null;
  return stamped("archive", stored, {
    workspace_id: id,
    exists: true,
    reason: "ArchiveUploaded",
    message: `archive of ${seen.sizeBytes} bytes uploaded`,
    archive_key: seen.key,
    size_bytes: seen.sizeBytes,
    uploaded_at: seen.uploadedAt,
    last_transition_at: changedAt,
  });
}

/** Keeps the stored transition time as long as the meaning is the stored one. */
function stamped<C extends Condition>(key: ConditionKey, stored: Json | undefined, fresh: C): C {
  if (!isJsonObject(stored)) return fresh;
  const before = stored.last_transition_at;
  const now: JsonObject = fresh;
  const same = MEANING[key].every((field) => stored[field] === now[field]);
  return same && parseInstant(before) !== null ? { ...fresh, last_transition_at: before as string } : fresh;
}

export const isJsonObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Structural equality; the order of keys doesn't count (jsonb has its own). */
export function jsonEqual(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true;
  if (Array.isArray(left) || Array.isArray(right)) {
    return (
      Array.isArray(left) &&
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((item, index) => jsonEqual(item, right[index]))
    );
  }
  if (!isJsonObject(left) || !isJsonObject(right)) return false;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && jsonEqual(left[key], right[key]))
  );
}
