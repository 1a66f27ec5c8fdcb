/**
 * What one unit of a fleet says of a row: a host of what its own Engine shows, the table's unit of what no host claims.
 * Key by key, each with the claim that has to hold in the writing statement. Pure.
 */
import { isNewer, type SeenByEngine } from "./compose.ts";
import { composeContainer, composeVolume, isJsonObject, type Json, type JsonObject } from "./conditions.ts";
import type { TableSight } from "./fleet.ts";
import { formatInstant, type Instant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";
import {
  doClaimsHold,
  HOSTED_KEYS,
  type HostedKey,
  type HostOwnership,
  hostOf,
  isUnknown,
  SOURCE_OF,
  storedStamp,
} from "./ownership.ts";
import type { Claim, WorkspaceRow } from "./ports.ts";

export interface HostContext {
  readonly kind: "host";
  readonly ownership: HostOwnership;
  /** When the resource that is there now was seen to appear; null: at the first look it was there. */
  readonly appearedAt: (key: HostedKey, id: WorkspaceId) => string | null;
}
export interface TableContext {
  readonly kind: "table";
  readonly sight: TableSight;
}
export type FleetContext = HostContext | TableContext;

export interface Said {
  readonly claim: Claim;
  readonly source: string;
  readonly value: Json;
  /** Null: nothing was observed. */
  readonly stamp: string | null;
}

export function sayAsHost(
  row: WorkspaceRow,
  engine: SeenByEngine | null,
  { ownership, appearedAt }: HostContext,
  changedAt: string,
  now: Instant,
): readonly Said[] {
  if (engine === null) return [];
  const { host, adopts } = ownership;
  const said: Said[] = [];
  for (const key of HOSTED_KEYS) {
    const seen = engine[key];
    const claim: Claim =
      seen === undefined
        ? { key, kind: "absent", host, adopts }
        : {
            key,
            kind: "present",
            host,
            running: key === "container" && engine.container?.state === "running",
            since: appearedAt(key, row.id),
            withContainer: said.some(({ value }) => value !== null),
          };
    const stored = row.conditions[key];
    if (!doClaimsHold([claim], row.conditions) || !isFresh(row, key, engine.stamp, now)) continue;
    // What another host wrote is no earlier state of this one's.
    const before = (hostOf(stored) ?? host) === host ? stored : undefined;
    const condition =
      key === "container"
        ? composeContainer(row.id, engine.container, before, changedAt, engine.death)
        : composeVolume(row.id, engine.volume, before, changedAt);
    const value = condition && { ...condition, host };
    said.push({ claim, source: SOURCE_OF[key], value, stamp: formatInstant(engine.stamp) });
  }
  return said;
}

/** Another host's word stands where this one sees the resource as well: both claim the workspace. */
export function contestedWith(
  { conditions }: WorkspaceRow,
  engine: SeenByEngine,
  { host }: HostOwnership,
): string | null {
  for (const key of HOSTED_KEYS) {
    const holder = hostOf(conditions[key]);
    if (engine[key] !== undefined && holder !== null && holder !== host && !isUnknown(conditions[key]))
      return holder;
  }
  return null;
}

export function sayOfTable(
  row: WorkspaceRow,
  { sight }: TableContext,
  changedAt: string,
  now: Instant,
): readonly Said[] {
  const said: Said[] = [];
  for (const key of HOSTED_KEYS) {
    const stored = row.conditions[key];
    const stamp = storedStamp(key, row.conditions);
    const source = SOURCE_OF[key];
    if (isJsonObject(stored)) {
      const host = hostOf(stored);
      if (host === null || isUnknown(stored) || !sight.isLost(host)) continue;
      said.push({
        claim: { key, kind: "lost", host, stamp },
        source,
        value: markedLost(stored, host, changedAt),
        stamp: null,
      });
      continue;
    }
    const provenAt = sight.absentSince(row.id);
    if (provenAt === null || !isFresh(row, key, provenAt, now)) continue;
    said.push({
      claim: { key, kind: "unclaimed", host: "", stamp },
      source,
      value: null,
      stamp: formatInstant(provenAt),
    });
  }
  return said;
}

/** The last proven values stay: what is not known any more is only whether they still hold. */
const markedLost = (stored: JsonObject, host: string, changedAt: string): JsonObject => ({
  ...stored,
  reason: "HostLost",
  message: `as last seen by ${host}, which gives no sign`,
  unknown: true,
  last_transition_at: changedAt,
});

const isFresh = ({ conditions }: WorkspaceRow, key: HostedKey, stamp: Instant, now: Instant): boolean =>
  isNewer(stamp, [storedStamp(key, conditions)], now);
