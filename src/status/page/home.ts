/** `/` as a whole, out of its sections. */
import { raw } from "hono/html";
import type { Sections } from "../live.ts";
import type { RosterQuery } from "../roster.ts";
import { type Html, html } from "./html.ts";
import { searchForm } from "./workspaces.ts";

/** @param sections made by `html`, so they are escaped already */
export function home(sections: Sections, query: RosterQuery): Html {
  const part = (id: string) => raw(sections[id] ?? "");
  return html`<section id="verdict" class="verdict" data-tone="${sections.tone}" aria-label="Verdict">
<div role="status"><h1 id="headline" class="headline">${part("headline")}</h1></div>
<div id="items">${part("items")}</div>
</section>
<dl class="facts" id="facts">${part("facts")}</dl>
<div class="columns">
<section class="card" id="sources" aria-label="Sources">${part("sources")}</section>
<section class="card" id="links" aria-label="Links">${part("links")}</section>
</div>
<section class="card" aria-labelledby="activity">
<h2 id="activity">The last 15 minutes</h2>
<div class="columns" id="charts">${part("charts")}</div>
<details><summary>As a table</summary><div id="samples">${part("samples")}</div></details>
</section>
<section class="card" aria-labelledby="workspaces">
<div class="bar"><h2 id="workspaces">Workspaces</h2>${searchForm(query)}</div>
<nav id="filters" aria-label="Filter by state">${part("filters")}</nav>
<div id="rows">${part("rows")}</div>
<nav id="pager" aria-label="Pages">${part("pager")}</nav>
</section>
<section class="card" aria-labelledby="recently">
<h2 id="recently">Lately</h2>
<div id="lately">${part("lately")}</div>
</section>`;
}
