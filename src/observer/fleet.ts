/**
 * What the table's unit knows of a fleet: which hosts are lost, and since when what no host claims is proven absent.
 * The rules, and why: docs/adr/0014-fleet.md.
 */
import { isJsonObject, type JsonObject } from "./conditions.ts";
import { ageMs, type Instant } from "./instant.ts";
import type { WorkspaceId } from "./names.ts";
import { HOSTED_KEYS, type HostOwnership, storedStamp } from "./ownership.ts";
import type { FleetReading, FleetRegistry } from "./ports.ts";
import type { RowMirror } from "./rows.ts";

/** Which unit of a fleet a cycle is. */
export type FleetUnit =
  | {
      readonly kind: "host";
      readonly ownership: HostOwnership;
      /** 0 ≤ n < 1, for the jitter. */
      readonly random: () => number;
    }
  | { readonly kind: "table"; readonly registry: FleetRegistry; readonly lostAfterMs: number };

export interface TableSight {
  readonly isLost: (host: string) => boolean;
  /** Every host has looked for it since, and committed what it saw: what none claims is absent. Null: not proven. */
  readonly absentSince: (id: WorkspaceId) => Instant | null;
}

/**
 * Which hosts give no sign. By the database's clock, and by the own eyes: after the database was away, or its clock
 * jumped, the signs of all hosts look old.
 */
export class FleetWatch {
  /** Since when (monotonic) this sign has been the last one. */
  readonly #signs = new Map<string, { readonly seenAt: Instant | null; readonly sinceMs: number }>();
  reading: FleetReading | null = null;
  readMs = Number.NEGATIVE_INFINITY;
  #lost = new Set<string>();

  /** It could not be read for a while: what stood still meanwhile proves nothing. */
  interrupted(): void {
    this.#signs.clear();
    this.#lost.clear();
  }

  /** @returns the hosts that are lost */
  read(reading: FleetReading, owners: Iterable<string>, nowMs: number, lostAfterMs: number): Set<string> {
    this.reading = reading;
    this.readMs = nowMs;
    const signs = new Map(reading.hosts.map(({ host, seenAt }) => [host, seenAt]));
    // Who is not registered (the own tables were emptied) and is named in rows gives no sign either.
    for (const owner of owners) if (!signs.has(owner)) signs.set(owner, null);
    for (const host of this.#signs.keys()) if (!signs.has(host)) this.#signs.delete(host);
    const lost = new Set<string>();
    for (const [host, seenAt] of signs) {
      const before = this.#signs.get(host);
      const stands = before !== undefined && before.seenAt === seenAt;
      const sinceMs = stands ? before.sinceMs : nowMs;
      this.#signs.set(host, { seenAt, sinceMs });
      const isOld = seenAt === null || ageMs(seenAt, reading.now) >= lostAfterMs;
      if (isOld && nowMs - sinceMs >= lostAfterMs / 2) lost.add(host);
    }
    this.#lost = reading.isSingleLed ? new Set() : lost;
    return this.#lost;
  }

  get lost(): ReadonlySet<string> {
    return this.#lost;
  }
}

/** What may be said of rows, with these signs of the hosts. */
export function tableSight(reading: FleetReading, lost: ReadonlySet<string>, rows: RowMirror): TableSight {
  const proof = provenOf(reading);
  return {
    isLost: (host) => lost.has(host),
    absentSince: (id) => {
      const since = rows.get(id)?.unclaimedSince ?? null;
      return proof === null || since === null || since > proof.stamp || proof.except.has(id)
        ? null
        : proof.stamp;
    },
  };
}

function provenOf({ hosts, now, isSingleLed }: FleetReading) {
  if (isSingleLed || hosts.length === 0) return null;
  let stamp = now;
  const except = new Set<WorkspaceId>();
  for (const { complete } of hosts) {
    // One in the future is from before the database's clock went back.
    if (complete === null || complete.stamp > now) return null;
    if (complete.stamp < stamp) stamp = complete.stamp;
    for (const id of complete.except) except.add(id);
  }
  return { stamp, except };
}

/** What of the document no host claims, as text: when it changes, somebody claimed it in between. */
export const unclaimedOf = (conditions: JsonObject): string =>
  JSON.stringify(
    HOSTED_KEYS.map((key) => {
      const stored = conditions[key];
      return isJsonObject(stored) ? 0 : [stored === undefined ? 1 : stored, storedStamp(key, conditions)];
    }),
  );
