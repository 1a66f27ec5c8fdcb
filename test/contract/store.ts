// Goal: what every ConditionsStore and Leadership promises, whatever the database.
// Method: one suite, run on PostgreSQL by store-postgres.test.ts and on the simulation's fake by
// store-simulated.test.ts. Rows are made, edited, locked and read beside the store; each test has a world of its own.
// What only a real database can do (odd column types, lock modes, snapshots) is in store-postgres-locks.ts and store-postgres-columns.ts.
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/observer/conditions.ts";
import { formatInstant, type Instant, instant } from "../../src/observer/instant.ts";
import { limits } from "../../src/observer/limits.ts";
import type { Lease, RowWrite } from "../../src/observer/ports.ts";
import { deadline } from "./engine-support.ts";
import { changesContract } from "./store-changes.ts";
import { fleetContract } from "./store-fleet.ts";
import { leadershipContract } from "./store-leadership.ts";
import { ownRowsContract } from "./store-own-rows.ts";
import { id, loadAll, type StoreWorld, write } from "./store-support.ts";
import { transitionsContract } from "./store-transitions.ts";

/** A world in which `a` leads. */
interface Led extends StoreWorld {
  readonly lease: Lease;
  readonly now: Instant;
  save(...writes: readonly RowWrite[]): ReturnType<StoreWorld["store"]["save"]>;
}

export function storeContract(name: string, open: () => Promise<StoreWorld>): void {
  const inWorld = (run: (world: StoreWorld) => Promise<void>) => async () => {
    const world = await open();
    try {
      await run(world);
    } finally {
      await world.close();
    }
  };
  const led = (run: (world: Led) => Promise<void>) =>
    inWorld(async (world) => {
      const answer = await world.leadership("a").acquire(deadline());
      if (answer.kind !== "held") throw new Error("the lease of a fresh world is not free");
      const { lease, now } = answer;
      const save: Led["save"] = (...writes) => world.store.save(lease, writes, deadline());
      await run({ ...world, lease, now, save });
    });
  const at = (now: Instant, ms: number): string => formatInstant(instant(now + ms * 1000));
  const saved = (
    written: readonly string[],
    skipped: readonly string[] = [],
    fenced: readonly string[] = [],
  ) => ({
    kind: "saved" as const,
    written: new Set(written.map(id)),
    skipped: skipped.map(id),
    fenced: fenced.map(id),
  });

  describe(`ConditionsStore on ${name}`, () => {
    const loaded = async (world: StoreWorld) =>
      new Map((await loadAll(world.store)).map((row) => [row.id as string, row]));

    test(
      "load() of an empty table has no rows",
      inWorld(async (world) => {
        expect(await loadAll(world.store)).toEqual([]);
      }),
    );

    test(
      "load() shows a row as it is: never observed, in flight, as stored",
      led(async (world) => {
        const conditions = { container: null, foreign: { a: [1, "2", null] } };
        await world.add({ id: "new" }, { id: "busy", operation: "STARTING" }, { id: "old", conditions });
        await world.save(write("old", { observedAt: world.now }));
        const rows = await loaded(world);
        expect([...rows.keys()].sort()).toEqual(["busy", "new", "old"]);
        const fresh = { operationInFlight: false, deleted: false, conditions: {}, observedAt: null };
        expect(rows.get("new")).toEqual({ id: id("new"), ...fresh });
        expect(rows.get("busy")).toEqual({ id: id("busy"), ...fresh, operationInFlight: true });
        expect(rows.get("old")).toEqual({
          id: id("old"),
          ...fresh,
          conditions: { ...conditions, observed: {} },
          observedAt: world.now,
        });
      }),
    );

    test(
      "load() shows deleted rows as long as they show a resource, and never again after that",
      led(async (world) => {
        const some: JsonObject = { exists: true };
        const rows = { container: some, volume: some, archive: some };
        for (const [key, value] of Object.entries(rows)) {
          await world.add({ id: key, deleted: true, conditions: { [key]: value } });
        }
        await world.add(
          { id: "never-observed", deleted: true },
          { id: "all-gone", deleted: true, conditions: { container: null, volume: null, archive: null } },
          { id: "two-gone", deleted: true, conditions: { container: null, volume: null, archive: some } },
        );
        const before = await loaded(world);
        expect([...before.keys()].sort()).toEqual(["archive", "container", "two-gone", "volume"]);
        expect([...before.values()].every(({ deleted }) => deleted)).toBe(true);
        await world.save(write("volume", { set: { volume: null } }));
        expect([...(await loaded(world)).keys()]).not.toContain("volume");
        await world.edit("volume", { deleted: false });
        expect([...(await loaded(world)).keys()]).toContain("volume");
      }),
    );

    const oddIds = [
      "it's",
      `"double" and \\back\\slash`,
      "-home",
      "a-home-home",
      "%s $1 $x ; drop table workspaces; --",
      "ünïcödé 🦊 漢字",
      " spaces ",
      "x".repeat(500),
      "null",
      "0",
    ];
    test(
      "odd ids are loaded and saved like any other",
      led(async (world) => {
        await world.add(...oddIds.map((odd) => ({ id: odd })));
        expect([...(await loaded(world)).keys()].sort()).toEqual([...oddIds].sort());
        const outcome = await world.save(...oddIds.map((odd) => write(odd, { set: { mark: odd } })));
        expect(outcome).toEqual(saved(oddIds));
        for (const odd of oddIds) {
          expect((await world.stored(odd))?.conditions).toEqual({ mark: odd, observed: {} });
        }
      }),
    );

    test(
      "save() merges key by key: what it doesn't name stays, null is stored as null",
      led(async (world) => {
        const { now } = world;
        await world.add({
          id: "w",
          conditions: {
            container: { running: true },
            volume: { exists: true },
            foreign: [1],
            observed: { archives: at(now, -9_000), foreign: "x" },
          },
        });
        const outcome = await world.save(
          write("w", {
            set: { container: null, volume: { exists: true, message: "volume “ws-w” 🦊\u2028\\ \"'" } },
            observed: { containers: at(now, 0), volumes: at(now, 0) },
            observedAt: instant(now - 9_000_000),
          }),
        );
        expect(outcome).toEqual(saved(["w"]));
        expect(await world.stored("w")).toEqual({
          conditions: {
            container: null,
            volume: { exists: true, message: "volume “ws-w” 🦊\u2028\\ \"'" },
            foreign: [1],
            observed: {
              archives: at(now, -9_000),
              foreign: "x",
              containers: at(now, 0),
              volumes: at(now, 0),
            },
          },
          observedAt: instant(now - 9_000_000),
        });
        await world.save(write("w", { observedAt: null }));
        expect((await world.stored("w"))?.observedAt).toBeNull();
      }),
    );

    test(
      "save() drops keys from the conditions and from the stamps",
      led(async (world) => {
        const { now } = world;
        const stamp = at(now, 0);
        await world.add({
          id: "w",
          conditions: {
            archive: { exists: true },
            kept: 1,
            observed: { archives: stamp, containers: stamp },
          },
        });
        await world.save(write("w", { drop: ["archive", "archives", "unknown"], set: { added: 2 } }));
        expect((await world.stored("w"))?.conditions).toEqual({
          kept: 1,
          added: 2,
          observed: { containers: stamp },
        });
      }),
    );

    test(
      "save() of rows that are gone writes the others, and inserts nothing",
      led(async (world) => {
        await world.add({ id: "there" }, { id: "deleted-in-between" });
        await world.remove("deleted-in-between");
        const outcome = await world.save(write("never"), write("there"), write("deleted-in-between"));
        expect(outcome).toEqual({
          ...saved(["there"]),
          skipped: expect.arrayContaining(["never", "deleted-in-between"]),
        } as never);
        expect(await world.stored("never")).toBeUndefined();
        expect(await world.stored("deleted-in-between")).toBeUndefined();
      }),
    );

    test(
      "save() of nothing renews the lease and says so",
      led(async (world) => {
        await world.leaseEndsInMs(1_000);
        expect(await world.save()).toEqual(saved([]));
        expect(await world.leaseLeftMs()).toBeGreaterThan(limits.leaseMs / 2);
      }),
    );

    test(
      "P3: an older stamp of any source is refused, an equal or newer one accepted",
      led(async (world) => {
        const { now } = world;
        const observed = { containers: at(now, -1_000), archives: at(now, -5_000) };
        const ids = ["older", "equal", "newer", "other-source", "one-older"];
        await world.add(...ids.map((name) => ({ id: name, conditions: { observed } })));
        const outcome = await world.save(
          write("older", { set: { mark: 1 }, observed: { containers: at(now, -1_000.001) } }),
          write("equal", { set: { mark: 1 }, observed: { containers: at(now, -1_000) } }),
          write("newer", { set: { mark: 1 }, observed: { containers: at(now, -999.999) } }),
          write("other-source", { set: { mark: 1 }, observed: { archives: at(now, -4_000) } }),
          write("one-older", {
            set: { mark: 1 },
            observed: { containers: at(now, 0), archives: at(now, -6_000) },
          }),
        );
        expect(outcome).toEqual({
          ...saved(["equal", "newer", "other-source"]),
          fenced: expect.arrayContaining(["older", "one-older"]),
        } as never);
        for (const name of ["older", "one-older"]) {
          expect(await world.stored(name)).toEqual({ conditions: { observed }, observedAt: null });
        }
        expect((await world.stored("newer"))?.conditions).toMatchObject({ mark: 1 });
      }),
    );

    test(
      "P3: a stamp in the database's future doesn't block",
      led(async (world) => {
        const { now } = world;
        await world.add({ id: "w", conditions: { observed: { containers: at(now, 3_600_000) } } });
        expect(await world.save(write("w", { observed: { containers: at(now, 0) } }))).toEqual(saved(["w"]));
        expect((await world.stored("w"))?.conditions).toEqual({ observed: { containers: at(now, 0) } });
      }),
    );

    test(
      "P3: garbage for a stamp blocks neither its row nor the batch, and is replaced",
      led(async (world) => {
        const { now } = world;
        const garbage: JsonObject[string][] = [
          "",
          "soon",
          "2026-13-45T99:99",
          "zzz",
          7,
          null,
          true,
          [],
          { a: 1 },
        ];
        const rows = garbage.map((stamp, n) => ({
          id: `w${n}`,
          conditions: { observed: { containers: stamp } },
        }));
        await world.add(...rows, { id: "fine" });
        const ids = [...rows.map((row) => row.id), "fine"];
        const fresh = { observed: { containers: at(now, 0) } };
        expect(await world.save(...ids.map((name) => write(name, fresh)))).toEqual(saved(ids));
        for (const name of ids) expect((await world.stored(name))?.conditions).toEqual(fresh);
      }),
    );

    test(
      "P11: a row that somebody holds locked is skipped at once, the others are written; later it is written too",
      led(async (world) => {
        await world.add({ id: "a" }, { id: "locked" }, { id: "z" });
        const unlock = await world.lock("locked");
        const writes = ["a", "locked", "z"].map((name) => write(name, { set: { mark: 1 } }));
        expect(await world.save(...writes)).toEqual(saved(["a", "z"], ["locked"]));
        expect((await world.stored("locked"))?.conditions).toEqual({});
        await unlock();
        expect(await world.save(...writes)).toEqual(saved(["a", "locked", "z"]));
      }),
    );

    test(
      "6,000 rows in two batches",
      led(async (world) => {
        const ids = Array.from({ length: 6_000 }, (_, n) => `w${n}`);
        await world.add(...ids.map((name) => ({ id: name })));
        for (let start = 0; start < ids.length; start += limits.rowsPerStatement) {
          const batch = ids.slice(start, start + limits.rowsPerStatement);
          const outcome = await world.save(...batch.map((name) => write(name, { set: { mark: name } })));
          expect(outcome).toEqual(saved(batch));
        }
        const rows = await loadAll(world.store);
        expect(rows.filter((row) => row.conditions.mark === row.id)).toHaveLength(6_000);
      }),
    );

    test(
      "P12: load() and save() with a signal that has fired reject with its reason",
      led(async (world) => {
        const fired = AbortSignal.abort(new Error("enough"));
        expect(world.store.load(null, fired)).rejects.toThrow();
        expect(world.store.save(world.lease, [], fired)).rejects.toThrow();
        expect(await world.save()).toEqual(saved([]));
      }),
    );
  });

  changesContract(name, inWorld);
  fleetContract(name, inWorld);
  ownRowsContract(name, inWorld);
  leadershipContract(name, inWorld);
  transitionsContract(name, inWorld);
}
