/** The list of workspaces: filters, the table of one page, and the way to the other pages. */
import { isJsonObject, type Json, type JsonObject } from "../../observer/conditions.ts";
import { ageMs, type Instant, parseInstant } from "../../observer/instant.ts";
import type { WorkspaceRow } from "../../observer/ports.ts";
import {
  ROWS_PER_PAGE,
  type RosterEntry,
  type RosterPage,
  type RosterQuery,
  STATES,
  type State,
} from "../roster.ts";
import { ago, counted, grouped, lasting, printable } from "../wording.ts";
import { badge, type Html, html, shown, type Tone } from "./html.ts";
import { workspaceLink } from "./overview.ts";

const MOST_SEARCHED = 100;
const FILTERS: Readonly<Record<State | "all", string>> = {
  all: "All",
  running: "Running",
  stopped: "Stopped",
  absent: "Absent",
  stale: "Stale",
  held: "Held back",
  orphan: "Orphan",
};

/** Whatever somebody wrote into the address: it never fails. */
export function parseQuery(search: URLSearchParams): RosterQuery {
  const state = search.get("state");
  const page = Number(search.get("page"));
  return {
    q: printable((search.get("q") ?? "").trim().slice(0, MOST_SEARCHED)).toWellFormed(),
    state: STATES.find((known) => known === state) ?? "all",
    page: Number.isSafeInteger(page) && page > 0 ? page : 1,
  };
}

/** `?q=a&state=running&page=2`, without what is as usual; `/` for nothing. */
export function linkOf({ q, state, page }: RosterQuery): string {
  const search = new URLSearchParams({
    ...(q === "" ? {} : { q }),
    ...(state === "all" ? {} : { state }),
    ...(page === 1 ? {} : { page: String(page) }),
  }).toString();
  return search === "" ? "/" : `/?${search}`;
}

export const searchForm = ({ q, state }: RosterQuery): Html =>
  html`<form method="get" action="/" role="search">
<label for="q">Workspace or container id</label>
<input id="q" name="q" type="search" maxlength="${MOST_SEARCHED}" value="${q}" autocomplete="off" spellcheck="false">
${state === "all" ? "" : html`<input type="hidden" name="state" value="${state}">`}
<button>Search</button></form>`;

export function filters(query: RosterQuery, page: RosterPage): Html {
  const filter = (state: State | "all") =>
    html`<li><a href="${linkOf({ ...query, state, page: 1 })}" id="filter-${state}"${state === query.state ? html` aria-current="true"` : ""}>${FILTERS[state]} <span class="count">${grouped(page.counts[state])}</span></a></li>`;
  return html`<ul>${(["all", ...STATES] as const).map(filter)}</ul>`;
}

export function table(query: RosterQuery, page: RosterPage): Html {
  const { entries, matches } = page;
  const first = (page.page - 1) * ROWS_PER_PAGE + 1;
  const what =
    matches === 0
      ? "No workspace matches"
      : `${grouped(first)} to ${grouped(first + entries.length - 1)} of ${counted(matches, "workspace")}`;
  return html`<table class="workspaces">
<caption>${what}${query.q === "" ? "" : html` for “<bdi>${shown(query.q)}</bdi>”`}</caption>
<thead><tr><th scope="col">Workspace</th><th scope="col">Container</th><th scope="col" class="wide">Why</th><th scope="col">Volume</th><th scope="col">Archive</th><th scope="col" class="wide number">For</th><th scope="col" class="number">Observed</th></tr></thead>
<tbody>${entries.map((entry) => line(entry, page.now))}</tbody></table>${matches === 0 ? nothing(query) : ""}`;
}

const nothing = ({ q, state }: RosterQuery): Html =>
  q === "" && state === "all"
    ? html`<p class="quiet">There are no rows to observe, or they have not been read yet.</p>`
    : html`<p class="quiet"><a href="/">Show all</a>${q === "" ? "" : html`, or <a href="/workspaces/${encodeURIComponent(q)}">ask the database for “<bdi>${shown(q)}</bdi>”</a>`}.</p>`;

function line({ id, row, isStale, held, orphan }: RosterEntry, now: Instant | null): Html {
  const marks = [
    ...(orphan.length > 0 ? [badge("warn", `orphan: ${orphan.join(", ")}`)] : []),
    ...(held.length > 0 ? [badge("warn", `held back: ${held.join(", ")}`)] : []),
    ...(row?.operationInFlight ? [badge("quiet", "in flight")] : []),
    ...(row?.deleted ? [badge("quiet", "deleted")] : []),
  ];
  const name = html`<th scope="row">${workspaceLink(id)}${marks.map((mark) => html` ${mark}`)}</th>`;
  if (row === null)
    return html`<tr>${name}<td colspan="6" class="quiet">it has no row in workspaces</td></tr>`;
  const { container, volume, archive } = row.conditions;
  const message = isJsonObject(container) ? container.message : undefined;
  return html`<tr>${name}<td>${containerBadge(container)}</td>
<td class="wide quiet">${message === undefined ? "" : html`<bdi>${shown(message, 120)}</bdi>`}</td>
<td>${presence(volume)}</td><td>${presence(archive)}</td>
<td class="wide number">${since(container, now)}</td><td class="number">${observed(row, isStale, now)}</td></tr>`;
}

export function containerBadge(container: Json | undefined): Html {
  if (container === null) return badge("quiet", "absent");
  if (container === undefined) return badge("quiet", "not observed");
  if (!isJsonObject(container)) return badge("warn", "unreadable");
  const reason = shown(container.reason, 40);
  return badge(toneOf(container), container.health === "unhealthy" ? `${reason}, unhealthy` : reason);
}

function toneOf({ running, reason, health, exit_code }: JsonObject): Tone {
  if (reason === "OOMKilled" || reason === "Dead" || health === "unhealthy") return "bad";
  if (running === true) return "good";
  return exit_code === 0 || exit_code === null ? "quiet" : "warn";
}

const presence = (condition: Json | undefined): Html | string => {
  if (condition === null) return html`<span class="quiet">no</span>`;
  return isJsonObject(condition) ? "yes" : html`<span class="quiet">–</span>`;
};

function since(container: Json | undefined, now: Instant | null): string {
  const at = isJsonObject(container) ? parseInstant(container.last_transition_at) : null;
  return at === null || now === null ? "" : lasting(Math.max(0, ageMs(at, now)));
}

/** What is fresh needs no number that ticks. */
function observed({ observedAt }: WorkspaceRow, isStale: boolean, now: Instant | null): Html | string {
  if (!isStale) return html`<span class="quiet">fresh</span>`;
  if (observedAt === null) return badge("warn", "never");
  return badge("warn", now === null ? "stale" : ago(ageMs(observedAt, now)));
}

export function pager(query: RosterQuery, { page, pages }: RosterPage): Html {
  if (pages === 1) return html``;
  const to = (number: number, text: string, id: string) =>
    number < 1 || number > pages || number === page
      ? html`<li><span class="quiet">${text}</span></li>`
      : html`<li><a id="page-${id}" href="${linkOf({ ...query, page: number })}">${text}</a></li>`;
  return html`<ul>${to(1, "First", "first")}${to(page - 1, "Previous", "previous")}<li>Page ${grouped(page)} of ${grouped(pages)}</li>${to(page + 1, "Next", "next")}${to(pages, "Last", "last")}</ul>`;
}

/** Instead of the list, where there is none. */
export const noRows = ({ q }: RosterQuery, leader: string | null): Html =>
  html`<p>An instance that doesn't lead keeps no rows. ${
    leader === null
      ? "Who leads is not known."
      : html`Ask the endpoint of <bdi>${shown(leader, 80)}</bdi>, which leads, for the list.`
  } ${
    q === ""
      ? "One workspace can be looked up here: search for its whole id."
      : html`<a href="/workspaces/${encodeURIComponent(q)}">Ask the database for “<bdi>${shown(q)}</bdi>”</a>.`
  }</p>`;
