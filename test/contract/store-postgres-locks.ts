// Goal: what the store and the lease promise on a real PostgreSQL beyond the suite of store.ts: locks, snapshots, races.
// Method: a race is brought about, not waited for: another session holds the lock at which the statement must wait,
// changes the world meanwhile, and lets go.
import { describe, expect, test } from "bun:test";
import { waitFor } from "../../dev/services/wait.ts";
import type { DatabaseFault } from "../../src/adapters/postgres-fault.ts";
import { formatInstant, instant } from "../../src/observer/instant.ts";
import type { SaveOutcome } from "../../src/observer/ports.ts";
import { deadline } from "./engine-support.ts";
import { emptiedWorld } from "./store-postgres-world.ts";
import {
  type Database,
  type DatabaseSettings,
  held,
  holdOpen,
  id,
  loadAll,
  type StoreWorld,
  write,
} from "./store-support.ts";

export interface PostgresRoute {
  /** A database that all tests share. */
  readonly shared: () => Database;
  /** A database of the test's own. */
  readonly open: (settings: DatabaseSettings) => Promise<Database>;
}

export function postgresLocksContract(name: string, { shared, open }: PostgresRoute): void {
  const inWorld = (run: (world: StoreWorld, database: Database) => Promise<void>) => async () => {
    await run(await emptiedWorld(shared()), shared());
  };
  const lead = (world: StoreWorld) => held(world.leadership("a"), deadline());
  const fault = async (work: Promise<unknown>): Promise<DatabaseFault> => {
    const outcome = await work.then(
      () => new Error("it succeeded"),
      (cause: unknown) => cause,
    );
    expect(outcome).toMatchObject({ name: "DatabaseFault" });
    return outcome as DatabaseFault;
  };
  /** Resolves once a session of ours waits for a lock. */
  const waiting = ({ beside, name: datname }: Database) =>
    waitFor("a statement of ours to wait for a lock", 10_000, async () => {
      const [row] = await beside<{ n: number }[]>`
        select count(*)::int as n from pg_stat_activity
         where datname = ${datname} and wait_event_type = 'Lock' and query like '%observer_lease%'`;
      return (row?.n ?? 0) > 0;
    });
  /** Lets `save` wait at the lease's row, with its snapshot taken, while `meanwhile` runs. */
  async function whileSaving(
    database: Database,
    save: () => Promise<SaveOutcome>,
    meanwhile: () => Promise<unknown>,
  ): Promise<SaveOutcome> {
    const letGo = await holdOpen(database.session(), (tx) => tx`select from observer_lease for update`);
    const saving = save();
    saving.catch(() => {});
    try {
      await waiting(database);
      await meanwhile();
    } finally {
      await letGo();
    }
    return await saving;
  }

  describe(`locks and races on ${name}`, () => {
    test(
      "P11: a lock on the whole table fails the write within the lock time-out, and nothing is written",
      inWorld(async (world, database) => {
        await world.add({ id: "w" });
        const lease = await lead(world);
        const letGo = await holdOpen(
          database.session(),
          (tx) => tx`lock table workspaces in access exclusive mode`,
        );
        const startedMs = performance.now();
        const refused = await fault(world.store.save(lease, [write("w", { set: { a: 1 } })], deadline()));
        expect(refused.message).toBe(
          'Cannot write conditions: PostgreSQL answered 55P03 "canceling statement due to lock timeout"; ' +
            "a lock is held by somebody else; look for it in pg_locks",
        );
        expect(refused.fatal).toBe(false);
        // The client's own deadline is far away.
        expect(performance.now() - startedMs).toBeLessThan(4_500);
        await fault(loadAll(world.store));
        await letGo();
        expect((await world.stored("w"))?.conditions).toEqual({});
        expect(await loadAll(world.store)).toHaveLength(1);
      }),
      20_000,
    );

    test(
      "a lease's row that somebody holds locked fails the write within the lock time-out; who stands by locks nothing",
      inWorld(async (world, database) => {
        await world.add({ id: "w" });
        const lease = await lead(world);
        const letGo = await holdOpen(database.session(), (tx) => tx`select from observer_lease for update`);
        expect((await fault(world.store.save(lease, [write("w")], deadline()))).code).toBe("55P03");
        expect(await world.leadership("b").acquire(deadline())).toMatchObject({
          kind: "standby",
          holder: "a",
        });
        await letGo();
        expect((await world.store.save(lease, [write("w")], deadline())).kind).toBe("saved");
      }),
      20_000,
    );

    test(
      "P3: a take-over that commits while save() waits for it wins, one that is rolled back doesn't",
      inWorld(async (world, database) => {
        await world.add({ id: "w" });
        const lease = await lead(world);
        const writes = [write("w", { set: { mark: 1 } })];
        const takeOver = (end: (sql: Database["beside"]) => Promise<unknown>) =>
          whileTakenOver(database, () => world.store.save(lease, writes, deadline()), end);
        expect(await takeOver((sql) => sql`rollback`)).toMatchObject({ kind: "saved" });
        await world.edit("w", { conditions: {} });
        expect(await takeOver((sql) => sql`commit`)).toEqual({ kind: "lease-lost" });
        expect((await world.stored("w"))?.conditions).toEqual({});
      }),
    );

    async function whileTakenOver(
      database: Database,
      save: () => Promise<SaveOutcome>,
      end: (sql: Database["beside"]) => Promise<unknown>,
    ): Promise<SaveOutcome> {
      const other = database.session();
      await other.unsafe("begin; update observer_lease set holder = 'b', epoch = epoch + 1");
      const saving = save();
      saving.catch(() => {});
      await waiting(database);
      await end(other);
      return await saving;
    }

    test(
      "P3: the fence is checked on the row's latest version, not on the one that save() first saw",
      inWorld(async (world, database) => {
        const lease = await lead(world);
        const now = await world.leadership("a").now(deadline());
        const [older, newer] = [
          formatInstant(instant(now - 2_000_000)),
          formatInstant(instant(now - 1_000_000)),
        ];
        await world.add({ id: "raced" }, { id: "w" });
        const writes = ["raced", "w"].map((row) =>
          write(row, { set: { mark: 1 }, observed: { containers: older } }),
        );
        const outcome = await whileSaving(
          database,
          () => world.store.save(lease, writes, deadline()),
          () => world.edit("raced", { conditions: { observed: { containers: newer } } }),
        );
        expect(outcome).toEqual({
          kind: "saved",
          written: new Set([id("w")]),
          skipped: [],
          fenced: [id("raced")],
        });
        expect((await world.stored("raced"))?.conditions).toEqual({ observed: { containers: newer } });
      }),
    );

    test(
      "P4: what the WC commits to a row while it is being saved isn't lost, nor is a key of somebody else's",
      inWorld(async (world, database) => {
        await world.add({ id: "w" });
        const lease = await lead(world);
        const outcome = await whileSaving(
          database,
          () => world.store.save(lease, [write("w", { set: { mark: 1 } })], deadline()),
          () => database.beside`
            update workspaces set phase = 'RUNNING', error_count = 7, conditions = '{"foreign": true}' where id = 'w'`,
        );
        expect(outcome).toMatchObject({ written: new Set([id("w")]) });
        const [row] = await database.beside`select phase, error_count, conditions from workspaces`;
        expect(row).toEqual({
          phase: "RUNNING",
          error_count: 7,
          conditions: { foreign: true, mark: 1, observed: {} },
        });
      }),
    );

    test(
      "rows that are deleted, or get another id, while they are being saved are skipped",
      inWorld(async (world, database) => {
        await world.add({ id: "deleted" }, { id: "renamed" }, { id: "w" });
        const lease = await lead(world);
        const writes = ["deleted", "renamed", "w"].map((row) => write(row, { set: { mark: 1 } }));
        const outcome = await whileSaving(
          database,
          () => world.store.save(lease, writes, deadline()),
          () =>
            database.beside.unsafe(
              "delete from workspaces where id = 'deleted'; update workspaces set id = 'other' where id = 'renamed'",
            ),
        );
        expect(outcome).toEqual({
          kind: "saved",
          written: new Set([id("w")]),
          skipped: expect.arrayContaining(["deleted", "renamed"]) as never,
          fenced: [],
        });
        expect((await world.stored("other"))?.conditions).toEqual({});
      }),
    );

    test(
      "P4: a WC that writes the same rows all the time loses nothing, and its rows get written",
      inWorld(async (world, database) => {
        const rows = Array.from({ length: 20 }, (_, n) => `w${n}`);
        await world.add(...rows.map((row) => ({ id: row })));
        const lease = await lead(world);
        let done = false;
        const controller = (async () => {
          let turns = 0;
          for (; !done; turns++) await database.beside`update workspaces set error_count = error_count + 1`;
          return turns;
        })();
        const marks = new Map<string, number>();
        for (let turn = 1; turn <= 40; turn++) {
          const writes = rows.map((row) => write(row, { set: { mark: turn } }));
          const outcome = await world.store.save(lease, writes, deadline());
          if (outcome.kind !== "saved") throw new Error("the lease was lost");
          expect(outcome.written.size + outcome.skipped.length).toBe(rows.length);
          for (const row of outcome.written) marks.set(row, turn);
        }
        done = true;
        const turns = await controller;
        const stored = await database.beside<{ id: string; error_count: number; mark: number }[]>`
          select id, error_count, (conditions -> 'mark')::int as mark from workspaces`;
        expect(stored.every(({ error_count }) => error_count === turns)).toBe(true);
        for (const row of stored) expect(row.mark).toBe(marks.get(row.id)!);
      }),
      30_000,
    );

    test(
      "of many who ask for a lease that nobody ever had, one gets it and the others are told whose it is",
      inWorld(async (world, database) => {
        for (let round = 0; round < 15; round++) {
          await database.beside`truncate observer_lease`;
          const answers = await Promise.all(
            ["a", "b"].map((holder) => world.leadership(holder).acquire(deadline())),
          );
          const holders = answers.map((answer) =>
            answer.kind === "held" ? answer.lease.holder : answer.holder,
          );
          expect(answers.map(({ kind }) => kind).sort()).toEqual(["held", "standby"]);
          expect(new Set(holders).size).toBe(1);
        }
      }),
    );

    test(
      "P3: an epoch never comes again, even after the lease's row was deleted",
      inWorld(async (world, database) => {
        await world.add({ id: "w" });
        const lost = await lead(world);
        await database.beside`delete from observer_lease`;
        const writes = [write("w", { set: { mark: 1 } })];
        expect(await world.store.save(lost, writes, deadline())).toEqual({ kind: "lease-lost" });
        const lease = await held(world.leadership("b"), deadline());
        expect(BigInt(lease.epoch)).toBeGreaterThan(BigInt(lost.epoch));
        expect(await world.store.save(lost, writes, deadline())).toEqual({ kind: "lease-lost" });
        expect(await world.leadership("a").renew(lost, deadline())).toMatchObject({ kind: "standby" });
        await world.leadership("a").release(lost, deadline());
        expect(await world.store.save(lease, writes, deadline())).toMatchObject({ kind: "saved" });
      }),
    );

    test(
      "P3: nor on a promoted standby that never heard of the last one",
      inWorld(async (world, database) => {
        const first = await lead(world);
        await world.leadership("a").release(first, deadline());
        const lost = await held(world.leadership("a"), deadline());
        // What the standby has: the commit of that lease did not reach it.
        await database.beside`
          update observer_lease set epoch = ${first.epoch}::bigint, expires_at = clock_timestamp()`;
        const lease = await held(world.leadership("b"), deadline());
        expect(BigInt(lease.epoch)).toBeGreaterThan(BigInt(lost.epoch));
        expect(await world.leadership("a").renew(lost, deadline())).toMatchObject({ kind: "standby" });
      }),
    );

    test("the role's defaults don't matter: serializable, no time-outs, another time zone and date style", async () => {
      const database = await open({});
      try {
        await database.beside.unsafe(`
          alter database ${database.name} set default_transaction_isolation = 'serializable';
          alter database ${database.name} set timezone = 'Asia/Kathmandu';
          alter database ${database.name} set datestyle = 'German';
          alter database ${database.name} set statement_timeout = 0`);
        const lease = await held(database.leadership("a"), deadline());
        const now = await database.leadership("a").now(deadline());
        expect(Math.abs(now / 1000 - Date.now())).toBeLessThan(60_000);
        await database.beside`insert into workspaces (id) values ('w')`;
        const outcome = await whileSaving(
          database,
          () => database.store.save(lease, [write("w", { set: { mark: 1 }, observedAt: now })], deadline()),
          () => database.beside`update workspaces set phase = 'RUNNING'`,
        );
        expect(outcome).toMatchObject({ kind: "saved", written: new Set([id("w")]) });
        expect((await loadAll(database.store))[0]?.observedAt).toBe(now);
      } finally {
        await database.close();
      }
    });
  });
}
