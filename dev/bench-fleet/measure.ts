// What is measured of a fleet: nothing happens; one workspace changes; many hosts restart at once; the table's leader goes.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { seededRandom } from "../fakes/random.ts";
import { inParallel } from "../services/engine.ts";
import type { Postgres } from "../services/postgres.ts";
import { waitFor } from "../services/wait.ts";
import { changeToCommit } from "./changes.ts";
import { type Fleet, ROLE } from "./fleet.ts";
import type { Host } from "./host.ts";
import { type Connections, connectionsOf, type Metered, startMeter, watchConnections } from "./meter.ts";

export interface Steady extends Metered {
  readonly connections: Connections;
}

/** Nothing happens, for some time. */
export async function measureSteady(fleet: Fleet, server: Postgres, seconds: number): Promise<Steady> {
  const read = await startMeter(fleet.sql, server.pid);
  await Bun.sleep(seconds * 1_000);
  return { ...(await read()), connections: await connectionsOf(fleet.sql, ROLE) };
}

export interface Changes {
  /** To the commit. */
  readonly tookMs: readonly number[];
  /** How late the thread of the hosts that idle was meanwhile. */
  readonly lateMs: { readonly p99: number; readonly most: number };
}

/** One change after the other on one host while all others idle. */
export async function measureChanges(fleet: Fleet, count: number): Promise<Changes> {
  const random = seededRandom(1);
  const tookMs: number[] = [];
  const lag = monitorEventLoopDelay({ resolution: 5 });
  lag.enable();
  for (let number = 0; number < count; number++) {
    await Bun.sleep(50 + random() * 150);
    tookMs.push(await changeToCommit(fleet.sql, fleet.timed, random));
  }
  lag.disable();
  return { tookMs, lateMs: { p99: lag.percentile(99) / 1e6, most: lag.max / 1e6 } };
}

export interface Herd extends Metered {
  readonly hosts: number;
  /** From the start to the last one's first whole look of which all is committed. */
  readonly completeMs: number;
  readonly connections: Connections;
  readonly changesMs: readonly number[];
}

/** Many hosts start at once, while on the others a workspace changes now and then. The table's leader is none of them. */
export async function measureHerd(fleet: Fleet, server: Postgres, count: number): Promise<Herd> {
  const leader = fleet.tableLeader();
  const herd = fleet.hosts.filter((host) => host !== leader).slice(0, count);
  await inParallel(herd, count, (host) => host.stop());
  const random = seededRandom(2);
  const changesMs: number[] = [];
  const read = await startMeter(fleet.sql, server.pid);
  const connections = watchConnections(fleet.sql, ROLE);
  const startedMs = performance.now();
  await inParallel(herd, count, (host) => host.start());
  let isOver = false;
  const changing = (async () => {
    while (!isOver || changesMs.length < 3) {
      changesMs.push(await changeToCommit(fleet.sql, fleet.timed, random));
      await Bun.sleep(20);
    }
  })();
  await allComplete(herd);
  const completeMs = performance.now() - startedMs;
  isOver = true;
  await changing;
  return { ...(await read()), hosts: count, completeMs, changesMs, connections: await connections.stop() };
}

const allComplete = (hosts: readonly Host[]): Promise<unknown> =>
  waitFor(`${hosts.length} hosts to commit`, 300_000, () => hosts.every(({ isComplete }) => isComplete), 10);

export interface Takeover {
  readonly leadsMs: number;
  /** It has read, and judged, every row. */
  readonly completeMs: number;
}

/** The table's leader stops in good order, and somebody else takes its part over. */
export async function measureTakeover(fleet: Fleet): Promise<Takeover> {
  const leader = fleet.tableLeader();
  if (leader === null) throw new Error("Cannot measure a take-over: nobody leads");
  await leader.stop();
  const startedMs = performance.now();
  await waitFor("another leader of the table's unit", 60_000, () => fleet.tableLeader() !== null, 10);
  const leadsMs = performance.now() - startedMs;
  const next = fleet.tableLeader()!;
  await waitFor("its first look", 60_000, () => next.hasLookedAtTable, 10);
  const completeMs = performance.now() - startedMs;
  await leader.start();
  await fleet.settled();
  return { leadsMs, completeMs };
}

export interface Pooled {
  readonly poolSize: number;
  readonly connections: Connections;
  readonly changes: Changes;
}

/** All hosts restart, and reach the server through a PgBouncer in transaction mode. */
export async function measurePooled(
  fleet: Fleet,
  pooler: { readonly port: number; readonly poolSize: number },
  changes: number,
): Promise<Pooled> {
  await fleet.restartThrough(pooler.port);
  const connections = watchConnections(fleet.sql, ROLE);
  const measured = await measureChanges(fleet, changes);
  return { poolSize: pooler.poolSize, connections: await connections.stop(), changes: measured };
}
