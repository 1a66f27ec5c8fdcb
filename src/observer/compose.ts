/**
 * From one row and what was seen to what the row gets: nothing, a fresh stamp, or changed conditions. Pure.
 *
 * A row is written when a condition changed, on every cycle while the WC waits for an outcome, and otherwise once
 * per maximum age, each row at its own phase so that the stamps don't come all in one cycle (P10).
 */

import { type FleetContext, sayAsHost, sayOfTable } from "./compose-fleet.ts";
import {
  type ConditionKey,
  composeArchive,
  composeContainer,
  composeVolume,
  isJsonObject,
  type Json,
  type JsonObject,
  jsonEqual,
} from "./conditions.ts";
import { addMs, formatInstant, type Instant, instant, parseInstant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";
import type {
  ArchiveSeen,
  Claim,
  ContainerDeath,
  ContainerSeen,
  RowWrite,
  Transition,
  VolumeSeen,
  WorkspaceRow,
} from "./ports.ts";
import { detailsOf, lagMs, summarise } from "./transitions.ts";

/** What one completed observation says of one workspace. Undefined is absence, and proven. */
export interface SeenByEngine {
  readonly stamp: Instant;
  /** Orders what this process saw, whatever the database's clock does meanwhile. */
  readonly order?: number;
  readonly container: ContainerSeen | undefined;
  readonly volume: VolumeSeen | undefined;
  /** Why the container exited, if that was looked into. */
  readonly death?: ContainerDeath | undefined;
}
export interface SeenInArchives {
  readonly stamp: Instant;
  readonly archive: ArchiveSeen | undefined;
}

export interface ComposeContext {
  /** The database's clock at the start of this cycle. */
  readonly now: Instant;
  /** Becomes `last_transition_at` of what changed: the database's clock after the listings. */
  readonly changedAt: Instant;
  /** False: there is no archive source, and the document must not claim anything about archives. */
  readonly archivesConfigured: boolean;
  readonly maxAgeMs: number;
  /** The next look comes no later than this, so a stamp that would pass the maximum age by then is due now. */
  readonly horizonMs: number;
  /** What of the row this unit may write, where many hosts write into one table. */
  readonly fleet?: FleetContext | undefined;
}

export interface Change extends Transition {
  readonly workspaceId: WorkspaceId;
  /** From reality to the row, where reality tells its time: transitions.ts. */
  readonly lagMs: number | null;
}

export interface ComposedRow {
  readonly write: RowWrite;
  /** Of the engine's listing that it holds. */
  readonly order?: number | undefined;
  readonly changes: readonly Change[];
}

export function composeRow(
  row: WorkspaceRow,
  engine: SeenByEngine | null,
  archives: SeenInArchives | null,
  context: ComposeContext,
): ComposedRow | null {
  const stored = row.conditions;
  const stamps = isJsonObject(stored.observed) ? stored.observed : {};
  const changedAt = formatInstant(context.changedAt);
  const set: { [key: string]: Json } = {};
  const observed: Record<string, string> = {};
  const claims: Claim[] = [];
  const { fleet } = context;

  if (fleet !== undefined) {
    const said =
      fleet.kind === "host"
        ? sayAsHost(row, engine, fleet, changedAt, context.now)
        : sayOfTable(row, fleet, changedAt, context.now);
    for (const { claim, source, value, stamp } of said) {
      set[claim.key] = value;
      if (stamp !== null) observed[source] = stamp;
      claims.push(claim);
    }
  } else if (engine !== null && isNewer(engine.stamp, [stamps.containers, stamps.volumes], context.now)) {
    set.container = composeContainer(row.id, engine.container, stored.container, changedAt, engine.death);
    set.volume = composeVolume(row.id, engine.volume, stored.volume, changedAt);
    observed.containers = observed.volumes = formatInstant(engine.stamp);
  }
  if (archives !== null && isNewer(archives.stamp, [stamps.archives], context.now)) {
    set.archive = composeArchive(row.id, archives.archive, stored.archive, changedAt);
    observed.archives = formatInstant(archives.stamp);
  }
  const countsArchives = context.archivesConfigured || (fleet !== undefined && stamps.archives !== undefined);
  // In a fleet somebody else may observe them.
  const drop =
    context.archivesConfigured || fleet !== undefined
      ? []
      : [
          ...(stored.archive === undefined ? [] : ["archive"]),
          ...(stamps.archives === undefined ? [] : ["archives"]),
        ];

  const changes = (Object.keys(set) as ConditionKey[])
    .filter((key) => !jsonEqual(stored[key], set[key]))
    .map((key) => ({
      workspaceId: row.id,
      key,
      from: summarise(stored[key]),
      to: summarise(set[key]),
      at: context.changedAt,
      details: detailsOf(key, stored[key], set[key], engine?.death, engine?.container?.restarts),
      lagMs: lagMs(key, stored[key], set[key], engine?.death, context.changedAt),
    }));
  const due =
    Object.keys(observed).some((source) => isStampDue(row.id, stamps[source], context)) ||
    // Somebody edited it: what the document says of its own age is what counts.
    (Object.keys(observed).length > 0 && row.observedAt !== oldest(stamps, {}, countsArchives));
  if (changes.length === 0 && drop.length === 0 && !due) {
    if (!row.operationInFlight || Object.keys(observed).length === 0) return null;
  }
  return {
    write: {
      id: row.id,
      set,
      observed,
      drop,
      observedAt: oldest(stamps, observed, countsArchives),
      transitions: changes,
      ...(fleet === undefined ? {} : { claims }),
    },
    changes,
  };
}

/**
 * P3, and the reason why it is not `stamp > stored` alone: after a failover to a slower clock stored stamps lie in
 * the database's future, and must not keep the row from being written until time catches up.
 */
export function isNewer(stamp: Instant, stored: readonly (Json | undefined)[], now: Instant): boolean {
  return stored.every((text) => {
    const before = parseInstant(text);
    return before === null || before <= stamp || before > now;
  });
}

const isStampDue = (id: WorkspaceId, stored: Json | undefined, context: ComposeContext): boolean =>
  context.now >= stampDueAt(id, stored, context);

/**
 * When a stored stamp has to be renewed: at the next of the row's own phases. A stamp that is no stamp is due at once;
 * so is one in the future, from before the database's clock went back.
 */
export function stampDueAt(
  id: WorkspaceId,
  stored: Json | undefined,
  { now, maxAgeMs, horizonMs }: Pick<ComposeContext, "now" | "maxAgeMs" | "horizonMs">,
): Instant {
  const before = parseInstant(stored);
  const periodUs = (maxAgeMs - horizonMs) * 1000;
  if (before === null || before > now || periodUs <= 0) return now;
  const phaseUs = (fnv1a(id) / 2 ** 32) * periodUs;
  const slot = Math.floor((before - phaseUs) / periodUs);
  return instant(Math.ceil(phaseUs + (slot + 1) * periodUs));
}

/** `observed_at`: the smallest stamp of the sources that are observed at all; null until each has been once. */
function oldest(
  stored: JsonObject,
  fresh: Readonly<Record<string, string>>,
  archivesConfigured: boolean,
): Instant | null {
  const sources = archivesConfigured ? ["containers", "volumes", "archives"] : ["containers", "volumes"];
  let smallest: Instant | null = null;
  for (const source of sources) {
    const at = parseInstant(fresh[source] ?? stored[source]);
    if (at === null) return null;
    if (smallest === null || at < smallest) smallest = at;
  }
  return smallest;
}

/** The database's clock now, from its reading at the start of the cycle and the monotonic time since. */
export const elapsedSince = (stamp: Instant, stampedMs: number, nowMs: number): Instant =>
  addMs(stamp, nowMs - stampedMs);

/** FNV-1a, 32 bits: spreads ids evenly, and the same way in every process. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
