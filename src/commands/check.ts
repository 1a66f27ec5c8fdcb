/** `observer check`: every dependency and permission, one by one; what is wrong, and how to mend it. */
import { systemClock } from "../adapters/clock.ts";
import { createPostgresHints } from "../adapters/postgres-hints.ts";
import { type SchemaFindings, verifySchema } from "../adapters/postgres-verify.ts";
import type { Config } from "../config.ts";
import { exitCode } from "../exit-codes.ts";
import { withDeadline } from "../observer/deadline.ts";
import { limits } from "../observer/limits.ts";
import { startStatusServer } from "../status/server.ts";
import { lasting } from "../status/wording.ts";
import { type EngineUnit, postgresOptions, type World, wire } from "../wire.ts";
import { engineFindings } from "./check-engine.ts";
import { type Ask, attempt, type Finding } from "./check-finding.ts";
import { askEndpoint, endpointOf } from "./status-source.ts";
import { bold, green, print, printable, red, silent, yellow } from "./terminal.ts";

/** Clocks that are kept differ by less. */
const MOST_APART_MS = 2_000;
/** It is on this machine. */
const RUNNING_TIMEOUT_MS = 1_000;

export async function check(
  config: Config,
  options: { readonly json: boolean },
  stop: AbortSignal,
): Promise<number> {
  const world = await wire(config, silent, { sourcePatienceMs: limits.sourcePatienceMs });
  const findings: Finding[] = [];
  const report = async (finding: Finding) => {
    findings.push(finding);
    if (!options.json) await print(line(finding));
  };
  try {
    for await (const finding of examine(config, world, stop)) await report(finding);
  } finally {
    await world.close();
  }
  const wrong = findings.filter(({ result }) => result === "wrong").length;
  if (options.json) await print(JSON.stringify({ ok: wrong === 0, findings }, null, 2));
  else await print(bold(wrong === 0 ? "All is well." : `${wrong} of ${findings.length} checks failed.`));
  return wrong === 0 ? exitCode.ok : exitCode.failed;
}

function line({ name, result, detail }: Finding): string {
  const mark = {
    ok: green("ok     "),
    warning: yellow("warning"),
    wrong: red("wrong  "),
    skipped: "skipped",
  }[result];
  return `${mark}  ${name.padEnd(22)}  ${printable(detail)}`;
}

async function* examine(config: Config, world: World, stop: AbortSignal): AsyncGenerator<Finding> {
  const ask: Ask = (action, deadlineMs, work) => withDeadline(systemClock, deadlineMs, action, work, stop);

  const namedBy =
    ({ host }: EngineUnit) =>
    (name: string) =>
      world.units.length > 1 ? `${name} of ${host}` : name;

  yield {
    name: "configuration",
    result: config.warnings.length > 0 ? "warning" : "ok",
    detail: config.warnings.join(" ") || `instance ${config.instance}, prefix ${config.prefix}`,
  };

  const schema = yield* attempt("database", async () => {
    const found = await ask("Cannot inspect the schema", config.writeTimeoutMs, (signal) =>
      verifySchema(world.database, signal),
    );
    return [found, { result: found.readOnly ? "wrong" : "ok", detail: describeServer(found) }];
  });
  if (schema === null)
    yield { name: "schema and grants", result: "skipped", detail: "the database cannot be asked" };
  else yield* schemaFindings(schema);

  if (schema !== null && schema.problems.length === 0) {
    for (const unit of world.units)
      yield* attempt(namedBy(unit)("lease"), async () => {
        const holder = await ask("Cannot read the lease", config.writeTimeoutMs, (signal) =>
          world.database.transaction("Cannot read the lease", signal, async (tx) => {
            const [row] = await tx<{ holder: string }[]>`
              select holder from observer_lease
               where scope = ${unit.cycle.leadership.scope} and expires_at > clock_timestamp() limit 1`;
            return row?.holder ?? null;
          }),
        );
        return [null, { result: "ok", detail: holder === null ? "free" : `${holder} leads` }];
      });
    yield* attempt("clock", async () => {
      const beforeMs = Date.now();
      const databaseMs = await ask("Cannot read the database's clock", config.writeTimeoutMs, (signal) =>
        world.database.transaction("Cannot read the database's clock", signal, async (tx) => {
          const [row] = await tx<{ ms: number }[]>`
            select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`;
          return row?.ms ?? Number.NaN;
        }),
      );
      // It was read at some time in between.
      const aheadMs = Math.max(databaseMs - Date.now(), 0) || Math.min(databaseMs - beforeMs, 0);
      if (Math.abs(aheadMs) <= MOST_APART_MS)
        return [null, { result: "ok", detail: "the database's is this machine's" }];
      const apart = `${lasting(Math.abs(aheadMs))} ${aheadMs < 0 ? "behind" : "ahead of"} this machine's`;
      return [
        null,
        {
          result: "warning",
          detail: `the database's is ${apart}: all stamps are by the database's, so set both right`,
        },
      ];
    });
    yield* attempt("workspaces", async () => {
      const counts = await ask("Cannot count workspaces", config.writeTimeoutMs, (signal) =>
        world.database.transaction("Cannot count workspaces", signal, async (tx) => {
          // What parseWorkspaceId() refuses: such a row is left out, and its conditions stay as they are.
          const [row] = await tx<{ all: number; unnameable: number }[]>`
            select count(*)::int as all,
                   (count(*) filter (where id::text = '' or id::text ~ ${"[/\u0001-\u001f\u007f]"}))::int as unnameable
              from workspaces where deleted_at is null`;
          return row ?? { all: 0, unnameable: 0 };
        }),
      );
      const detail = `${counts.all} not deleted`;
      return counts.unnameable === 0
        ? [null, { result: "ok", detail }]
        : [
            null,
            {
              result: "warning",
              detail: `${detail}, ${counts.unnameable} of which are never observed: no container, volume or archive can be named after an id that is empty, or has a slash or a control character`,
            },
          ];
    });
  }

  for (const unit of world.units) yield* engineFindings(unit, namedBy(unit), config, ask);

  const { archives } = world;
  if (archives === null)
    yield { name: "archives", result: "skipped", detail: "S3_BUCKET is not set: archives are not observed" };
  else {
    yield* attempt("archives", async () => {
      const { bucket, region, endpoint } = await ask("Cannot list archives", config.listTimeoutMs, (signal) =>
        archives.head(config.prefix, signal),
      );
      return [null, { result: "ok", detail: `bucket ${bucket}, region ${region}, ${endpoint ?? "AWS"}` }];
    });
  }

  const { redis } = world;
  if (redis !== null) {
    yield* attempt("redis", async () => {
      const server = await ask("Cannot use Redis", config.writeTimeoutMs, (signal) => redis.check(signal));
      const detail = `version ${server.version ?? "unknown"}, ${server.wakeReceivers} subscribers of ${config.wakeChannel}`;
      return [
        null,
        server.role === "replica"
          ? {
              result: "wrong",
              detail: `${detail}; this is a replica, and what is published there reaches nobody at the master: point REDIS_URL at the master`,
            }
          : { result: "ok", detail },
      ];
    });
  } else {
    yield* attempt("listen and notify", async () => {
      await ask("Cannot hear a notification of its own", config.writeTimeoutMs, (signal) =>
        echoes(config, world, signal),
      );
      return [
        null,
        { result: "ok", detail: `channels ${config.hintChannel} and ${config.wakeChannel}, no REDIS_URL` },
      ];
    });
  }

  const { listen } = config.status;
  if (listen === null) yield { name: "status endpoint", result: "skipped", detail: "OBSERVER_LISTEN is off" };
  else {
    yield* attempt(
      "status endpoint",
      async () => {
        const address = `${listen.hostname}:${listen.port}`;
        try {
          await startStatusServer({ app: { fetch: () => new Response() }, ...listen }).stop(0);
        } catch (cause) {
          // Beside a running service that is how it should be.
          const instance = await runningAt(config).catch(() => null);
          if (instance === null) throw cause;
          return [null, { result: "ok", detail: `${address}, where ${instance} answers already` }];
        }
        return [null, { result: "ok", detail: `${address} is free` }];
      },
      "warning",
    );
  }

  const { telemetry } = config;
  if (telemetry === null) return;
  yield* attempt(
    "collector",
    async () => {
      const { createOtlpSender } = await import("../adapters/otlp.ts");
      const send = createOtlpSender(telemetry);
      await ask("Cannot send metrics", telemetry.timeoutMs, (signal) =>
        send("metrics", { resourceMetrics: [] }, signal),
      );
      return [null, { result: "ok", detail: `${telemetry.endpoint} takes OTLP` }];
    },
    "warning",
  );
}

const describeServer = (found: SchemaFindings): string =>
  `PostgreSQL ${found.serverVersion}, ${found.place}, role ${found.role}` +
  (found.readOnly
    ? "; it takes no writes: it is a standby (point DATABASE_URL at the primary), or default_transaction_read_only is on"
    : "");

function* schemaFindings(found: SchemaFindings): Generator<Finding> {
  const name = "schema and grants";
  for (const detail of found.problems) yield { name, result: "wrong", detail };
  for (const detail of found.missing) yield { name, result: "warning", detail };
  for (const detail of found.excess) yield { name, result: "warning", detail };
  if (found.problems.length + found.missing.length + found.excess.length === 0) {
    yield { name, result: "ok", detail: "all there, and the role can write nothing else" };
  }
}

/** The instance that has this configuration's address. */
async function runningAt({ status: { listen, token } }: Config): Promise<string | null> {
  if (listen === null) return null;
  const signal = AbortSignal.timeout(RUNNING_TIMEOUT_MS);
  const { instances } = await askEndpoint(endpointOf(listen), token, signal);
  return instances[0]?.instance ?? null;
}

/** Notifies a channel and hears it: a pooler in transaction mode takes LISTEN and delivers nothing. */
async function echoes(config: Config, world: World, signal: AbortSignal): Promise<void> {
  const channel = `${config.hintChannel}:check`;
  const heard = new AbortController();
  const hints = createPostgresHints({
    connection: postgresOptions(config),
    channel,
    clock: systemClock,
    random: Math.random,
  });
  let failure: unknown = null;
  await hints.listen(
    {
      onHint: () => heard.abort(),
      onUp: () => {
        void world.database
          .statement(`Cannot notify ${channel}`, signal, (sql) => sql`select pg_notify(${channel}, '')`)
          .catch((cause) => {
            failure = cause;
            heard.abort();
          });
      },
      onDown: (cause) => {
        failure = cause;
        heard.abort();
      },
    },
    AbortSignal.any([signal, heard.signal]),
  );
  if (failure !== null) throw failure;
  if (signal.aborted) {
    throw new Error(
      "Cannot hear a notification of its own: LISTEN needs a session, which a pooler in transaction mode does not keep. Point DATABASE_URL at the server itself, or set REDIS_URL",
    );
  }
}
