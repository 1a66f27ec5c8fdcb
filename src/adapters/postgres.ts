/**
 * PostgreSQL: the workspaces table, the lease and the status row. Statements: postgres-statements.ts.
 */
import type { JsonObject } from "../observer/conditions.ts";
import { type Instant, parseInstant } from "../observer/instant.ts";
import { limits } from "../observer/limits.ts";
import { parseWorkspaceId, type WorkspaceId } from "../observer/names.ts";
import type {
  ConditionsStore,
  Leadership,
  LeaseAnswer,
  RowWrite,
  SaveOutcome,
  WorkspaceRow,
} from "../observer/ports.ts";
import type { PostgresClient } from "./postgres-client.ts";
import { DatabaseFault } from "./postgres-fault.ts";
import {
  acquireLease,
  type LeaseRow,
  type LoadedRow,
  loadWorkspaces,
  readClock,
  releaseLease,
  renewLease,
  reportStatus,
  saveConditions,
} from "./postgres-statements.ts";

export interface PostgresStoreOptions {
  readonly client: PostgresClient;
  readonly instance: string;
  /** Read at each call: it is known only once the database has answered for the first time (postgres-verify.ts). */
  readonly schema: {
    /** The type of `workspaces.id`, as the catalog spells it. */
    readonly idType: string;
    /** Whether `observer_status` is there to write to. */
    readonly hasStatusTable: boolean;
  };
}

/** One lease for the whole table. A later fleet has one per host. */
const SCOPE = "workspaces";

export function createConditionsStore(options: PostgresStoreOptions): ConditionsStore {
  const { client, instance, schema } = options;
  return {
    async load(signal) {
      const rows = await client.transaction("Cannot load workspaces", signal, loadWorkspaces);
      return rows.flatMap(parseRow);
    },

    async save(lease, writes, signal) {
      const saved = await client.transaction("Cannot write conditions", signal, (tx) =>
        saveConditions(tx, lease, limits.leaseMs, schema.idType, writes),
      );
      return saved.leases === 0 ? { kind: "lease-lost" } : outcomeOf(writes, saved.missed);
    },

    async report(status: JsonObject, signal) {
      if (!schema.hasStatusTable) return;
      await client.transaction("Cannot write observer_status", signal, (tx) =>
        reportStatus(tx, instance, status),
      );
    },
  };
}

function outcomeOf(
  writes: readonly RowWrite[],
  missed: readonly { readonly id: string; readonly fenced: boolean }[],
): SaveOutcome {
  const written = new Set(writes.map(({ id }) => id));
  const skipped: WorkspaceId[] = [];
  const fenced: WorkspaceId[] = [];
  for (const row of missed) {
    written.delete(row.id as WorkspaceId);
    (row.fenced ? fenced : skipped).push(row.id as WorkspaceId);
  }
  return { kind: "saved", written, skipped, fenced };
}

/** An id that no resource can be named after (one with a slash, say) can't be observed, so its row is left alone. */
function parseRow(row: LoadedRow): WorkspaceRow[] {
  const id = parseWorkspaceId(row.id);
  if (id === null) return [];
  const isObject =
    typeof row.conditions === "object" && row.conditions !== null && !Array.isArray(row.conditions);
  return [
    {
      id,
      operationInFlight: row.in_flight,
      deleted: row.deleted,
      conditions: isObject ? (row.conditions as JsonObject) : {},
      observedAt: parseInstant(row.observed_at),
    },
  ];
}

export function createLeadership(client: PostgresClient, holder: string): Leadership {
  return {
    async acquire(signal) {
      return leaseAnswer(
        await client.transaction("Cannot ask for the lease", signal, (tx) =>
          acquireLease(tx, SCOPE, holder, limits.leaseMs),
        ),
      );
    },
    async renew(lease, signal) {
      return leaseAnswer(
        await client.transaction("Cannot renew the lease", signal, (tx) =>
          renewLease(tx, lease, limits.leaseMs),
        ),
      );
    },
    async release(lease, signal) {
      await client.transaction("Cannot hand the lease over", signal, (tx) => releaseLease(tx, lease));
    },
    async now(signal) {
      return instantOf(await client.transaction("Cannot read the database's clock", signal, readClock));
    },
  };
}

function leaseAnswer({ holder, epoch, mine, now }: LeaseRow): LeaseAnswer {
  return mine
    ? { kind: "held", lease: { scope: SCOPE, holder, epoch }, now: instantOf(now) }
    : { kind: "standby", holder, now: instantOf(now) };
}

function instantOf(text: string): Instant {
  const at = parseInstant(text);
  if (at === null) {
    throw new DatabaseFault(`Cannot read the database's clock: it says "${text}"`, "CLOCK", false);
  }
  return at;
}
