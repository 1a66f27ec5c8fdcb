// The page. Goal: a browser gets it and nobody else does; it says what is wrong and what to do; whatever stands in a
// table or an Engine stays text; and it may load nothing but its own. Method: requests to the app, markup read by a parser.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Json } from "../../src/observer/conditions.ts";
import {
  disconnectedView,
  holdingView,
  leaderView,
  linkDown,
  linkUp,
  nowMs,
  source,
  staleArchivesView,
  standbyView,
} from "./status-fixtures.ts";
import { exited, look, pageOf, Rows, row, told } from "./status-page-fixtures.ts";

const HOSTILE = [
  `<script>alert(1)</script>`,
  `"><img src=x onerror=alert(1)>`,
  `' onmouseover='alert(1)`,
  "\u202Egnp.exe",
  "مساحة",
  "x".repeat(1_000_000),
  "&lt;b&gt;",
  "javascript:alert(1)",
  "a b?c#d%",
];

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
        links: { database: linkUp, channel: linkDown("no route"), events: linkUp, wake: linkUp },
      }),
      "It works, but hints cannot be heard.",
      ["no route", "(7.5 s)"],
    ],
    [
      "a listing failed once",
      leaderView({
        sources: { engine: source({ consecutiveFailures: 1, lastError: "503" }), archives: null },
      }),
      "It works, but the Engine did not answer the last time.",
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

describe("whatever it is made of", () => {
  const safe = async (text: string) => {
    const { elements, attributes } = await look(text);
    expect(elements.filter((name) => ["script", "img", "b", "iframe", "style"].includes(name))).toEqual(
      elements.includes("script") ? ["script"] : [],
    );
    for (const { element, name, value } of attributes) {
      expect(name).not.toMatch(/^(on|style$)/);
      if (["href", "src", "action"].includes(name))
        expect([element, value]).toEqual([element, expect.stringMatching(/^(\/(?!\/)|#main$)/)]);
    }
    expect(text).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u0000]/);
    expect(text.length).toBeLessThan(400_000);
  };
  const of = (text: string) => ({
    container: { ...exited, reason: text, message: text, container_id: text, image: text, health: text },
    volume: { exists: true, reason: text, message: text, volume_name: text, driver: text },
    archive: { exists: true, reason: text, message: text, archive_key: text, size_bytes: text },
    [text.slice(0, 100)]: text,
  });

  test("stays text on the list", async () => {
    const rows = new Rows(HOSTILE.map((text) => row(text, { conditions: of(text) })));
    const view = leaderView({
      leader: HOSTILE[0]!,
      instance: HOSTILE[1]!,
      orphans: { container: HOSTILE, volume: [], archive: [] },
      held: { container: HOSTILE, volume: [], archive: [] },
      links: {
        database: linkUp,
        channel: linkDown(HOSTILE[0]!),
        events: linkDown(HOSTILE[5]!),
        wake: linkUp,
      },
      deaths: HOSTILE.map((text) => ({ workspaceId: text, error: text, exitCode: 1, learntMs: 0 }) as never),
    });
    const { browse } = pageOf({ rows: () => rows }, { view });
    for (const path of ["/", "/?state=orphan", "/?state=held"]) {
      const { text } = await browse(path);
      expect(text).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
      await safe(text);
    }
  });

  test("stays text in what was searched for", async () => {
    const { browse } = pageOf({ rows: () => new Rows([]) });
    for (const text of HOSTILE)
      await safe((await browse(`/?${new URLSearchParams({ q: text, state: text, page: text })}`)).text);
  });

  test("stays text on the page of one workspace", async () => {
    for (const text of HOSTILE.map((one) => one.slice(0, 2_000))) {
      const change = {
        at: text,
        age_ms: null,
        condition: text,
        from_reason: text,
        to_reason: text,
        message: text,
      };
      const { browse } = pageOf({
        explain: async () =>
          told({ conditions: of(text), operation: text, deleted_at: text, transitions: [change] }),
      });
      const { status, text: markup } = await browse(`/workspaces/${encodeURIComponent(text)}`);
      expect(status).toBe(200);
      await safe(markup);
    }
  });

  test("any JSON in a row leaves the page whole", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", minLength: 1 }), fc.jsonValue(), async (id, value) => {
        const conditions = {
          container: value as Json,
          volume: value as Json,
          archive: { ...exited, value } as Json,
        };
        const rows = new Rows([row(id.toWellFormed(), { conditions })]);
        const { browse } = pageOf({ rows: () => rows, explain: async () => told({ conditions }) });
        for (const path of ["/", "/workspaces/x"]) {
          const { status, text } = await browse(path);
          expect(status).toBe(200);
          await safe(text);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("the policy", () => {
  test("allows the page its own files, events and forms, and nothing else", async () => {
    for (const path of ["/", "/workspaces/a"]) {
      const { headers, text } = await pageOf({ explain: async () => told() }).browse(path);
      expect(headers.get("content-security-policy")).toBe(
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
          "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      );
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(text).not.toMatch(/<script(?![^>]* src=)|<style| style=/);
    }
  });

  test("leaves the answers for programs without any rights", async () => {
    for (const path of ["/status", "/metrics", "/healthz", "/nowhere"]) {
      const { headers } = await pageOf().browse(path);
      expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
    }
  });

  test("the page's own files have a name that changes with them, and may be kept", async () => {
    const { browse } = pageOf();
    const urls = (await look((await browse("/")).text)).attributes.flatMap(({ value }) =>
      /^\/(page\.(css|js)|icon\.svg)/.test(value) ? [value] : [],
    );
    expect(urls).toHaveLength(3);
    for (const url of urls) {
      expect(url).toMatch(/\?v=[0-9a-f]{12}$/);
      const { status, headers, text } = await browse(url);
      expect([status, headers.get("cache-control")]).toEqual([200, "public, max-age=31536000, immutable"]);
      expect(headers.get("content-type")).toMatch(/^(text\/css|text\/javascript|image\/svg\+xml)/);
      expect(text.length).toBeGreaterThan(100);
    }
    expect((await browse("/page.css")).headers.get("cache-control")).toBe("no-cache");
  });
});

test("what another site embeds is refused, a link from there is not", async () => {
  const { app, page } = pageOf({ explain: async () => told() });
  for (const path of ["/events", "/workspaces/a"]) {
    const from = (site: string, mode: string) =>
      app.request(path, { headers: { "sec-fetch-site": site, "sec-fetch-mode": mode } });
    expect((await from("cross-site", "no-cors")).status).toBe(403);
    expect((await from("cross-site", "cors")).status).toBe(403);
    expect((await from("cross-site", "navigate")).status).toBe(200);
    expect((await from("same-origin", "cors")).status).toBe(200);
  }
  page.close();
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
        told({ transitions: [change], death: { oom_killed: true, finished_at: "then", error: "" } }),
    }).browse("/workspaces/7f3c");
    expect(status).toBe(200);
    for (const part of [
      "exited with code 1",
      "98781810ea4c",
      "(3 min ago)",
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
    const json = await app.request("/workspaces/b");
    expect([json.status, await json.json()]).toEqual([
      503,
      { error: "the database cannot be asked: Cannot explain: postgres://***@db/app cannot be reached" },
    ]);
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
  });
});
