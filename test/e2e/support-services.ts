// One set of servers for all files of a process: each costs seconds to start, and none minds having many databases.
import { type Docker, startDocker } from "../../dev/services/docker.ts";
import { type Postgres, type PostgresVersion, startPostgres } from "../../dev/services/postgres.ts";
import { type Redis, startRedis } from "../../dev/services/redis.ts";
import { type S3, startS3 } from "../../dev/services/s3.ts";

export const REDIS_PASSWORD = "r3d/is@Secret";

/** Each server is started when it is asked for, once. */
export interface Services {
  docker(): Promise<Docker>;
  postgres(version: PostgresVersion): Promise<Postgres>;
  redis(): Promise<Redis>;
  s3(): Promise<S3>;
  stop(): Promise<void>;
}

export function createServices(): Services {
  const starting = new Map<string, Promise<{ stop(): Promise<void> }>>();
  const once = <T extends { stop(): Promise<void> }>(name: string, start: () => Promise<T>): Promise<T> => {
    const service = (starting.get(name) as Promise<T> | undefined) ?? start();
    starting.set(name, service);
    return service;
  };
  return {
    docker: () => once("docker", startDocker),
    postgres: (version) => once(`postgres ${version}`, () => startPostgres({ version, passwords: true })),
    redis: () => once("redis", () => startRedis({ password: REDIS_PASSWORD })),
    s3: () => once("s3", startS3),
    async stop() {
      const started = await Promise.allSettled(starting.values());
      starting.clear();
      await Promise.all(started.map((it) => (it.status === "fulfilled" ? it.value.stop() : undefined)));
    },
  };
}

/** Stopped by support-end.ts, or by the services' watchdog when this process ends without it. */
export const sharedServices = createServices();
