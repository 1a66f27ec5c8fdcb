/** What a fleet's members tell one another, in the Observer's own tables; and how a host is let go for good. ADR 14. */
import type { JsonObject } from "../observer/conditions.ts";
import { parseInstant } from "../observer/instant.ts";
import { limits } from "../observer/limits.ts";
import type { WorkspaceId } from "../observer/names.ts";
import type { CompleteLook, FleetReading, HostSign } from "../observer/ports.ts";
import { SCOPE } from "./postgres.ts";
import type { Ask } from "./postgres-client.ts";
import { type Sql, sql, verbatim } from "./postgres-literals.ts";
import { utc } from "./postgres-statements.ts";

/** Two observers of one host compete for this lease. */
export const hostScope = (host: string): string => `host:${host}`;
/** The table's unit: of the members that observe archives, or else of any. */
export const tableScope = (archivesConfigured: boolean): string =>
  archivesConfigured ? "archives" : "absent";

interface HostRow {
  readonly host: string | null;
  readonly seen_at: string | null;
  readonly leader: string | null;
  /** Of the leader's row. */
  readonly fleet: unknown;
  readonly now: string;
  readonly single: boolean;
}

/**
 * The registered hosts: those that hold a lease, or did and were not let go, and those that ever gave a sign. To hold the
 * lease is a sign as well, for who waits for a slow Engine writes no status meanwhile. Reads `observer_lease` and
 * `observer_status`.
 */
export async function readFleet(ask: Ask): Promise<FleetReading> {
  const rows = await ask<HostRow>(sql`
    with leases as (
      select substr(scope, 6) as host, holder, expires_at - interval '${verbatim(String(limits.leaseMs))} ms' as held_at
        from observer_lease where scope like 'host:%' and holder <> ''
    ),
    signs as (
      select status -> 'fleet' ->> 'host' as host, instance, updated_at, status -> 'fleet' as fleet
        from observer_status where status -> 'fleet' ? 'host'
    ),
    hosts as (select host from leases union select host from signs),
    clock as (
      select ${utc(verbatim("clock_timestamp()"))} as now,
             exists (select from observer_lease where scope = ${SCOPE} and expires_at > clock_timestamp()) as single
    )
    select host, leases.holder as leader,
           ${utc(sql`greatest(leases.held_at, (select max(updated_at) from signs where signs.host = hosts.host))`)} as seen_at,
           (select fleet from signs where signs.host = hosts.host and signs.instance = leases.holder) as fleet,
           now, single
      from clock left join hosts on true left join leases using (host)
     order by host`);
  const now = parseInstant(rows[0]?.now);
  if (now === null) throw new Error("Bug: the fleet was read without a clock");
  return {
    now,
    isSingleLed: rows[0]?.single === true,
    hosts: rows.flatMap(({ host, seen_at, leader, fleet }): HostSign[] => {
      if (host === null) return [];
      const said = (fleet ?? {}) as JsonObject;
      const count = (name: string) => (typeof said[name] === "number" ? (said[name] as number) : null);
      return [
        {
          host,
          leader,
          seenAt: parseInstant(seen_at),
          complete: completeOf(said.complete),
          counts: { containers: count("containers"), volumes: count("volumes") },
        },
      ];
    }),
  };
}

/** What is not as this program writes it proves nothing. */
function completeOf(said: unknown): CompleteLook | null {
  const { stamp, except } = (said ?? {}) as { stamp?: unknown; except?: unknown };
  const at = parseInstant(stamp);
  return at !== null && Array.isArray(except) && except.every((id) => typeof id === "string")
    ? { stamp: at, except: except as WorkspaceId[] }
    : null;
}

/** Which members of a fleet lead just now. Reads `observer_lease`. */
export async function readLiveHosts(ask: Ask): Promise<readonly string[]> {
  const rows = await ask<{ host: string }>(sql`
    select substr(scope, 6) as host from observer_lease
     where scope like 'host:%' and expires_at > clock_timestamp() order by 1`);
  return rows.map(({ host }) => host);
}

export interface HostClaims {
  readonly containers: number;
  readonly volumes: number;
  readonly rows: number;
}

const IS_CLAIMED = (host: string): Sql => sql`
  (jsonb_typeof(conditions -> 'container' -> 'host') = 'string' and conditions -> 'container' ->> 'host' = ${host}
   or jsonb_typeof(conditions -> 'volume' -> 'host') = 'string' and conditions -> 'volume' ->> 'host' = ${host})`;

export async function countClaims(ask: Ask, host: string): Promise<HostClaims> {
  const [row] = await ask<HostClaims>(sql`
    select count(*)::int as rows,
           count(*) filter (where conditions -> 'container' ->> 'host' = ${host})::int as containers,
           count(*) filter (where conditions -> 'volume' ->> 'host' = ${host})::int as volumes
      from workspaces where ${IS_CLAIMED(host)}`);
  return row!;
}

/**
 * Takes a host's claims out of the rows, with their stamps, and lets its lease and its signs go: what it still had to
 * write is refused by the epoch. Rows that somebody holds locked are left, and told. Owns `workspaces.conditions` and
 * `workspaces.observed_at`; `observer_lease`, `observer_status` and, where there is one, `observer_transitions`.
 */
export async function forgetHost(
  ask: Ask,
  host: string,
  idType: string,
  instance: string,
  withTransitions: boolean,
): Promise<{ readonly forgotten: number; readonly skipped: number }> {
  const isIts = (key: string) => sql`coalesce(old.conditions -> ${key} ->> 'host' = ${host}, false)`;
  const noted = sql`,
    noted as (
      insert into observer_transitions
             (at, workspace_id, condition, from_reason, to_reason, message, details, instance)
      select clock_timestamp(), old.id::text, key, coalesce(old.conditions -> key ->> 'reason', 'unreadable'), 'unknown', '',
             jsonb_build_object('host', ${host}), ${instance}
        from old join written using (id), unnest(array['container', 'volume']) as key
       where coalesce(old.conditions -> key ->> 'host' = ${host}, false)
    )`;
  const [row] = await ask<{ forgotten: number; skipped: number }>(sql`
    with lease as (
      update observer_lease
         set holder = '', known = '{}', expires_at = clock_timestamp(),
             epoch = greatest(epoch + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
       where scope = ${hostScope(host)}
      returning scope
    ),
    signs as (delete from observer_status where status -> 'fleet' ->> 'host' = ${host}),
    old as materialized (
      select id::${verbatim(idType)} as id, conditions
        from workspaces
       where ${IS_CLAIMED(host)} and (select count(*) from lease) >= 0
         for no key update skip locked
    ),
    written as (
      update workspaces
         set conditions = case when ${isIts("container")} and ${isIts("volume")}
                 then workspaces.conditions - 'container' - 'volume' #- '{observed,containers}' #- '{observed,volumes}'
               when ${isIts("container")} then workspaces.conditions - 'container' #- '{observed,containers}'
               else workspaces.conditions - 'volume' #- '{observed,volumes}' end,
             observed_at = null
        from old
       where workspaces.id = old.id
      returning workspaces.id
    )${withTransitions ? noted : sql``}
    select (select count(*)::int from written) as forgotten,
           (select count(*)::int from workspaces where ${IS_CLAIMED(host)}) - (select count(*)::int from written) as skipped`);
  return row!;
}
