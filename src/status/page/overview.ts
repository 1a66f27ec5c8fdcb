/** The head of the page: who this is, what it sees by, and what ended lately. */
import type { KnownDeath } from "../../observer/deaths.ts";
import type { SourceHealth } from "../../observer/source.ts";
import { type LinkHealth, type ObserverView, type PartView, partsOf } from "../../observer/view.ts";
import { errorText, publicText } from "../error-text.ts";
import { ago, counted, lasting } from "../wording.ts";
import { badge, foreign, type Html, html, shown } from "./html.ts";

const MOST_EXITS = 8;
const MOST_FAILURES = 5;
const MOST_HOSTS = 200;

export function facts(view: ObserverView): Html {
  const { nowMs, cadence } = view;
  const age = (atMs: number | null) => (atMs === null ? "never" : ago(nowMs - atMs));
  const entries: Fact[] = [
    ...(view.fleet?.host ? [["Host", foreign(view.fleet.host, 60)] as Fact] : []),
    ...(view.parts ? [["Leads", leadsFor(view.parts)] as Fact] : []),
    ["Role", html`${badge(ROLE_TONE[view.role], view.role)}`],
    ...(view.role === "leader"
      ? []
      : [["Leader", view.leader === null ? "unknown" : foreign(view.leader, 60)] as Fact]),
    ...(view.epoch === null ? [] : [["Epoch", view.epoch] as Fact]),
    ...(cadence.nextInMs === null
      ? []
      : [["Cadence", cadence.mode] as Fact, ["Next look", `in ${lasting(cadence.nextInMs)}`] as Fact]),
    ["Last progress", age(view.progressMs)],
    ["Last commit", age(view.lastCommitMs)],
    ["Running for", lasting(nowMs - view.startedMs)],
  ];
  return html`${entries.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}`;
}

function leadsFor(parts: readonly PartView[]): string {
  const hosts = parts.filter(({ host }) => host !== null);
  return `${hosts.filter(({ view }) => view.role === "leader").length} of ${counted(hosts.length, "host")}`;
}

type Fact = [name: string, value: Html | string];

const ROLE_TONE = { leader: "good", standby: "quiet", starting: "warn", disconnected: "bad" } as const;

/** Of which Engine, where there are several. */
const ofHost = (name: string, host: string | null): Html | string =>
  host === null ? name : html`${name} of ${foreign(host, 60)}`;

export function sources(view: ObserverView): Html {
  const age = (atMs: number | null) => (atMs === null ? "never" : ago(view.nowMs - atMs));
  const row = (name: Html | string, source: SourceHealth | null, part: ObserverView) =>
    source === null
      ? html`<tr><th scope="row">${name}</th><td>${badge("quiet", "not configured")}</td><td>–</td><td class="wide number">–</td><td class="wide number">–</td></tr>`
      : html`<tr><th scope="row">${name}</th>
<td>${stateOfSource(source, part)}</td>
<td>${age(source.lastSuccessMs)}</td>
<td class="wide number">${source.lastDurationMs === null ? "–" : milliseconds(source.lastDurationMs)}</td>
<td class="wide number">${source.failures} of ${source.failures + source.successes}</td></tr>${errorRow(source.lastError)}`;
  return html`<table>
<caption>Sources: what it observes</caption>
<thead><tr><th scope="col">Source</th><th scope="col">State</th><th scope="col">Last observed</th><th scope="col" class="wide number">Took</th><th scope="col" class="wide number">Failed</th></tr></thead>
<tbody>${engineParts(view).map((part) =>
    row(ofHost("Engine", part.host), part.view.sources.engine, part.view),
  )}${row("Archives", view.sources.archives, view)}</tbody></table>`;
}

/** Of a fleet, the lost ones first; empty elsewhere. */
export function hosts({ fleet }: ObserverView): Html | "" {
  if (!fleet) return "";
  const all = fleet.hosts ?? [];
  const shownHosts = [...all].sort((a, b) => Number(b.isLost) - Number(a.isLost)).slice(0, MOST_HOSTS);
  const age = (ms: number | null) => (ms === null ? "never" : ago(ms));
  return html`<table>
<caption>Hosts: ${counted(all.length, "host")} on this table${
    fleet.contested.size === 0
      ? ""
      : `; ${counted(fleet.contested.size, "workspace")} of this one's are another's too`
  }</caption>
<thead><tr><th scope="col">Host</th><th scope="col">State</th><th scope="col">Last sign</th><th scope="col" class="wide">All written</th><th scope="col" class="number">Containers</th><th scope="col" class="wide number">Volumes</th></tr></thead>
<tbody>${shownHosts.map(
    (line) => html`<tr><th scope="row">${foreign(line.host, 60)}</th>
<td>${line.isLost ? badge("bad", "lost") : badge("good", "present")}</td>
<td>${age(line.seenAgeMs)}</td><td class="wide">${age(line.completeAgeMs)}</td>
<td class="number">${line.containers ?? "–"}</td><td class="wide number">${line.volumes ?? "–"}</td></tr>`,
  )}</tbody></table>${all.length > MOST_HOSTS ? html`<p class="quiet">${all.length - MOST_HOSTS} more are not shown.</p>` : ""}`;
}

function stateOfSource({ consecutiveFailures, lastSuccessMs }: SourceHealth, { role }: ObserverView): Html {
  if (consecutiveFailures > 0) return badge("bad", "failing");
  // What an instance once saw says nothing while it stands by.
  if (role === "standby" || role === "starting") return badge("quiet", "not asked");
  return lastSuccessMs === null ? badge("warn", "no answer yet") : badge("good", "observed");
}

const engineParts = (view: ObserverView): readonly PartView[] =>
  partsOf(view).filter(({ host }) => host !== null || view.parts === undefined);

const LINKS = {
  database: "Database",
  channel: "Hint channel",
  events: "Engine events",
  wake: "Wake-ups",
  transitions: "History",
} as const;

export function links(view: ObserverView): Html {
  const row = (name: Html | string, { up, sinceMs, lastError, failures }: LinkHealth) =>
    html`<tr><th scope="row">${name}</th>
<td>${up === null ? badge("quiet", "not tried yet") : up ? badge("good", "up") : badge("bad", "down")}</td>
<td>${up === null ? "–" : lasting(view.nowMs - sinceMs)}</td>
<td class="wide number">${failures}</td></tr>${errorRow(up === false ? lastError : null)}`;
  return html`<table>
<caption>Links: what it talks over</caption>
<thead><tr><th scope="col">Link</th><th scope="col">State</th><th scope="col">For</th><th scope="col" class="wide number">Failures</th></tr></thead>
<tbody>${Object.entries(LINKS).map(([key, name]) =>
    key === "events"
      ? engineParts(view).map((part) => row(ofHost(name, part.host), part.view.links.events))
      : row(name, view.links[key as keyof typeof LINKS]),
  )}</tbody></table>`;
}

const errorRow = (error: string | null): Html | "" =>
  error === null
    ? ""
    : html`<tr class="error"><td colspan="5"><bdi>${shown(publicText(error), 500)}</bdi></td></tr>`;

/** Empty when there is nothing to tell. */
export function lately(view: ObserverView): Html {
  const exits = view.deaths.slice(-MOST_EXITS).reverse();
  const failures = partsOf(view).flatMap((part) => part.view.lastCycle?.failures ?? []);
  return html`${
    failures.length === 0
      ? ""
      : html`<p>In the last cycle ${counted(failures.length, "stage")} failed:</p><ul>${failures
          .slice(0, MOST_FAILURES)
          .map(
            ({ stage, cause }) => html`<li>${stage}: <bdi>${shown(errorText(cause), 500)}</bdi></li>`,
          )}</ul>`
  }${
    exits.length === 0
      ? html`<p class="quiet">No container has ended of late.</p>`
      : html`<table>
<caption>Containers that ended, the latest first</caption>
<thead><tr><th scope="col">Workspace</th><th scope="col">Why</th><th scope="col" class="number">Code</th><th scope="col">Noticed</th></tr></thead>
<tbody>${exits.map((death) => exit(death, view.nowMs))}</tbody></table>`
  }`;
}

const exit = (death: KnownDeath, nowMs: number): Html =>
  html`<tr><th scope="row">${workspaceLink(death.workspaceId)}</th>
<td>${
    death.oomKilled
      ? badge("bad", "out of memory")
      : death.error === ""
        ? death.exitCode === 0
          ? "ended"
          : "failed or killed"
        : foreign(publicText(death.error), 120)
  }</td>
<td class="number">${death.exitCode}</td><td>${ago(nowMs - death.learntMs)}</td></tr>`;

/** No id is as long as that; what somebody wrote there may be. */
const MOST_LINKED = 500;

export const workspaceLink = (id: string): Html =>
  id.length > MOST_LINKED
    ? foreign(id, 80)
    : html`<a href="/workspaces/${encodeURIComponent(id.toWellFormed())}">${foreign(id, 80)}</a>`;

const milliseconds = (ms: number): string => (ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : lasting(ms));
