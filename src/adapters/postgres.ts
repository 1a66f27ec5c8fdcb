/**
 * PostgreSQL: the workspaces table, the lease and the status row. Statements: postgres-statements.ts.
 */
import type { JsonObject } from "../observer/conditions.ts";
import { type Instant, parseInstant } from "../observer/instant.ts";
import { limits } from "../observer/limits.ts";
import type { Link } from "../observer/link.ts";
import type { WorkspaceId } from "../observer/names.ts";
import type {
  Clock,
  ConditionsStore,
  KnownWorld,
  Leadership,
  LeaseAnswer,
  RowsReader,
  RowWrite,
  SaveOutcome,
} from "../observer/ports.ts";
import type { FleetSave } from "./postgres-claims.ts";
import { isAnswer, type PostgresClient } from "./postgres-client.ts";
import { DatabaseFault } from "./postgres-fault.ts";
import { loadOwnWorkspaces } from "./postgres-own-rows.ts";
import { loadAllWorkspaces, loadSomeWorkspaces, loadWorkspaces } from "./postgres-rows.ts";
import {
  acquireLease,
  confirmLease,
  type LeaseRow,
  readClock,
  readKnownWorld,
  releaseLease,
  rememberWorld,
  renewLease,
  reportStatus,
  type SavedRow,
  saveConditions,
  standingLease,
} from "./postgres-statements.ts";
import { forgetTransitions } from "./postgres-transitions.ts";

export interface PostgresStoreOptions {
  readonly client: PostgresClient;
  readonly instance: string;
  /** Read at each call: it is known only once the database has answered for the first time (postgres-verify.ts). */
  readonly schema: {
    /** The type of `workspaces.id`, as the catalog spells it. */
    readonly idType: string;
    /** Whether `workspaces.xmin` may be read, and so what changed be told from what did not. */
    readonly tellsChanges: boolean;
    /** Whether `observer_status` is there to write to. */
    readonly hasStatusTable: boolean;
    /** Whether `observer_transitions` is there to keep what changed. */
    readonly hasTransitionsTable: boolean;
  };
  readonly transitions: TransitionsOptions;
  /** Where many hosts write into one table: each write is then held to its claims. */
  readonly fleet?: FleetSave | null;
}

export interface TransitionsOptions {
  readonly maxAgeMs: number;
  readonly clock: Clock;
  /** Told with each save that had any whether they could be kept. Conditions are written all the same. */
  readonly link: Pick<Link, "up" | "down">;
}

/** How often the oldest transitions are forgotten, and how many at once; what is left is due with the next report. */
const FORGET_EVERY_MS = 60_000;
const FORGET_MOST = 5_000;

/** One lease for the whole table, where one observer writes all of it. A fleet's: postgres-fleet.ts. */
export const SCOPE = "workspaces";

export function createConditionsStore(options: PostgresStoreOptions): ConditionsStore {
  const { client, instance, schema, transitions, fleet = null } = options;
  let forgetAtMs = Number.NEGATIVE_INFINITY;

  /** History is no reason to stop observing: what the database refuses with it is written without it. */
  async function keepingTransitions(
    news: number,
    save: (keep: boolean) => Promise<SavedRow>,
  ): Promise<SavedRow> {
    try {
      const saved = await save(true);
      // What wrote nothing proves nothing.
      if (saved.leases > 0 && saved.missed.length < news) transitions.link.up();
      return saved;
    } catch (cause) {
      if (!(cause instanceof DatabaseFault && isAnswer(cause.cause))) throw cause;
      const saved = await save(false);
      transitions.link.down(cause);
      return saved;
    }
  }

  async function forgetSome(signal: AbortSignal): Promise<void> {
    const nowMs = transitions.clock.monotonicMs();
    if (nowMs < forgetAtMs) return;
    forgetAtMs = nowMs + FORGET_EVERY_MS;
    const ask = client.asker("Cannot forget old transitions", signal);
    const forgotten = await forgetTransitions(ask, transitions.maxAgeMs, FORGET_MOST);
    if (forgotten === FORGET_MOST) forgetAtMs = nowMs;
  }

  return {
    load(since, signal, reader = KNOWS_NOTHING, own = null) {
      const ask = client.asker("Cannot load workspaces", signal);
      if (own !== null) return loadOwnWorkspaces(ask, since, schema, reader, own);
      return schema.tellsChanges
        ? loadWorkspaces(ask, since, schema.idType, reader)
        : loadAllWorkspaces(ask, schema.idType, reader);
    },

    loadOnly: (ids, signal) =>
      loadSomeWorkspaces(client.asker("Cannot load workspaces", signal), ids, schema.idType),

    async save(lease, writes, signal) {
      const ask = client.writer("Cannot write conditions", signal);
      const write = (keep: boolean) =>
        saveConditions(ask, lease, limits.leaseMs, schema.idType, writes, keep, fleet);
      const news = writes.filter((one) => one.transitions.length > 0).length;
      const saved =
        news > 0 && schema.hasTransitionsTable ? await keepingTransitions(news, write) : await write(false);
      return saved.leases === 0 ? { kind: "lease-lost" } : outcomeOf(writes, saved.missed);
    },

    async report(status: JsonObject, signal) {
      if (schema.hasStatusTable) {
        await reportStatus(client.asker("Cannot write observer_status", signal), instance, status);
      }
      if (schema.hasTransitionsTable) await forgetSome(signal);
    },
  };
}

const KNOWS_NOTHING: RowsReader = { isKnown: () => false, onPage: () => {} };

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

export function createLeadership(client: PostgresClient, holder: string, scope: string = SCOPE): Leadership {
  return {
    scope,
    async acquire(signal) {
      const action = "Cannot ask for the lease";
      const unless = scope === SCOPE ? null : SCOPE;
      const standing = await standingLease(client.asker(action, signal), scope, limits.leaseMs, unless);
      const take = () => acquireLease(client.writer(action, signal), scope, holder, limits.leaseMs, unless);
      return leaseAnswer(standing ?? (await take()), scope);
    },
    async confirm(lease, signal) {
      return leaseAnswer(await confirmLease(client.asker("Cannot confirm the lease", signal), lease), scope);
    },
    async renew(lease, signal) {
      const ask = client.asker("Cannot renew the lease", signal);
      return leaseAnswer(await renewLease(ask, lease, limits.leaseMs), scope);
    },
    async release(lease, signal) {
      await releaseLease(client.asker("Cannot hand the lease over", signal), lease);
    },
    async remember(lease, known, signal) {
      await rememberWorld(client.asker("Cannot note which world is observed", signal), lease, known);
    },
    async now(signal) {
      return instantOf(await readClock(client.asker("Cannot read the database's clock", signal)));
    },
    async known(signal) {
      return knownOf(
        await readKnownWorld(client.asker("Cannot read which world is observed", signal), scope),
      );
    },
  };
}

function leaseAnswer({ holder, epoch, mine, now, known }: LeaseRow, scope: string): LeaseAnswer {
  return mine
    ? { kind: "held", lease: { scope, holder, epoch }, now: instantOf(now), known: knownOf(known) }
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
