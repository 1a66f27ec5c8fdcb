// Roster: the workspaces for who looks. Goal: pages are in order and whole, filters and counts say what the rows say, what
// changes is seen, and a hundred thousand rows hold nobody up. Method: rows by hand in a mirror of their own.
import { afterEach, describe, expect, test } from "bun:test";
import { addMs } from "../../src/observer/instant.ts";
import type { ObserverView } from "../../src/observer/view.ts";
import { ROWS_PER_PAGE, Roster, type RosterQuery } from "../../src/status/roster.ts";
import { leaderView, stamp } from "./status-fixtures.ts";
import { exited, look, pageOf, Rows, row } from "./status-page-fixtures.ts";

const all: RosterQuery = { q: "", state: "all", page: 1 };
const rosters: Roster[] = [];
let nowMs = 0;
afterEach(() => {
  for (const roster of rosters.splice(0)) roster.forget();
});

function rosterOf(rows: Rows | null, view: () => ObserverView = () => leaderView()) {
  const roster = new Roster({ rows: () => rows, view, staleAfterMs: 45_000, nowMs: () => nowMs });
  rosters.push(roster);
  return roster;
}
const idsOf = async (roster: Roster, query: Partial<RosterQuery>) =>
  (await roster.page({ ...all, ...query }))!.entries.map(({ id }) => id as string);

const some = () =>
  new Rows([
    row("b-running"),
    row("a-stopped", { conditions: { container: { ...exited, container_id: "77aa00000000" } } }),
    row("C-absent", { conditions: { container: null } }),
    row("d-new", { conditions: {}, observedAt: null }),
    row("e-stale", { observedAt: addMs(stamp, -46_000) }),
    row("f-fresh-enough", { observedAt: addMs(stamp, -43_000) }),
  ]);

describe("page()", () => {
  test("is null where no rows are kept", async () => {
    expect(await rosterOf(null).page(all)).toBeNull();
  });

  test("is in order of ids, whatever order they were read in", async () => {
    expect(await idsOf(rosterOf(some()), {})).toEqual([
      "C-absent",
      "a-stopped",
      "b-running",
      "d-new",
      "e-stale",
      "f-fresh-enough",
    ]);
  });

  test("filters by state, and counts all states whatever is asked for", async () => {
    const view = () =>
      leaderView({
        held: { container: ["b-running"], volume: ["b-running"], archive: [] },
        orphans: { container: ["z"], volume: [], archive: ["y", "z"] },
      });
    const roster = rosterOf(some(), view);
    expect(await idsOf(roster, { state: "running" })).toEqual(["b-running", "e-stale", "f-fresh-enough"]);
    expect(await idsOf(roster, { state: "stopped" })).toEqual(["a-stopped"]);
    expect(await idsOf(roster, { state: "absent" })).toEqual(["C-absent"]);
    expect(await idsOf(roster, { state: "stale" })).toEqual(["d-new", "e-stale"]);
    expect(await idsOf(roster, { state: "held" })).toEqual(["b-running"]);
    expect(await idsOf(roster, { state: "orphan" })).toEqual(["y", "z"]);
    const { counts, entries } = (await roster.page({ ...all, q: "z", state: "orphan" }))!;
    expect(counts).toEqual({ all: 6, running: 3, stopped: 1, absent: 1, stale: 2, held: 1, orphan: 2 });
    expect(entries).toEqual([
      { id: "z" as never, row: null, isStale: false, held: [], orphan: ["container", "archive"] },
    ]);
  });

  test("searches in ids whatever the case, and for the beginning of a container's id", async () => {
    const roster = rosterOf(some());
    expect(await idsOf(roster, { q: "c-ABS" })).toEqual(["C-absent"]);
    expect(await idsOf(roster, { q: "77AA" })).toEqual(["a-stopped"]);
    expect(await idsOf(roster, { q: "7aa" })).toEqual([]);
    expect(await idsOf(roster, { q: "e", state: "stopped" })).toEqual(["a-stopped"]);
  });

  test("pages hold each row once; one beyond the last is the last", async () => {
    const names = Array.from(
      { length: 2 * ROWS_PER_PAGE + 7 },
      (_, n) => `w${String((n * 7919) % 10_007).padStart(5, "0")}`,
    );
    const roster = rosterOf(new Rows(names.map((name) => row(name))));
    const pages = [1, 2, 3].map((page) => idsOf(roster, { page }));
    const found = (await Promise.all(pages)).flat();
    expect(found).toEqual(names.toSorted());
    expect((await pages[2]!).length).toBe(7);
    const last = (await roster.page({ ...all, page: 999 }))!;
    expect([last.page, last.pages, last.matches]).toEqual([3, 3, names.length]);
  });

  test("shows a row as it is now, and the rows there are by the next pass", async () => {
    const rows = some();
    const roster = rosterOf(rows);
    expect((await roster.page(all))!.entries[2]!.row!.conditions.container).not.toBeNull();
    rows.set(row("b-running", { conditions: { container: null } }));
    expect((await roster.page(all))!.entries[2]!.row!.conditions.container).toBeNull();
    rows.set(row("aa-new"));
    rows.holders.delete("C-absent" as never);
    roster.forget();
    expect((await idsOf(roster, {})).slice(0, 2)).toEqual(["a-stopped", "aa-new"]);
  });

  test("a next pass keeps the order with what came and went", async () => {
    const rows = new Rows(
      Array.from({ length: 5_000 }, (_, n) => row(`w${String((n * 37) % 5_000).padStart(5, "0")}`)),
    );
    const roster = rosterOf(rows);
    await roster.page(all);
    for (let n = 0; n < 5_000; n += 3) rows.holders.delete(`w${String(n).padStart(5, "0")}` as never);
    for (let n = 0; n < 3_000; n++) rows.set(row(`v${String((n * 7) % 3_000).padStart(5, "0")}`));
    // A pass serves for a second, and for longer where it takes long.
    expect((await roster.page(all))!.counts.running).toBe(5_000);
    nowMs += 60_000;
    const expected = [...rows.holders.keys()].toSorted() as string[];
    const { pages } = (await roster.page(all))!;
    const found: string[] = [];
    for (let page = 1; page <= pages; page++) found.push(...(await idsOf(roster, { page })));
    expect(found).toEqual(expected);
  });

  test("P12: lets others go on while it passes over 100,000 rows", async () => {
    const rows = new Rows(Array.from({ length: 100_000 }, (_, n) => row(`w${(n * 7919) % 100_003}`)));
    const roster = rosterOf(rows);
    let turns = 0;
    const count = () => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    let isOver = false;
    setImmediate(count);
    expect((await roster.page({ ...all, q: "99", state: "running" }))!.matches).toBeGreaterThan(100);
    isOver = true;
    // Uninterrupted it would be one or two.
    expect(turns).toBeGreaterThan(10);
  });
});

describe("on the page", () => {
  test("the table says which part of how many it shows, and links go on with what is searched for", async () => {
    const rows = new Rows(Array.from({ length: 120 }, (_, n) => row(`w${n}`)));
    const { browse } = pageOf({ rows: () => rows });
    const { text } = await browse("/?q=w&state=running&page=2");
    expect((await look(text, "table.workspaces caption")).texts[0]).toMatch(
      /^51 to 100 of 120 workspaces for “w”$/,
    );
    expect((await look(text, "table.workspaces tbody tr")).texts).toHaveLength(50);
    const links = (await look(text)).attributes.flatMap(({ name, value }) =>
      name === "href" ? [value] : [],
    );
    for (const link of [
      "/?q=w&amp;state=running",
      "/?q=w&amp;state=running&amp;page=3",
      "/?q=w",
      "/?q=w&amp;state=stale",
    ])
      expect(links).toContain(link);
    expect(text).toContain(`data-events="/events?q=w&amp;state=running&amp;page=2"`);
  });

  test("an address that nobody made by a click is taken as it can be", async () => {
    const { browse } = pageOf({ rows: () => some() });
    for (const search of [
      "?page=-1",
      "?page=1e9",
      "?page=x",
      "?state=nonsense",
      "?q=%FF%00",
      "?page=9&page=1",
    ]) {
      expect((await browse(`/${search}`)).status).toBe(200);
    }
  });

  test("a row that is stale, held or in flight says so", async () => {
    const rows = new Rows([
      row("a", { observedAt: null, operationInFlight: true }),
      row("b", { deleted: true }),
    ]);
    const view = leaderView({ held: { container: ["a"], volume: ["a"], archive: [] } });
    const { text } = await pageOf({ rows: () => rows }, { view }).browse("/");
    const [first, second] = (await look(text, "table.workspaces tbody tr")).texts;
    for (const word of ["held back: container, volume", "in flight", "never"]) expect(first).toContain(word);
    expect(second).toContain("deleted");
    expect(second).toContain("fresh");
  });
});
