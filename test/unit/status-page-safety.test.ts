// The page among strangers. Goal: whatever stands in a table or an Engine stays text; the page may load nothing but its own;
// and nobody else may embed it. Method: hostile and arbitrary names through the app, markup read by a parser.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Json } from "../../src/observer/conditions.ts";
import { shown } from "../../src/status/wording.ts";
import { leaderView, linkDown } from "./status-fixtures.ts";
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
        ...leaderView().links,
        channel: linkDown(HOSTILE[0]!),
        events: linkDown(HOSTILE[5]!),
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
      // Without one a browser says `Origin: null` where there is no TLS, and nobody could sign in.
      expect(headers.get("referrer-policy")).toBe("same-origin");
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

test.each([
  ["\u200b\u200b\ufeff", "(3 invisible characters)"],
  [" \t", "(2 invisible characters)"],
  ["\u202e", "(1 invisible character)"],
  ["👩‍👧", "👩‍👧"],
  ["", ""],
])("what can't be seen is said to be there: %j", (text, expected) => {
  expect(shown(text)).toBe(expected);
});
