/**
 * What the writing statement asks of a row where many hosts write into one table (ADR 14): ownership.ts, in SQL, on the
 * row as it is when it is locked. Used inside `update workspaces … from input` alone.
 */
import { type Sql, sql, verbatim } from "./postgres-literals.ts";

export interface FleetSave {
  /** Whether this process observes archives: then no row is observed as a whole before they are. */
  readonly archivesConfigured: boolean;
}

/** A key as it is stored, who reported it, and its stamp. */
const STORED = verbatim(`(conditions -> claim.key)`);
const hostOf = (condition: Sql): Sql =>
  sql`case jsonb_typeof(${condition} -> 'host') when 'string' then ${condition} ->> 'host' end`;
const HOLDER = hostOf(STORED);
const IS_LOST = sql`coalesce(${STORED} -> 'unknown' = 'true', false)`;
const HAS_STAMP = verbatim(
  `(conditions #>> array['observed', claim.key || 's']) is not distinct from claim.stamp`,
);

/** The container's host, once this very write is done; a lost one counts for nobody. */
const CONTAINERS_HOST = sql`
              case when claim."withContainer" then claim.host
                   when coalesce(conditions -> 'container' -> 'unknown' = 'true', false) then null
                   else ${hostOf(verbatim("(conditions -> 'container')"))} end`;

const SINCE = sql`coalesce(case jsonb_typeof(${STORED} -> 'last_transition_at')
                           when 'string' then ${STORED} ->> 'last_transition_at' end, '')`;
const IS_LATER = sql`
              claim.since is not null
              and (claim.since > ${SINCE} collate "C"
                or (claim.since = ${SINCE} and claim.host < (${HOLDER}) collate "C"))`;

const WINS = sql`case
            when claim.key = 'container'
                 and claim.running <> coalesce(${STORED} -> 'running' = 'true', false) then claim.running
            when claim.key = 'volume' and (${CONTAINERS_HOST}) = claim.host then true
            when claim.key = 'volume' and (${CONTAINERS_HOST}) = (${HOLDER}) then false
            else ${IS_LATER} end`;

/** No claim of this row fails. */
export const CLAIMS_HOLD = sql`
         and not exists (
           select from jsonb_to_recordset(input.claims) as claim
                  (key text, kind text, host text, running boolean, since text, "withContainer" boolean,
                   adopts boolean, stamp text)
            where not coalesce(case
              when claim.kind = 'unclaimed' then
                   jsonb_typeof(${STORED}) is distinct from 'object' and ${HAS_STAMP}
              when claim.kind = 'lost' then
                   (${HOLDER}) = claim.host and not ${IS_LOST} and ${HAS_STAMP}
              when jsonb_typeof(${STORED}) is distinct from 'object' then claim.kind = 'present'
              when claim.kind = 'absent' then coalesce((${HOLDER}) = claim.host, claim.adopts)
              else (${HOLDER}) is null or (${HOLDER}) = claim.host or ${IS_LOST} or (${WINS}) end, false))`;

/** Of any text only what is surely a time may be cast, or one row would fail the batch; 29 February is not sure. */
const IS_TIME = verbatim(
  "'^[12][0-9]{3}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)" +
    "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{6}Z$'",
);

/** The smallest of the merged stamps, null until all are there: others may have written theirs since this row was read. */
export const oldestStamp = (stamps: Sql, { archivesConfigured }: FleetSave): Sql => sql`
               (select case
                   when count(*) filter (where source in ('containers', 'volumes')) < 2
                     or (${archivesConfigured} and count(*) filter (where source = 'archives') < 1) then null
                   when bool_and(coalesce(stamp ~ ${IS_TIME}, false)) then min(stamp collate "C")::timestamptz
                   else input.observed_at::timestamptz end
                  from jsonb_each_text(${stamps}) as each (source, stamp)
                 where source in ('containers', 'volumes', 'archives'))`;
