/**
 * `bun run bench:fleet`: a fleet of hosts on one real PostgreSQL. The hosts are the product's own units, all in one process;
 * their Engines, and the archive store, are in memory.
 *
 *     bun dev/bench-fleet.ts                          100 hosts × 1,000 workspaces, about ten minutes
 *     bun dev/bench-fleet.ts --quick                  10 × 100, half a minute
 *     bun dev/bench-fleet.ts --hosts 10 --rows 1000   another size
 *     bun dev/bench-fleet.ts --max-age 5m             another maximum age than a quarter of an hour
 *     bun dev/bench-fleet.ts --seconds 60             how long a steady state is watched
 *     bun dev/bench-fleet.ts --listen                 hints by LISTEN, not through Redis
 *     bun dev/bench-fleet.ts --partitions 8           workspaces in parts by the hash of their ids
 *     bun dev/bench-fleet.ts --wait                   waits for a line on its input before it measures
 *     bun dev/bench-fleet.ts --write                  and writes the table of docs/scaling.md
 */
import { cpus, release } from "node:os";
import { parseArgs } from "node:util";
import { createFleet, type Fleet, type Size } from "./bench-fleet/fleet.ts";
import {
  measureChanges,
  measureHerd,
  measurePooled,
  measureSteady,
  measureTakeover,
} from "./bench-fleet/measure.ts";
import { countStatements } from "./bench-fleet/meter.ts";
import { pageTable, terminalTable, writePage } from "./bench-fleet/page.ts";
import { runProgram } from "./program.ts";
import { startPgBouncer } from "./services/pgbouncer.ts";
import { type Postgres, startPostgres } from "./services/postgres.ts";
import { startRedis } from "./services/redis.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    hosts: { type: "string" },
    rows: { type: "string" },
    "max-age": { type: "string", default: "15m" },
    seconds: { type: "string" },
    listen: { type: "boolean", default: false },
    partitions: { type: "string", default: "0" },
    wait: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});
const { quick } = values;
const size: Size = {
  hosts: Number(values.hosts ?? (quick ? 10 : 100)),
  rows: Number(values.rows ?? (quick ? 100 : 1_000)),
};
const seconds = Number(values.seconds ?? (quick ? 3 : 120));
const changes = quick ? 5 : 500;
const maxAge = values["max-age"];
const partitions = Number(values.partitions);
/** Of a hundred hosts, thirty. */
const HERD_SHARE = 0.3;

/** A server that keeps what it was told, on two cores. */
const POSTGRES_SETTINGS = {
  shared_buffers: "512MB",
  track_commit_timestamp: "on",
  max_connections: String(3 * size.hosts + 50),
  max_wal_size: "2GB",
};

async function bench(): Promise<void> {
  countStatements();
  const server = await startPostgres({ version: 18, fsync: true, settings: POSTGRES_SETTINGS });
  const redis = values.listen ? null : await startRedis();
  const poolSize = Math.max(2, Math.ceil(size.hosts / 10));
  const pooler = await startPgBouncer({
    postgres: server,
    poolSize,
    settings: { max_client_conn: POSTGRES_SETTINGS.max_connections },
  });
  const say = (what: string) => console.error(`${(performance.now() / 1_000).toFixed(1)} s: ${what}`);
  const emptyBytes = process.memoryUsage().rss;
  const fleet = await createFleet(server, size, { OBSERVER_MAX_AGE: maxAge }, { redis, partitions });
  try {
    const startedMs = performance.now();
    await fleet.start();
    const firstMs = performance.now() - startedMs;
    say("all rows are observed");
    await calm(fleet, server);
    if (values.wait) for await (const _ of console) break;
    const steady = await measureSteady(fleet, server, seconds);
    Bun.gc(true);
    const megabytes = (process.memoryUsage().rss - emptyBytes) / 2 ** 20;
    say("the steady state is measured");
    const measured = await measureChanges(fleet, changes);
    say(`${changes} changes are measured`);
    const herd = await measureHerd(fleet, server, Math.ceil(size.hosts * HERD_SHARE));
    say(`${herd.hosts} hosts have restarted`);
    const takeover = await measureTakeover(fleet);
    say("another one leads the table's unit");
    const pooled = await measurePooled(fleet, { port: pooler.port, poolSize }, Math.ceil(changes / 5));
    say("PgBouncer is measured");
    const found = {
      size,
      maxAge,
      firstMs,
      steady,
      megabytes,
      changes: measured,
      herd,
      takeover,
      pooled,
      faults: fleet.faults(),
    };
    console.log(`\n${terminalTable(found)}\n\n${where()}`);
    if (values.write) await writePage(pageTable(found, command(), where()));
  } finally {
    await fleet.stop();
  }
}

const where = () => {
  const processors = cpus();
  const date = new Date().toISOString().slice(0, 10);
  return `${date}, ${processors.length} × ${processors[0]?.model.trim() || "processor"}, Linux ${release()}, PostgreSQL 18, Bun ${Bun.version}`;
};

const command = () =>
  `bun dev/bench-fleet.ts ${process.argv
    .slice(2)
    .filter((argument) => !["--write", "--wait"].includes(argument))
    .join(" ")}`.trim();

/** What the start left behind is over: the active cadence, dirty pages, statistics. */
async function calm(fleet: Fleet, server: Postgres): Promise<void> {
  if (!quick) await Bun.sleep(45_000);
  await fleet.sql.unsafe("vacuum analyze");
  await server.query("checkpoint");
}

await runProgram(async () => {
  await bench();
  return true;
});
