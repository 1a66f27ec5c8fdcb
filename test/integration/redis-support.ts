// What the Redis tests share: adapters on a private server, with short times, and a client beside them.
import { connect } from "node:net";
import { Redis as Client } from "ioredis";
import type { Redis } from "../../dev/services/redis.ts";
import { createRedisHints, type RedisHints, type RedisHintsOptions } from "../../src/adapters/redis.ts";
import type { RedisTarget, RedisTiming } from "../../src/adapters/redis-connection.ts";

/** Short, but long enough for a busy machine: nothing here is asserted to happen *within* them. */
export const quick: RedisTiming = {
  connectTimeoutMs: 500,
  commandTimeoutMs: 500,
  pingIntervalMs: 50,
  retryMinMs: 10,
  retryMaxMs: 100,
};

type Single = Extract<RedisTarget, { kind: "single" }>;

export const targetOf = (server: Redis, changes: Partial<Single> = {}): Single => ({
  kind: "single",
  host: server.host,
  port: server.port,
  path: null,
  username: null,
  password: server.password ?? null,
  tls: server.certificates !== undefined,
  ...changes,
});

const made: RedisHints[] = [];

export function hintsOn(redis: RedisTarget, changes: Partial<RedisHintsOptions> = {}): RedisHints {
  const hints = createRedisHints({
    redis,
    hintChannel: "ob:wake",
    wakeChannel: "wc:wake",
    timing: quick,
    ...changes,
  });
  made.push(hints);
  return hints;
}

/** For afterEach. */
export async function closeAll(): Promise<void> {
  await Promise.all(made.splice(0).map((hints) => hints.close()));
}

/** Over the unix socket, which is always plain. */
const on = (server: Redis) => ({
  path: server.socketPath,
  retryStrategy: () => null,
  ...(server.password === undefined ? {} : { password: server.password }),
});

/** Runs one command on a connection of its own. */
export async function ask(server: Redis, command: string, ...args: string[]): Promise<unknown> {
  const client = new Client({ ...on(server), lazyConnect: true });
  client.on("error", () => {});
  try {
    await client.connect();
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

/** Publishes on `ob:wake`; answers how many heard it. */
export const hint = async (server: Redis): Promise<unknown> => await ask(server, "PUBLISH", "ob:wake", "x");

/** Connections of ours that the server sees. */
export async function ourConnections(server: Redis): Promise<number> {
  const list = String(await ask(server, "CLIENT", "LIST"));
  return list.split("\n").filter((line) => / name=observer /.test(line)).length;
}

export interface WakeEar {
  readonly wakes: readonly string[];
  stop(): void;
}

/** A WorkspaceController's ear. */
export async function hearWakes(server: Redis): Promise<WakeEar> {
  const client = new Client(on(server));
  const wakes: string[] = [];
  client.on("error", () => {});
  client.on("message", (_channel, payload) => wakes.push(payload));
  await client.subscribe("wc:wake");
  return { wakes, stop: () => client.disconnect() };
}

/** Can anybody connect? For waiting until a killed server is gone. */
export const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
