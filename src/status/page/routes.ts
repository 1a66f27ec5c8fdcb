/** The paths of the page, and the session that lets a browser in. */
import type { Context, Hono } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { csrf } from "hono/csrf";
import { raw } from "hono/html";
import { publicText } from "../error-text.ts";
import { SESSION_MS, type Sessions } from "../sessions.ts";
import { assets } from "./assets.ts";
import { home } from "./home.ts";
import { html, shown } from "./html.ts";
import { document, foot } from "./layout.ts";
import type { Page } from "./page.ts";
import { signInMain } from "./sign-in.ts";
import { isKnown, type Known, workspaceMain } from "./workspace.ts";
import { linkOf, parseQuery } from "./workspaces.ts";

/** The page asks for nothing but its own two files, its own events and its own forms; nobody may frame it. */
const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/** Browsers keep one set of cookies for all ports of a host, and a host may have several instances. */
const cookieName = (c: Context): string => {
  // Whoever sends a Host that is none gets the answer that anybody gets.
  const port = URL.parse(c.req.url)?.port ?? "";
  return port === "" ? "observer_session" : `observer_session_${port}`;
};
/** Questions to the database under way at a time, for all who look. */
const MOST_QUESTIONS = 2;

/** Whether a person's browser asks: what a program gets is as it always was. */
export const wantsPage = (c: Context): boolean => /\btext\/html\b/i.test(c.req.header("accept") ?? "");

export interface Guard {
  /** Null: no token is configured, and there is nothing to sign in to. */
  readonly isToken: ((token: string) => boolean) | null;
  readonly sessions: Sessions;
}

export const hasSession = (c: Context, sessions: Sessions): boolean =>
  sessions.isOpen(getCookie(c, cookieName(c)));

function answer(c: Context, text: ReturnType<typeof document>, status: 200 | 401 | 403 | 404 | 503 = 200) {
  c.header("content-security-policy", PAGE_POLICY);
  c.header("vary", "Accept, Cookie");
  return c.html(text, status);
}

/** The page instead of an answer that only a program reads. */
export const signInPage = (c: Context, fault: string | null) =>
  answer(
    c,
    document({
      title: "Sign in · Observer",
      about: null,
      canSignOut: false,
      main: signInMain(fault),
      events: null,
      foot: "",
    }),
    401,
  );

export function addSessionRoutes(app: Hono, { isToken, sessions }: Guard): void {
  // Another site must not sign anybody in, nor out.
  app.use("/session/*", csrf());
  app.post("/session", async (c) => {
    const token = new URLSearchParams(await c.req.text()).get("token") ?? "";
    if (isToken !== null && !isToken(token)) return signInPage(c, "That is not the token.");
    if (isToken !== null)
      setCookie(c, cookieName(c), sessions.begin(), { ...cookieOptions(c), maxAge: SESSION_MS / 1000 });
    return c.redirect("/", 303);
  });
  app.post("/session/end", (c) => {
    sessions.end(getCookie(c, cookieName(c)));
    deleteCookie(c, cookieName(c), cookieOptions(c));
    return c.redirect("/", 303);
  });
}

/** A proxy in front that speaks TLS says so; who lies about it only harms himself. */
const cookieOptions = (c: Context) => ({
  path: "/",
  httpOnly: true,
  sameSite: "Strict" as const,
  secure: new URL(c.req.url).protocol === "https:" || c.req.header("x-forwarded-proto") === "https",
});

export function addPageRoutes(app: Hono, page: Page, guard: Guard, index: string): void {
  const { parts, live, roster } = page;
  const isAllowed = (c: Context) => {
    const word = getCookie(c, cookieName(c));
    // Who came with the header keeps what it has; a session may end while its events go on.
    return guard.isToken !== null && c.req.header("authorization") === undefined
      ? () => guard.sessions.isOpen(word)
      : () => true;
  };
  const frame = (c: Context) => ({
    about: { instance: parts.view().instance, build: parts.build },
    canSignOut: guard.isToken !== null && hasSession(c, guard.sessions),
  });

  app.get("/", async (c) => {
    c.header("vary", "Accept, Cookie");
    if (!wantsPage(c)) return c.text(index);
    const query = parseQuery(new URL(c.req.url).searchParams);
    const sections = await page.sections(query);
    const main = home(sections, query);
    const events = linkOf(query).replace("/", "/events");
    const composed = html`<p id="composed">${raw(sections.composed ?? "")}</p>${foot()}`;
    return answer(
      c,
      document({ ...frame(c), title: sections.title ?? "Observer", main, events, foot: composed }),
    );
  });

  // What another site embeds has no business here: it would take the places and the questions of those who look.
  for (const path of ["/events", "/workspaces/:id"]) {
    app.use(path, async (c, next) => {
      const isEmbedded = c.req.header("sec-fetch-mode") !== "navigate";
      if (c.req.header("sec-fetch-site") === "cross-site" && isEmbedded)
        return c.json({ error: "refused" }, 403);
      return next();
    });
  }
  app.get("/events", (c) => {
    const query = parseQuery(new URL(c.req.url).searchParams);
    // HEAD comes here as well, and reads nothing.
    if (c.req.method === "HEAD") return c.body(null, 200, { "content-type": "text/event-stream" });
    const stream = live.subscribe({
      key: linkOf(query),
      compose: () => page.sections(query),
      isAllowed: isAllowed(c),
    });
    if (stream === null)
      return c.json({ error: "too many are watching; try again later" }, 503, { "retry-after": "30" });
    // A proxy that keeps back what it has not seen the end of would keep back all of it.
    return c.body(stream, 200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
  });

  let questions = 0;
  const ask = async (id: string, signal: AbortSignal): Promise<Known> => {
    const mirrored = roster.get(id);
    if (parts.explain === undefined) return { told: null, fault: "this endpoint has no way to it", mirrored };
    if (questions >= MOST_QUESTIONS)
      return { told: null, fault: "other questions are under way; load this page again", mirrored };
    questions += 1;
    try {
      return { told: await parts.explain(id, signal), fault: null, mirrored };
    } catch (cause) {
      return { told: null, fault: cause instanceof Error ? cause.message : String(cause), mirrored };
    } finally {
      questions -= 1;
    }
  };
  app.get("/workspaces/:id", async (c) => {
    const id = c.req.param("id");
    const known = await ask(id, c.req.raw.signal);
    const { told } = known;
    if (!wantsPage(c))
      return told === null
        ? c.json({ error: `the database cannot be asked: ${publicText(known.fault ?? "")}` }, 503)
        : c.json(told, told.found ? 200 : 404);
    const status = isKnown(known) ? 200 : told === null ? 503 : 404;
    return answer(
      c,
      document({
        ...frame(c),
        title: `${shown(id, 60)} · Observer`,
        main: workspaceMain(id, known),
        events: null,
        foot: foot(),
      }),
      status,
    );
  });

  for (const { path, text, type } of Object.values(assets)) {
    app.get(path, (c) =>
      c.body(text, 200, {
        "content-type": type,
        // The address changes with what it holds.
        "cache-control": c.req.query("v") === undefined ? "no-cache" : "public, max-age=31536000, immutable",
      }),
    );
  }
}
