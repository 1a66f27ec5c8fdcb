// Faults of the database and of the way to it.

import { ROLE } from "./database.ts";
import type { Fault } from "./fault.ts";
import type { World } from "./world.ts";

/** Repeats it until the hold is over. */
const repeatedly =
  (everyMs: number, deed: (world: World) => unknown): Fault["run"] =>
  async (world, context) => {
    let isOver = false;
    const repeating = (async () => {
      while (!isOver) {
        await deed(world);
        await Bun.sleep(everyMs * (0.5 + world.random()));
      }
    })();
    await context.hold();
    isOver = true;
    await repeating;
  };

/** Holds what the statement locks. */
const locking =
  (statement: string): Fault["run"] =>
  async ({ database }, context) => {
    await database.sql.begin(async (tx) => {
      await tx.unsafe(statement);
      await context.hold();
    });
  };

export const postgresFaults: readonly Fault[] = [
  {
    name: "postgres-stopped",
    what: "the server and all its backends SIGSTOP",
    promises: ["P3", "P12"],
    felt: ["database.down"],
    unready: true,
    async run({ postgres }, context) {
      await postgres.pause();
      await context.hold();
      postgres.resume();
    },
  },
  {
    name: "postgres-restarted",
    what: "restarted fast, down for 3 s",
    promises: ["P3", "P12"],
    felt: ["database.down"],
    durationMs: 3_000,
    async run({ postgres }, context) {
      const restarted = postgres.restart({ mode: "fast", downMs: context.durationMs });
      await context.hold();
      await restarted;
    },
  },
  {
    name: "postgres-crashed",
    what: "stopped as in a crash, recovered after 3 s",
    promises: ["P3", "P12"],
    felt: ["database.down"],
    durationMs: 3_000,
    async run({ postgres }, context) {
      const restarted = postgres.restart({ mode: "immediate", downMs: context.durationMs });
      await context.hold();
      await restarted;
    },
  },
  {
    name: "postgres-backends-killed",
    what: "every session of the Observer is ended, over and over",
    promises: ["P3", "P12"],
    run: repeatedly(100, ({ database }) => database.terminateAll()),
  },
  {
    name: "postgres-connections-cut",
    what: "every connection is reset, over and over",
    promises: ["P3", "P12"],
    run: repeatedly(150, ({ proxies }) => proxies.postgres.cut()),
  },
  {
    name: "postgres-answers-lost",
    what: "late by 150 ms each way, and cut at any moment: commits without an acknowledgement",
    promises: ["P3", "P8", "P12"],
    durationMs: 8_000,
    async run(world, context) {
      world.proxies.postgres.delayMs = 150;
      await repeatedly(900, ({ proxies }) => proxies.postgres.cut())(world, context);
      world.proxies.postgres.delayMs = 0;
    },
  },
  {
    name: "postgres-slow",
    what: "late by 300 ms each way",
    promises: ["P2", "P3"],
    async run({ proxies }, context) {
      proxies.postgres.delayMs = 300;
      await context.hold();
      proxies.postgres.delayMs = 0;
    },
  },
  {
    name: "postgres-frozen-proxy",
    what: "a proxy that accepts and passes nothing, for longer than a lease; then it passes it all",
    promises: ["P3", "P12"],
    felt: ["database.down"],
    unready: true,
    durationMs: 8_000,
    async run({ proxies }, context) {
      proxies.postgres.freeze();
      await context.hold();
      proxies.postgres.thaw();
    },
  },
  {
    name: "postgres-refused",
    what: "connections are refused",
    promises: ["P12"],
    felt: ["database.down"],
    unready: true,
    async run({ proxies }, context) {
      await proxies.postgres.refuse();
      proxies.postgres.cut();
      await context.hold();
      await proxies.postgres.accept();
    },
  },
  {
    name: "postgres-row-locks",
    what: "three rows are held locked by somebody else",
    promises: ["P11"],
    goesOn: ["containers", "archives"],
    run: locking("select from workspaces where id in ('s1', 's2', 'f1') for update"),
  },
  {
    name: "postgres-table-locked",
    what: "the whole table is held locked",
    promises: ["P3", "P12"],
    felt: ["database.down"],
    unready: true,
    run: locking("lock table workspaces in access exclusive mode"),
  },
  {
    name: "postgres-lease-locked",
    what: "the row of the lease is held locked, for longer than a lease",
    promises: ["P3", "P12"],
    felt: ["database.down"],
    unready: true,
    durationMs: 8_000,
    run: locking("select from observer_lease for update"),
  },
  {
    name: "postgres-exhausted",
    what: "all sessions are ended, and no connection is left for the role",
    promises: ["P12"],
    felt: ["database.down"],
    unready: true,
    async run({ database }, context) {
      await database.sql.unsafe(`alter role ${ROLE} connection limit 0`);
      await database.terminateAll();
      await context.hold();
      await database.sql.unsafe(`alter role ${ROLE} connection limit -1`);
    },
  },
  {
    name: "postgres-read-only",
    what: "the server takes no writes",
    promises: ["P3", "P12"],
    felt: ["database.down"],
    unready: true,
    async run({ database }, context) {
      const readOnly = async (value: string) => {
        await database.sql.unsafe(`alter system set default_transaction_read_only = ${value}`);
        await database.sql`select pg_reload_conf()`;
      };
      await readOnly("on");
      await context.hold();
      await readOnly("off");
    },
  },
  {
    name: "postgres-edited-by-hand",
    what: "an administrator writes documents: empty ones, false ones, ones from the future",
    promises: ["P9"],
    goesOn: ["containers", "archives"],
    run: repeatedly(
      700,
      ({ database, random }) => database.sql`
        update workspaces set conditions = ${database.sql.json(HAND_EDITS[Math.floor(random() * HAND_EDITS.length)]!)}
         where id in ('s3', 'f2')`,
    ),
  },
];

const HAND_EDITS = [
  {},
  { container: null, volume: null, archive: null },
  { container: "nonsense", observed: { containers: "yesterday" } },
  {
    volume: null,
    observed: { containers: "2099-01-01T00:00:00.000000Z", volumes: "2099-01-01T00:00:00.000000Z" },
  },
];
