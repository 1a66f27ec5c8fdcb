/** What every page of the endpoint begins and ends with. */
import type { BuildInfo } from "../describe.ts";
import { assets } from "./assets.ts";
import { type Html, html, shown } from "./html.ts";

export interface Frame {
  readonly title: string;
  /** Null: nobody is told who this is. */
  readonly about: { readonly instance: string; readonly build: BuildInfo } | null;
  /** Somebody signed in with a session, who can sign out. */
  readonly canSignOut: boolean;
  readonly main: Html;
  /** Events that keep it up to date; null: it stays as it is. */
  readonly events: string | null;
  readonly foot: Html | string;
}

export const document = ({ title, about, canSignOut, main, events, foot }: Frame): Html =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="${assets.icon.url}" type="image/svg+xml">
<link rel="stylesheet" href="${assets.style.url}">
${events === null ? "" : html`<script type="module" src="${assets.script.url}"></script>`}
</head>
<body${events === null ? "" : html` data-events="${events}"`}>
<a class="skip" href="#main">To the content</a>
<header>
<a class="brand" href="/">Observer</a>${about === null ? "" : html`<span><bdi>${shown(about.instance, 60)}</bdi></span> <span class="quiet">${about.build.version} (${about.build.commit})</span>`}
${events === null ? "" : html`<p id="live" role="status">As of when it was loaded</p>`}
${canSignOut ? html`<form method="post" action="/session/end"><button>Sign out</button></form>` : ""}
</header>
<main id="main" tabindex="-1">
${main}
</main>
<footer>${foot}</footer>
</body>
</html>
`;

export const foot = (): Html =>
  html`<nav aria-label="Other paths"><a href="/status">/status</a> <a href="/metrics">/metrics</a> <a href="/readyz">/readyz</a> <a href="/healthz">/healthz</a></nav>`;
