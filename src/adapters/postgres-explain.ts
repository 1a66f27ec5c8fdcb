/**
 * What the database knows of one workspace, for `observer explain`. Reads only, and only what the restricted role may
 * read; a table of the Observer's own that is missing or may not be read is left out.
 */
import type { PostgresClient, Tx } from "./postgres-client.ts";

export interface KnownWorkspace {
  /** The database's clock; all times are text in the form of instant.ts, but for the WC's `deleted_at`. */
  readonly now: string;
  /** Null: there is no such row. */
  readonly row: WorkspaceFacts | null;
  /** Null: nobody ever led, or it may not be read. */
  readonly lease: LeaseFacts | null;
  /** The latest first. Null: there is no observer_status that may be read. */
  readonly instances: readonly InstanceFacts[] | null;
  /** The latest first. Null: there is no observer_transitions that may be read. */
  readonly transitions: readonly TransitionFacts[] | null;
  /** Where there is no such row: ids there are. */
  readonly otherIds: readonly string[];
}

export interface WorkspaceFacts {
  readonly operation: string | null;
  readonly in_flight: boolean;
  readonly deleted_at: string | null;
  /** As stored, whoever wrote it. */
  readonly conditions: unknown;
  readonly observed_at: string | null;
}
export interface LeaseFacts {
  readonly holder: string;
  readonly epoch: string;
  readonly expires_at: string;
  readonly is_held: boolean;
}
export interface InstanceFacts {
  readonly instance: string;
  readonly updated_at: string;
  /** The document of docs/status-endpoint.md, of whatever version wrote it. */
  readonly status: unknown;
}
export interface TransitionFacts {
  readonly at: string;
  readonly condition: string;
  readonly from_reason: string;
  readonly to_reason: string;
  readonly message: string;
  readonly details: unknown;
  readonly instance: string;
}

const INSTANCES = 10;
/** Names are compared with so many ids, and no more: a helpful word must not read a table of millions. */
const OTHER_IDS = 20_000;

export const readWorkspace = (
  client: PostgresClient,
  id: string,
  mostTransitions: number,
  signal: AbortSignal,
): Promise<KnownWorkspace> =>
  client.transaction("Cannot explain", signal, async (tx) => {
    const readable = await readableTables(tx);
    const [row] = await tx<WorkspaceFacts[]>`
      select operation::text as operation, coalesce(operation::text, 'NONE') <> 'NONE' as in_flight,
             ${utc(tx, "deleted_at::timestamptz")} as deleted_at, conditions, ${utc(tx, "observed_at")} as observed_at
        from workspaces where id::text = ${id}`;
    const [lease] = readable.has("observer_lease")
      ? await tx<LeaseFacts[]>`
          select holder, epoch::text, ${utc(tx, "expires_at")} as expires_at, expires_at > clock_timestamp() as is_held
            from observer_lease
           where scope in ('workspaces', 'archives', 'absent', ${`host:${hostOf(row?.conditions)}`}) and holder <> ''
           order by scope = ${`host:${hostOf(row?.conditions)}`} desc, observer_lease.expires_at desc limit 1`
      : [];
    const instances = readable.has("observer_status")
      ? await tx<InstanceFacts[]>`
          select instance, ${utc(tx, "updated_at")} as updated_at, status
            from observer_status order by observer_status.updated_at desc limit ${INSTANCES}::int`
      : null;
    const transitions = readable.has("observer_transitions")
      ? await tx<TransitionFacts[]>`
          select ${utc(tx, "at")} as at, condition, from_reason, to_reason, message, details, instance
            from observer_transitions where workspace_id = ${id}
           order by observer_transitions.at desc, id desc limit ${mostTransitions}::int`
      : null;
    const others = row
      ? []
      : await tx<{ id: string }[]>`select id::text as id from workspaces limit ${OTHER_IDS}::int`;
    // Read last, so that nothing is younger than now.
    const [clock] = await tx<{ now: string }[]>`select ${utc(tx, "clock_timestamp()")} as now`;
    return {
      now: clock!.now,
      row: row ?? null,
      lease: lease ?? null,
      instances: instances && [...instances],
      transitions: transitions && [...transitions],
      otherIds: others.map((other) => other.id),
    };
  });

/** In a fleet, who reported the container, or else the volume. */
function hostOf(conditions: unknown): string {
  const { container, volume } = (conditions ?? {}) as Record<string, { host?: unknown } | null | undefined>;
  const host = container?.host ?? volume?.host;
  return typeof host === "string" ? host : "";
}

async function readableTables(tx: Tx): Promise<ReadonlySet<string>> {
  const rows = await tx<{ name: string }[]>`
    select name
      from unnest(array['observer_lease', 'observer_status', 'observer_transitions']) as name
     where has_table_privilege(to_regclass(name)::oid, 'SELECT')`;
  return new Set(rows.map(({ name }) => name));
}

/** @param expression of type timestamptz; our own text, never foreign */
const utc = (tx: Tx, expression: string) =>
  tx.unsafe(`to_char((${expression}) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
