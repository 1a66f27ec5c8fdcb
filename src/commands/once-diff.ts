/** What `observer once --dry-run` would write to a row, as a diff of its conditions: only what changes. */
import { isJsonObject, type Json, type JsonObject, jsonEqual } from "../observer/conditions.ts";
import type { RowWrite } from "../observer/ports.ts";
import { printable } from "./terminal.ts";

export interface DiffLine {
  readonly sign: "-" | "+";
  readonly text: string;
}

/** A stored document is whoever's who wrote it: no value of it may fill the screen. */
const MOST_CHARACTERS = 120;
/** The row's own id, and the time of the look that really writes: neither tells anything here. */
const NOT_TOLD = ["workspace_id", "last_transition_at"];

/**
 * @param stored the row's `conditions` as they are
 * @returns no lines where only stamps of freshness would be written
 */
export function conditionsDiff(
  stored: JsonObject,
  { set, drop }: Pick<RowWrite, "set" | "drop">,
): DiffLine[] {
  // Besides conditions, `drop` names stamps of sources that are no longer observed.
  const dropped = drop.filter((key) => Object.hasOwn(stored, key) && !Object.hasOwn(set, key));
  return [
    ...Object.entries(set).flatMap(([key, value]) => conditionDiff(key, stored[key], value)),
    ...dropped.flatMap((key) => conditionDiff(key, stored[key], undefined)),
  ];
}

function conditionDiff(key: string, before: Json | undefined, after: Json | undefined): DiffLine[] {
  if (jsonEqual(before, after)) return [];
  // The stored one comes in the order that jsonb keeps; both lines are to be read beside each other.
  const ordered = isJsonObject(before) && isJsonObject(after) ? inOrderOf(before, after) : before;
  return [
    { sign: "-", text: `${key}: ${describe(ordered, after)}` },
    { sign: "+", text: `${key}: ${describe(after, before)}` },
  ];
}

/** Fields that the other one hasn't, or has with another value. */
function describe(value: Json | undefined, other: Json | undefined): string {
  if (value === undefined) return "(not observed)";
  if (value === null) return "null (absent)";
  if (!isJsonObject(value)) return shown(value);
  const otherFields = isJsonObject(other) ? other : {};
  const fields = Object.entries(value).filter(
    ([name, field]) => !(Object.hasOwn(otherFields, name) && jsonEqual(field, otherFields[name])),
  );
  const telling = fields.filter(([name]) => !NOT_TOLD.includes(name));
  const lacking = Object.keys(otherFields).filter((name) => !Object.hasOwn(value, name));
  return [
    ...(telling.length > 0 || lacking.length > 0 ? telling : fields).map(
      ([name, field]) => `${printable(name)}=${shown(field as Json)}`,
    ),
    ...(isJsonObject(other) ? lacking.map((name) => `(no ${printable(name)})`) : []),
  ].join(" ");
}

function inOrderOf(value: JsonObject, other: JsonObject): JsonObject {
  const names = [...new Set([...Object.keys(other), ...Object.keys(value)])];
  return Object.fromEntries(
    names.filter((name) => Object.hasOwn(value, name)).map((name) => [name, value[name] as Json]),
  );
}

function shown(value: Json): string {
  const isWord = typeof value === "string" && /^[^\s"'=]+$/.test(value);
  const text = printable(isWord ? value : JSON.stringify(value));
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS - 1)}…` : text;
}
