// A table, and the hosts that write it: started, stopped, and waited for.
import postgres from "postgres";
import { schemaDdl, WORKSPACES_DDL } from "../../src/adapters/postgres-schema.ts";
import { workspaceIds } from "../bench/names.ts";
import { inParallel } from "../services/engine.ts";
import type { Postgres } from "../services/postgres.ts";
import type { Redis } from "../services/redis.ts";
import { waitFor } from "../services/wait.ts";
import { archivesOf, Host, type Settings } from "./host.ts";
import { RemoteHost } from "./remote-host.ts";

export const ROLE = "observer_bench";
const DATABASE = "fleet";
const MOST_SETTLING_MS = 600_000;
const AT_ONCE = 5;

export type AnyHost = Host | RemoteHost;

/** Until its first look is over. */
async function startWhole(host: AnyHost, more: Settings = {}): Promise<void> {
  await host.start(more);
  await waitFor(`${host.name} to commit`, MOST_SETTLING_MS, () => host.isComplete, 20);
}

export interface Size {
  readonly hosts: number;
  /** Workspaces of each. */
  readonly rows: number;
}

export interface Fleet {
  readonly sql: postgres.Sql;
  /** In one thread; the first of all, which leads the table's unit until it is stopped, and the timed one have their own. */
  readonly hosts: readonly Host[];
  /** The one whose workspaces change. */
  readonly timed: RemoteHost;
  /** Some at a time, as an installation is rolled out; afterwards all rows say what is. */
  start(): Promise<void>;
  restartThrough(port: number): Promise<void>;
  /** All rows say what is, and whoever leads the table's unit is known. */
  settled(): Promise<void>;
  tableLeader(): AnyHost | null;
  /** Warnings and errors that hosts have logged. */
  faults(): number;
  stop(): Promise<void>;
}

/** The product's own table, in parts by the hash of the id. */
function partitionedDdl(partitions: number): string {
  const whole = WORKSPACES_DDL.replace(" with (fillfactor = 70)", " partition by hash (id)");
  const parts = Array.from(
    { length: partitions },
    (_, at) =>
      `create table workspaces_${at} partition of workspaces for values with (modulus ${partitions}, remainder ${at}) with (fillfactor = 70);`,
  );
  return [whole, ...parts].join("\n");
}

export async function createFleet(
  server: Postgres,
  { hosts, rows }: Size,
  settings: Settings,
  { redis, partitions }: { readonly redis: Redis | null; readonly partitions: number },
): Promise<Fleet> {
  await server.createDatabase(DATABASE);
  if (partitions > 0) await server.query(partitionedDdl(partitions), DATABASE);
  await server.query(schemaDdl({ role: ROLE, schema: null }), DATABASE);
  const sql = postgres(server.url(DATABASE), { max: 2, onnotice: () => {}, connect_timeout: 10 });
  const ids = workspaceIds(hosts * rows);
  for (let start = 0; start < ids.length; start += 10_000)
    await sql`insert into workspaces (id) select unnest(${ids.slice(start, start + 10_000)}::text[])`;
  await sql.unsafe("vacuum analyze workspaces");
  const archives = archivesOf(ids);
  const urlThrough = (port: number) => server.url(DATABASE, ROLE).replace(`:${server.port}/`, `:${port}/`);
  const hostSettings: Settings = {
    DATABASE_URL: urlThrough(server.port),
    ...(redis === null ? {} : { REDIS_URL: redis.url }),
    ...settings,
  };
  const nameOf = (at: number) => `vm-${at + 1}`;
  const remote = (at: number) =>
    new RemoteHost(nameOf(at), {
      workspaces: ids.length,
      from: at * rows,
      rows,
      settings: hostSettings,
    });
  const first = remote(0);
  const timed = remote(1);
  const others = Array.from({ length: hosts - 2 }, (_, index) => {
    const at = index + 2;
    return new Host(nameOf(at), ids.slice(at * rows, (at + 1) * rows), archives, hostSettings);
  });
  const all: readonly AnyHost[] = [first, timed, ...others];
  const startAll = async (more: Settings) => {
    await startWhole(first, more);
    await waitFor("the first host to lead", 60_000, () => first.isTableLeader, 20);
    await inParallel([timed, ...others], AT_ONCE, (host) => startWhole(host, more));
    await settled();
  };
  const tableLeader = () => all.find(({ isTableLeader }) => isTableLeader) ?? null;
  async function settled(): Promise<void> {
    await waitFor(
      "every row to be observed",
      MOST_SETTLING_MS,
      async () => {
        if (tableLeader() === null || all.some(({ isComplete }) => !isComplete)) return false;
        const [row] = await sql<{ count: number }[]>`
          select count(*)::int as count from workspaces where observed_at is null`;
        return row!.count === 0;
      },
      500,
    );
  }
  return {
    sql,
    hosts: others,
    timed,
    tableLeader,
    settled,
    faults: () => all.reduce((sum, host) => sum + host.faults, 0),
    start: () => startAll({}),
    async restartThrough(port) {
      await inParallel(all, all.length, (host) => host.stop());
      await startAll({ DATABASE_URL: urlThrough(port) });
    },
    async stop() {
      await inParallel(all, all.length, (host) => host.stop());
      first.end();
      timed.end();
      await sql.end({ timeout: 1 });
    },
  };
}
