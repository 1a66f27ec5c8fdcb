// Goal: with several hosts in DATABASE_URL the first that can be reached and written to is used, and left when it
// can't any more; when none will do, that is said at once.
// Method: two private servers and hosts where nobody listens, or nobody answers.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import { createLeadership } from "../../src/adapters/postgres.ts";
import { PostgresClient, type PostgresOptions } from "../../src/adapters/postgres-client.ts";
import { createPostgresHints } from "../../src/adapters/postgres-hints.ts";
import { schemaDdl } from "../../src/adapters/postgres-schema.ts";
import { deadline, listenTo } from "../contract/engine-support.ts";
import { optionsOf } from "../contract/store-support.ts";

type Host = PostgresOptions["hosts"][number];

/** Nobody listens there: it is a privileged port that no service has. */
const nobody: Host = { host: "127.0.0.1", port: 1 };
let first: Postgres;
let second: Postgres;
const clients: PostgresClient[] = [];

beforeAll(async () => {
  [first, second] = await Promise.all([startPostgres({ version: 15 }), startPostgres({ version: 18 })]);
  for (const server of [first, second]) await server.query(schemaDdl({ role: null, schema: null }));
}, 60_000);
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});
afterAll(async () => {
  await Promise.all([first?.stop(), second?.stop()]);
});

function connect(hosts: readonly Host[], timeoutMs = 5_000): PostgresClient {
  const client = new PostgresClient(optionsOf(first, { hosts, timeoutMs }));
  clients.push(client);
  return client;
}

/** Of the server that answers. */
async function versionOf(client: PostgresClient, signal = deadline()): Promise<string> {
  const [row] = await client.statement("Cannot ask", signal, (sql) => sql`show server_version_num`);
  return String(row?.server_version_num).slice(0, 2);
}

test("the first host that can be reached is used, without an error", async () => {
  expect(await versionOf(connect([first, second]))).toBe("15");
  expect(await versionOf(connect([second, first]))).toBe("18");
  expect(await versionOf(connect([nobody, second]))).toBe("18");
  expect(await versionOf(connect([nobody, { host: "/nowhere", port: 1 }, nobody, first]))).toBe("15");
  expect(await versionOf(connect([nobody, { host: second.folder, port: second.port }]))).toBe("18");
});

test("when none can be reached the last one's fault comes at once, and each was tried once", async () => {
  const proxy = await startFaultProxy({ target: nobody });
  try {
    const startedMs = performance.now();
    const client = connect([nobody, { host: "nowhere.invalid", port: 1 }, nobody]);
    await expect(versionOf(client)).rejects.toThrow(
      "Cannot ask: PostgreSQL cannot be reached: connect ECONNREFUSED",
    );
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  } finally {
    await proxy.stop();
  }
});

test("a standby is left for the primary at the first write", async () => {
  await first.query("alter database postgres set default_transaction_read_only = on");
  try {
    const client = connect([first, second]);
    expect(await versionOf(client)).toBe("15");
    expect(await createLeadership(client, "a").acquire(deadline())).toMatchObject({ kind: "held" });
    expect(await versionOf(client)).toBe("18");
  } finally {
    await first.query(
      "begin read write; alter database postgres reset default_transaction_read_only; commit",
    );
    await second.query("truncate observer_lease");
  }
});

test("P12: a host that doesn't answer is left at the deadline", async () => {
  const proxy = await startFaultProxy({ target: first });
  try {
    proxy.freeze();
    const client = connect([{ host: "127.0.0.1", port: proxy.port }, second], 2_000);
    await expect(versionOf(client, AbortSignal.timeout(200))).rejects.toThrow();
    expect(await versionOf(client)).toBe("18");
    // And within one call, where the deadline leaves time for it.
    const patient = connect([{ host: "127.0.0.1", port: proxy.port }, second], 2_000);
    expect(await versionOf(patient)).toBe("18");
  } finally {
    await proxy.stop();
  }
});

test("a host that goes away is left for the next, and its hints are heard there", async () => {
  const proxy = await startFaultProxy({ target: first });
  const hosts = [{ host: "127.0.0.1", port: proxy.port }, second];
  const ear = listenTo(
    createPostgresHints({
      connection: optionsOf(first, { hosts }),
      channel: "ob:wake",
      clock: systemClock,
      random: Math.random,
    }),
  );
  try {
    const client = connect(hosts);
    expect(await versionOf(client)).toBe("15");
    await ear.heard({ ups: 1 });
    await first.query(`notify "ob:wake"`);
    await ear.heard({ hints: 1 });
    await proxy.refuse();
    proxy.cut();
    await waitFor("the other server", 10_000, async () => (await versionOf(client)) === "18");
    await ear.heard({ ups: 2 });
    await second.query(`notify "ob:wake"`);
    await ear.heard({ hints: 2 });
  } finally {
    await ear.stop();
    await proxy.stop();
  }
});
