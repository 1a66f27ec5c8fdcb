/** One view of a process that has several units, as one of a fleet: one for each of its hosts, and the table's. */
import { addMs, ageMs, formatInstant } from "../observer/instant.ts";
import type { FleetReading } from "../observer/ports.ts";
import {
  type FleetView,
  type HostLine,
  type LinkHealth,
  type LinkName,
  type ObserverView,
  type PartView,
  type Role,
  UNTRIED,
} from "../observer/view.ts";

export interface FleetViews {
  readonly instance: string;
  readonly lostAfterMs: number;
  /** As last read, and when (monotonic); null: not yet. */
  readonly reading: { readonly reading: FleetReading; readonly atMs: number } | null;
}

export interface HostView {
  readonly host: string;
  readonly view: ObserverView;
}

/** @param own at least one */
export function fleetViewOf(own: readonly HostView[], table: ObserverView, fleet: FleetViews): ObserverView {
  const [first] = own;
  if (first === undefined) throw new Error("Bug: a process of a fleet without a host");
  const views = own.map(({ view }) => view);
  const isOne = own.length === 1;
  const leads = table.role === "leader" || table.role === "disconnected";
  const shared: ObserverView = {
    ...(isOne ? first.view : { ...table, ...togetherOf(fleet.instance, views, table) }),
    progressMs: earliest([...views, table].map(({ progressMs }) => progressMs)),
    // Who stands by for the table looks at no archives.
    sources: {
      engine: isOne ? first.view.sources.engine : null,
      archives: leads ? table.sources.archives : null,
    },
    links: {
      database: worst([...views, table], "database"),
      wake: worst([...views, table], "wake"),
      transitions: worst([...views, table], "transitions"),
      channel: first.view.links.channel,
      events: isOne ? first.view.links.events : UNTRIED,
    },
    totals: totalsOf(views, table),
    orphans: { ...unionOf(views, "orphans"), archive: table.orphans.archive },
    foreign: { engine: isOne ? first.view.foreign.engine : null, archives: table.foreign.archives },
    held: { ...unionOf(views, "held"), archive: table.held.archive },
    fleet: {
      host: isOne ? first.host : null,
      table: { role: table.role, leader: table.role === "leader" ? fleet.instance : table.leader },
      contested: new Map(views.flatMap(({ rivals }) => [...(rivals ?? [])])),
      hosts: fleet.reading && hostLines(fleet.reading, first.view.nowMs, fleet.lostAfterMs),
    },
  };
  return isOne ? shared : { ...shared, parts: partsOfProcess(own, table, shared) };
}

function togetherOf(instance: string, views: readonly ObserverView[], table: ObserverView) {
  const nextInMs = earliest(views.map(({ cadence }) => cadence.nextInMs));
  return {
    instance,
    role: ROLES.find((role) => views.some((view) => view.role === role)) ?? table.role,
    leader: views.find(({ role }) => role === "standby")?.leader ?? null,
    epoch: null,
    cadence: { mode: views.some(({ cadence }) => cadence.mode === "active") ? "active" : "idle", nextInMs },
    lastCommitMs: earliest(views.map(({ lastCommitMs }) => lastCommitMs)),
    deaths: views.flatMap(({ deaths }) => deaths).sort((a, b) => a.learntMs - b.learntMs),
  } as const;
}

/** Whose writes count first: a process that leads for one of its hosts leads. */
const ROLES: readonly Role[] = ["leader", "disconnected", "starting", "standby"];

/** What a part says of itself alone; what all share is said by the table's. */
function partsOfProcess(
  own: readonly HostView[],
  table: ObserverView,
  { sources, links }: ObserverView,
): readonly PartView[] {
  return [
    { host: null, view: { ...table, sources, links } },
    ...own.map(({ host, view }) => ({
      host,
      view: {
        ...view,
        links: {
          database: UNTRIED,
          wake: UNTRIED,
          transitions: UNTRIED,
          channel: UNTRIED,
          events: view.links.events,
        },
      },
    })),
  ];
}

/** One that is down, else one that is up. */
function worst(views: readonly ObserverView[], name: LinkName): LinkHealth {
  const links = views.map((view) => view.links[name]);
  return links.find(({ up }) => up === false) ?? links.find(({ up }) => up === true) ?? links[0] ?? UNTRIED;
}

function earliest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}

const unionOf = (views: readonly ObserverView[], name: "orphans" | "held") => ({
  container: [...new Set(views.flatMap((view) => view[name].container))],
  volume: [...new Set(views.flatMap((view) => view[name].volume))],
});

function totalsOf(views: readonly ObserverView[], table: ObserverView): ObserverView["totals"] {
  const names = Object.keys(table.totals) as (keyof ObserverView["totals"])[];
  const sum = (name: keyof ObserverView["totals"], of: readonly ObserverView[]) =>
    of.reduce((all, { totals }) => all + totals[name], 0);
  // All hear the same hints.
  const isShared = (name: string) => name === "hints" || name === "coalesced";
  return Object.fromEntries(
    names.map((name) => [name, sum(name, isShared(name) ? views.slice(0, 1) : [...views, table])]),
  ) as unknown as ObserverView["totals"];
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

/** For `/status`. By a `host` a row of `observer_status` is the sign of that one. */
export const describeFleet = ({ host, table, contested, hosts }: FleetView) => ({
  ...(host !== null && { host }),
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
