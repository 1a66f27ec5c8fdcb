/**
 * Hints and wakes over Redis pub/sub: subscribes `ob:wake`, publishes `wc:wake`. One connection for each.
 *
 * Redis forgets what is published while nobody is connected. So every (re)subscription is announced by onUp, and the
 * loop looks once (P8). A wake that can't be published is lost; the reader's own interval is there for that (P9).
 *
 * On a replica publishing succeeds, but only that replica's subscribers hear it: nothing travels up to the master.
 * `check` tells the role, so that somebody notices.
 */
import type { Redis } from "ioredis";
import type { HintSource, WakePublisher } from "../observer/ports.ts";
import { hostOfHint } from "../observer/shared-hints.ts";
import {
  contextOf,
  keepConnected,
  openConnection,
  type RedisTarget,
  type RedisTiming,
  redisTiming,
  type Server,
  withDeadline,
} from "./redis-connection.ts";
import { RedisError, redisError } from "./redis-errors.ts";

export interface RedisHintsOptions {
  readonly redis: RedisTarget;
  /** `ob:wake` */
  readonly hintChannel: string;
  /** `wc:wake` */
  readonly wakeChannel: string;
  /** What a wake says. Nobody needs it; an instance's name helps whoever watches the channel. Default: nothing. */
  readonly wakePayload?: string;
  readonly timing?: Partial<RedisTiming>;
  /** Certificates of a private authority, PEM. Default: those of the runtime. */
  readonly ca?: string | null;
}

export interface RedisHints extends HintSource, WakePublisher {
  /**
   * Tries everything that is needed on a connection of its own: connect, PING, publish a wake (which costs its
   * reader a look), subscribe. Rejects with RedisError.
   */
  check(signal: AbortSignal): Promise<RedisIdentity>;
  /** Closes the publishing connection; publish() rejects from then on. */
  close(): Promise<void>;
}

export interface RedisIdentity {
  /** Null when the user may not ask. */
  readonly version: string | null;
  readonly role: "master" | "replica" | null;
  /** Subscribers of the wake channel on this server. */
  readonly wakeReceivers: number;
}

interface Publisher {
  /** Null while there is no connection. */
  client: Redis | null;
  fault: RedisError | null;
  /** Resolves when the first attempt to connect has ended, either way. */
  readonly tried: Promise<void>;
  readonly stop: AbortController;
  readonly stopped: Promise<void>;
}

export function createRedisHints(options: RedisHintsOptions): RedisHints {
  const { redis: target, hintChannel, wakeChannel, wakePayload = "" } = options;
  const timing = { ...redisTiming, ...options.timing };
  const server: Server = { target, timing, ca: options.ca ?? null };
  const publishing = `publish ${JSON.stringify(wakeChannel)}`;
  const listening = `listen for hints on ${JSON.stringify(hintChannel)}`;
  let publisher: Publisher | null = null;
  let closed = false;

  return {
    async listen(listener, signal) {
      await keepConnected(
        server,
        {
          action: listening,
          async prepare(client) {
            client.on("message", (channel: string, payload: string) => {
              if (channel === hintChannel && !signal.aborted) listener.onHint(undefined, hostOfHint(payload));
            });
            await client.subscribe(hintChannel);
          },
          onUp: () => listener.onUp(),
          onDown: (error) => listener.onDown(error),
        },
        signal,
      );
    },

    async publish(signal) {
      signal.throwIfAborted();
      if (closed) throw new Error(`Cannot ${publishing}: the connection to Redis has been closed for good`);
      publisher ??= startPublisher(server, publishing);
      const { tried } = publisher;
      let client: Redis | null = null;
      try {
        await withDeadline(timing.commandTimeoutMs, signal, tried);
        client = publisher.client;
        if (client === null) throw publisher.fault ?? new Error("Connection is closed.");
        await withDeadline(timing.commandTimeoutMs, signal, client.publish(wakeChannel, wakePayload));
      } catch (error) {
        signal.throwIfAborted();
        const fault = error instanceof RedisError ? error : redisError(error, contextOf(target, publishing));
        // It may be half-open: the next publish gets a new one.
        if (fault.fault === "timeout") client?.disconnect();
        throw fault;
      }
    },

    async check(signal) {
      const connection = openConnection(server);
      try {
        await connection.connect(async () => {}, signal);
        const identity = identify(connection.client, options);
        return await withDeadline(timing.commandTimeoutMs, signal, identity);
      } catch (error) {
        signal.throwIfAborted();
        throw redisError(error, contextOf(target, `use channels ${hintChannel} and ${wakeChannel}`));
      } finally {
        await connection.close();
      }
    },

    async close() {
      closed = true;
      publisher?.stop.abort();
      await publisher?.stopped;
    },
  };
}

function startPublisher(server: Server, action: string): Publisher {
  const tried = Promise.withResolvers<void>();
  const stop = new AbortController();
  const use = {
    action,
    prepare: async () => {},
    onUp: (client: Redis) => {
      publisher.client = client;
      publisher.fault = null;
      tried.resolve();
    },
    onDown: (error: RedisError) => {
      publisher.client = null;
      publisher.fault = error;
      tried.resolve();
    },
  };
  const publisher: Publisher = {
    client: null,
    fault: null,
    tried: tried.promise,
    stop,
    stopped: keepConnected(server, use, stop.signal).finally(tried.resolve),
  };
  return publisher;
}

async function identify(client: Redis, options: RedisHintsOptions): Promise<RedisIdentity> {
  await client.ping();
  // Restricted users needn't be allowed to ask.
  const info = await client.info().catch(() => "");
  const wakeReceivers = await client.publish(options.wakeChannel, options.wakePayload ?? "");
  await client.subscribe(options.hintChannel);
  const role = /^role:(\w+)/m.exec(info)?.[1];
  return {
    version: /^redis_version:(\S+)/m.exec(info)?.[1] ?? null,
    role: role === undefined ? null : role === "master" ? "master" : "replica",
    wakeReceivers,
  };
}
