// Signing in. Goal: with the token a browser gets a session and with nothing else; no other site can use or make one; it
// ends, in number and in time; the cookie holds no secret. Method: requests to the app, a clock by hand for the time.
import { describe, expect, test } from "bun:test";
import { MOST_SESSIONS, SESSION_MS, Sessions } from "../../src/status/sessions.ts";
import { look, pageOf, told } from "./status-page-fixtures.ts";

const TOKEN = "s3cret-token-of-this-instance";
const HERE = { "sec-fetch-site": "same-origin", origin: "http://localhost" };
const form = (fields: Record<string, string>, headers: Record<string, string> = HERE): RequestInit => ({
  method: "POST",
  body: new URLSearchParams(fields).toString(),
  headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
});
const closed = () => pageOf({ explain: async () => told() }, { token: TOKEN });
const cookieOf = (headers: Headers) => headers.get("set-cookie")?.split(";")[0] ?? "";

async function signedIn() {
  const it = closed();
  const { headers } = await it.browse("/session", form({ token: TOKEN }));
  return { ...it, cookie: cookieOf(headers) };
}

describe("without a session", () => {
  for (const path of ["/", "/status", "/metrics", "/events", "/workspaces/a"]) {
    test(`${path} is a form to a browser and a refusal to others`, async () => {
      const { app, browse } = closed();
      const { status, headers, text } = await browse(path);
      expect([status, headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="observer"']);
      expect((await look(text, "h1")).texts).toEqual(["Sign in"]);
      expect(text).not.toContain("host-1");
      const refused = await app.request(path);
      expect([refused.status, await refused.json()]).toEqual([401, { error: expect.any(String) }]);
      for (const cookie of ["observer_session=", "observer_session=x", `observer_session=${TOKEN}`])
        expect((await app.request(path, { headers: { cookie } })).status).toBe(401);
    });
  }

  test("the page's own files are open, and hold nothing of this instance", async () => {
    for (const path of ["/page.css", "/page.js", "/icon.svg"])
      expect((await closed().browse(path)).status).toBe(200);
  });
});

describe("POST /session", () => {
  test("with the token opens everything, by a cookie that is not the token", async () => {
    const { browse } = closed();
    const { status, headers } = await browse("/session", form({ token: TOKEN }));
    expect([status, headers.get("location")]).toEqual([303, "/"]);
    const cookie = headers.get("set-cookie")!;
    expect(cookie).toMatch(/^observer_session=[\w-]{43}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(TOKEN);
    for (const path of ["/", "/status", "/metrics", "/workspaces/a"])
      expect((await browse(path, { headers: { cookie: cookieOf(headers) } })).status).toBe(200);
    const { text } = await browse("/", { headers: { cookie: cookieOf(headers) } });
    expect(text).toContain('action="/session/end"');
    expect(text).not.toContain(TOKEN);
  });

  test("two instances on one host have a cookie each", async () => {
    const { app } = closed();
    const { headers } = await app.request("http://localhost:9465/session", form({ token: TOKEN }));
    const cookie = cookieOf(headers);
    expect(cookie).toStartWith("observer_session_9465=");
    const at = (port: number) => app.request(`http://localhost:${port}/status`, { headers: { cookie } });
    expect([(await at(9465)).status, (await at(9464)).status]).toEqual([200, 401]);
  });

  test("behind TLS the cookie is for TLS alone", async () => {
    const { headers } = await closed().browse(
      "/session",
      form({ token: TOKEN }, { ...HERE, "x-forwarded-proto": "https" }),
    );
    expect(headers.get("set-cookie")).toContain("; Secure");
  });

  test.each([["wrong"], [""], [`${TOKEN}x`], [TOKEN.slice(1)], ["a b"]])(
    "with %p opens nothing",
    async (token) => {
      const { status, headers, text } = await closed().browse("/session", form({ token }));
      expect([status, headers.get("set-cookie")]).toEqual([401, null]);
      expect(text).toContain("That is not the token.");
    },
  );

  const strangers: [string, Record<string, string>][] = [
    ["another site", { "sec-fetch-site": "cross-site", origin: "https://evil.example" }],
    ["another host of the same site", { "sec-fetch-site": "same-site", origin: "http://other.localhost" }],
    ["an old browser of another site", { origin: "https://evil.example" }],
    ["a sandboxed frame", { origin: "null" }],
    ["nobody who says", {}],
  ];
  test.each(strangers)("from %s is refused, and so is the end", async (_, headers) => {
    const { app, cookie } = await signedIn();
    for (const [path, fields] of [
      ["/session", { token: TOKEN }],
      ["/session/end", {}],
    ] as const) {
      const response = await app.request(
        path,
        form(fields as Record<string, string>, { ...headers, cookie }),
      );
      expect([response.status, response.headers.get("set-cookie")]).toEqual([403, null]);
    }
    expect((await app.request("/status", { headers: { cookie } })).status).toBe(200);
  });

  test("and the end are for POST only", async () => {
    for (const path of ["/session", "/session/end"]) {
      const response = await closed().app.request(path);
      expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
    }
  });

  test("without a token there is nothing to sign in to, and no way out", async () => {
    const { browse } = pageOf();
    const { status, headers } = await browse("/session", form({ token: "any" }));
    expect([status, headers.get("set-cookie")]).toEqual([303, null]);
    expect((await browse("/")).text).not.toContain("Sign out");
  });
});

describe("POST /session/end", () => {
  test("ends that session for good, and no other", async () => {
    const { browse, cookie } = await signedIn();
    const other = cookieOf((await browse("/session", form({ token: TOKEN }))).headers);
    const { status, headers } = await browse("/session/end", form({}, { ...HERE, cookie }));
    expect([status, headers.get("location")]).toEqual([303, "/"]);
    expect(headers.get("set-cookie")).toMatch(
      /^observer_session=; Max-Age=0; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    expect((await browse("/", { headers: { cookie } })).status).toBe(401);
    expect((await browse("/", { headers: { cookie: other } })).status).toBe(200);
  });

  test("ends the events of that session", async () => {
    const { app, page, browse, cookie } = await signedIn();
    const response = await app.request("/events", { headers: { cookie } });
    const reader = response.body!.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toStartWith("retry:");
    expect(new TextDecoder().decode((await reader.read()).value)).toContain("event: page");
    await browse("/session/end", form({}, { ...HERE, cookie }));
    page.live.notify();
    expect((await reader.read()).done).toBe(true);
  });
});

describe("Sessions", () => {
  test("end after a working day", () => {
    let nowMs = 0;
    const sessions = new Sessions(() => nowMs);
    const word = sessions.begin();
    nowMs = SESSION_MS - 1;
    expect(sessions.isOpen(word)).toBe(true);
    nowMs += 1;
    expect(sessions.isOpen(word)).toBe(false);
  });

  test("are so many at most: one more ends the oldest, and those that are over make room", () => {
    let nowMs = 0;
    const sessions = new Sessions(() => nowMs);
    const words = Array.from({ length: MOST_SESSIONS + 1 }, () => sessions.begin());
    expect(sessions.size).toBe(MOST_SESSIONS);
    expect(words.map((word) => sessions.isOpen(word)).slice(0, 3)).toEqual([false, true, true]);
    nowMs = SESSION_MS;
    sessions.begin();
    expect(sessions.size).toBe(1);
  });
});
