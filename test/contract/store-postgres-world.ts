// The world of the contract suite (store.ts) on a real PostgreSQL.
import { parseInstant } from "../../src/observer/instant.ts";
import { type Database, holdOpen, type KeptTransition, type StoreWorld } from "./store-support.ts";

/** A world on a database that other tests have used: emptied, with what stays open in it. Closing it is the owner's. */
export async function emptiedWorld(database: Database): Promise<StoreWorld> {
  // A test that failed may have left a transaction open.
  await database.beside`
    select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and state like 'idle in transaction%' and pid <> pg_backend_pid()`;
  await database.beside`truncate workspaces, observer_lease, observer_status, observer_transitions`;
  return { ...worldOf(database), close: async () => {} };
}

export function worldOf(database: Database): StoreWorld {
  const { beside } = database;
  return {
    store: database.store,
    leadership: database.leadership,
    fleet: database.fleet,
    async add(...rows) {
      const records = rows.map((row) => ({ operation: "NONE", deleted: false, conditions: {}, ...row }));
      await beside`
        insert into workspaces (id, operation, deleted_at, conditions)
        select id, operation, case when deleted then now() end, conditions
          from jsonb_to_recordset(${beside.json(records as never)})
               as row (id text, operation text, deleted boolean, conditions jsonb)`;
    },
    async edit(id, { operation, deleted, conditions }) {
      if (operation !== undefined)
        await beside`update workspaces set operation = ${operation} where id = ${id}`;
      if (deleted !== undefined) {
        await beside`
          update workspaces set deleted_at = case when ${deleted}::boolean then now() end where id = ${id}`;
      }
      if (conditions !== undefined)
        await beside`update workspaces set conditions = ${beside.json(conditions as never)} where id = ${id}`;
    },
    async remove(id) {
      await beside`delete from workspaces where id = ${id}`;
    },
    async stored(id) {
      const [row] = await beside<{ conditions: unknown; at: string | null }[]>`
        select conditions, to_char(observed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
          from workspaces where id = ${id}`;
      return row && { conditions: row.conditions, observedAt: parseInstant(row.at) };
    },
    lock: (id) =>
      holdOpen(database.session(), (tx) => tx`select from workspaces where id = ${id} for update`),
    async leaseEndsInMs(ms) {
      await beside`
        update observer_lease set expires_at = clock_timestamp() + ${ms}::float8 * interval '1 millisecond'`;
    },
    async leaseLeftMs() {
      const [row] = await beside<{ ms: number }[]>`
        select extract(epoch from expires_at - clock_timestamp())::float8 * 1000 as ms from observer_lease`;
      return row?.ms ?? Number.NaN;
    },
    transitions: async () => [
      ...(await beside<KeptTransition[]>`
        select to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, workspace_id, condition,
               from_reason, to_reason, message, details, instance
          from observer_transitions order by id`),
    ],
    close: database.close,
  };
}
