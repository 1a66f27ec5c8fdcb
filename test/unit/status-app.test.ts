// createStatusApp(): the paths, their answers, and who may read them. Goal: probes tell the truth in every state of
// the loop, nothing is read without the token where there is one, and no secret gets out. Method: requests to the
// app itself, without a socket, on views as the loop gives them.
import { describe, expect, test } from "bun:test";
import type { ObserverView } from "../../src/observer/view.ts";
import { createStatusApp } from "../../src/status/app.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import {
  build,
  disconnectedView,
  health,
  holdingView,
  leaderView,
  linkDown,
  nowMs,
  staleArchivesView,
  standbyView,
} from "./status-fixtures.ts";

function appOf(shown: ObserverView | (() => ObserverView), token: string | null = null) {
  const view = typeof shown === "function" ? shown : () => shown;
  const errors: unknown[] = [];
  const metrics = createMetrics({ view, build, health });
  const app = createStatusApp({
    view,
    health,
    build,
    metrics,
    token,
    onError: (cause) => errors.push(cause),
  });
  return { app, errors };
}

/** Status and parsed JSON of one GET. */
async function ask(view: ObserverView, path: string) {
  const response = await appOf(view).app.request(path);
  return { status: response.status, body: await response.json() };
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

describe("/healthz", () => {
  test("is 200 whatever is down, as long as the loop makes progress", async () => {
    const views = [leaderView(), standbyView(), disconnectedView(), staleArchivesView(), holdingView()];
    for (const view of views) {
      expect(await ask(view, "/healthz")).toEqual({ status: 200, body: { status: "ok", reasons: [] } });
    }
  });

  test("is 503 with the reason when no cycle came to its end", async () => {
    const { status, body } = await ask(leaderView({ progressMs: nowMs - 120_000 }), "/healthz");
    expect(status).toBe(503);
    expect(body).toEqual({
      status: "failing",
      reasons: ["no cycle and no stand-by check was completed for 120.0 s"],
    });
  });
});

describe("/readyz", () => {
  test("is 200 for a leader that observes and for one that stands by", async () => {
    expect(await ask(leaderView(), "/readyz")).toEqual({ status: 200, body: { status: "ok", reasons: [] } });
    expect((await ask(standbyView(), "/readyz")).status).toBe(200);
  });

  const failing: [string, ObserverView, RegExp][] = [
    ["a lost database", disconnectedView(), /^database: Cannot renew the lease/],
    [
      "a source that is stale",
      staleArchivesView(),
      /^archives was last observed 900\.0 s ago: .*503 SlowDown/,
    ],
    ["a guard that holds back", holdingView(), /^the guard holds back the sudden absence of 6 containers/],
    ["a start without a role yet", leaderView({ role: "starting" }), /^starting/],
  ];
  for (const [what, view, reason] of failing) {
    test(`is 503 for ${what}`, async () => {
      const { status, body } = await ask(view, "/readyz");
      expect(status).toBe(503);
      expect(body).toMatchObject({
        status: "failing",
        reasons: expect.arrayContaining([expect.stringMatching(reason)]),
      });
    });
  }

  test("masks credentials in its reasons", async () => {
    const { body } = await ask(disconnectedView(), "/readyz");
    expect(JSON.stringify(body)).not.toContain("hunter2");
    expect(JSON.stringify(body)).toContain("postgres://***@db:5432/app");
  });
});

describe("/status", () => {
  test("tells the role, the sources and both verdicts", async () => {
    const { status, body } = await ask(staleArchivesView(), "/status");
    expect(status).toBe(200);
    expect(body).toMatchObject({
      instance: "host-1",
      version: "1.2.3",
      role: "leader",
      sources: { archives: { last_success_age_ms: 900_000, consecutive_failures: 80 } },
      live: { ok: true, reasons: [] },
      ready: { ok: false, reasons: [expect.stringContaining("archives")] },
    });
  });

  test("never shows a secret", async () => {
    const view = leaderView({
      links: {
        ...leaderView().links,
        database: linkDown("postgres://observer:hunter2@db/app"),
        channel: linkDown("redis://:hunter2@cache/0"),
      },
    });
    expect(JSON.stringify((await ask(view, "/status")).body)).not.toContain("hunter2");
  });
});

describe("every path", () => {
  const paths = ["/", "/healthz", "/readyz", "/status", "/metrics"];

  test("is named by the index", async () => {
    const index = await (await appOf(leaderView()).app.request("/")).text();
    for (const path of paths) expect(index).toContain(path);
  });

  for (const path of [...paths, "/nowhere"]) {
    test(`${path} carries the security headers`, async () => {
      const { headers } = await appOf(leaderView()).app.request(path);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("content-security-policy")).toStartWith("default-src 'none'");
    });
  }

  for (const path of paths) {
    test(`${path} answers HEAD without a body`, async () => {
      const response = await appOf(leaderView()).app.request(path, { method: "HEAD" });
      expect(response.status).toBe(200);
      expect(await response.text()).toBe("");
    });

    test(`${path} refuses other methods`, async () => {
      for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        const response = await appOf(leaderView()).app.request(path, { method });
        expect(response.status).toBe(405);
        expect(response.headers.get("allow")).toBe("GET, HEAD");
        expect(await response.json()).toEqual({ error: expect.stringContaining("GET and HEAD") });
      }
    });
  }

  test("an unknown one is 404 in JSON, with and without a token", async () => {
    for (const path of ["/nowhere", "/status/", "/metrics/x", "/STATUS", "/healthz/../status2"]) {
      const response = await appOf(leaderView(), "t").app.request(path);
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({ error: expect.any(String) });
    }
  });

  test("/metrics has the content type of the Prometheus text format", async () => {
    const response = await appOf(leaderView()).app.request("/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await response.text()).toContain("observer_is_leader 1");
  });

  test("a fault inside is 500, told to the log and not to the client", async () => {
    const cause = new Error("postgres://observer:hunter2@db/app");
    const { app, errors } = appOf(() => {
      throw cause;
    });
    for (const path of ["/healthz", "/readyz", "/status", "/metrics"]) {
      const response = await app.request(path);
      expect(response.status).toBe(500);
      expect(await response.text()).not.toContain("hunter2");
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    }
    expect(errors).toEqual([cause, cause, cause, cause]);
  });
});

describe("with a token", () => {
  const wrong: [string, RequestInit][] = [
    ["no header", {}],
    ["another token", bearer("other")],
    ["the beginning of the token", bearer("s3cre")],
    ["more than the token", bearer("s3cret-token-and")],
    ["an empty token", bearer("")],
    ["another scheme", { headers: { authorization: "Basic s3cret-token" } }],
    ["the bare token", { headers: { authorization: "s3cret-token" } }],
  ];
  for (const path of ["/", "/status", "/metrics"]) {
    for (const [what, init] of wrong) {
      for (const method of ["GET", "HEAD", "POST"]) {
        test(`${method} ${path} refuses ${what}`, async () => {
          const { app } = appOf(leaderView(), "s3cret-token");
          const response = await app.request(path, { ...init, method });
          expect(response.status).toBe(401);
          expect(response.headers.get("www-authenticate")).toStartWith("Bearer");
          expect(await response.text()).not.toContain("host-1");
        });
      }
    }

    test(`${path} lets the token in`, async () => {
      const { app } = appOf(leaderView(), "s3cret-token");
      expect((await app.request(path, bearer("s3cret-token"))).status).toBe(200);
      const lower = await app.request(path, { headers: { authorization: "bearer s3cret-token" } });
      expect(lower.status).toBe(200);
    });
  }

  test("the probes stay open, and keep their reasons to those who have it", async () => {
    const { app } = appOf(holdingView(), "s3cret-token");
    const open = await app.request("/readyz");
    expect(open.status).toBe(503);
    expect(await open.json()).toEqual({ status: "failing" });
    expect(await (await app.request("/healthz", bearer("wrong"))).json()).toEqual({ status: "ok" });
    const known = await app.request("/readyz", bearer("s3cret-token"));
    expect(known.status).toBe(503);
    expect(await known.json()).toMatchObject({ reasons: [expect.stringContaining("guard")] });
  });
});
