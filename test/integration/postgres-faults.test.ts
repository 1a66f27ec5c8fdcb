// Goal: whatever happens to the server or to the way there, the adapter neither hangs nor crashes nor leaks, writes
// all or nothing, and works again when the server does (P12).
// Method: a private server that is stopped, restarted, frozen and robbed of its sessions while statements run. An
// error that escapes every catch fails the run by itself. Recovery times are printed, and bounded very loosely.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { startPgBouncer } from "../../dev/services/pgbouncer.ts";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { createConditionsStore, createLeadership } from "../../src/adapters/postgres.ts";
import { PostgresClient } from "../../src/adapters/postgres-client.ts";
import { DatabaseFault } from "../../src/adapters/postgres-fault.ts";
import type { Lease } from "../../src/observer/ports.ts";
import { deadline } from "../contract/engine-support.ts";
import {
  type Database,
  held,
  holdOpen,
  keepTransitions,
  openDatabase,
  optionsOf,
  write,
} from "../contract/store-support.ts";

const ROWS = 50;
let server: Postgres;
let database: Database;
let lease: Lease;

beforeAll(async () => {
  server = await startPostgres({ version: 18 });
  database = await openDatabase(server);
  await database.beside`insert into workspaces (id) select 'w' || n from generate_series(1, ${ROWS}) n`;
  lease = await held(database.leadership("a"), deadline());
}, 60_000);
afterAll(async () => {
  await database?.close();
  await server?.stop();
});

const save = (mark: number, signal: AbortSignal = deadline()) =>
  database.store.save(
    lease,
    Array.from({ length: ROWS }, (_, n) => write(`w${n + 1}`, { set: { mark } })),
    signal,
  );

/** Of each row; equal, or a write was torn. */
async function storedMark(): Promise<number> {
  const rows = await server.query(
    "select distinct (conditions -> 'mark')::int as mark from workspaces",
    database.name,
  );
  expect(rows).toHaveLength(1);
  return Number(rows[0]?.mark);
}

const sockets = (): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;

const sessions = async (): Promise<number> => {
  const [row] = await server.query(
    `select count(*)::int as n from pg_stat_activity
      where application_name = 'observer' and datname = '${database.name}'`,
  );
  return Number(row?.n);
};

/** Writes on and on, with the pause of a loop after a failure, until told to stop. */
function keepSaving(deadlineMs: number) {
  let stopped = false;
  let mark = 0;
  const state = {
    succeeded: 0,
    failed: 0,
    lastMark: 0,
    unsure: new Set<number>(),
    faults: new Set<string>(),
  };
  const done = (async () => {
    while (!stopped) {
      mark += 1;
      try {
        const outcome = await save(mark, AbortSignal.timeout(deadlineMs));
        expect(outcome.kind).toBe("saved");
        state.succeeded += 1;
        state.lastMark = mark;
        state.unsure.clear();
      } catch (cause) {
        state.failed += 1;
        state.unsure.add(mark);
        state.faults.add(cause instanceof DatabaseFault ? cause.code : (cause as Error).name);
        await Bun.sleep(20);
      }
    }
  })();
  return {
    state,
    async stop() {
      stopped = true;
      await done;
    },
  };
}

describe("P12: the server", () => {
  for (const mode of ["fast", "immediate"] as const) {
    test(`is stopped (${mode}) in mid-write, three times, and comes back: all or nothing was written`, async () => {
      const writer = keepSaving(5_000);
      const backMs: number[] = [];
      for (let round = 0; round < 3; round++) {
        const before = writer.state.succeeded;
        await waitFor("some writes", 10_000, () => writer.state.succeeded > before + 5);
        await server.restart({ mode, downMs: 300 });
        const readyMs = performance.now();
        const then = writer.state.succeeded;
        await waitFor("a write after the restart", 20_000, () => writer.state.succeeded > then, 1);
        backMs.push(Math.round(performance.now() - readyMs));
      }
      await writer.stop();
      console.log(
        `back after a ${mode} restart: ${backMs.join(", ")} ms; faults: ${[...writer.state.faults].join(" ")}`,
      );
      expect(Math.max(...backMs)).toBeLessThan(5_000);
      expect(writer.state.failed).toBeGreaterThan(0);
      // A write whose answer was lost may or may not be there.
      const stored = await storedMark();
      expect(stored === writer.state.lastMark || writer.state.unsure.has(stored)).toBe(true);
      expect([...writer.state.faults].filter((code) => code === "UNKNOWN")).toEqual([]);
    }, 60_000);
  }

  test("is frozen: every call ends at its deadline, nothing piles up, and it works when the server goes on", async () => {
    await save(1);
    const base = sockets();
    await server.pause();
    let slowestMs = 0;
    let most = 0;
    try {
      for (let turn = 0; turn < 50; turn++) {
        const startedMs = performance.now();
        const signal = AbortSignal.timeout(60);
        const failure = await save(2, signal).catch((cause: unknown) => cause);
        expect(failure).toBe(signal.reason);
        slowestMs = Math.max(slowestMs, performance.now() - startedMs);
        most = Math.max(most, sockets() - base);
      }
      // Beside the deadline of 60 ms there is only the machine.
      expect(slowestMs).toBeLessThan(3_000);
      await waitFor("the sockets to be closed", 10_000, () => sockets() <= base);
    } finally {
      server.resume();
    }
    console.log(
      `frozen: slowest call ${Math.round(slowestMs)} ms at a deadline of 60, at most ${most} sockets more`,
    );
    // What was given up is not done later on: nobody knows any more whether it is still true.
    await waitFor("the abandoned sessions to end", 20_000, async () => (await sessions()) === 0);
    expect(await storedMark()).toBe(1);
    expect(await save(3)).toMatchObject({ kind: "saved" });
    expect(await storedMark()).toBe(3);
  }, 60_000);

  test("kills our sessions while statements run, 500 of them: no crash, no hang, and the next write works", async () => {
    const clients = Array.from({ length: 6 }, () => new PostgresClient(database.options));
    const counts = { answered: 0, failed: 0 };
    const codes = new Set<string>();
    let killing = true;
    const workers = clients.flatMap((client) => {
      const schema = { idType: "text", tellsChanges: true, hasStatusTable: true, hasTransitionsTable: true };
      const store = createConditionsStore({ client, instance: "b", schema, transitions: keepTransitions });
      const leadership = createLeadership(client, "a");
      const calls = [
        (signal: AbortSignal) => store.save(lease, [write("w1", { set: { mark: 6 } }), write("w2")], signal),
        (signal: AbortSignal) => leadership.renew(lease, signal),
        (signal: AbortSignal) => store.load(null, signal),
      ];
      return calls.map(async (call) => {
        while (killing) {
          await call(AbortSignal.timeout(5_000)).then(
            () => {
              counts.answered += 1;
            },
            (cause) => {
              counts.failed += 1;
              codes.add(cause instanceof DatabaseFault ? cause.code : String(cause));
            },
          );
        }
      });
    });
    const killed = new Set<string>();
    const killer = database.session();
    await waitFor("500 sessions to be killed", 50_000, async () => {
      const rows = await killer<{ session: string }[]>`
        with ours as materialized (
          select pid, pid || ' ' || backend_start as session from pg_stat_activity
           where application_name = 'observer' and datname = current_database() and random() < 0.5
        )
        select session from ours where pg_terminate_backend(pid)`;
      for (const { session } of rows) killed.add(session);
      return killed.size >= 500;
    });
    killing = false;
    await Promise.all(workers);
    console.log(
      `killed ${killed.size} sessions: ${counts.answered} answers, ${counts.failed} failures: ${[...codes].join(" ")}`,
    );
    expect(counts.failed).toBeGreaterThan(50);
    // A hang would show as a time-out.
    expect([...codes].filter((code) => code.includes("Timeout") || code === "UNKNOWN")).toEqual([]);
    for (const client of clients)
      expect(await createLeadership(client, "a").now(deadline())).toBeGreaterThan(0);
    await Promise.all(clients.map((client) => client.close()));
    await waitFor("a write", 10_000, async () => (await save(7)).kind === "saved");
    expect(await storedMark()).toBe(7);
    await waitFor("no more than two sessions", 10_000, async () => (await sessions()) <= 2);
  }, 60_000);

  test("is gone behind PgBouncer: that is no reason to give up, and it is back with the server", async () => {
    const bouncer = await startPgBouncer({ postgres: server });
    const client = new PostgresClient(optionsOf(server, { database: database.name, through: bouncer }));
    try {
      const leadership = createLeadership(client, "b");
      await leadership.now(deadline());
      const faults = new Map<string, boolean>();
      const restarted = server.restart({ mode: "fast", downMs: 1_500 });
      let isBack = false;
      void restarted.then(() => {
        isBack = true;
      });
      while (!isBack) {
        await leadership.now(AbortSignal.timeout(1_000)).catch((cause: unknown) => {
          if (cause instanceof DatabaseFault) faults.set(cause.message, cause.fatal);
        });
        await Bun.sleep(50);
      }
      await restarted;
      console.log(`PgBouncer without a server: ${[...faults.keys()].join("\n  ")}`);
      expect(faults.size).toBeGreaterThan(0);
      expect([...faults.values()]).not.toContain(true);
      await waitFor("an answer", 10_000, () => leadership.now(AbortSignal.timeout(1_000)));
    } finally {
      await client.close();
      await bouncer.stop();
    }
  }, 60_000);
});

describe("P12: the way to the server", () => {
  test("freezes between the statement and its commit: the server lets the lease go, and nothing was written", async () => {
    await waitFor("a write", 10_000, async () => (await save(10)).kind === "saved");
    const proxy = await startFaultProxy({ target: { host: server.host, port: server.port } });
    const client = new PostgresClient(
      optionsOf(server, { database: database.name, through: { host: "127.0.0.1", port: proxy.port } }),
    );
    const store = createConditionsStore({
      client,
      instance: "a",
      schema: { idType: "text", tellsChanges: true, hasStatusTable: false, hasTransitionsTable: false },
      transitions: keepTransitions,
    });
    try {
      const letGo = await holdOpen(database.session(), (tx) => tx`select from observer_lease for update`);
      const paused = new AbortController();
      const saving = store.save(lease, [write("w1", { set: { mark: 11 } })], paused.signal);
      saving.catch(() => {});
      const state = async (text: string) => {
        const rows = await database.beside`
          select from pg_stat_activity
           where datname = current_database() and application_name = 'observer'
             and query like '%observer_lease%' and ${database.beside.unsafe(text)}`;
        return rows.length > 0;
      };
      await waitFor("the statement to wait", 10_000, () => state("wait_event_type = 'Lock'"));
      proxy.freeze();
      await letGo();
      await waitFor("the statement to be done, and its commit to be missing", 10_000, () =>
        state("state = 'idle in transaction'"),
      );
      // Whoever wants the lease now waits for the server's time-out, and no longer.
      const startedMs = performance.now();
      await waitFor("the lease to be free", 20_000, async () => {
        const answer = await database.leadership("a").renew(lease, AbortSignal.timeout(5_000));
        return answer.kind === "held";
      });
      console.log(`the lease was free ${Math.round(performance.now() - startedMs)} ms after the freeze`);
      expect(await storedMark()).toBe(10);
      paused.abort(new Error("the deadline"));
      await expect(saving).rejects.toThrow("the deadline");
      proxy.thaw();
      expect(await store.save(lease, [write("w1", { set: { mark: 10 } })], deadline())).toMatchObject({
        kind: "saved",
      });
    } finally {
      await client.close();
      await proxy.stop();
    }
  }, 60_000);

  test("is cut again and again, at any moment of a transaction: all or nothing, and no poisoned connection", async () => {
    const proxy = await startFaultProxy({ target: { host: server.host, port: server.port } });
    const client = new PostgresClient(
      optionsOf(server, { database: database.name, through: { host: "127.0.0.1", port: proxy.port } }),
    );
    const store = createConditionsStore({
      client,
      instance: "a",
      schema: { idType: "text", tellsChanges: true, hasStatusTable: false, hasTransitionsTable: false },
      transitions: keepTransitions,
    });
    const writes = (mark: number) =>
      Array.from({ length: ROWS }, (_, n) => write(`w${n + 1}`, { set: { mark } }));
    try {
      const outcomes = { saved: 0, failed: 0 };
      for (let turn = 1; turn <= 150; turn++) {
        const saving = store.save(lease, writes(turn), AbortSignal.timeout(5_000));
        saving.catch(() => {});
        await Bun.sleep((turn % 15) / 3);
        proxy.cut();
        await saving.then(
          () => (outcomes.saved += 1),
          (cause) => {
            expect(cause).toBeInstanceOf(DatabaseFault);
            outcomes.failed += 1;
          },
        );
      }
      console.log(`cut 150 times: ${outcomes.saved} saved, ${outcomes.failed} failed`);
      await waitFor(
        "a write",
        10_000,
        async () => (await store.save(lease, writes(999), deadline())).kind === "saved",
      );
      expect(await storedMark()).toBe(999);
      await waitFor("the broken sessions to end", 10_000, async () => (await sessions()) <= 4);
    } finally {
      await client.close();
      await proxy.stop();
    }
  }, 60_000);

  test("refuses: the message says what to look at, and nothing is left behind", async () => {
    const proxy = await startFaultProxy({ target: { host: server.host, port: server.port } });
    const client = new PostgresClient(
      optionsOf(server, { through: { host: "127.0.0.1", port: proxy.port } }),
    );
    try {
      await proxy.refuse();
      await expect(createLeadership(client, "a").now(deadline())).rejects.toThrow(
        `Cannot read the database's clock: PostgreSQL cannot be reached: connect ECONNREFUSED 127.0.0.1:${proxy.port}; ` +
          "is PostgreSQL running, and the host and port in DATABASE_URL right?",
      );
      await proxy.accept();
      await waitFor("an answer", 10_000, () => createLeadership(client, "a").now(deadline()));
      await client.close();
      await waitFor("the connection to be closed", 10_000, () => proxy.openConnections === 0);
      await expect(createLeadership(client, "a").now(deadline())).rejects.toThrow("the client is closed");
    } finally {
      await client.close();
      await proxy.stop();
    }
  });
});
