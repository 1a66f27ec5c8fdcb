/** The status endpoint: reads a view of the loop, and never drives or waits for it. Paths: docs/status-endpoint.md. */
import { type Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { type HealthConfig, isLive, isReady, type Verdict } from "../observer/health.ts";
import type { ObserverView } from "../observer/view.ts";
import { bearerCheck } from "./bearer.ts";
import { type BuildInfo, describeView } from "./describe.ts";
import { publicText } from "./error-text.ts";
import type { Metrics } from "./metrics.ts";
import { createPage, type Page } from "./page/page.ts";
import { addPageRoutes, addSessionRoutes, hasSession, signInPage, wantsPage } from "./page/routes.ts";
import { Sessions } from "./sessions.ts";

export interface StatusParts {
  readonly view: () => ObserverView;
  readonly health: HealthConfig;
  readonly build: BuildInfo;
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  /** Null: everything is open. Otherwise all but the two probes, and the probes' reasons, need it. */
  readonly token: string | null;
  /** What a browser gets; without, a page of the view alone. */
  readonly page?: Page;
  /** Hears of a request that failed inside. The client is told no more than that. */
  readonly onError?: (cause: unknown) => void;
}

const INDEX = `Observer

/                the page, to a browser; to others these names
/healthz         is the loop making progress?  200 or 503
/readyz          would I trust the table?      200 or 503
/status          what it sees and does, as JSON
/metrics         for Prometheus
/workspaces/ID   what one is, since when, and what happened before
/events          what keeps the page up to date
`;

const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
};

export function createStatusApp(parts: StatusParts): Hono {
  const { view, health, build, metrics } = parts;
  const isLetIn = bearerCheck(parts.token);
  const sessions = new Sessions();
  const page = parts.page ?? createPage({ view, health, build });
  const knows = (c: Context) => isLetIn(c.req.header("authorization")) || hasSession(c, sessions);
  const app = new Hono();

  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(SECURITY_HEADERS))
      if (!c.res.headers.has(name)) c.res.headers.set(name, value);
  });
  for (const path of ["/", "/status", "/metrics", "/events", "/workspaces/:id"]) {
    app.use(path, async (c, next) => {
      if (knows(c)) return next();
      c.header("www-authenticate", 'Bearer realm="observer"');
      if (wantsPage(c)) return signInPage(c, null);
      return c.json({ error: "send the token of OBSERVER_STATUS_TOKEN as Authorization: Bearer" }, 401);
    });
  }

  // Orchestrators probe these without a token: they get the verdict, and the reasons stay with those who have it.
  const probe = (judge: (view: ObserverView, config: HealthConfig) => Verdict) => (c: Context) => {
    const verdict = publicVerdict(judge(view(), health));
    const status = verdict.ok ? "ok" : "failing";
    return c.json(knows(c) ? { status, reasons: verdict.reasons } : { status }, verdict.ok ? 200 : 503);
  };
  app.get("/healthz", probe(isLive));
  app.get("/readyz", probe(isReady));

  app.get("/status", (c) => {
    const now = view();
    return c.json({
      ...describeView(now, build, health),
      live: publicVerdict(isLive(now, health)),
      ready: publicVerdict(isReady(now, health)),
    });
  });
  app.get("/metrics", async (c) =>
    c.body(await metrics.text(), 200, { "content-type": metrics.contentType }),
  );
  const guard = {
    isToken: parts.token === null ? null : (token: string) => isLetIn(`Bearer ${token}`),
    sessions,
  };
  addPageRoutes(app, page, guard, INDEX);
  addSessionRoutes(app, guard);

  const allowed = { GET: "GET, HEAD", POST: "POST" } as const;
  for (const { path, method } of [...app.routes]) {
    const allow = allowed[method as keyof typeof allowed];
    if (allow === undefined) continue;
    app.all(path, (c) =>
      c.json({ error: `${path} answers ${allow.replace(", ", " and ")} only` }, 405, { allow }),
    );
  }
  app.notFound((c) => c.json({ error: "no such path; / names those there are" }, 404));
  app.onError((cause, c) => {
    // Refused, not failed.
    if (cause instanceof HTTPException) return c.json({ error: "refused" }, cause.status);
    parts.onError?.(cause);
    return c.json({ error: "the status could not be composed; the log says why" }, 500);
  });
  return app;
}

const publicVerdict = ({ ok, reasons }: Verdict): Verdict => ({ ok, reasons: reasons.map(publicText) });
