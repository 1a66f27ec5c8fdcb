// Private Redis servers, and Sentinels that watch them, on loopback and a unix socket.
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { freePort } from "./ports.ts";
import { type Daemon, startDaemon } from "./process.ts";
import { inScope } from "./scope.ts";
import { type Address, askOnce } from "./sockets.ts";
import { waitFor } from "./wait.ts";

export interface RedisOptions {
  readonly password?: string;
  /** TLS on the port, with an authority of its own; the unix socket stays plain. */
  readonly tls?: boolean;
  /** Follow that server, whose password must be the same. */
  readonly replicaOf?: Redis;
  /** Further lines of redis.conf, e.g. `["maxmemory 1mb"]`. */
  readonly config?: readonly string[];
}

export interface Redis {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly socketPath: string;
  readonly folder: string;
  readonly password: string | undefined;
  readonly certificates: Certificates | undefined;
  /** `redis://` or `rediss://`, with the password. */
  readonly url: string;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Ends it where it runs and starts it again, empty, on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const PING = "PING\r\n";

export async function startRedis(options: RedisOptions = {}): Promise<Redis> {
  return await inScope("redis", async (scope) => {
    const { folder } = scope;
    const { password, replicaOf } = options;
    const port = await freePort();
    const socketPath = join(folder, "redis.sock");
    const certificates = options.tls ? await makeCertificates(folder) : undefined;
    const lines = [
      "bind 127.0.0.1",
      `dir ${folder}`,
      `unixsocket ${socketPath}`,
      'save ""',
      "appendonly no",
      "repl-diskless-sync-delay 0",
      ...(password === undefined ? [] : [`requirepass "${password}"`, `masterauth "${password}"`]),
      ...(certificates === undefined
        ? [`port ${port}`]
        : [
            "port 0",
            `tls-port ${port}`,
            `tls-cert-file ${certificates.certPath}`,
            `tls-key-file ${certificates.keyPath}`,
            `tls-ca-cert-file ${certificates.caPath}`,
            "tls-auth-clients no",
          ]),
      ...(replicaOf === undefined ? [] : [`replicaof ${replicaOf.host} ${replicaOf.port}`]),
      ...(options.config ?? []),
    ];
    await writeFile(join(folder, "redis.conf"), `${lines.join("\n")}\n`);
    const address: Address = { host: "127.0.0.1", port };
    const start = () =>
      startDaemon(scope, {
        name: "redis",
        command: ["redis-server", join(folder, "redis.conf")],
        ready: async () => /^(\+PONG|-NOAUTH)/.test(await askOnce(address, PING, certificates?.ca)),
      });
    let daemon: Daemon = await start();
    const credentials = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
    return {
      host: "127.0.0.1",
      port,
      socketPath,
      folder,
      password,
      certificates,
      url: `${certificates === undefined ? "redis" : "rediss"}://${credentials}127.0.0.1:${port}`,
      get pid() {
        return daemon.pid;
      },
      kill: (signal) => void daemon.kill(signal),
      async restart() {
        await daemon.stop();
        daemon = await start();
      },
      stop: scope.stop,
    };
  });
}

export interface SentinelOptions {
  /** The first master; its replicas are found through it. Without TLS. */
  readonly master: Redis;
  readonly masterName?: string;
  /** How long the master may be silent before it counts as down. Default 300 ms. */
  readonly downAfterMs?: number;
  /** Sentinels that must agree. Default 1. */
  readonly quorum?: number;
}

export interface Sentinel {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly folder: string;
  readonly masterName: string;
  readonly pid: number;
  /** Port of the server that is master now, as this Sentinel sees it. */
  masterPort(): Promise<number>;
  /** Waits until the Sentinel knows that many replicas of the master: before that no failover can succeed. */
  waitForReplicas(count: number, deadlineMs?: number): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startSentinel(options: SentinelOptions): Promise<Sentinel> {
  const { master, masterName = "mymaster" } = options;
  if (master.certificates !== undefined) throw new Error("Cannot watch a Redis with TLS: not provided for");
  return await inScope("sentinel", async (scope) => {
    const { folder } = scope;
    const port = await freePort();
    const path = join(folder, "sentinel.conf");
    const lines = [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${folder}`,
      `sentinel monitor ${masterName} ${master.host} ${master.port} ${options.quorum ?? 1}`,
      `sentinel down-after-milliseconds ${masterName} ${options.downAfterMs ?? 300}`,
      `sentinel failover-timeout ${masterName} 3000`,
      ...(master.password === undefined ? [] : [`sentinel auth-pass ${masterName} ${master.password}`]),
    ];
    await writeFile(path, `${lines.join("\n")}\n`);
    // Sentinel writes what it learns into its configuration.
    await chmod(path, 0o600);
    const address: Address = { host: "127.0.0.1", port };
    const start = () =>
      startDaemon(scope, {
        name: "sentinel",
        command: ["redis-server", path, "--sentinel"],
        ready: async () => (await askOnce(address, PING)).startsWith("+PONG"),
      });
    let daemon: Daemon = await start();
    return {
      host: "127.0.0.1",
      port,
      folder,
      masterName,
      get pid() {
        return daemon.pid;
      },
      async masterPort() {
        const answer = await askOnce(address, `SENTINEL get-master-addr-by-name ${masterName}\r\n`);
        return Number(answer.split("\r\n")[4]);
      },
      async waitForReplicas(count, deadlineMs = 20_000) {
        await waitFor(`Sentinel to see ${count} replicas`, deadlineMs, async () => {
          const fields = (await askOnce(address, `SENTINEL master ${masterName}\r\n`)).split("\r\n");
          return Number(fields[fields.indexOf("num-slaves") + 2]) >= count;
        });
      },
      kill: (signal) => void daemon.kill(signal),
      async restart() {
        await daemon.stop();
        daemon = await start();
      },
      stop: scope.stop,
    };
  });
}
