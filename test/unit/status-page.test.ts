// The page. Goal: a browser gets it and nobody else does; it says what is wrong and what to do; and one workspace is told as
// the database knows it. Method: requests to the app on views by hand, markup read by a parser.
import { describe, expect, test } from "bun:test";
import {
  disconnectedView,
  holdingView,
  leaderView,
  linkDown,
  nowMs,
  source,
  staleArchivesView,
  standbyView,
} from "./status-fixtures.ts";
import { look, pageOf, Rows, row, told } from "./status-page-fixtures.ts";

describe("/", () => {
  test("is the page for who asks for HTML, and the names of the paths for everybody else", async () => {
    const { app, browse } = pageOf();
    expect((await browse("/")).text).toStartWith("<!doctype html>");
    for (const accept of ["*/*", "text/plain", "application/json", ""]) {
      const response = await app.request("/", accept === "" ? {} : { headers: { accept } });
      expect(response.headers.get("content-type")).toStartWith("text/plain");
      expect(await response.text()).toStartWith("Observer\n\n/ ");
      expect(response.headers.get("vary")).toContain("Accept");
    }
  });

  const verdicts: [string, ReturnType<typeof leaderView>, string, string[]][] = [
    ["all is well", leaderView(), "All well.", ["100 workspaces are observed"]],
    [
      "it stands by",
      standbyView(),
      "All well. This instance stands by; host-2 leads.",
      ["asked for the lease"],
    ],
    [
      "a source is stale",
      staleArchivesView(),
      "Not well: the archive store cannot be observed.",
      ["503 SlowDown", "(15 min)", "<code>observer check</code>"],
    ],
    [
      "the database is gone",
      disconnectedView(),
      "Not well: the database cannot be used, and 1 thing more.",
      ["postgres://***@db:5432/app refused", "<code>observer status</code>"],
    ],
    [
      "the guard holds back",
      holdingView(),
      "Not well: many containers vanished at once, and that is not believed yet.",
      ["6 containers", "If the loss is real, do nothing"],
    ],
    [
      "a hint channel is down",
      leaderView({
        links: { ...leaderView().links, channel: linkDown("no route") },
      }),
      "It works, but hints cannot be heard.",
      ["no route", "(7.5 s)"],
    ],
    [
      "changes cannot be kept",
      leaderView({ links: { ...leaderView().links, transitions: linkDown("53100 no space left") } }),
      "It works, but the history of changes cannot be kept.",
      ["53100 no space left", "(7.5 s)", "The table is right"],
    ],
    [
      "a listing failed once",
      leaderView({
        sources: { engine: source({ consecutiveFailures: 1, lastError: "503" }), archives: null },
      }),
      "It works, but the Engine cannot be observed right now.",
      ["1 listing in a row failed: 503"],
    ],
    [
      "nothing moves",
      leaderView({ progressMs: nowMs - 120_000 }),
      "Not well: nothing moves any more.",
      ["Restart this instance", "(2 min)"],
    ],
    [
      "there are orphans",
      leaderView({ orphans: { container: ["a"], volume: ["a", "b"], archive: [] } }),
      "It works, but there are resources without a row.",
      ["2 workspaces"],
    ],
    [
      "another engine answers",
      leaderView({ foreign: { engine: { known: "Engine A", seen: "Engine B" }, archives: null } }),
      "Not well: the Engine is another one than the table was written from.",
      ["<code>observer accept engine</code>"],
    ],
  ];
  for (const [what, view, headline, others] of verdicts) {
    test(`says in its first sentence that ${what}`, async () => {
      const { text } = await pageOf({}, { view }).browse("/");
      expect((await look(text, "h1")).texts).toEqual([headline]);
      for (const other of others) expect(text).toContain(other);
      expect(text).not.toContain("hunter2");
    });
  }

  test("says of a stand-by that it keeps no rows, and who does", async () => {
    const { text } = await pageOf({}, { view: standbyView() }).browse("/?q=7f3c");
    expect(text).toContain("An instance that doesn't lead keeps no rows");
    expect(text).toContain('href="/workspaces/7f3c"');
  });

  test("charts have a name and a description, and the same as a table", async () => {
    const { page, browse } = pageOf();
    page.history.onReport({ kind: "look", durationMs: 42, counts: { changed: 7 } as never, failures: [] });
    const { text } = await browse("/");
    expect((await look(text, "svg title")).texts).toEqual([
      "Longest cycle in the last 15 minutes",
      "Rows changed in the last 15 minutes",
    ]);
    expect(text).toMatch(/<desc[^>]*>42 ms to 42 ms\.<[\s\S]*<desc[^>]*>7 rows in all\.</);
    expect((await look(text, "#samples tbody tr")).texts[0]).toMatch(/0 to 1\s*1\s*42 ms\s*7\s*0/);
    expect((await look(text)).elements.filter((name) => name === "rect")).toHaveLength(2);
  });
});

describe("/workspaces/:id", () => {
  const change = {
    at: "2026-11-23T20:00:00.000000Z",
    age_ms: 154_000,
    condition: "container",
    from_reason: "Running",
    to_reason: "Exited",
    message: "exited with code 1",
  };

  test("tells the conditions, since when, and what happened before", async () => {
    const { status, text } = await pageOf({
      explain: async () =>
        told({
          transitions: [change, { ...change, age_ms: 160_000 }],
          death: { oom_killed: true, finished_at: "then", error: "" },
        }),
    }).browse("/workspaces/7f3c");
    expect(status).toBe(200);
    for (const part of [
      "exited with code 1",
      "98781810ea4c",
      "(3 min ago)",
      "(×2 in 6.0 s)",
      "Running → Exited",
      "2026-11-23 20:00:00 UTC",
      "Out of memory",
    ])
      expect(text).toContain(part);
    expect(text).toContain("Proven absent");
  });

  test("asks for that very id, whatever is in it", async () => {
    const asked: string[] = [];
    const { browse } = pageOf({
      explain: async (id) => {
        asked.push(id);
        return told();
      },
    });
    for (const id of ["a b", "Ünï-“c” 🦊", "a%2Fb", "..", "<b>"]) {
      await browse(`/workspaces/${id === ".." ? "%2E%2E" : encodeURIComponent(id)}`);
    }
    expect(asked.slice(0, 3)).toEqual(["a b", "Ünï-“c” 🦊", "a%2Fb"]);
  });

  test("is 404 for none, with ids like it and what there is of it without a row", async () => {
    const { status, text } = await pageOf({
      explain: async () => told({ found: false, near: ["7f3d"], orphan: ["volume"] }),
    }).browse("/workspaces/7f3c");
    expect(status).toBe(404);
    expect(text).toContain('href="/workspaces/7f3d"');
    expect(text).toContain("volume");
  });

  test("says so when the database can't be asked, and shows what it last read or wrote", async () => {
    const explain = async () => {
      throw new Error("Cannot explain: postgres://u:hunter2@db/app cannot be reached");
    };
    const { browse, app } = pageOf({ explain, rows: () => new Rows([row("a")]) });
    const known = await browse("/workspaces/a");
    expect(known.status).toBe(200);
    for (const part of [
      "The database cannot be asked",
      "postgres://***@db/app cannot be reached",
      "running, healthy",
    ])
      expect(known.text).toContain(part);
    const unknown = await browse("/workspaces/b");
    expect(unknown.status).toBe(503);
    expect(unknown.text).toContain("nothing is known here");
    // A program asked for what the database knows, and gets that or nothing.
    for (const path of ["/workspaces/a", "/workspaces/b"]) {
      const json = await app.request(path);
      expect([json.status, await json.json()]).toEqual([
        503,
        { error: "the database cannot be asked: Cannot explain: postgres://***@db/app cannot be reached" },
      ]);
    }
  });

  test("asks two questions at a time and no more", async () => {
    const answers = Promise.withResolvers<void>();
    let underWay = 0;
    const { browse } = pageOf({
      explain: async () => {
        underWay += 1;
        await answers.promise;
        return told();
      },
    });
    const asked = [browse("/workspaces/a"), browse("/workspaces/b")];
    const third = await browse("/workspaces/c");
    expect([underWay, third.status]).toEqual([2, 503]);
    expect(third.text).toContain("other questions are under way");
    answers.resolve();
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await browse("/workspaces/c")).status).toBe(200);
  });

  test("is JSON for a program", async () => {
    const { app } = pageOf({ explain: async () => told() });
    const response = await app.request("/workspaces/a");
    expect(await response.json()).toEqual(JSON.parse(JSON.stringify(told())));
    const none = await pageOf({ explain: async () => told({ found: false }) }).app.request("/workspaces/a");
    expect([none.status, await none.json()]).toEqual([404, expect.objectContaining({ found: false })]);
  });
});
