// When a row came to say what it should, by the database's own record of the commit.
import { Redis as RedisClient } from "ioredis";
import type { Redis } from "../services/redis.ts";
import { waitFor } from "../services/wait.ts";
import type { Table } from "./table.ts";

export interface Wakes {
  /** Milliseconds since 1970 of each `wc:wake`. */
  readonly atMs: readonly number[];
  /** Called at each wake-up. */
  onWake: () => void;
  close(): void;
}

export async function followWakes(redis: Redis, nowMs: () => number): Promise<Wakes> {
  const client = new RedisClient(redis.url);
  client.on("error", () => {});
  const atMs: number[] = [];
  const wakes: Wakes = { atMs, onWake: () => {}, close: () => client.disconnect() };
  client.on("message", () => {
    atMs.push(nowMs());
    wakes.onWake();
  });
  await client.subscribe("wc:wake");
  return wakes;
}

/**
 * Waits until the conditions of a workspace match, and answers when that was committed (milliseconds since 1970).
 * Looks when woken, and from time to time: rather a late look than one that slows what is measured.
 * @param condition an SQL expression over the columns of `workspaces`; of this program, not of anybody else
 */
export async function committedMs(
  table: Table,
  id: string,
  condition: string,
  wakes: Wakes,
  deadlineMs = 60_000,
): Promise<number> {
  const { promise: timedOut, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`Cannot wait any longer for ${condition} of ${id}: ${deadlineMs} ms have passed`)),
    deadlineMs,
  );
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wakes.onWake = resolve;
      });
      const [row] = await table.sql<{ atMs: number | null }[]>`
        select case when ${table.sql.unsafe(condition)}
                    then extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 end as "atMs"
          from workspaces where id = ${id}`;
      if (row?.atMs != null) return row.atMs;
      await Promise.race([woken, Bun.sleep(100), timedOut]);
    }
  } finally {
    clearTimeout(timer);
    timedOut.catch(() => {});
  }
}

/** Waits until so many rows match, and answers when the last of them was committed. */
export async function allCommittedMs(
  table: Table,
  ids: readonly string[],
  condition: string,
): Promise<number> {
  return await waitFor(
    `${condition} of ${ids.length} rows`,
    120_000,
    async () => {
      const [row] = await table.sql<{ count: number; atMs: number }[]>`
        select count(*)::int as count,
               max(extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000) as "atMs"
          from workspaces where id = any(${[...ids]}) and ${table.sql.unsafe(condition)}`;
      return row?.count === ids.length ? row.atMs : undefined;
    },
    100,
  );
}
