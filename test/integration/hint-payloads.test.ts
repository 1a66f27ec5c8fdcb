// Goal: whatever a hint says, it is one hint, and nothing of it is understood (P8).
// Method: payloads that fast-check makes, over a real Redis and a real PostgreSQL.
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { Redis as RedisClient } from "ioredis";
import postgres from "postgres";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { type Redis, startRedis } from "../../dev/services/redis.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import { createPostgresHints } from "../../src/adapters/postgres-hints.ts";
import { createRedisHints } from "../../src/adapters/redis.ts";
import type { HintSource } from "../../src/observer/ports.ts";
import { sharedHints } from "../../src/observer/shared-hints.ts";
import { optionsOf } from "../contract/store-support.ts";
import { atMost } from "../unit/fuzz-runs.ts";

let redis: Redis;
let server: Postgres;

beforeAll(async () => {
  [redis, server] = await Promise.all([startRedis(), startPostgres({ version: 18 })]);
}, 120_000);
afterAll(async () => {
  await Promise.all([redis?.stop(), server?.stop()]);
}, 60_000);

/** Counts what is heard while the work is done, from the moment that the source listens. */
async function heardDuring(source: HintSource, work: (heard: () => number) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  let heard = 0;
  let isUp = false;
  const downs: unknown[] = [];
  const listening = source.listen(
    {
      onHint: () => {
        heard += 1;
      },
      onUp: () => {
        isUp = true;
      },
      onDown: (cause) => downs.push(cause),
    },
    stop.signal,
  );
  try {
    await waitFor("the channel", 10_000, () => isUp);
    await work(() => heard);
    expect(downs).toEqual([]);
  } finally {
    stop.abort();
    await listening;
  }
}

const payloads = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
    fc
      .constantFrom("", "ob:wake", "\0", "\r\n*1\r\n$4\r\nPING\r\n", "'; drop table workspaces; --")
      .map((text) => new TextEncoder().encode(text)),
  ),
  { minLength: 1, maxLength: 20 },
);

test("P8: every payload over Redis is one hint", async () => {
  const hints = createRedisHints({
    redis: {
      kind: "single",
      host: "127.0.0.1",
      port: redis.port,
      path: null,
      username: null,
      password: null,
      tls: false,
    },
    hintChannel: "ob:wake",
    wakeChannel: "wc:wake",
  });
  const client = new RedisClient(redis.url);
  await heardDuring(hints, async (heard) => {
    await fc.assert(
      fc.asyncProperty(payloads, async (all) => {
        const before = heard();
        for (const payload of all) await client.publish("ob:wake", Buffer.from(payload));
        await waitFor("the hints", 10_000, () => heard() === before + all.length, 1);
      }),
      atMost(300),
    );
  });
  client.disconnect();
  await hints.close();
});

test("P8: every payload over LISTEN and NOTIFY is one hint", async () => {
  const hints = createPostgresHints({
    connection: optionsOf(server),
    channel: "ob:wake",
    clock: systemClock,
    random: Math.random,
  });
  const sql = postgres(server.url(), { max: 1 });
  // What PostgreSQL takes for text at all.
  const texts = fc.array(fc.string({ unit: "grapheme", maxLength: 200 }), { minLength: 1, maxLength: 20 });
  await heardDuring(hints, async (heard) => {
    await fc.assert(
      fc.asyncProperty(texts, async (all) => {
        const before = heard();
        for (const text of all) await sql`select pg_notify('ob:wake', ${text.replaceAll("\0", "")})`;
        await waitFor("the hints", 10_000, () => heard() === before + all.length, 1);
      }),
      atMost(300),
    );
  });
  await sql.end({ timeout: 1 });
});

test("P8: in a fleet a hint that names another host is not for this one; all others are, whatever they say", async () => {
  const overRedis = createRedisHints({
    redis: {
      kind: "single",
      host: "127.0.0.1",
      port: redis.port,
      path: null,
      username: null,
      password: null,
      tls: false,
    },
    hintChannel: "ob:wake",
    wakeChannel: "wc:wake",
  });
  const overPostgres = createPostgresHints({
    connection: optionsOf(server),
    channel: "ob:wake",
    clock: systemClock,
    random: Math.random,
  });
  const client = new RedisClient(redis.url);
  const sql = postgres(server.url(), { max: 1 });
  const publish = [
    [overRedis, (text: string) => client.publish("ob:wake", text)],
    [overPostgres, (text: string) => sql`select pg_notify('ob:wake', ${text})`],
  ] as const;
  for (const [hints, say] of publish)
    await heardDuring(sharedHints(hints)(["vm-17"]), async (heard) => {
      const before = heard();
      for (const text of ["host:vm-1", "host:vm-171", "host:", "host:vm-17", "", "vm-1"]) await say(text);
      await waitFor("the hints", 10_000, () => heard() - before === 3, 1);
    });
  client.disconnect();
  await overRedis.close();
  await sql.end({ timeout: 1 });
});
