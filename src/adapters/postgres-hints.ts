/**
 * Hints by LISTEN and NOTIFY, for installations without Redis, on a connection of their own.
 *
 * The driver's own `listen` tries to restore itself once and then falls silent; and a connection that died without
 * a goodbye hears nothing. So this asks the server a small question now and then, and starts afresh when it fails.
 */
import postgres from "postgres";
import { withDeadline } from "../observer/deadline.ts";
import type { Clock, HintListener, HintSource, WakePublisher } from "../observer/ports.ts";
import { hostOfHint } from "../observer/shared-hints.ts";
import { clientOptions, type PostgresClient, type PostgresOptions } from "./postgres-client.ts";
import { databaseFault } from "./postgres-fault.ts";
import { quoteIdentifier } from "./postgres-schema.ts";

/** How often a silent connection is asked whether it is alive. */
const PROBE_MS = 5_000;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 1_000;

export interface PostgresHintsOptions {
  readonly connection: PostgresOptions;
  readonly channel: string;
  readonly clock: Clock;
  /** 0 ≤ n < 1, for the jitter. */
  readonly random: () => number;
}

export function createPostgresHints(options: PostgresHintsOptions): HintSource {
  return {
    async listen(listener, signal) {
      let retryMs = FIRST_RETRY_MS;
      let host = 0;
      while (!signal.aborted) {
        const heard = await listenOnce(options, host, listener, signal);
        if (!heard) host = (host + 1) % options.connection.hosts.length;
        retryMs = heard ? FIRST_RETRY_MS : Math.min(retryMs * 2, MAX_RETRY_MS);
        await options.clock.sleep(retryMs * (1 - 0.25 * options.random()), signal);
      }
    },
  };
}

/** Listens until the connection fails or the signal fires; says whether it ever listened. */
async function listenOnce(
  { connection, channel, clock }: PostgresHintsOptions,
  host: number,
  listener: HintListener,
  signal: AbortSignal,
): Promise<boolean> {
  const broken = new AbortController();
  const breakOff = () => broken.abort();
  signal.addEventListener("abort", breakOff, { once: true });
  const sql = postgres({
    ...clientOptions(connection, 1, host),
    idle_timeout: 0,
    max_lifetime: null,
    onnotify: (name: string, payload: string) => {
      if (name === channel) listener.onHint(undefined, hostOfHint(payload));
    },
    onclose: breakOff,
  } as Parameters<typeof postgres>[0] & object);
  const ask = (action: string, query: () => PromiseLike<unknown>) =>
    withDeadline(clock, connection.timeoutMs, action, async () => void (await query()), signal);
  let listening = false;
  try {
    // Quoted here: the driver's own way takes a dot in the name for a separator.
    await ask(`Cannot listen on ${channel}`, () => sql.unsafe(`listen ${quoteIdentifier(channel)}`));
    listening = true;
    listener.onUp();
    while (!broken.signal.aborted) {
      await clock.sleep(PROBE_MS, broken.signal);
      if (!broken.signal.aborted) await ask(`Cannot listen on ${channel}`, () => sql`select`);
    }
    if (!signal.aborted)
      throw Object.assign(new Error("the connection was closed"), { code: "CONNECTION_CLOSED" });
  } catch (cause) {
    if (!signal.aborted) listener.onDown(databaseFault(`Cannot listen on ${channel}`, cause));
  } finally {
    signal.removeEventListener("abort", breakOff);
    await sql.end({ timeout: 0 }).catch(() => {});
  }
  return listening;
}

export function createPostgresWake(client: PostgresClient, channel: string): WakePublisher {
  return {
    async publish(signal) {
      await client.statement(
        `Cannot notify ${channel}`,
        signal,
        (sql) => sql`select pg_notify(${channel}, '')`,
      );
    },
  };
}
