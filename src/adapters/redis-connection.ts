/**
 * One connection to Redis, kept up for ever.
 *
 *   connecting ──ready, prepared──▶ up ──closed, or a PING unanswered──▶ waiting ──back-off──▶ connecting
 *
 * Each attempt is a new ioredis client that never reconnects by itself, so that no state of the last connection
 * (queues, subscriptions, a stale Sentinel) survives into the next, and so that "up" means: answered just now.
 */
import { Redis } from "ioredis";
import { type RedisContext, type RedisError, redisError } from "./redis-errors.ts";

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Pub/sub knows no databases, so `db` of a URL is not even sent: it can be neither wrong nor forbidden. */
export type RedisTarget =
  | ({
      readonly kind: "single";
      /** Unix socket, instead of host and port. */
      readonly path: string | null;
      readonly username: string | null;
      readonly password: string | null;
      readonly tls: boolean;
    } & Endpoint)
  | {
      readonly kind: "sentinel";
      readonly sentinels: readonly Endpoint[];
      /** Of the master. */
      readonly name: string;
      readonly username: string | null;
      readonly password: string | null;
      readonly sentinelPassword: string | null;
      /** For the servers and for the Sentinels. */
      readonly tls: boolean;
    };

export interface RedisTiming {
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  /** A half-open connection hears nothing and says nothing: it is asked this often. */
  readonly pingIntervalMs: number;
  /** First pause between attempts, doubled up to `retryMaxMs`. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

export const redisTiming: RedisTiming = {
  connectTimeoutMs: 2_000,
  commandTimeoutMs: 2_000,
  pingIntervalMs: 5_000,
  retryMinMs: 50,
  retryMaxMs: 2_000,
};

export interface Server {
  readonly target: RedisTarget;
  readonly timing: RedisTiming;
  /** Certificates of a private authority, PEM; null: those of the runtime. */
  readonly ca: string | null;
}

export interface Use {
  /** For messages: `listen for hints on "ob:wake"`. */
  readonly action: string;
  /** What makes a fresh connection useful. It counts as up only when this has succeeded. */
  prepare(client: Redis): Promise<unknown>;
  onUp(client: Redis): void;
  /** At every try that fails; an outage is over with onUp. */
  onDown(error: RedisError): void;
}

/** Resolves when the signal has fired and the connection is closed. Never rejects for a fault of the world. */
export async function keepConnected(server: Server, use: Use, signal: AbortSignal): Promise<void> {
  const { timing } = server;
  let attempts = 0;
  while (!signal.aborted) {
    const connection = openConnection(server);
    let upSinceMs = Number.POSITIVE_INFINITY;
    let error: unknown;
    try {
      await connection.connect(use.prepare, signal);
      upSinceMs = performance.now();
      use.onUp(connection.client);
      error = await connection.untilLost(signal);
    } catch (cause) {
      error = cause;
    }
    const lostAtMs = performance.now();
    await connection.close();
    if (signal.aborted) return;
    use.onDown(redisError(error, contextOf(server.target, use.action)));
    // A server that accepts and drops us at once is not one that is back.
    attempts = lostAtMs - upSinceMs >= timing.retryMaxMs ? 1 : attempts + 1;
    await sleep(backoffMs(timing, attempts), signal);
  }
}

/** Half to whole of the doubled pause, so that many clients of one server don't come back in step. */
const backoffMs = ({ retryMinMs, retryMaxMs }: RedisTiming, attempts: number): number =>
  Math.min(retryMinMs * 2 ** (attempts - 1), retryMaxMs) * (0.5 + Math.random() / 2);

export interface Connection {
  readonly client: Redis;
  /** Connects and prepares within the time-outs, or rejects with the server's own words. */
  connect(prepare: (client: Redis) => Promise<unknown>, signal: AbortSignal): Promise<void>;
  /** Watches over it, and resolves with what ended it, or undefined when the signal fired. */
  untilLost(signal: AbortSignal): Promise<unknown>;
  close(): Promise<void>;
}

export function openConnection({ target, timing, ca }: Server): Connection {
  const client = createClient(target, timing, ca);
  const ended = new AbortController();
  let told: unknown;
  // Without a listener ioredis prints errors. The first is the telling one: what follows is "connection closed".
  client.on("error", (error: unknown) => {
    told ??= error;
  });
  client.on("end", () => ended.abort());
  return {
    client,
    async connect(prepare, signal) {
      const ready = async () => {
        await client.connect();
        await prepare(client);
      };
      try {
        await withDeadline(timing.connectTimeoutMs + timing.commandTimeoutMs, signal, ready());
      } catch (error) {
        throw told ?? error;
      }
    },
    async untilLost(signal) {
      const idle = AbortSignal.any([signal, ended.signal]);
      for (;;) {
        await sleep(timing.pingIntervalMs, idle);
        if (signal.aborted) return undefined;
        if (ended.signal.aborted) return told ?? new Error("Connection is closed.");
        try {
          await withDeadline(timing.commandTimeoutMs, signal, client.ping());
        } catch (error) {
          return signal.aborted ? undefined : (told ?? error);
        }
      }
    },
    async close() {
      if (client.status === "end") return;
      const end = new Promise((resolve) => client.once("end", resolve));
      client.disconnect();
      // A stopped server never confirms the end.
      client.stream?.destroy();
      // Asking a Sentinel can't be cut short; it ends by its own time-out.
      await Promise.race([end, sleep(CLOSE_MS)]);
    },
  };
}

const CLOSE_MS = 500;

function createClient(target: RedisTarget, timing: RedisTiming, ca: string | null): Redis {
  const tls = target.tls ? { tls: ca === null ? {} : { ca } } : {};
  const common = {
    lazyConnect: true,
    connectionName: "observer",
    // The protocol that every server and proxy knows; nothing of the newer one is used.
    protocol: 2,
    disableClientInfo: true,
    connectTimeout: timing.connectTimeoutMs,
    commandTimeout: timing.commandTimeoutMs,
    // Fails at once rather than later.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    ...(target.username === null ? {} : { username: target.username }),
    ...(target.password === null ? {} : { password: target.password }),
    ...tls,
  } as const;
  if (target.kind === "single")
    return new Redis({
      ...common,
      // INFO may be forbidden; a server that loads its data takes subscriptions.
      enableReadyCheck: false,
      ...(target.path === null ? { host: target.host, port: target.port } : { path: target.path }),
    });
  return new Redis({
    ...common,
    // Asks for the role, so that a demoted master isn't taken for one.
    enableReadyCheck: true,
    sentinels: target.sentinels.map(({ host, port }) => ({ host, port })),
    name: target.name,
    sentinelRetryStrategy: () => null,
    sentinelCommandTimeout: timing.commandTimeoutMs,
    updateSentinels: false,
    ...(target.sentinelPassword === null ? {} : { sentinelPassword: target.sentinelPassword }),
    ...(target.tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls.tls ?? {} } : {}),
  });
}

export function contextOf(target: RedisTarget, action: string): RedisContext {
  const secrets = [target.password, target.kind === "sentinel" ? target.sentinelPassword : null];
  const at = ({ host, port }: Endpoint) => `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const server =
    target.kind === "single"
      ? `Redis at ${target.path ?? at(target)}`
      : `Redis ${JSON.stringify(target.name)} of the Sentinels at ${target.sentinels.map(at).join(", ")}`;
  return {
    action,
    server,
    secrets: secrets.filter((secret): secret is string => secret !== null && secret !== ""),
  };
}

/** Resolves after `ms`, or as soon as the signal fires. */
function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted) end();
  });
}

export class DeadlinePassed extends Error {
  override readonly name = "DeadlinePassed";
}

/** Settles with the call, at the deadline (DeadlinePassed) or when the signal fires (its reason). */
export async function withDeadline<T>(ms: number, signal: AbortSignal, call: Promise<T>): Promise<T> {
  const cut = Promise.withResolvers<never>();
  const onAbort = () => cut.reject(signal.reason);
  const timer = setTimeout(() => cut.reject(new DeadlinePassed(`no answer within ${ms} ms`)), ms);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([cut.promise, call]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
