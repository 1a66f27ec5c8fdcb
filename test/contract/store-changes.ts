// Goal: a reading since a cursor tells all that changed, whoever changed it and however, and whatever was read between.
// Method: part of the suite of store.ts; the table is changed beside the store, and the changes are applied to what the
// whole reading had: it must come out as another whole reading does.
import { describe, expect, test } from "bun:test";
import type { RowsRead, WorkspaceRow } from "../../src/observer/ports.ts";
import { deadline } from "./engine-support.ts";
import { byId, held, id, loadAll, type StoreWorld, taken, write } from "./store-support.ts";

const SHOWN = { container: { running: true } };

export function changesContract(
  name: string,
  inWorld: (run: (world: StoreWorld) => Promise<void>) => () => Promise<void>,
): void {
  /** Reads all, lets it change, reads what changed. */
  async function changed(world: StoreWorld, change: () => Promise<unknown>): Promise<RowsRead> {
    const first = await world.store.load(null, deadline());
    expect(first.all).not.toBeNull();
    await change();
    const second = await world.store.load(first.cursor, deadline());
    const held = taken(taken(new Map(), first), second);
    expect(byId(held.values())).toEqual(byId(await loadAll(world.store)));
    // And then nothing is new.
    const third = await world.store.load(second.cursor, deadline());
    expect(byId(taken(held, third).values())).toEqual(byId(held.values()));
    return second;
  }

  describe(`ConditionsStore.load() since a cursor, on ${name}`, () => {
    const cases: readonly [
      string,
      (world: StoreWorld) => Promise<unknown>,
      readonly string[],
      readonly string[],
    ][] = [
      ["nothing", async () => {}, [], []],
      ["a new row", (world) => world.add({ id: "new" }), ["new"], []],
      ["an edited document", (world) => world.edit("a", { conditions: {} }), ["a"], []],
      ["an operation", (world) => world.edit("a", { operation: "STARTING" }), ["a"], []],
      ["a row deleted that still shows a resource", (world) => world.edit("a", { deleted: true }), ["a"], []],
      ["a row deleted that shows none", (world) => world.edit("b", { deleted: true }), [], ["b"]],
      [
        "a deleted row whose last resource went",
        async (world) => {
          await world.edit("a", { deleted: true });
          await world.edit("a", { conditions: { container: null } });
        },
        [],
        ["a"],
      ],
    ];
    for (const [what, change, rows, gone] of cases) {
      test(
        `it tells ${what}, and nothing else`,
        inWorld(async (world) => {
          await world.add({ id: "a", conditions: SHOWN }, { id: "b" }, { id: "c" });
          const read = await changed(world, () => change(world));
          expect(read.all).toBeNull();
          expect(read.rows.map((row) => row.id as string)).toEqual([...rows]);
          expect(read.gone.map(String)).toEqual([...gone]);
        }),
      );
    }

    test(
      "it tells what was written here",
      inWorld(async (world) => {
        await world.add({ id: "a" }, { id: "b" });
        const lease = await held(world.leadership("x"), deadline());
        const read = await changed(world, () =>
          world.store.save(lease, [write("a", { set: { container: null } })], deadline()),
        );
        expect(read.rows.map(({ conditions }) => conditions.container)).toEqual([null]);
      }),
    );

    test(
      "a row that is gone for good is missed, also where another one came",
      inWorld(async (world) => {
        await world.add({ id: "a" }, { id: "b" });
        await changed(world, () => world.remove("a"));
        await changed(world, async () => {
          await world.remove("b");
          await world.add({ id: "c" });
        });
        await changed(world, async () => {
          await world.add({ id: "d" });
          await world.remove("d");
        });
        expect((await loadAll(world.store)).map(({ id: one }) => String(one))).toEqual(["c"]);
      }),
    );

    test(
      "more changes than fit into a page of rows",
      inWorld(async (world) => {
        const rows = Array.from({ length: 5_001 }, (_, i) => ({ id: `w${i}` }));
        await changed(world, async () => {
          await world.add(...rows);
          await world.edit("w1", { deleted: true });
        });
      }),
    );

    test(
      "of a whole reading the rows that are known as they are need not be told, and are there all the same",
      inWorld(async (world) => {
        await world.add({ id: "a" }, { id: "b" });
        const reader = { isKnown: (row: WorkspaceRow) => row.id === "a", onPage: () => {} };
        const read = await world.store.load(null, deadline(), reader);
        expect([...read.all!].sort()).toEqual([id("a"), id("b")]);
        expect(read.rows.map((row) => String(row.id))).toEqual(["b"]);
      }),
    );

    test(
      "an old cursor still tells all that changed since",
      inWorld(async (world) => {
        await world.add({ id: "a" }, { id: "b" });
        const first = await world.store.load(null, deadline());
        await world.edit("a", { operation: "STARTING" });
        await world.store.load(first.cursor, deadline());
        await world.add({ id: "c" });
        const late = await world.store.load(first.cursor, deadline());
        expect(byId(taken(taken(new Map(), first), late).values())).toEqual(byId(await loadAll(world.store)));
      }),
    );

    test(
      "loadOnly() reads the rows that are named and to be observed",
      inWorld(async (world) => {
        await world.add({ id: "a" }, { id: "b" }, { id: "c", deleted: true }, { id: 'it\'s \\ "x"' });
        const rows = await world.store.loadOnly(new Set(["a", "c", "d", 'it\'s \\ "x"'].map(id)), deadline());
        expect(rows.map(({ id: one }) => String(one))).toContain("a");
        expect(rows.map(({ id: one }) => String(one))).not.toContain("b");
        expect(rows.map(({ id: one }) => String(one))).not.toContain("c");
        expect(await world.store.loadOnly(new Set(), deadline())).toEqual([]);
      }),
    );

    test(
      "confirm() tells whether the lease is ours, and leaves its end where it is",
      inWorld(async (world) => {
        const leadership = world.leadership("a");
        const lease = await held(leadership, deadline());
        await world.leaseEndsInMs(1_000);
        expect(await leadership.confirm(lease, deadline())).toMatchObject({ kind: "held", lease });
        expect(await world.leaseLeftMs()).toBeLessThanOrEqual(1_000);
        await leadership.release(lease, deadline());
        await held(world.leadership("b"), deadline());
        expect(await leadership.confirm(lease, deadline())).toMatchObject({ kind: "standby" });
      }),
    );
  });
}
