// What the tests of the PostgreSQL adapter share: databases with the schema, clients with short time-outs, and a
// session beside them that plays the WorkspaceController, an operator, or another Observer.
import postgres from "postgres";
import type { Postgres } from "../../dev/services/postgres.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import {
  createConditionsStore,
  createLeadership,
  type PostgresStoreOptions,
  type TransitionsOptions,
} from "../../src/adapters/postgres.ts";
import { PostgresClient, type PostgresOptions } from "../../src/adapters/postgres-client.ts";
import { forgetHost, readFleet } from "../../src/adapters/postgres-fleet.ts";
import { schemaDdl } from "../../src/adapters/postgres-schema.ts";
import type { JsonObject } from "../../src/observer/conditions.ts";
import type { Instant } from "../../src/observer/instant.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type {
  ConditionsStore,
  FleetReading,
  Leadership,
  Lease,
  RowsRead,
  RowWrite,
  WorkspaceRow,
} from "../../src/observer/ports.ts";
import { deadline } from "./engine-support.ts";

export const id = (text: string): WorkspaceId => text as WorkspaceId;

/** A write of nothing but the stamps; `changes` says what is different. */
export const write = (workspace: string, changes: Partial<Omit<RowWrite, "id">> = {}): RowWrite => ({
  id: id(workspace),
  set: {},
  observed: {},
  drop: [],
  observedAt: null,
  transitions: [],
  ...changes,
});

export const loadAll = async (store: ConditionsStore): Promise<readonly WorkspaceRow[]> =>
  (await store.load(null, deadline())).rows;

/** What a reader holds after it. */
export function taken(
  before: ReadonlyMap<string, WorkspaceRow>,
  read: RowsRead,
): ReadonlyMap<string, WorkspaceRow> {
  const rows = new Map(read.all === null ? before : []);
  for (const row of read.rows) rows.set(row.id, row);
  for (const one of read.gone) rows.delete(one);
  return rows;
}

export const byId = (rows: Iterable<WorkspaceRow>) => [...rows].sort((a, b) => (a.id < b.id ? -1 : 1));

export async function held(leadership: Leadership, signal: AbortSignal): Promise<Lease> {
  const answer = await leadership.acquire(signal);
  if (answer.kind !== "held") throw new Error(`Cannot get the lease: ${answer.holder} has it`);
  return answer.lease;
}

/** What the tests do to a store from outside. */
export interface StoreWorld {
  readonly store: ConditionsStore;
  leadership(holder: string, scope?: string): Leadership;
  readonly fleet: FleetWorld;
  add(...rows: readonly NewRow[]): Promise<void>;
  edit(workspace: string, changes: Partial<Omit<NewRow, "id">>): Promise<void>;
  remove(workspace: string): Promise<void>;
  /** Undefined when there is no such row. */
  stored(workspace: string): Promise<{ conditions: unknown; observedAt: Instant | null } | undefined>;
  /** Somebody else locks the row, until the function returned is called. */
  lock(workspace: string): Promise<() => Promise<void>>;
  /** Moves the end of the lease to so many milliseconds from now, by the store's clock. */
  leaseEndsInMs(ms: number): Promise<void>;
  /** How many milliseconds the lease has left, by the store's clock. */
  leaseLeftMs(): Promise<number>;
  /** What is kept of what changed, the oldest first; times as text, so that they compare. */
  transitions(): Promise<readonly KeptTransition[]>;
  close(): Promise<void>;
}

/** What a member of a fleet has in addition. */
export interface FleetWorld {
  /** That is held to its claims, and counts archives or doesn't. */
  store(archivesConfigured: boolean, instance?: string): ConditionsStore;
  read(): Promise<FleetReading>;
  forget(host: string): Promise<void>;
}

export interface KeptTransition {
  readonly at: string;
  readonly workspace_id: string;
  readonly condition: string;
  readonly from_reason: string;
  readonly to_reason: string;
  readonly message: string;
  readonly details: unknown;
  readonly instance: string;
}

export interface NewRow {
  readonly id: string;
  readonly operation?: string;
  readonly deleted?: boolean;
  readonly conditions?: JsonObject;
}

export interface Database {
  readonly name: string;
  readonly options: PostgresOptions;
  readonly client: PostgresClient;
  readonly store: ConditionsStore;
  /** Another store, on what verifySchema() found. */
  storeOn(schema: PostgresStoreOptions["schema"], transitions?: Partial<TransitionsOptions>): ConditionsStore;
  leadership(holder: string, scope?: string): Leadership;
  readonly fleet: FleetWorld;
  /** Superuser's session of its own, closed with the database. */
  readonly beside: postgres.Sql;
  /** Further sessions, closed with the database. */
  session(): postgres.Sql;
  /** Ends the sessions; the database stays until the server is stopped. */
  close(): Promise<void>;
}

export interface DatabaseSettings {
  /** Where the client connects; the server itself by default. */
  readonly through?: { readonly host: string; readonly port: number };
  readonly timeoutMs?: number;
  readonly user?: string;
  /** DDL instead of the schema that `observer schema` prints. */
  readonly ddl?: string;
}

export const keepTransitions: TransitionsOptions = {
  clock: systemClock,
  maxAgeMs: 3_600_000,
  link: {
    up: () => {},
    down: (cause) => {
      throw new Error("transitions can't be kept", { cause });
    },
  },
};

const ALL_THERE = { idType: "text", tellsChanges: true, hasStatusTable: true, hasTransitionsTable: true };

let databases = 0;

/** Creates a database with the schema, and opens the adapter on it. */
export async function openDatabase(server: Postgres, settings: DatabaseSettings = {}): Promise<Database> {
  const name = `observer_${++databases}`;
  await server.createDatabase(name);
  await server.query(settings.ddl ?? schemaDdl({ role: null, schema: null }), name);
  const options = optionsOf(server, { ...settings, database: name });
  const client = new PostgresClient(options);
  const storeOn: Database["storeOn"] = (schema, transitions) =>
    createConditionsStore({
      client,
      instance: "observer-1",
      schema,
      transitions: { ...keepTransitions, ...transitions },
    });
  const sessions: postgres.Sql[] = [];
  const session = () => {
    const sql = postgres(server.url(name), { max: 1, onnotice: () => {}, fetch_types: false });
    sessions.push(sql);
    return sql;
  };
  return {
    name,
    options,
    client,
    store: storeOn(ALL_THERE),
    storeOn,
    leadership: (holder, scope) => createLeadership(client, holder, scope),
    fleet: {
      store: (archivesConfigured, instance = "observer-1") =>
        createConditionsStore({
          client,
          instance,
          schema: ALL_THERE,
          transitions: keepTransitions,
          fleet: { archivesConfigured },
        }),
      read: () => readFleet(client.asker("Cannot read the fleet", deadline())),
      async forget(host) {
        await forgetHost(client.writer("Cannot forget", deadline()), host, "text", "operator", true);
      },
    },
    beside: session(),
    session,
    async close() {
      await Promise.all([client.close(), ...sessions.map((sql) => sql.end({ timeout: 1 }))]);
    },
  };
}

export function optionsOf(
  server: Postgres,
  changes: Partial<PostgresOptions> & DatabaseSettings = {},
): PostgresOptions {
  const { through, timeoutMs = 5_000, ddl: _, ...rest } = changes;
  return {
    hosts: [{ host: through?.host ?? server.host, port: through?.port ?? server.port }],
    user: server.superuser.user,
    password: server.superuser.password,
    database: "postgres",
    tls: "disable",
    tlsRootCertificate: null,
    searchPath: null,
    applicationName: "observer",
    timeoutMs,
    ...rest,
  };
}

/** Opens a transaction that stays open until the function returned is called. */
export async function holdOpen(
  sql: postgres.Sql,
  statements: (tx: postgres.TransactionSql) => Promise<unknown>,
): Promise<() => Promise<void>> {
  const release = Promise.withResolvers<void>();
  const ready = Promise.withResolvers<void>();
  const whole = sql.begin(async (tx) => {
    await statements(tx);
    ready.resolve();
    await release.promise;
  });
  whole.catch(ready.reject);
  await ready.promise;
  return async () => {
    release.resolve();
    await whole;
  };
}
