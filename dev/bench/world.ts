// Real services with workspaces on them. The world only grows, so steps run in the order of their sizes.
import { Redis as RedisClient } from "ioredis";
import { ObserverProcess, type Settings } from "../chaos/observer.ts";
import { type Docker, startDocker } from "../services/docker.ts";
import { inParallel } from "../services/engine.ts";
import { type Postgres, startPostgres } from "../services/postgres.ts";
import { type Redis, startRedis } from "../services/redis.ts";
import { type S3, startS3 } from "../services/s3.ts";
import { openScope } from "../services/scope.ts";
import { archiveKey, containerName, volumeName, workspaceId } from "./names.ts";
import { presign, type S3Access, send } from "./s3-requests.ts";
import { openTable, type Table } from "./table.ts";

const BUCKET = "workspaces";
const AT_ONCE = 8;

export interface World {
  readonly executable: string;
  readonly docker: Docker;
  readonly postgres: Postgres;
  readonly redis: Redis;
  readonly s3: S3;
  readonly store: S3Access;
  /** For `ob:wake`. */
  readonly publisher: RedisClient;
  /** Creates what is missing of the first so many workspaces: a container that is not started, and its volume. */
  ensureContainers(count: number): Promise<void>;
  ensureArchives(count: number): Promise<void>;
  /** A new database with the product's schema and one row for each of the first so many workspaces. */
  openTable(count: number): Promise<Table>;
  startObserver(table: Table, changes?: Settings): ObserverProcess;
  stop(): Promise<void>;
}

/** What a database server in earnest has: everything durable, and whole pages in the log after a checkpoint. */
const POSTGRES_SETTINGS = {
  shared_buffers: "256MB",
  track_commit_timestamp: "on",
  max_connections: "50",
  max_wal_size: "2GB",
};

export async function startWorld(executable: string): Promise<World> {
  const stops: (() => unknown)[] = [];
  const keep = <T extends { stop(): Promise<unknown> }>(part: T): T => {
    stops.push(() => part.stop());
    return part;
  };
  const stop = async () => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  try {
    const scope = keep(openScope("bench"));
    const starting = [
      startDocker().then(keep),
      startPostgres({ version: 18, fsync: true, settings: POSTGRES_SETTINGS }).then(keep),
      startRedis().then(keep),
      startS3().then(keep),
    ] as const;
    await Promise.allSettled(starting);
    const [docker, postgres, redis, s3] = await Promise.all(starting);
    await s3.createBucket(BUCKET);
    const store: S3Access = {
      endpoint: s3.endpoint,
      region: s3.region,
      bucket: BUCKET,
      accessKeyId: s3.accessKeyId,
      secretAccessKey: s3.secretAccessKey,
    };
    const publisher = new RedisClient(redis.url);
    publisher.on("error", () => {});
    stops.push(() => publisher.disconnect());
    const observers = new Set<ObserverProcess>();
    stops.push(() =>
      Promise.all([...observers].map((observer) => observer.isRunning && observer.stop("SIGKILL"))),
    );
    const archived = new Set<string>();
    let tables = 0;

    return {
      executable,
      docker,
      postgres,
      redis,
      s3,
      store,
      publisher,
      async ensureContainers(count) {
        // Asked anew each time: a step may have removed some.
        const there = new Set((await docker.engine.list()).map(({ Names }) => Names[0]?.slice(1)));
        const missing = Array.from({ length: count }, (_, index) => workspaceId(index)).filter(
          (id) => !there.has(containerName(id)),
        );
        await inParallel(missing, AT_ONCE, (id) =>
          docker.engine.create({ name: containerName(id), volume: volumeName(id) }),
        );
      },
      async ensureArchives(count) {
        const missing = Array.from({ length: count }, (_, index) => archiveKey(workspaceId(index))).filter(
          (key) => !archived.has(key),
        );
        await inParallel(missing, AT_ONCE, async (key) => {
          await send(presign(store, "PUT", key), "PUT", "content");
          archived.add(key);
        });
      },
      async openTable(count) {
        tables += 1;
        const table = await openTable(postgres, executable, `bench_${tables}`, count);
        stops.push(() => table.close());
        return table;
      },
      startObserver(table, changes = {}) {
        const observer = new ObserverProcess(`bench-${observers.size + 1}`, executable, scope.folder, {
          DATABASE_URL: table.observerUrl,
          DOCKER_HOST: docker.dockerHost,
          REDIS_URL: redis.url,
          ...s3.env,
          S3_BUCKET: BUCKET,
          ...changes,
        });
        observers.add(observer);
        return observer;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
