/**
 * Every statement that writes, named and whole; reading the rows: postgres-rows.ts. Table names are unqualified: `search_path` decides.
 *
 * Stamps are text of one fixed width in UTC (instant.ts), so that `collate "C"` orders them in time and no stored
 * text, whoever wrote it, can fail a cast and with it the whole batch.
 */

import type { JsonObject } from "../observer/conditions.ts";
import { formatInstant } from "../observer/instant.ts";
import type { KnownWorld, Lease, RowWrite, Transition } from "../observer/ports.ts";
import { CLAIMS_HOLD, type FleetSave, oldestStamp } from "./postgres-claims.ts";
import type { Ask } from "./postgres-client.ts";
import { json, type Sql, sql, verbatim } from "./postgres-literals.ts";

/** A time of the database, as text of the one fixed width. */
export const utc = (expression: Sql): Sql =>
  sql`to_char((${expression}) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const NOW_TEXT = utc(verbatim("clock_timestamp()"));
const milliseconds = (ms: number): Sql => sql`${ms}::float8 * interval '1 millisecond'`;

export interface LeaseRow {
  readonly holder: string;
  readonly epoch: string;
  readonly mine: boolean;
  readonly now: string;
  readonly known: unknown;
}

/**
 * The lease as it stands, in somebody's hands; null: it is for taking. Locks and writes nothing: of a fleet's members all
 * but one ask for the table's lease once a second. Reads `observer_lease`.
 *
 * @param unless while that scope's lease is held, it is the one that stands
 */
export async function standingLease(
  ask: Ask,
  scope: string,
  leaseMs: number,
  unless: string | null,
): Promise<LeaseRow | null> {
  const [row] = await ask<LeaseRow>(sql`
    select holder, epoch::text, false as mine, ${NOW_TEXT} as now, known
      from observer_lease
     where expires_at > clock_timestamp()
       and (scope = ${scope} and expires_at <= clock_timestamp() + 2 * ${milliseconds(leaseMs)} or scope = ${unless ?? ""})
     order by scope = ${scope} desc limit 1`);
  return row ?? null;
}

/**
 * Takes the lease if there is none, or if it has expired. A lease that would live longer than any lease does comes
 * from before the database's clock went back; it must not block for that long. An epoch is no smaller than the time in
 * microseconds, so that none comes again: not after the row or the table was lost, and not on a promoted standby that
 * never heard of the last one. Owns `observer_lease`.
 *
 * @param unless while that scope's lease is held this one is not for taking, and stands as its holder's
 */
export async function acquireLease(
  ask: Ask,
  scope: string,
  holder: string,
  leaseMs: number,
  unless: string | null = null,
): Promise<LeaseRow> {
  const mine = sql`${scope}, ${holder}, (extract(epoch from clock_timestamp()) * 1000000)::bigint,
              clock_timestamp() + ${milliseconds(leaseMs)}`;
  const barred = sql`select from observer_lease as other
                      where other.scope = ${unless ?? ""} and other.expires_at > clock_timestamp()`;
  const statement = sql`
    with taken as (
      insert into observer_lease as lease (scope, holder, epoch, expires_at)
      ${unless === null ? sql`values (${mine})` : sql`select ${mine} where not exists (${barred})`}
      on conflict (scope) do update
        set holder = excluded.holder, epoch = greatest(lease.epoch + 1, excluded.epoch),
            expires_at = excluded.expires_at
        where lease.expires_at <= clock_timestamp()
           or lease.expires_at > clock_timestamp() + 2 * ${milliseconds(leaseMs)}
      returning holder, epoch, known
    )
    select holder, epoch::text, true as mine, ${NOW_TEXT} as now, known from taken
    union all
    select holder, epoch::text, false, ${NOW_TEXT}, known
      from observer_lease where scope = ${scope} and not exists (select from taken)
    ${unless === null ? sql`` : otherHolder(unless)}limit 1`;
  // A row that somebody else made while the first statement ran is not in its snapshot, but in the second's.
  const row = (await ask<LeaseRow>(statement))[0] ?? (await ask<LeaseRow>(statement))[0];
  if (row === undefined) throw new Error("observer_lease has no row after an insert: is it a table?");
  return row;
}

const otherHolder = (scope: string): Sql => sql`
    union all
    select holder, epoch::text, false, ${NOW_TEXT}, known
      from observer_lease where scope = ${scope} and expires_at > clock_timestamp()
       and not exists (select from taken)
    `;

/**
 * Reads the clock, and whether the epoch is still ours. Writes nothing, so it waits for no lock and costs no flush of
 * the write-ahead log. Reads `observer_lease`.
 */
export async function confirmLease(ask: Ask, lease: Lease): Promise<LeaseRow> {
  const [row] = await ask<LeaseRow>(sql`
    select coalesce(holder, '') as holder, coalesce(epoch::text, '') as epoch, holder is not null as mine,
           ${NOW_TEXT} as now, known
      from (select) as always
           left join observer_lease on scope = ${lease.scope} and epoch = ${lease.epoch}::bigint`);
  return row!;
}

/** Extends the lease if the epoch is still ours, and reads the clock. Owns `observer_lease.expires_at`. */
export async function renewLease(ask: Ask, lease: Lease, leaseMs: number): Promise<LeaseRow> {
  const [row] = await ask<LeaseRow>(sql`
    with renewed as (
      update observer_lease
         set expires_at = clock_timestamp() + ${milliseconds(leaseMs)}
       where scope = ${lease.scope} and epoch = ${lease.epoch}::bigint
      returning holder, epoch, known
    )
    select holder, epoch::text, true as mine, ${NOW_TEXT} as now, known from renewed
    union all
    select '', '', false, ${NOW_TEXT}, '{}' where not exists (select from renewed)`);
  return row!;
}

/** Lets the lease expire at once, if it is still ours. */
export async function releaseLease(ask: Ask, lease: Lease): Promise<void> {
  await ask(sql`
    update observer_lease set expires_at = clock_timestamp()
     where scope = ${lease.scope} and epoch = ${lease.epoch}::bigint`);
}

export async function readClock(ask: Ask): Promise<string> {
  const [row] = await ask<{ now: string }>(sql`select ${NOW_TEXT} as now`);
  return row!.now;
}

/** Null without a lease row: nothing has been observed yet. */
export async function readKnownWorld(ask: Ask, scope: string): Promise<unknown> {
  const [row] = await ask<{ known: unknown }>(sql`select known from observer_lease where scope = ${scope}`);
  return row?.known ?? null;
}

/** Adds to the known world if the lease is still ours. Owns `observer_lease.known`. */
export async function rememberWorld(ask: Ask, lease: Lease, known: KnownWorld): Promise<void> {
  await ask(sql`
    update observer_lease set known = known || ${json(known as JsonObject)}
     where scope = ${lease.scope} and epoch = ${lease.epoch}::bigint`);
}

/** An operator's word that the world may be another one; needs no lease, and whoever leads reads it at once. */
export async function acceptWorld(ask: Ask, scope: string, known: KnownWorld): Promise<boolean> {
  const rows = await ask(sql`
    update observer_lease set known = known || ${json(known as JsonObject)} where scope = ${scope} returning scope`);
  return rows.length > 0;
}

export interface SavedRow {
  readonly leases: number;
  /** Of the rows given, those that were not written: locked by somebody else or gone (false), or fenced (true). */
  readonly missed: readonly { readonly id: string; readonly fenced: boolean }[];
}

/**
 * The one statement that writes. It renews the lease, or else does nothing at all; it skips rows that somebody else
 * holds locked (P11); it leaves rows alone that hold a newer stamp for any source written here (P3), unless that
 * stamp lies in the database's future. Owns `workspaces.conditions` and `workspaces.observed_at` (P4). With the rows
 * that it writes, and with no others, it keeps what changed in `observer_transitions`.
 *
 * The fence is checked on the row's latest version: the row is locked first, and an update under READ COMMITTED
 * checks its conditions anew on what it finds after the lock.
 *
 * @param idType the type of `workspaces.id`, as the catalog spells it
 * @param withTransitions whether there is an `observer_transitions` to keep them in
 * @param fleet where many hosts write: then each key that is written has a claim, which has to hold of the locked row
 */
export async function saveConditions(
  ask: Ask,
  lease: Lease,
  leaseMs: number,
  idType: string,
  writes: readonly RowWrite[],
  withTransitions: boolean,
  fleet: FleetSave | null = null,
): Promise<SavedRow> {
  const rows = writes.map((write) => ({
    id: write.id,
    set: write.set,
    observed: write.observed,
    drop: write.drop,
    observed_at: write.observedAt === null ? null : formatInstant(write.observedAt),
    transitions: withTransitions ? write.transitions.map(transitionRecord) : [],
    ...(fleet === null ? {} : { claims: write.claims ?? [] }),
  }));
  const stamps = sql`case when jsonb_typeof(conditions -> 'observed') = 'object'
                         then conditions -> 'observed' else '{}' end
                    - array(select jsonb_array_elements_text(input."drop"))
                    || input.observed`;
  const noted = sql`,
    noted as (
      insert into observer_transitions
             (at, workspace_id, condition, from_reason, to_reason, message, details, instance)
      select fresh.at::timestamptz, input.id::text, fresh.condition, fresh.from_reason, fresh.to_reason,
             fresh.message, fresh.details, ${lease.holder}
        from input
             join written on written.id = input.id,
             jsonb_to_recordset(input.transitions) as fresh
             (at text, condition text, from_reason text, to_reason text, message text, details jsonb)
    )`;
  const [row] = await ask<SavedRow>(sql`
    with lease as (
      update observer_lease
         set expires_at = clock_timestamp() + ${milliseconds(leaseMs)}
       where scope = ${lease.scope} and epoch = ${lease.epoch}::bigint
      returning epoch
    ),
    input as materialized (
      select *
        from jsonb_to_recordset(${json(rows)}) as input
             (id ${verbatim(idType)}, "set" jsonb, observed jsonb, "drop" jsonb, observed_at text, transitions jsonb${fleet === null ? sql`` : sql`, claims jsonb`})
    ),
    target as materialized (
      select workspaces.id
        from workspaces join input on input.id = workspaces.id
       where exists (select from lease)
         for no key update of workspaces skip locked
    ),
    written as (
      update workspaces
         set conditions =
               case when jsonb_typeof(conditions) = 'object' then conditions else '{}' end
               - array(select jsonb_array_elements_text(input."drop"))
               || input."set"
               || jsonb_build_object('observed',
                    ${stamps}),
             observed_at = ${fleet === null ? sql`input.observed_at::timestamptz` : oldestStamp(stamps, fleet)}
        from input join target on target.id = input.id
       where workspaces.id = input.id
         and not exists (
           select from jsonb_each_text(input.observed) as fresh (source, stamp)
            where (conditions #>> array['observed', fresh.source]) collate "C" > fresh.stamp
              and (conditions #>> array['observed', fresh.source]) collate "C" <= ${NOW_TEXT})${fleet === null ? sql`` : CLAIMS_HOLD}
      returning workspaces.id
    )${rows.some(({ transitions }) => transitions.length > 0) ? noted : sql``}
    select (select count(*)::int from lease) as leases,
           (select coalesce(jsonb_agg(jsonb_build_object('id', input.id::text, 'fenced', target.id is not null)), '[]')
              from input
                   left join target on target.id = input.id
                   left join written on written.id = input.id
             where written.id is null) as missed`);
  return row!;
}

const transitionRecord = ({ at, key, from, to, details }: Transition) => ({
  at: formatInstant(at),
  condition: key,
  from_reason: from.reason,
  to_reason: to.reason,
  message: to.message,
  details,
});

/**
 * This instance's row; rows of instances that were silent for a day are removed, but for the last sign of a fleet's host.
 * Owns `observer_status`.
 */
export async function reportStatus(ask: Ask, instance: string, status: JsonObject): Promise<void> {
  await ask(sql`
    with gone as (
      delete from observer_status
       where updated_at < clock_timestamp() - interval '1 day' and instance <> ${instance}
         and (status -> 'fleet' ->> 'host' is null
              or exists (select from observer_status as newer
                          where newer.status -> 'fleet' ->> 'host' = observer_status.status -> 'fleet' ->> 'host'
                            and newer.updated_at > observer_status.updated_at))
    )
    insert into observer_status (instance, updated_at, status)
    values (${instance}, clock_timestamp(), ${json(status)})
    on conflict (instance) do update set updated_at = excluded.updated_at, status = excluded.status`);
}
