/** Config → adapters → the parts of a cycle. The only place that knows which technology is behind which port. */
import { systemClock } from "./adapters/clock.ts";
import { createDockerEngine, createDockerEvents } from "./adapters/docker.ts";
import { createKubernetesEngine, createKubernetesEvents } from "./adapters/kubernetes.ts";
import { createConditionsStore, createLeadership } from "./adapters/postgres.ts";
import { PostgresClient, type PostgresOptions } from "./adapters/postgres-client.ts";
import { DatabaseFault } from "./adapters/postgres-fault.ts";
import { createPostgresHints, createPostgresWake } from "./adapters/postgres-hints.ts";
import { createOwnTables, migrateOwnTables } from "./adapters/postgres-own-tables.ts";
import { type SchemaFindings, verifySchema } from "./adapters/postgres-verify.ts";
import type { RedisHints } from "./adapters/redis.ts";
import type { S3Archives } from "./adapters/s3.ts";
import type { Config, EngineConfig } from "./config.ts";
import { withFields } from "./log-fields.ts";
import type { EngineListing } from "./observer/absence.ts";
import type { CycleParts } from "./observer/cycle.ts";
import { limits } from "./observer/limits.ts";
import { Link } from "./observer/link.ts";
import type { OutageFields } from "./observer/outage.ts";
import {
  type Clock,
  type ConditionsStore,
  type Engine,
  type HintSource,
  type Log,
  type Look,
  UnworkableError,
  type WakePublisher,
} from "./observer/ports.ts";
import { Source, type SourceName } from "./observer/source.ts";
import { fleetParts, judgeFleet } from "./wire-fleet.ts";

/** An Engine, and who looks at it. */
export interface EngineUnit {
  /** Null: this observer alone writes the table. */
  readonly host: string | null;
  /** In the lease, `observer_status` and the log; where there are several, each has its own. */
  readonly instance: string;
  readonly engine: Engine;
  readonly events: HintSource;
  readonly cycle: CycleParts;
  readonly log: Log;
}

export interface World {
  /** At least one; several only in a fleet. */
  readonly units: readonly EngineUnit[];
  /** In a fleet: what no host claims, and archives. */
  readonly table: CycleParts | null;
  readonly clock: Clock;
  readonly wake: WakePublisher;
  readonly channel: HintSource;
  readonly database: PostgresClient;
  /** Of all units, for they write into one table. */
  readonly transitions: Link;
  readonly archives: S3Archives | null;
  readonly redis: RedisHints | null;
  /** Looks at the schema, makes the Observer's own tables where it may. Throws UnworkableError. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Looks at the schema and changes nothing. Throws UnworkableError. */
  inspect(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface WireOptions {
  /** How long a source that has answered waits for one that has not. */
  readonly sourcePatienceMs: number;
  /** Instead of what the configuration names: a benchmark has hundreds of them in one process. */
  readonly engine?: { readonly engine: Engine; readonly events: HintSource };
  readonly archives?: S3Archives;
}

export async function wire(
  config: Config,
  log: Log,
  { sourcePatienceMs, ...given }: WireOptions,
): Promise<World> {
  const { instance, prefix, listTimeoutMs, writeTimeoutMs } = config;
  const clock = systemClock;
  const random = Math.random;

  const connection = postgresOptions(config);
  const database = new PostgresClient(connection);
  const schema = { idType: "text", tellsChanges: false, hasStatusTable: false, hasTransitionsTable: false };
  const transitions = new Link("transitions", clock, log, "conditions are written all the same");
  const storeOf = (name: string) =>
    createConditionsStore({
      client: database,
      instance: name,
      schema,
      transitions: { clock, maxAgeMs: config.transitionsMaxAgeMs, link: transitions },
      fleet: config.fleet && { archivesConfigured: config.archives !== null },
    });
  const archives = given.archives ?? openArchives(config);
  const redis = await openRedis(config);
  const wake = redis ?? createPostgresWake(database, config.wakeChannel);

  const sourceOptions = (log: Log) => ({
    clock,
    random,
    maxBackoffMs: config.cadence.idleIntervalMs,
    onTransition: (name: SourceName, cause: unknown, outage: OutageFields) => {
      const fields = { source: name, ...outage };
      if (cause === null) log.info("source.up", "A source is observed again", fields);
      else
        log.error("source.down", "A source cannot be observed; the others go on", {
          error: cause,
          ...fields,
        });
    },
  });
  const archiveSource =
    archives === null
      ? null
      : new Source("archives", (signal) => archives.listArchives(prefix, { signal }), {
          ...sourceOptions(log),
          deadlineMs: limits.archiveListingMs,
        });
  const wholeOf = (engine: Engine, store: ConditionsStore, told: Log): CycleParts => ({
    clock,
    store,
    engine,
    leadership: createLeadership(database, instance),
    wake,
    config: {
      sourcePatienceMs,
      prefix,
      listTimeoutMs,
      writeTimeoutMs,
      maxAgeMs: config.maxAgeMs,
      guard: config.guard,
    },
    engineSource: new Source<EngineListing>("engine", (signal) => listEngine(engine, prefix, { signal }), {
      ...sourceOptions(told),
      deadlineMs: listTimeoutMs,
    }),
    archiveSource,
    lookAt: (look) => listEngine(engine, prefix, look),
    archivesIdentity: archivesIdentity(config),
  });

  const ownStore = storeOf(instance);
  const fleet = fleetParts(config, database);
  const units = config.engines.map(({ host, endpoint }): EngineUnit => {
    const isOne = config.engines.length === 1;
    const name = isOne ? instance : `${instance}/${host}`;
    const told = isOne ? log : withFields(log, { host });
    const opened = given.engine ?? openEngine(endpoint, prefix);
    const whole = wholeOf(opened.engine, isOne ? ownStore : storeOf(name), told);
    const cycle = host === null ? whole : fleet.host(whole, name, host);
    return { ...opened, host, instance: name, cycle, log: told };
  });
  const [first] = units;
  if (first === undefined) throw new Error("Bug: there is no Engine to look at");

  return {
    units,
    // It asks no Engine, so any is as good.
    table: config.fleet && fleet.table(wholeOf(first.engine, ownStore, log)),
    clock,
    wake,
    database,
    transitions,
    archives,
    redis,
    channel: redis ?? createPostgresHints({ connection, channel: config.hintChannel, clock, random }),
    prepare: (signal) =>
      fatalIsUnworkable(async () => {
        const created = await createOwnTables(database, signal);
        for (const table of created)
          log.info("schema.created", "Made a table of the Observer's own", { table });
        const before = await verifySchema(database, signal);
        const { migrated, unfinished } = await migrateOwnTables(database, before.outdated, signal);
        for (const versions of migrated)
          log.info("schema.migrated", "Brought a table of the Observer's own to this version", {
            ...versions,
          });
        for (const { cause } of unfinished)
          log.warn("schema.incomplete", "Goes on without something that it could use", {
            reason: cause.message,
          });
        // Not only what was migrated here: another instance may have done it meanwhile.
        const findings = before.outdated.length === 0 ? before : await verifySchema(database, signal);
        Object.assign(schema, judgeSchema(findings, log));
        await judgeFleet(config, database, schema.hasStatusTable, fleet.former, signal);
      }),
    inspect: (signal) =>
      fatalIsUnworkable(async () => {
        Object.assign(schema, judgeSchema(await verifySchema(database, signal), log));
        await judgeFleet(config, database, schema.hasStatusTable, fleet.former, signal);
      }),
    async close() {
      archives?.destroy();
      await Promise.all([database.close(), redis?.close()]);
    },
  };
}

/** The prefix is part of who it is: under another one the very same Engine shows another world. */
async function listEngine(engine: Engine, prefix: string, look: Look): Promise<EngineListing> {
  const { engineId, ...lists } = await engine.listBoth(prefix, look);
  return { ...lists, identity: engineId === null ? null : engineIdentity(engineId, prefix) };
}

export const engineIdentity = (engineId: string, prefix: string): string =>
  `Engine ${engineId}, prefix ${prefix}`;

function openEngine(endpoint: EngineConfig, prefix: string): { engine: Engine; events: HintSource } {
  const around = { prefix, clock: systemClock, random: Math.random };
  return endpoint.kind === "kubernetes"
    ? {
        engine: createKubernetesEngine({ endpoint }),
        events: createKubernetesEvents({ endpoint, ...around }),
      }
    : { engine: createDockerEngine({ endpoint }), events: createDockerEvents({ endpoint, ...around }) };
}

/** Null without an archive source. A store has no ID of its own; where it is and what it is called must do. */
export function archivesIdentity({ archives, prefix }: Config): string | null {
  if (archives === null) return null;
  return `bucket ${archives.bucket} at ${archives.endpoint ?? `AWS ${archives.region}`}, prefix ${prefix}`;
}

/** Throws UnworkableError for what can never work, and logs what it goes on without. */
function judgeSchema(findings: SchemaFindings, log: Log): SchemaFindings {
  if (findings.problems.length > 0) {
    throw new UnworkableError(`Cannot work with this database: ${findings.problems.join(". ")}`);
  }
  for (const reason of findings.missing) {
    log.warn("schema.incomplete", "Goes on without something that it could use", { reason });
  }
  return findings;
}

/** What the database refuses for good is the operator's to mend. */
async function fatalIsUnworkable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof DatabaseFault && cause.fatal) throw new UnworkableError(cause.message, { cause });
    throw cause;
  }
}

export const postgresOptions = (config: Config): PostgresOptions => ({
  ...config.database,
  timeoutMs: config.writeTimeoutMs,
});

/**
 * Loaded only where it is configured, and with the first question: the SDK is the heaviest part of the program, and while
 * it is loaded the Engine is already at its list.
 */
function openArchives({ archives, listTimeoutMs }: Config): S3Archives | null {
  if (archives === null) return null;
  let opened: Promise<S3Archives> | null = null;
  const open = () => {
    opened ??= import("./adapters/s3.ts").then(({ createS3Archives }) =>
      createS3Archives({ ...archives, pageTimeoutMs: listTimeoutMs }),
    );
    return opened;
  };
  return {
    listArchives: async (prefix, look) => (await open()).listArchives(prefix, look),
    head: async (prefix, signal) => (await open()).head(prefix, signal),
    destroy: () => void opened?.then((store) => store.destroy()),
  };
}

async function openRedis(config: Config): Promise<RedisHints | null> {
  if (config.redis === null) return null;
  const { createRedisHints } = await import("./adapters/redis.ts");
  const { hintChannel, wakeChannel, redis } = config;
  return createRedisHints({ redis, hintChannel, wakeChannel });
}
