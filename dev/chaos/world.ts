// Everything that a fault can be put into: real services, a proxy before each, the table and the journal.
import { join } from "node:path";
import { Redis as RedisClient } from "ioredis";
import { type FakeEngine, startEngine } from "../fakes/engine.ts";
import { seededRandom } from "../fakes/random.ts";
import { type Docker, startDocker } from "../services/docker.ts";
import { freePort } from "../services/ports.ts";
import { type Postgres, startPostgres } from "../services/postgres.ts";
import { type Redis, startRedis } from "../services/redis.ts";
import { type S3, startS3 } from "../services/s3.ts";
import { openScope } from "../services/scope.ts";
import { type FaultProxy, startFaultProxy } from "../services/tcp-proxy.ts";
import { waitFor } from "../services/wait.ts";
import { Checker } from "./check.ts";
import { Churn, IDS } from "./churn.ts";
import { type ChaosDatabase, createDatabase, ROLE } from "./database.ts";
import { HttpProxy } from "./http-proxy.ts";
import { Journal } from "./journal.ts";
import { ObserverProcess, type Settings } from "./observer.ts";
import { openStore, type Store } from "./store.ts";
import { Truth } from "./truth.ts";

const BUCKET = "workspaces";
export const EMPTY_BUCKET = "empty";

/** Quick, so that an idle interval is short next to a fault. */
export const IDLE_MS = 1_000;
const QUICK: Settings = {
  OBSERVER_IDLE_INTERVAL: `${IDLE_MS}ms`,
  OBSERVER_ACTIVE_INTERVAL: "500ms",
  OBSERVER_MIN_INTERVAL: "100ms",
  OBSERVER_ACTIVE_DURATION: "2s",
  OBSERVER_LIST_TIMEOUT: "2s",
  OBSERVER_WRITE_TIMEOUT: "3s",
};

export type EngineRoute = "containers" | "volumes" | "events" | "other";
export type S3Route = "list" | "other";

export interface World {
  readonly docker: Docker;
  readonly postgres: Postgres;
  readonly redis: Redis;
  readonly s3: S3;
  readonly proxies: {
    readonly engine: HttpProxy<EngineRoute>;
    readonly s3: HttpProxy<S3Route>;
    readonly postgres: FaultProxy;
    /** A second way to PostgreSQL, for the instance that a partition leaves alone. */
    readonly postgresToo: FaultProxy;
    readonly redis: FaultProxy;
  };
  readonly emptyEngine: FakeEngine;
  readonly database: ChaosDatabase;
  readonly store: Store;
  readonly truth: Truth;
  readonly churn: Churn;
  readonly checker: Checker;
  readonly random: () => number;
  /** Those that were started and not stopped, the first one first. */
  readonly observers: ObserverProcess[];
  /** All that were ever started. */
  readonly everStarted: ObserverProcess[];
  startObserver(name: string, changes?: Settings): ObserverProcess;
  stopObservers(signal?: NodeJS.Signals): Promise<{ code: number | null; tookMs: number }[]>;
  hint(): Promise<void>;
  stop(): Promise<void>;
}

export async function startWorld(executable: string, seed: number): Promise<World> {
  const stops: (() => unknown)[] = [];
  /** In the order in which they were started, the last one first. */
  const stop = async () => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  const keep = <T extends { stop(): Promise<unknown> }>(part: T): T => {
    stops.push(() => part.stop());
    return part;
  };
  try {
    const scope = keep(openScope("chaos"));
    const starting = [
      startDocker().then(keep),
      startPostgres({ version: 18, passwords: true, settings: { max_connections: "30" } }).then(keep),
      startRedis().then(keep),
      startS3().then(keep),
    ] as const;
    await Promise.allSettled(starting);
    const [docker, postgres, redis, s3] = await Promise.all(starting);
    await s3.createBucket(BUCKET);
    await s3.createBucket(EMPTY_BUCKET);
    const emptyEngine = keep(await startEngine({ listen: { unixPath: join(scope.folder, "empty.sock") } }));

    const socketPath = join(scope.folder, "engine.sock");
    const s3Address = { host: "127.0.0.1", port: await freePort() };
    const proxies = {
      engine: new HttpProxy<EngineRoute>({
        listen: { path: socketPath },
        target: { path: docker.socketPath },
        routeOf: engineRoute,
        stream: "events",
      }),
      s3: new HttpProxy<S3Route>({
        listen: s3Address,
        target: { host: "127.0.0.1", port: Number(new URL(s3.endpoint).port) },
        routeOf: (path) => (path.includes("list-type=2") ? "list" : "other"),
      }),
      postgres: keep(await startFaultProxy({ target: { host: "127.0.0.1", port: postgres.port } })),
      postgresToo: keep(await startFaultProxy({ target: { host: "127.0.0.1", port: postgres.port } })),
      redis: keep(await startFaultProxy({ target: { host: "127.0.0.1", port: redis.port } })),
    };
    for (const proxy of [proxies.engine, proxies.s3]) {
      await proxy.accept();
      stops.push(() => proxy.refuse());
    }

    const database = await createDatabase(postgres, executable);
    stops.push(() => database.close());
    const store = openStore(s3, BUCKET);
    stops.push(() => store.close());
    const random = seededRandom(seed);
    const journal = new Journal();
    const truth = new Truth(journal, docker.engine, store);
    const churn = new Churn(truth, random);
    const observers: ObserverProcess[] = [];
    const everStarted: ObserverProcess[] = [];

    const world: World = {
      docker,
      postgres,
      redis,
      s3,
      proxies,
      emptyEngine,
      database,
      store,
      truth,
      churn,
      checker: new Checker(journal, ROLE),
      random,
      observers,
      everStarted,
      startObserver(name, changes = {}) {
        const observer = new ObserverProcess(name, executable, scope.folder, {
          DATABASE_URL: database.url(proxies.postgres.port, name),
          DOCKER_HOST: `unix://${socketPath}`,
          REDIS_URL: `redis://127.0.0.1:${proxies.redis.port}`,
          ...s3.env,
          AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${s3Address.port}`,
          S3_BUCKET: BUCKET,
          ...QUICK,
          ...changes,
        });
        observers.push(observer);
        everStarted.push(observer);
        return observer;
      },
      stopObservers: (signal) => Promise.all(observers.splice(0).map((observer) => observer.stop(signal))),
      async hint() {
        const client = new RedisClient(redis.url);
        client.on("error", () => {});
        await client.publish("ob:wake", "x");
        client.disconnect();
      },
      stop,
    };
    stops.push(() => world.stopObservers("SIGKILL"));
    await database.insert(IDS);
    await churn.settle();
    return world;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Lists of everything have only the prefix for a name; targeted ones name workspaces. */
export function isWholeList(path: string): boolean {
  if (!path.includes("/containers/json")) return false;
  const filters = new URL(path, "http://engine").searchParams.get("filters");
  return filters === null || (JSON.parse(filters) as { name?: string[] }).name?.join() === "ws-";
}

function engineRoute(path: string): EngineRoute {
  if (path.includes("/containers/json")) return "containers";
  if (path.includes("/volumes")) return "volumes";
  return path.includes("/events") ? "events" : "other";
}

/** The instance that says it leads. */
export async function waitForLeader(world: World, except?: ObserverProcess): Promise<ObserverProcess> {
  return await waitFor("one instance to lead", 30_000, () =>
    world.observers.find(
      (observer) =>
        observer !== except &&
        observer.isRunning &&
        observer.lines.findLast(({ event }) => event.startsWith("lease."))?.event === "lease.acquired",
    ),
  );
}
