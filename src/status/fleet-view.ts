/** One view of a process that has two units, as one of a fleet: the host's, with what the table's adds. */
import { addMs, ageMs, formatInstant } from "../observer/instant.ts";
import type { FleetReading } from "../observer/ports.ts";
import type { FleetView, HostLine, ObserverView } from "../observer/view.ts";

export interface FleetViews {
  readonly host: string;
  readonly lostAfterMs: number;
  /** As last read, and when (monotonic); null: not yet. */
  readonly reading: { readonly reading: FleetReading; readonly atMs: number } | null;
}

export function fleetViewOf(own: ObserverView, table: ObserverView, fleet: FleetViews): ObserverView {
  const leads = table.role === "leader" || table.role === "disconnected";
  const earliest = (a: number | null, b: number | null) =>
    a === null || b === null ? (a ?? b) : Math.min(a, b);
  return {
    ...own,
    progressMs: earliest(own.progressMs, table.progressMs),
    // Who stands by for the table looks at no archives.
    sources: { engine: own.sources.engine, archives: leads ? table.sources.archives : null },
    links: {
      ...own.links,
      database: table.links.database.up === false ? table.links.database : own.links.database,
      wake: table.links.wake.up === false ? table.links.wake : own.links.wake,
    },
    totals: Object.fromEntries(
      Object.entries(own.totals).map(([name, count]) => [
        name,
        // Both hear the same.
        name === "hints" || name === "coalesced"
          ? count
          : count + table.totals[name as keyof typeof table.totals],
      ]),
    ) as unknown as ObserverView["totals"],
    orphans: { ...own.orphans, archive: table.orphans.archive },
    foreign: { ...own.foreign, archives: table.foreign.archives },
    held: { ...own.held, archive: table.held.archive },
    fleet: {
      host: fleet.host,
      table: { role: table.role, leader: table.role === "leader" ? own.instance : table.leader },
      contested: own.rivals ?? new Map(),
      hosts: fleet.reading && hostLines(fleet.reading, own.nowMs, fleet.lostAfterMs),
    },
  };
}

function hostLines(
  { reading, atMs }: NonNullable<FleetViews["reading"]>,
  nowMs: number,
  lostAfterMs: number,
): readonly HostLine[] {
  const now = addMs(reading.now, nowMs - atMs);
  return reading.hosts.map(({ host, leader, seenAt, complete, counts }) => ({
    host,
    leader,
    seenAgeMs: seenAt === null ? null : Math.max(0, ageMs(seenAt, now)),
    completeAgeMs: complete === null ? null : Math.max(0, ageMs(complete.stamp, now)),
    isLost: seenAt === null || ageMs(seenAt, now) >= lostAfterMs,
    ...counts,
  }));
}

/** For `observer_status`: what the other members and the table's unit need of this host. */
export function hostSign(view: ObserverView, host: string) {
  const { complete = null, lastCycle } = view;
  return {
    host,
    complete: complete && { stamp: formatInstant(complete.stamp), except: [...complete.except] },
    containers: lastCycle?.counts.containers ?? null,
    volumes: lastCycle?.counts.volumes ?? null,
    contested: view.rivals?.size ?? 0,
  };
}

/** For `/status`. */
export const describeFleet = ({ host, table, contested, hosts }: FleetView) => ({
  host,
  table,
  contested: {
    count: contested.size,
    workspaces: [...contested]
      .slice(0, MOST_NAMED)
      .map(([workspace, with_host]) => ({ workspace, with_host })),
  },
  hosts:
    hosts?.map((line) => ({
      host: line.host,
      leader: line.leader,
      lost: line.isLost,
      sign_age_ms: rounded(line.seenAgeMs),
      complete_age_ms: rounded(line.completeAgeMs),
      containers: line.containers,
      volumes: line.volumes,
    })) ?? null,
});

const MOST_NAMED = 100;
const rounded = (ms: number | null) => (ms === null ? null : Math.round(ms));
