/** What is known of one workspace, put together from the database's rows: the JSON of `observer explain`. Pure. */
import { distance } from "fastest-levenshtein";
import type { KnownWorkspace, TransitionFacts } from "../adapters/postgres-explain.ts";
import { isJsonObject, type Json, type JsonObject } from "../observer/conditions.ts";
import { ageMs, parseInstant } from "../observer/instant.ts";

/** Keys are stable; adding one is a minor version. Ages are by the database's clock, in milliseconds. */
export interface Explanation {
  readonly workspace: string;
  /** False: there is no such row (any more). */
  readonly found: boolean;
  /** The database's clock. */
  readonly now: string;
  readonly operation: string | null;
  readonly operation_in_flight: boolean;
  readonly deleted_at: string | null;
  readonly observed_at: string | null;
  readonly observed_age_ms: number | null;
  /** By source. */
  readonly observed: Readonly<Record<string, { readonly at: string; readonly age_ms: number | null }>>;
  /** As stored: docs/contract.md. */
  readonly conditions: JsonObject;
  /** How long each condition has meant what it means. */
  readonly since: Readonly<Record<string, { readonly at: string; readonly age_ms: number | null }>>;
  /** Why the container ended, where that was looked into. */
  readonly death: JsonObject | null;
  /** Kinds whose absence the guard holds back. */
  readonly held: readonly string[];
  /** Sources that are another world than the table was written from: no absence of theirs is believed. */
  readonly foreign: readonly string[];
  /** Kinds of resources that there are without a row. */
  readonly orphan: readonly string[];
  readonly leader: Leader | null;
  /** What the leader says of its sources; null without its word. */
  readonly sources: Readonly<Record<string, SourceWord>> | null;
  /** The latest first; null where none are kept. */
  readonly transitions: readonly (TransitionFacts & { readonly age_ms: number | null })[] | null;
  /** Ids like the one asked for, where there is no such row. */
  readonly near: readonly string[];
}

export interface Leader {
  readonly instance: string;
  readonly epoch: string;
  /** False: the lease has run out, and nobody looks. */
  readonly leads: boolean;
  readonly lease_ends_at: string;
  /** When it last wrote its row of observer_status; null if it never did. */
  readonly reported_at: string | null;
  readonly reported_age_ms: number | null;
}

export interface SourceWord {
  readonly consecutive_failures: number;
  readonly last_error: string | null;
}

const KINDS = ["container", "volume", "archive"] as const;

export function explain(id: string, known: KnownWorkspace): Explanation {
  const now = parseInstant(known.now);
  const age = (at: Json | undefined): number | null => {
    const then = parseInstant(at);
    return then === null || now === null ? null : Math.round(ageMs(then, now));
  };
  const dated = (times: JsonObject) =>
    Object.fromEntries(
      Object.entries(times).flatMap(([key, at]) =>
        typeof at === "string" ? [[key, { at, age_ms: age(at) }] as const] : [],
      ),
    );
  const conditions = objectOf(known.row?.conditions);
  const { lease } = known;
  const leading = known.instances?.find(({ instance }) => instance === lease?.holder);
  const status = objectOf(leading?.status);
  return {
    workspace: id,
    found: known.row !== null,
    now: known.now,
    operation: known.row?.operation ?? null,
    operation_in_flight: known.row?.in_flight ?? false,
    deleted_at: known.row?.deleted_at ?? null,
    observed_at: known.row?.observed_at ?? null,
    observed_age_ms: age(known.row?.observed_at ?? null),
    observed: dated(objectOf(conditions.observed)),
    conditions,
    since: dated(
      Object.fromEntries(KINDS.map((kind) => [kind, objectOf(conditions[kind]).last_transition_at])),
    ),
    death: deathOf(id, objectOf(conditions.container), status, known.transitions ?? []),
    held: kindsThatName(id, status.held),
    foreign: Object.entries(objectOf(status.foreign)).flatMap(([source, world]) =>
      isJsonObject(world) ? [source] : [],
    ),
    orphan: kindsThatName(id, status.orphans),
    leader: lease && {
      instance: lease.holder,
      epoch: lease.epoch,
      leads: lease.is_held,
      lease_ends_at: lease.expires_at,
      reported_at: leading?.updated_at ?? null,
      reported_age_ms: age(leading?.updated_at ?? null),
    },
    sources: leading === undefined ? null : sourcesOf(objectOf(status.sources)),
    transitions: known.transitions?.map((one) => ({ ...one, age_ms: age(one.at) })) ?? null,
    near: nearest(id, known.otherIds),
  };
}

/** What the leader still knows of it, or else what was noted when it ended; of this container, not of an earlier one. */
function deathOf(
  id: string,
  container: JsonObject,
  status: JsonObject,
  transitions: readonly TransitionFacts[],
): JsonObject | null {
  if (container.running !== false) return null;
  const isIts = (death: JsonObject) =>
    death.container_id === container.container_id &&
    death.exit_code === container.exit_code &&
    death.oom_killed !== undefined;
  const told = listOf(objectOf(status.deaths).latest).find((one) => one.workspace === id && isIts(one));
  const noted = transitions.map(({ details }) => objectOf(details)).find(isIts);
  const death = told ?? noted;
  if (death === undefined) return null;
  const { container_id, exit_code, oom_killed, error, finished_at, restart_count } = death;
  return { container_id, exit_code, oom_killed, error, finished_at, restart_count };
}

/** The status names the first hundred of each kind and counts the rest. */
const kindsThatName = (id: string, lists: Json | undefined): string[] =>
  Object.entries(objectOf(lists)).flatMap(([kind, list]) => {
    const { workspaces } = objectOf(list);
    return Array.isArray(workspaces) && workspaces.includes(id) ? [kind] : [];
  });

const sourcesOf = (sources: JsonObject): Record<string, SourceWord> =>
  Object.fromEntries(
    Object.entries(sources).flatMap(([name, source]) => {
      if (!isJsonObject(source)) return [];
      const { consecutive_failures, last_error } = source;
      return [
        [
          name,
          {
            consecutive_failures: typeof consecutive_failures === "number" ? consecutive_failures : 0,
            last_error: typeof last_error === "string" ? last_error : null,
          },
        ],
      ];
    }),
  );

const NEAREST = 5;

/** Ids that hold the one asked for or are held by it (`ws-7f3c`), then those that are one slip of a finger away. */
export function nearest(id: string, ids: readonly string[]): string[] {
  const asked = id.toLowerCase();
  const ranked = ids.flatMap((other) => {
    const text = other.toLowerCase();
    const isPart = asked !== "" && (text.includes(asked) || (text.length > 2 && asked.includes(text)));
    const edits = distance(asked, text);
    if (!isPart && edits > Math.max(1, Math.floor(asked.length / 4))) return [];
    return [{ other, rank: isPart ? 0 : 1, edits }];
  });
  return ranked
    .sort((left, right) => left.rank - right.rank || left.edits - right.edits)
    .slice(0, NEAREST)
    .map(({ other }) => other);
}

const objectOf = (value: unknown): JsonObject => (isJsonObject(value as Json) ? (value as JsonObject) : {});
const listOf = (value: Json | undefined): JsonObject[] =>
  Array.isArray(value) ? value.filter((one) => isJsonObject(one)) : [];
