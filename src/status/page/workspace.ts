/** One workspace: its conditions as observed, since when, and what happened before. */
import { isJsonObject, type Json, type JsonObject } from "../../observer/conditions.ts";
import { formatInstant, parseRfc3339 } from "../../observer/instant.ts";
import type { WorkspaceRow } from "../../observer/ports.ts";
import { publicText } from "../error-text.ts";
import { foldRepetitions, type Repeatable } from "../repetitions.ts";
import { ago, lasting, sizeOf } from "../wording.ts";
import { badge, foreign, type Html, html, moment, shown } from "./html.ts";
import { workspaceLink } from "./overview.ts";
import { containerBadge } from "./workspaces.ts";

/** What the database tells of it: as much of the JSON of `observer explain` as is shown. */
export interface Told {
  readonly found: boolean;
  readonly operation: string | null;
  readonly operation_in_flight: boolean;
  readonly deleted_at: string | null;
  readonly observed_at: string | null;
  readonly observed_age_ms: number | null;
  readonly conditions: JsonObject;
  readonly observed: Readonly<Record<string, Dated>>;
  readonly since: Readonly<Record<string, Dated>>;
  readonly death: JsonObject | null;
  readonly held: readonly string[];
  readonly orphan: readonly string[];
  readonly transitions: readonly Change[] | null;
  readonly near: readonly string[];
}
interface Dated {
  readonly at: string;
  readonly age_ms: number | null;
}
type Change = Dated & Repeatable;

/** Most changes that are shown, what repeats itself counted once. */
const MOST_CHANGES = 50;

export interface Known {
  readonly told: Told | null;
  /** Why the database told nothing. */
  readonly fault: string | null;
  /** As this instance last read or wrote it. */
  readonly mirrored: WorkspaceRow | null;
}

export const isKnown = ({ told, mirrored }: Known): boolean =>
  told === null ? mirrored !== null : told.found;

export function workspaceMain(id: string, known: Known): Html {
  const { told, fault, mirrored } = known;
  return html`<p><a href="/">All workspaces</a></p>
<h1>Workspace <bdi>${shown(id)}</bdi></h1>
${fault === null ? "" : html`<div class="verdict" data-tone="bad"><p class="headline">The database cannot be asked.</p><p><bdi>${shown(publicText(fault), 500)}</bdi></p><p>${mirrored === null ? "This instance keeps no row of it, so nothing is known here." : "Below is what this instance last read or wrote; what happened before is missing."}</p></div>`}
${told?.found === false ? missing(told) : ""}
${told?.found ? conditions(told) : fault !== null && mirrored !== null ? conditions(toldOf(mirrored)) : ""}
${told === null ? "" : history(told)}`;
}

/** What the mirror knows, in the words of the database. */
const toldOf = (row: WorkspaceRow) => ({
  operation: null,
  operation_in_flight: row.operationInFlight,
  deleted_at: row.deleted ? "yes" : null,
  observed_at: row.observedAt === null ? null : formatInstant(row.observedAt),
  observed_age_ms: null,
  conditions: row.conditions,
  observed: {},
  since: {},
  death: null,
  held: [],
});

const missing = ({ near, orphan }: Told): Html => html`<p>There is no such row in workspaces.</p>
${orphan.length === 0 ? "" : html`<p>${badge("warn", "orphan")} There is a resource of that name all the same: ${orphan.join(", ")}.</p>`}
${near.length === 0 ? "" : html`<p>Ids like it:</p><ul>${near.map((other) => html`<li>${workspaceLink(other)}</li>`)}</ul>`}`;

type Shown = Omit<Told, "found" | "orphan" | "transitions" | "near">;

function conditions(it: Shown): Html {
  const { container, volume, archive } = it.conditions;
  return html`<dl class="facts few">
${fact("Operation", it.operation_in_flight ? html`${shown(it.operation ?? "some")} ${badge("quiet", "in flight")}` : shown(it.operation ?? "NONE"))}
${fact("Observed", it.observed_at === null ? badge("warn", "never, or not by every source") : dated({ at: it.observed_at, age_ms: it.observed_age_ms }))}
${it.deleted_at === null ? "" : fact("Deleted", shown(it.deleted_at))}
${it.held.length === 0 ? "" : fact("Held back", badge("warn", it.held.join(", ")))}
</dl>
<div class="columns">
${card("Container", containerBadge(container), container, it.since.container, CONTAINER, it.death)}
${card("Volume", presence(volume), volume, it.since.volume, VOLUME, null)}
${card("Archive", presence(archive), archive, it.since.archive, ARCHIVE, null)}
${
  Object.keys(it.observed).length === 0
    ? ""
    : html`<section class="card" aria-labelledby="by-source"><h2 id="by-source">Observed by source</h2><dl>${Object.entries(
        it.observed,
      ).map(([source, one]) => fact(shown(source, 40), dated(one)))}</dl></section>`
}
</div>`;
}

const fact = (name: string, value: Html | string): Html => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

/** A time of ours, an Engine's or a store's; whatever else stands there, as it is. */
function time(at: unknown): Html | string {
  const instant = parseRfc3339(at);
  return instant === null ? shown(at) : moment(instant / 1000);
}

function dated({ at, age_ms }: Dated): Html {
  return html`${time(at)}${age_ms === null ? "" : html` <span class="quiet age">(${ago(age_ms)})</span>`}`;
}

const presence = (condition: Json | undefined): Html =>
  condition === null
    ? badge("quiet", "absent")
    : isJsonObject(condition)
      ? badge("good", shown(condition.reason, 40))
      : condition === undefined
        ? badge("quiet", "not observed")
        : badge("warn", "unreadable");

type Fields = readonly (readonly [key: string, name: string, worded?: (value: unknown) => Html | string])[];
const CONTAINER: Fields = [
  ["container_id", "Id"],
  ["image", "Image"],
  ["health", "Health"],
  ["exit_code", "Exit code"],
];
const VOLUME: Fields = [
  ["volume_name", "Name"],
  ["driver", "Driver"],
];
const bytes = (value: unknown): string => (typeof value === "number" ? sizeOf(value) : shown(value));
const ARCHIVE: Fields = [
  ["archive_key", "Key"],
  ["size_bytes", "Size", bytes],
  ["uploaded_at", "Uploaded", time],
];

function card(
  title: string,
  state: Html,
  condition: Json | undefined,
  since: Dated | undefined,
  fields: Fields,
  death: JsonObject | null,
): Html {
  const id = title.toLowerCase();
  const told = isJsonObject(condition) ? condition : null;
  return html`<section class="card" aria-labelledby="${id}"><h2 id="${id}">${title} ${state}</h2>
${told === null ? html`<p class="quiet">${condition === null ? "Proven absent: a complete listing didn't show it." : "Nothing is known of it."}</p>` : html`<p><bdi>${shown(told.message, 500)}</bdi></p>`}
<dl>${told === null ? "" : fields.flatMap(([key, name, worded = shown]) => (told[key] === null ? [] : [fact(name, html`<bdi>${worded(told[key])}</bdi>`)]))}
${since === undefined ? "" : fact("Since", dated(since))}
${death === null ? "" : ended(death)}</dl></section>`;
}

const ended = ({ oom_killed, finished_at, error, restart_count }: JsonObject): Html =>
  html`${fact("Out of memory", oom_killed === true ? badge("bad", "yes") : "no")}${fact("Ended", html`${time(finished_at)} <span class="quiet">by the Engine's clock</span>`)}${error ? fact("Error", foreign(publicText(shown(error)))) : ""}${restart_count ? fact("Restarts", shown(restart_count)) : ""}`;

function history({ transitions }: Told): Html {
  if (transitions === null)
    return html`<h2 class="before">What happened before</h2><p class="quiet">It is not kept: there is no observer_transitions.</p>`;
  if (transitions.length === 0)
    return html`<h2 class="before">What happened before</h2><p class="quiet">Nothing that is still known.</p>`;
  return html`<table class="history"><caption>What happened before, the latest first</caption>
<thead><tr><th scope="col">When</th><th scope="col">Condition</th><th scope="col">Change</th><th scope="col" class="wide">Why</th></tr></thead>
<tbody>${foldRepetitions(transitions)
    .slice(0, MOST_CHANGES)
    .map(
      ({
        latest: one,
        times,
        spanMs,
      }) => html`<tr><th scope="row">${dated(one)}${times === 1 ? "" : html` <span class="quiet">(×${times} in ${lasting(spanMs)})</span>`}</th><td>${shown(one.condition, 40)}</td>
<td>${shown(one.from_reason, 40)} → ${shown(one.to_reason, 40)}</td><td class="wide"><bdi>${shown(one.message)}</bdi></td></tr>`,
    )}</tbody></table>`;
}
