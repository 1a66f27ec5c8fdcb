// Starts every service that the Observer meets and prints its settings as shell exports:
//   bun run dev:services > services.env   (in one terminal; Ctrl-C stops all and leaves nothing)
//   source services.env                   (in another)
import { ensureServices } from "../install.ts";
import { startDocker } from "./docker.ts";
import { startPgBouncer } from "./pgbouncer.ts";
import { startPostgres } from "./postgres.ts";
import { startRedis } from "./redis.ts";
import { startS3 } from "./s3.ts";
import { stopAllServices } from "./scope.ts";

const BUCKET = "workspaces";
const DATABASE = "observer";

try {
  await ensureServices();
  const settings = await startAll();
  for (const [name, value] of Object.entries(settings)) {
    console.log(`export ${name}='${value.replaceAll("'", "'\\''")}'`);
  }
  console.error("All services run. Ctrl-C stops them and removes their data.");
  setInterval(() => {}, 2 ** 30);
} catch (error) {
  console.error(error);
  await stopAllServices();
  process.exit(1);
}

async function startAll(): Promise<Record<string, string>> {
  const [docker, database, redis, s3] = await allOrThrow([
    startDocker(),
    withPooler(),
    startRedis(),
    startS3(),
  ]);
  await s3.createBucket(BUCKET);
  return {
    DOCKER_HOST: docker.dockerHost,
    DATABASE_URL: database.postgres18.url(DATABASE),
    PG15_DATABASE_URL: database.postgres15.url(DATABASE),
    PGBOUNCER_DATABASE_URL: database.pgbouncer.url(DATABASE),
    REDIS_URL: redis.url,
    ...s3.env,
    S3_BUCKET: BUCKET,
  };
}

async function withPooler() {
  const [postgres15, postgres18] = await allOrThrow([
    startPostgres({ version: 15 }),
    startPostgres({ version: 18 }),
  ]);
  await Promise.all([postgres15.createDatabase(DATABASE), postgres18.createDatabase(DATABASE)]);
  return { postgres15, postgres18, pgbouncer: await startPgBouncer({ postgres: postgres18 }) };
}

/** Like Promise.all, but settled only when all have: nothing may still be starting when the first failure is told. */
async function allOrThrow<T extends readonly Promise<unknown>[]>(
  starting: readonly [...T],
): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(starting);
  return (await Promise.all(starting)) as { [K in keyof T]: Awaited<T[K]> };
}
