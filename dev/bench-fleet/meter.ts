// What a fleet asks of a database server while something goes on: counted by the server, and by kind in the client.
import { readFileSync } from "node:fs";
import type postgres from "postgres";
import { PostgresClient } from "../../src/adapters/postgres-client.ts";
import { processFamily } from "../services/procfs.ts";

/** Linux counts CPU time in hundredths of a second. */
const SECONDS_PER_TICK = 0.01;

export interface Metered {
  readonly seconds: number;
  /** Each statement of the Observer's is a transaction. */
  readonly transactions: number;
  readonly rollbacks: number;
  /** Rows that scans looked at, and those that index scans gave. */
  readonly tuplesRead: number;
  readonly tuplesWritten: number;
  readonly logBytes: number;
  /** Of all of the server's processes. */
  readonly serverCpuSeconds: number;
  /** Of this process, in which all hosts are. */
  readonly hostsCpuSeconds: number;
  /** What the statements were for, by the Observer's own words. */
  readonly byAction: ReadonlyMap<string, number>;
}

type Reading = Omit<Metered, "seconds"> & { readonly atMs: number };

const asked = new Map<string, number>();

/** From now on every statement of a client in this process is counted. */
export function countStatements(): void {
  for (const method of ["ask", "write", "transaction", "statement"] as const) {
    const original = PostgresClient.prototype[method] as (...given: unknown[]) => unknown;
    Object.assign(PostgresClient.prototype, {
      [method](this: PostgresClient, action: string, ...rest: unknown[]) {
        asked.set(action, (asked.get(action) ?? 0) + 1);
        return original.call(this, action, ...rest);
      },
    });
  }
}

/** What happened between two calls of the function that it answers with and the present. */
export async function startMeter(sql: postgres.Sql, serverPid: number): Promise<() => Promise<Metered>> {
  const before = await readAll(sql, serverPid);
  return async () => {
    const after = await readAll(sql, serverPid);
    const difference = (name: Exclude<keyof Reading, "byAction">) => after[name] - before[name];
    const byAction = [...after.byAction].map(
      ([action, count]) => [action, count - (before.byAction.get(action) ?? 0)] as const,
    );
    return {
      seconds: difference("atMs") / 1_000,
      transactions: difference("transactions"),
      rollbacks: difference("rollbacks"),
      tuplesRead: difference("tuplesRead"),
      tuplesWritten: difference("tuplesWritten"),
      logBytes: difference("logBytes"),
      serverCpuSeconds: difference("serverCpuSeconds"),
      hostsCpuSeconds: difference("hostsCpuSeconds"),
      byAction: new Map(byAction.filter(([, count]) => count > 0).toSorted(([, a], [, b]) => b - a)),
    };
  };
}

async function readAll(sql: postgres.Sql, serverPid: number): Promise<Reading> {
  const [row] = await sql<
    { transactions: number; rollbacks: number; read: number; written: number; log: number }[]
  >`
    select xact_commit::float8 as transactions, xact_rollback::float8 as rollbacks,
           (tup_returned + tup_fetched)::float8 as read,
           (tup_inserted + tup_updated + tup_deleted)::float8 as written,
           pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as log
      from pg_stat_database where datname = current_database()`;
  const { user, system } = process.cpuUsage();
  return {
    atMs: performance.now(),
    transactions: row!.transactions,
    rollbacks: row!.rollbacks,
    tuplesRead: row!.read,
    tuplesWritten: row!.written,
    logBytes: row!.log,
    serverCpuSeconds: serverCpuSeconds(serverPid),
    hostsCpuSeconds: (user + system) / 1e6,
    byAction: new Map(asked),
  };
}

/** Of the postmaster, its children, and those of them that have ended. */
function serverCpuSeconds(pid: number): number {
  const ticksOf = (of: number, withEnded: boolean): number => {
    try {
      const stat = readFileSync(`/proc/${of}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const own = Number(fields[11]) + Number(fields[12]);
      return withEnded ? own + Number(fields[13]) + Number(fields[14]) : own;
    } catch {
      return 0;
    }
  };
  const ticks = processFamily(pid).map((one) => ticksOf(one.pid, one.pid === pid));
  return ticks.reduce((sum, each) => sum + each, 0) * SECONDS_PER_TICK;
}

export interface Connections {
  readonly all: number;
  readonly mostOfOneProcess: number;
}

/** Of the role `user`; each process of a host has an `application_name` of its own. */
export async function connectionsOf(sql: postgres.Sql, user: string): Promise<Connections> {
  const rows = await sql<{ count: number }[]>`
    select count(*)::int as count from pg_stat_activity where usename = ${user} group by application_name`;
  const counts = rows.map(({ count }) => count);
  return { all: counts.reduce((sum, count) => sum + count, 0), mostOfOneProcess: Math.max(0, ...counts) };
}

/** The most connections there were until it is stopped. */
export function watchConnections(sql: postgres.Sql, user: string): { stop(): Promise<Connections> } {
  let most: Connections = { all: 0, mostOfOneProcess: 0 };
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const now = await connectionsOf(sql, user);
      most = {
        all: Math.max(most.all, now.all),
        mostOfOneProcess: Math.max(most.mostOfOneProcess, now.mostOfOneProcess),
      };
      await Bun.sleep(100);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await watching;
      return most;
    },
  };
}
