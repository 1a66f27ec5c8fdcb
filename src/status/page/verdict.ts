/** The judgement as the page tells it: one sentence, and each thing that is wrong. */

import type { ObserverView } from "../../observer/view.ts";
import { publicText } from "../error-text.ts";
import type { Judgement } from "../judgement.ts";
import { ago, counted, lasting } from "../wording.ts";
import { type Html, html, moment, shown, type Tone } from "./html.ts";

export const toneOf = ({ state }: Judgement): Tone =>
  (({ well: "good", doubtful: "warn", failing: "bad" }) as const)[state];

export const headline = ({ headline }: Judgement): Html => html`${headline}`;

/** @param wallMs the wall clock at `view.nowMs` */
export function verdictItems({ items }: Judgement, view: ObserverView, wallMs: number): Html {
  if (items.length === 0) return summary(view);
  return html`<ul class="findings">${items.map(
    ({ what, sinceMs, detail, advice }) => html`<li>
<strong>${what.charAt(0).toUpperCase()}${what.slice(1)}${
      sinceMs === null
        ? "."
        : html`, since ${moment(wallMs - (view.nowMs - sinceMs))} (${lasting(view.nowMs - sinceMs)}).`
    }</strong>
${detail === null ? "" : html`<span class="detail"><bdi>${shown(publicText(detail), 500)}</bdi></span>`}
<span class="advice">${advice.split("`").map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}</span></li>`,
  )}</ul>`;
}

/** What it did to be sure of that. */
function summary({ role, lastCycle, progressMs, nowMs, startedMs }: ObserverView): Html {
  const when = ago(nowMs - (progressMs ?? startedMs));
  if (role === "standby")
    return html`<p class="summary">It last asked for the lease ${when}, and takes over when nobody holds it.</p>`;
  const rows = lastCycle?.counts.rows ?? null;
  return html`<p class="summary">${rows === null ? "The workspaces are" : `${counted(rows, "workspace is", "workspaces are")}`} observed; the last look ended ${when}.</p>`;
}
