// Goal: a host of a fleet reads the rows of what it sees and those that name it, no others, and of these all that changes.
// Method: part of the suite of store.ts; the table is changed beside the store, and a host's readings are held against
// what it would have read if it had known nothing.
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/observer/conditions.ts";
import type { OwnRows, RowsRead, WorkspaceRow } from "../../src/observer/ports.ts";
import { deadline } from "./engine-support.ts";
import { byId, id, type StoreWorld, taken } from "./store-support.ts";

const of = (host: string | null): JsonObject => ({ running: true, ...(host === null ? {} : { host }) });

const ROWS = [
  { id: "seen" },
  { id: "mine", conditions: { container: of("a"), volume: null } },
  { id: "my volume", conditions: { container: of("b"), volume: of("a") } },
  { id: "nobody's", conditions: { container: of(null) } },
  { id: "no text", conditions: { volume: { exists: true, host: 1 } } },
  { id: "other's", conditions: { container: of("b"), volume: of("b") } },
  { id: "unobserved" },
  { id: "deleted", deleted: true, conditions: { container: null, host: "a" } },
];

export function ownRowsContract(
  name: string,
  inWorld: (run: (world: StoreWorld) => Promise<void>) => () => Promise<void>,
): void {
  const own = (seen: readonly string[], known: Iterable<string> = []): OwnRows => ({
    host: "a",
    seen: seen.map(id),
    known: [...known].map(id),
  });
  const load = (world: StoreWorld, since: RowsRead | null, ...of: Parameters<typeof own>) =>
    world.store.load(since?.cursor ?? null, deadline(), undefined, own(...of));

  /** Reads as a host that sees `seen`, lets the table change, reads again as one that sees `then`. */
  async function changed(
    world: StoreWorld,
    change: () => Promise<unknown>,
    seen: readonly string[] = ["seen"],
    then: readonly string[] = seen,
  ): Promise<{ read: RowsRead; held: ReadonlyMap<string, WorkspaceRow> }> {
    await world.add(...ROWS);
    const first = await load(world, null, seen);
    const before = taken(new Map(), first);
    await change();
    const read = await load(world, first, then, before.keys());
    const held = taken(before, read);
    const afresh = taken(new Map(), await load(world, null, [...then, ...before.keys()]));
    expect(byId(held.values())).toEqual(byId(afresh.values()));
    return { read, held };
  }

  describe(`ConditionsStore.load() of a host's own rows, on ${name}`, () => {
    test(
      "it reads what the host sees, what names it, and what names nobody",
      inWorld(async (world) => {
        await world.add(...ROWS);
        const { all, rows } = await load(world, null, ["seen", "a stranger"]);
        const expected = ["mine", "my volume", "no text", "nobody's", "seen"];
        expect([...all!].map(String).sort()).toEqual(expected);
        expect(rows.map((row) => String(row.id)).sort()).toEqual(expected);
      }),
    );

    const cases: readonly [string, (world: StoreWorld) => Promise<unknown>, string[], string[]][] = [
      ["nothing", async () => {}, [], []],
      ["an edited document", (world) => world.edit("mine", { conditions: {} }), ["mine"], []],
      ["an operation", (world) => world.edit("seen", { operation: "STARTING" }), ["seen"], []],
      ["nothing of other hosts' rows", (world) => world.edit("other's", { operation: "STARTING" }), [], []],
      ["a row deleted that shows nothing", (world) => world.edit("seen", { deleted: true }), [], ["seen"]],
      ["a row that is gone", (world) => world.remove("mine"), [], ["mine"]],
      [
        "a row that is gone, and another changed",
        async (world) => {
          await world.remove("mine");
          await world.edit("seen", { operation: "STARTING" });
        },
        ["seen"],
        ["mine"],
      ],
      [
        "a row that went and came again",
        async (world) => {
          await world.remove("mine");
          await world.add({ id: "mine" });
        },
        ["mine"],
        [],
      ],
    ];
    for (const [what, change, rows, gone] of cases)
      test(
        `since a cursor it tells ${what}`,
        inWorld(async (world) => {
          const { read } = await changed(world, () => change(world));
          expect(read.all).toBeNull();
          expect(read.rows.map((row) => String(row.id))).toEqual(rows);
          expect(read.gone.map(String)).toEqual(gone);
        }),
      );

    test(
      "what is newly seen is told, however long it has been there unchanged",
      inWorld(async (world) => {
        const { read } = await changed(world, async () => {}, ["seen"], ["seen", "unobserved", "other's"]);
        expect(read.rows.map((row) => String(row.id)).sort()).toEqual(["other's", "unobserved"]);
      }),
    );

    test(
      "what is seen without a row is told as soon as it has one",
      inWorld(async (world) => {
        const { held } = await changed(world, () => world.add({ id: "late" }), ["seen", "late"]);
        expect([...held.keys()]).toContain("late");
      }),
    );

    test(
      "who sees nothing, and knows nothing, reads nothing",
      inWorld(async (world) => {
        await world.add({ id: "other's", conditions: { container: of("b") } });
        const first = await load(world, null, []);
        expect(first).toMatchObject({ all: new Set(), rows: [] });
        expect(await load(world, first, [])).toMatchObject({ all: null, rows: [], gone: [] });
      }),
    );
  });
}
