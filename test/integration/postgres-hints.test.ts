// Goal: hints come over LISTEN and wakes go out over NOTIFY where there is no Redis; whatever happens to the
// connection is noticed, a look is asked for after each reconnection (P8), and nothing stays open afterwards.
// Method: a private server; hints are sent, and wakes heard, by sessions of their own. The pause between two probes
// goes by the injected clock, which is the real one running faster.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import postgres from "postgres";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import { PostgresClient, type PostgresOptions } from "../../src/adapters/postgres-client.ts";
import { DatabaseFault } from "../../src/adapters/postgres-fault.ts";
import { createPostgresHints, createPostgresWake } from "../../src/adapters/postgres-hints.ts";
import type { Clock } from "../../src/observer/ports.ts";
import { deadline, type Ear, listenTo } from "../contract/engine-support.ts";
import { optionsOf } from "../contract/store-support.ts";

/** Twenty times as fast: a probe every 250 ms, and a deadline of 5 s after 250 ms. */
const fast: Clock = {
  monotonicMs: () => systemClock.monotonicMs() * 20,
  sleep: (ms, signal) => systemClock.sleep(ms / 20, signal),
};

let server: Postgres;
let client: PostgresClient;
const ears: Ear[] = [];
beforeAll(async () => {
  server = await startPostgres({ version: 18 });
  client = new PostgresClient(optionsOf(server));
}, 60_000);
afterEach(async () => {
  await Promise.all(ears.splice(0).map((ear) => ear.stop()));
});
afterAll(async () => {
  await client?.close();
  await server?.stop();
});

function listen(
  channel = "ob:wake",
  changes: Partial<PostgresOptions> = {},
  clock: Clock = systemClock,
): Ear {
  const connection = optionsOf(server, { applicationName: "observer-hints", ...changes });
  const ear = listenTo(createPostgresHints({ connection, channel, clock, random: Math.random }));
  ears.push(ear);
  return ear;
}

const hint = (channel = "ob:wake") => server.query(`notify "${channel}", 'ignored'`);
const listeners = async (): Promise<number> => {
  const rows = await server.query("select from pg_stat_activity where application_name = 'observer-hints'");
  return rows.length;
};

test("listen() hears every hint on its channel and nothing else", async () => {
  const ear = listen();
  await ear.heard({ ups: 1 });
  await hint("wc:wake");
  await hint("ob");
  await hint();
  await ear.heard({ hints: 1 });
  // Equal notifications of one transaction are one; these are twenty.
  for (let n = 0; n < 20; n++) await hint();
  await ear.heard({ hints: 21 });
  expect([ear.hints, ear.ups, ear.downs]).toEqual([21, 1, []]);
});

test("P8: onUp comes when the server listens: a hint sent at that moment is heard", async () => {
  const stop = new AbortController();
  const heard = Promise.withResolvers<void>();
  const hints = createPostgresHints({
    connection: optionsOf(server),
    channel: "ob:wake",
    clock: systemClock,
    random: Math.random,
  });
  const listening = hints.listen(
    { onUp: () => void hint().catch(heard.reject), onHint: () => heard.resolve(), onDown: heard.reject },
    stop.signal,
  );
  await heard.promise;
  stop.abort();
  await listening;
});

test.each(["a.b", "UPPER case", 'quo"te', "ünï", "x".repeat(63)])(
  "channel names of any kind work: %s",
  async (name) => {
    const ear = listen(name);
    await ear.heard({ ups: 1 });
    await createPostgresWake(client, name).publish(deadline());
    await ear.heard({ hints: 1 });
    expect(ear.downs).toEqual([]);
  },
);

test("publish() reaches a plain LISTEN client", async () => {
  const controller = postgres(server.url(), { max: 1, onnotice: () => {} });
  try {
    const payloads: string[] = [];
    await controller.listen("wc:wake", (payload) => payloads.push(payload));
    const wake = createPostgresWake(client, "wc:wake");
    await wake.publish(deadline());
    await wake.publish(deadline());
    await waitFor("two wakes", 5_000, () => payloads.length === 2);
    expect(payloads).toEqual(["", ""]);
  } finally {
    await controller.end({ timeout: 0 });
  }
});

test("P12: publish() with a signal that has fired rejects with its reason; a refusal names the channel", async () => {
  const reason = new Error("enough");
  const wake = createPostgresWake(client, "wc:wake");
  await expect(wake.publish(AbortSignal.abort(reason))).rejects.toBe(reason);
  await expect(createPostgresWake(client, "x".repeat(64)).publish(deadline())).rejects.toThrow(
    /^Cannot notify x{64}: PostgreSQL answered 22023 "channel name too long"/,
  );
});

test("P8: its session is killed: it listens again and says so, each time", async () => {
  const ear = listen();
  for (let round = 1; round <= 5; round++) {
    await ear.heard({ ups: round });
    await server.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'observer-hints'",
    );
    await ear.heard({ ups: round + 1, downs: round });
    await hint();
    await ear.heard({ hints: round });
  }
  for (const down of ear.downs) {
    expect(down).toBeInstanceOf(DatabaseFault);
    expect((down as DatabaseFault).message).toStartWith("Cannot listen on ob:wake: PostgreSQL ");
  }
  await waitFor("one session", 5_000, async () => (await listeners()) === 1);
});

test.each(["fast", "immediate"] as const)(
  "P8: the server is restarted (%s): it listens again and says so",
  async (mode) => {
    const ear = listen();
    await ear.heard({ ups: 1 });
    await server.restart({ mode, downMs: 500 });
    await ear.heard({ ups: 2 });
    await hint();
    await ear.heard({ hints: 1 });
    expect(ear.downs.length).toBeGreaterThan(0);
  },
  30_000,
);

test("P12: the server is frozen: the probe notices, and it listens again when the server goes on", async () => {
  const ear = listen("ob:wake", {}, fast);
  await ear.heard({ ups: 1 });
  await server.pause();
  try {
    await ear.heard({ downs: 1 });
    expect(String(ear.downs[0])).toContain("no answer within 5000 ms");
  } finally {
    server.resume();
  }
  await ear.heard({ ups: 2 });
  await hint();
  await ear.heard({ hints: 1 });
}, 30_000);

test("a connection that died without a goodbye is noticed by the probe", async () => {
  const proxy = await startFaultProxy({ target: { host: server.host, port: server.port } });
  try {
    const ear = listen("ob:wake", { hosts: [{ host: "127.0.0.1", port: proxy.port }] }, fast);
    await ear.heard({ ups: 1 });
    proxy.freeze();
    await ear.heard({ downs: 1 });
    proxy.cut();
    proxy.thaw();
    await ear.heard({ ups: 2 });
    await hint();
    await ear.heard({ hints: 1 });
  } finally {
    await proxy.stop();
  }
}, 30_000);

test("P12: it ends cleanly on its signal, at whatever moment, and leaves no session behind", async () => {
  const proxy = await startFaultProxy({ target: { host: server.host, port: server.port } });
  const hosts = [{ host: "127.0.0.1", port: proxy.port }];
  try {
    for (let delayMs = 0; delayMs < 40; delayMs += 4) {
      const ear = listen("ob:wake", { hosts });
      await Bun.sleep(delayMs);
      await ear.stop();
      expect(ear.downs).toEqual([]);
    }
    const waiting = listen("ob:wake", { hosts });
    await waiting.heard({ ups: 1 });
    await waiting.stop();
    proxy.freeze();
    const connecting = listen("ob:wake", { hosts });
    await waitFor("a connection", 5_000, () => proxy.openConnections > 0);
    await connecting.stop();
    proxy.thaw();
    await proxy.refuse();
    proxy.cut();
    const refused = listen("ob:wake", { hosts });
    await refused.heard({ downs: 2 });
    await refused.stop();
    expect(String(refused.downs[0])).toContain("ECONNREFUSED");
  } finally {
    await proxy.stop();
  }
  const never = new AbortController();
  never.abort();
  await createPostgresHints({
    connection: optionsOf(server),
    channel: "ob:wake",
    clock: systemClock,
    random: Math.random,
  }).listen({ onHint: () => {}, onUp: () => {}, onDown: () => {} }, never.signal);
  await waitFor("no session", 5_000, async () => (await listeners()) === 0);
}, 30_000);
