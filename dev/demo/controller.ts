// A WorkspaceController in miniature, so that the rows live: it starts operations, and ends them by what the
// conditions say, never by what it knows itself.
import type postgres from "postgres";
import type { VillageAction, VillageStep } from "../fakes/village.ts";

/** What a controller would have ordered for it; whatever is not here happens by itself. */
const OPERATIONS: Partial<Record<VillageAction, string>> = {
  created: "PROVISIONING",
  restored: "RESTORING",
  started: "STARTING",
  stopped: "STOPPING",
  archived: "ARCHIVING",
};

/** Makes rows for workspaces that exist already. Rows that are there stay as they are. */
export async function adoptWorkspaces(sql: postgres.Sql, ids: readonly string[]): Promise<void> {
  const rows = ids.map((id) => ({ id }));
  if (rows.length > 0) await sql`insert into workspaces ${sql(rows)} on conflict (id) do nothing`;
}

/** Writes down that an operation has begun, and asks for a look. */
export async function beginOperation(sql: postgres.Sql, step: VillageStep): Promise<void> {
  const operation = OPERATIONS[step.action];
  if (operation === undefined) return;
  await sql`
    insert into workspaces (id, operation, op_started_at, op_id, archive_key)
    values (${step.workspaceId}, ${operation}, now(), ${step.opId ?? crypto.randomUUID()}, ${step.archiveKey})
    on conflict (id) do update set
      operation = excluded.operation,
      op_started_at = excluded.op_started_at,
      op_id = excluded.op_id,
      archive_key = excluded.archive_key`;
  await sql`select pg_notify('ob:wake', '')`;
}

/**
 * Moves each row's phase to what its conditions show, and ends an operation whose outcome was observed after it
 * began. What doesn't get there within 15 s (it crashed on the way) counts as an error.
 */
export async function settleOperations(sql: postgres.Sql): Promise<void> {
  await sql`
    with seen as (
      select id,
        case
          when conditions->'container'->>'running' = 'true' then 'RUNNING'
          when conditions->'volume'->>'exists' = 'true' then 'STANDBY'
          when conditions->'archive'->>'exists' = 'true' then 'ARCHIVED'
          else 'PENDING'
        end as phase,
        case operation
          when 'STARTING' then 'RUNNING'
          when 'ARCHIVING' then 'ARCHIVED'
          when 'NONE' then null
          else 'STANDBY'
        end as wanted
      from workspaces
      where observed_at is not null
    ), judged as (
      select w.id, seen.phase,
        seen.wanted is not null and seen.phase = seen.wanted and w.observed_at > w.op_started_at as done,
        seen.wanted is not null and w.op_started_at < now() - interval '15 seconds' as late
      from workspaces w join seen using (id)
    )
    update workspaces w set
      phase = judged.phase,
      operation = case when done or late then 'NONE' else w.operation end,
      error_count = case when done then 0 when late then w.error_count + 1 else w.error_count end,
      error_reason = case when done then null when late then w.operation || ' did not succeed' else w.error_reason end
    from judged
    where w.id = judged.id and (done or late or w.phase <> judged.phase)`;
}
