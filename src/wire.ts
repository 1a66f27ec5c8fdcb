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
import type { Config } from "./config.ts";
import type { EngineListing } from "./observer/absence.ts";
import type { CycleParts } from "./observer/cycle.ts";
import { limits } from "./observer/limits.ts";
import type { OutageFields } from "./observer/outage.ts";
import { type Engine, type HintSource, type Log, type Look, UnworkableError } from "./observer/ports.ts";
import { Source, type SourceName } from "./observer/source.ts";
import { fleetUnits, isHintFor, judgeFleet } from "./wire-fleet.ts";

export interface World {
  readonly cycle: CycleParts;
  /** In a fleet the cycle is of the host's Engine, and this one of what no host claims, and of archives. */
  readonly table: CycleParts | null;
  readonly channel: HintSource;
  readonly events: HintSource;
  readonly database: PostgresClient;
  readonly engine: Engine;
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
}

export async function wire(config: Config, log: Log, options: WireOptions): Promise<World> {
  const { instance, prefix, listTimeoutMs, writeTimeoutMs } = config;
  const clock = systemClock;
  const random = Math.random;

  const connection = postgresOptions(config);
  const database = new PostgresClient(connection);
  const schema = { idType: "text", tellsChanges: false, hasStatusTable: false, hasTransitionsTable: false };
  const store = createConditionsStore({
    client: database,
    instance,
    schema,
    transitions: { clock, maxAgeMs: config.transitionsMaxAgeMs, onFault: transitionsFault(log) },
    fleet: config.fleet && { archivesConfigured: config.archives !== null },
  });

  const { engine, events } = openEngine(config);
  const archives = openArchives(config);
  const redis = await openRedis(config);

  const sourceOptions = {
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
  };
  const whole: CycleParts = {
    clock,
    store,
    engine,
    leadership: createLeadership(database, instance),
    wake: redis ?? createPostgresWake(database, config.wakeChannel),
    config: {
      ...options,
      prefix,
      listTimeoutMs,
      writeTimeoutMs,
      maxAgeMs: config.maxAgeMs,
      guard: config.guard,
    },
    engineSource: new Source<EngineListing>("engine", (signal) => listEngine(engine, prefix, { signal }), {
      ...sourceOptions,
      deadlineMs: listTimeoutMs,
    }),
    archiveSource:
      archives === null
        ? null
        : new Source("archives", (signal) => archives.listArchives(prefix, { signal }), {
            ...sourceOptions,
            deadlineMs: limits.archiveListingMs,
          }),
    lookAt: (look) => listEngine(engine, prefix, look),
    archivesIdentity: archivesIdentity(config),
  };

  const { cycle, table, former } = fleetUnits(whole, config, database);

  return {
    cycle,
    table,
    database,
    engine,
    archives,
    redis,
    channel:
      redis ??
      createPostgresHints({
        connection,
        channel: config.hintChannel,
        isForUs: isHintFor(config),
        clock,
        random,
      }),
    events,
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
        await judgeFleet(config, database, schema.hasStatusTable, former, signal);
      }),
    inspect: (signal) =>
      fatalIsUnworkable(async () => {
        Object.assign(schema, judgeSchema(await verifySchema(database, signal), log));
        await judgeFleet(config, database, schema.hasStatusTable, former, signal);
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

function openEngine({ engine: endpoint, prefix }: Config): { engine: Engine; events: HintSource } {
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

const transitionsFault = (log: Log) => (cause: unknown, outage: OutageFields) => {
  if (cause === null) log.info("transitions.up", "Transitions are kept again", { ...outage });
  else
    log.warn("transitions.down", "Transitions cannot be kept; conditions are written", {
      error: cause,
      ...outage,
    });
};

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
  return createRedisHints({ redis, hintChannel, wakeChannel, isForUs: isHintFor(config) });
}
