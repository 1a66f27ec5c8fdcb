/**
 * PostgreSQL: the workspaces table, the lease and the status row. Statements: postgres-statements.ts.
 */
import type { JsonObject } from "../observer/conditions.ts";
import { type Instant, parseInstant } from "../observer/instant.ts";
import { limits } from "../observer/limits.ts";
import { parseWorkspaceId, type WorkspaceId } from "../observer/names.ts";
import type {
  Clock,
  ConditionsStore,
  KnownWorld,
  Leadership,
  LeaseAnswer,
  RowWrite,
  SaveOutcome,
  WorkspaceRow,
} from "../observer/ports.ts";
import { isAnswer, type PostgresClient } from "./postgres-client.ts";
import { DatabaseFault } from "./postgres-fault.ts";
import {
  acquireLease,
  type LeaseRow,
  type LoadedRow,
  loadWorkspaces,
  readClock,
  readKnownWorld,
  releaseLease,
  rememberWorld,
  renewLease,
  reportStatus,
  type SavedRow,
  saveConditions,
} from "./postgres-statements.ts";
import { forgetTransitions } from "./postgres-transitions.ts";

export interface PostgresStoreOptions {
  readonly client: PostgresClient;
  readonly instance: string;
  /** Read at each call: it is known only once the database has answered for the first time (postgres-verify.ts). */
  readonly schema: {
    /** The type of `workspaces.id`, as the catalog spells it. */
    readonly idType: string;
    /** Whether `observer_status` is there to write to. */
    readonly hasStatusTable: boolean;
    /** Whether `observer_transitions` is there to keep what changed. */
    readonly hasTransitionsTable: boolean;
  };
  readonly transitions: TransitionsOptions;
}

export interface TransitionsOptions {
  readonly maxAgeMs: number;
  readonly clock: Clock;
  /** Told the cause when they can't be kept, and null when they can again. Conditions are written all the same. */
  readonly onFault: (cause: unknown) => void;
}

/** How often the oldest transitions are forgotten, and how many at once; what is left is due with the next report. */
const FORGET_EVERY_MS = 60_000;
const FORGET_MOST = 5_000;

/** One lease for the whole table. A later fleet has one per host. */
export const SCOPE = "workspaces";

export function createConditionsStore(options: PostgresStoreOptions): ConditionsStore {
  const { client, instance, schema, transitions } = options;
  let areKept = true;
  let forgetAtMs = Number.NEGATIVE_INFINITY;

  /** History is no reason to stop observing: what the database refuses with it is written without it. */
  async function keepingTransitions(save: (keep: boolean) => Promise<SavedRow>): Promise<SavedRow> {
    const note = (cause: unknown) => {
      if (areKept === (cause === null)) return;
      areKept = cause === null;
      transitions.onFault(cause);
    };
    try {
      const saved = await save(true);
      note(null);
      return saved;
    } catch (cause) {
      if (!(cause instanceof DatabaseFault && isAnswer(cause.cause))) throw cause;
      const saved = await save(false);
      note(cause);
      return saved;
    }
  }

  async function forgetSome(signal: AbortSignal): Promise<void> {
    const nowMs = transitions.clock.monotonicMs();
    if (nowMs < forgetAtMs) return;
    forgetAtMs = nowMs + FORGET_EVERY_MS;
    const forgotten = await client.transaction("Cannot forget old transitions", signal, (tx) =>
      forgetTransitions(tx, transitions.maxAgeMs, FORGET_MOST),
    );
    if (forgotten === FORGET_MOST) forgetAtMs = nowMs;
  }

  return {
    async load(signal) {
      const rows = await client.transaction("Cannot load workspaces", signal, loadWorkspaces);
      return rows.flatMap(parseRow);
    },

    async save(lease, writes, signal) {
      const write = (keep: boolean) =>
        client.transaction("Cannot write conditions", signal, (tx) =>
          saveConditions(tx, lease, limits.leaseMs, schema.idType, writes, keep),
        );
      const hasNews = writes.some((one) => one.transitions.length > 0);
      const saved =
        hasNews && schema.hasTransitionsTable ? await keepingTransitions(write) : await write(false);
      return saved.leases === 0 ? { kind: "lease-lost" } : outcomeOf(writes, saved.missed);
    },

    async report(status: JsonObject, signal) {
      if (schema.hasStatusTable) {
        await client.transaction("Cannot write observer_status", signal, (tx) =>
          reportStatus(tx, instance, status),
        );
      }
      if (schema.hasTransitionsTable) await forgetSome(signal);
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
    async remember(lease, known, signal) {
      await client.transaction("Cannot note which world is observed", signal, (tx) =>
        rememberWorld(tx, lease, known),
      );
    },
    async now(signal) {
      return instantOf(await client.transaction("Cannot read the database's clock", signal, readClock));
    },
    async known(signal) {
      const action = "Cannot read which world is observed";
      return knownOf(await client.transaction(action, signal, (tx) => readKnownWorld(tx, SCOPE)));
    },
  };
}

function leaseAnswer({ holder, epoch, mine, now, known }: LeaseRow): LeaseAnswer {
  return mine
    ? { kind: "held", lease: { scope: SCOPE, holder, epoch }, now: instantOf(now), known: knownOf(known) }
    : { kind: "standby", holder, now: instantOf(now) };
}

/** What is not text is as good as not known. */
function knownOf(stored: unknown): KnownWorld {
  const { engine, archives } = (stored ?? {}) as Record<string, unknown>;
  return {
    ...(typeof engine === "string" ? { engine } : {}),
    ...(typeof archives === "string" ? { archives } : {}),
  };
}

function instantOf(text: string): Instant {
  const at = parseInstant(text);
  if (at === null) {
    throw new DatabaseFault(`Cannot read the database's clock: it says "${text}"`, "CLOCK", false);
  }
  return at;
}
