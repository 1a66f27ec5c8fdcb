// What every file here begins and ends with: the services that it needs, and the checks over all that happened.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { Redis as RedisClient } from "ioredis";
import type { Docker } from "../../dev/services/docker.ts";
import type { Postgres, PostgresVersion } from "../../dev/services/postgres.ts";
import type { Redis } from "../../dev/services/redis.ts";
import type { S3 } from "../../dev/services/s3.ts";
import { waitFor } from "../../dev/services/wait.ts";
import type { ArchiveStore } from "../contract/archives.ts";
import { storeOf } from "../contract/archives-store.ts";
import {
  closeObservers,
  type Observer,
  type Settings,
  STATUS_TOKEN,
  stopObservers,
} from "./support-executable.ts";
import { expectJsonLogs, expectNoSecrets, forgetOutput, keepSecret } from "./support-output.ts";
import { closePlatforms, expectValidDocuments, type Platform } from "./support-platform.ts";
import { createServices, REDIS_PASSWORD, sharedServices } from "./support-services.ts";

let files = 0;

/** `ws-{id}/{op}/home.tar.zst` */
export const archiveKey = (id: string, op = "op1", prefix = "ws-") => `${prefix}${id}/${op}/home.tar.zst`;

export interface World {
  readonly docker: Docker;
  readonly postgres: Postgres;
  readonly redis: Redis;
  readonly s3: S3;
  readonly store: ArchiveStore;
  /** This file's own. */
  readonly bucket: string;
  /** Settings of an observer on these services, as the platform's restricted role. */
  settings(platform: Platform, changes?: Settings): Settings;
  putArchive(id: string, op?: string, body?: string): Promise<void>;
  removeArchive(id: string, op?: string): Promise<void>;
}

export interface Needs {
  readonly docker?: boolean;
  readonly postgres?: PostgresVersion;
  readonly redis?: boolean;
  readonly s3?: boolean;
  /** Observers live on from test to test; default false: each test's end is theirs. */
  readonly keepObservers?: boolean;
  /** For a file that breaks what it uses. Default: one set for all files that run in one process. */
  readonly ownServices?: boolean;
}

/** Starts the services before the file's first test, all at once, and cleans up after its last. */
export function useWorld(needs: Needs): World {
  const services = needs.ownServices ? createServices() : sharedServices;
  const started: { docker?: Docker; postgres?: Postgres; redis?: Redis; s3?: S3 } = {};
  let store: ArchiveStore | undefined;
  const bucket = `workspaces-${++files}`;

  beforeAll(async () => {
    const starting = [
      needs.docker && services.docker().then((it) => (started.docker = it)),
      needs.postgres && services.postgres(needs.postgres).then((it) => (started.postgres = it)),
      needs.redis && services.redis().then((it) => (started.redis = it)),
      needs.s3 && services.s3().then((it) => (started.s3 = it)),
    ];
    await Promise.allSettled(starting);
    await Promise.all(starting);
    keepSecret("OBSERVER_STATUS_TOKEN", STATUS_TOKEN);
    keepSecret("Redis password", REDIS_PASSWORD);
    const { s3 } = started;
    if (s3 === undefined) return;
    keepSecret("AWS_SECRET_ACCESS_KEY", s3.secretAccessKey);
    keepSecret("AWS_ACCESS_KEY_ID", s3.accessKeyId);
    store = storeOf(s3);
    await store.createBucket(bucket);
  }, 300_000);

  if (!needs.keepObservers) afterEach(stopObservers);

  afterAll(async () => {
    await closeObservers();
    await closePlatforms();
    forgetOutput();
    if (needs.ownServices) await services.stop();
    else await started.docker?.engine.removeAll();
  }, 60_000);

  const have = <T>(service: T | undefined, name: string): T => {
    if (service === undefined) throw new Error(`This file didn't ask for ${name}`);
    return service;
  };
  return {
    get docker() {
      return have(started.docker, "docker");
    },
    get postgres() {
      return have(started.postgres, "postgres");
    },
    get redis() {
      return have(started.redis, "redis");
    },
    get s3() {
      return have(started.s3, "s3");
    },
    get store() {
      return have(store, "s3");
    },
    bucket,
    settings: (platform, changes = {}) => ({
      DATABASE_URL: platform.url(),
      ...(started.docker && { DOCKER_HOST: started.docker.dockerHost }),
      ...(started.redis && { REDIS_URL: started.redis.url }),
      ...(started.s3 && { ...started.s3.env, S3_BUCKET: bucket }),
      ...changes,
    }),
    putArchive: (id, op, body = "archive") => have(store, "s3").put(bucket, archiveKey(id, op), body),
    removeArchive: (id, op) => have(store, "s3").remove(bucket, archiveKey(id, op)),
  };
}

/** For the end of a file: what has to hold of everything that the executable printed and wrote in it. */
export function checksOfEverything(options: { logs?: boolean; documents?: boolean } = {}): void {
  const { logs = true, documents = true } = options;
  test("No password, key or token was printed, logged or served", () => {
    expect(expectNoSecrets()).toBeGreaterThan(0);
  });
  if (logs) {
    test("The log is one JSON object of a known event per line", () => {
      expect(expectJsonLogs()).toBeGreaterThan(0);
    });
  }
  if (documents) {
    test("Every document that was written is one of schema/conditions.schema.json", async () => {
      expect(await expectValidDocuments()).toBeGreaterThan(0);
    });
  }
}

/** Short intervals, for tests whose subject is not the cadence. */
export const QUICK: Settings = {
  OBSERVER_IDLE_INTERVAL: "400ms",
  OBSERVER_ACTIVE_INTERVAL: "200ms",
  OBSERVER_MIN_INTERVAL: "50ms",
  OBSERVER_ACTIVE_DURATION: "2s",
};

/** Waits for so many looks that start from now on: the one under way doesn't count. */
export async function nextLooks(observer: Observer, count = 1): Promise<void> {
  const before = (await observer.status()).totals.looks ?? 0;
  await waitFor(
    `${count} looks of ${observer.instance}`,
    30_000,
    async () => ((await observer.status()).totals.looks ?? 0) >= before + 1 + count,
    25,
  );
}

export interface WakeEar {
  /** When each `wc:wake` was heard: this machine's clock, milliseconds since 1970. */
  readonly atMs: readonly number[];
  stop(): void;
}

/** A WorkspaceController's ear. */
export async function hearWakes(redis: Redis): Promise<WakeEar> {
  const client = redisClient(redis);
  const atMs: number[] = [];
  client.on("message", () => atMs.push(Date.now()));
  await client.subscribe("wc:wake");
  return { atMs, stop: () => client.disconnect() };
}

/** What the API and the proxy do. */
export const publishHint = (redis: Redis): Promise<void> => askRedis(redis, "publish", "ob:wake", "whatever");

export async function askRedis(redis: Redis, command: string, ...words: readonly string[]): Promise<void> {
  const client = redisClient(redis);
  await client.call(command, ...words);
  client.disconnect();
}

function redisClient(redis: Redis): RedisClient {
  const client = new RedisClient(redis.url);
  client.on("error", () => {});
  return client;
}
