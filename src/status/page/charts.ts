/** The last quarter of an hour as two small pictures, and as a table for whoever can't see them. */
import { BUCKET_MS, type Sample } from "../history.ts";
import { counted, grouped, lasting } from "../wording.ts";
import { type Html, html } from "./html.ts";

const STEP = 6;
const BAR = 5;
const HEIGHT = 64;

interface Chart {
  readonly id: string;
  readonly title: string;
  /** Null: nothing is known, which is not zero. */
  readonly value: (sample: Sample) => number | null;
  readonly worded: (value: number) => string;
  /** Of all that is shown, in a sentence. */
  readonly told: (values: readonly number[]) => string;
}

const longest: Chart = {
  id: "durations",
  title: "Longest cycle",
  value: ({ longestMs }) => longestMs,
  worded: duration,
  told: (values) =>
    values.length === 0
      ? "No cycle yet."
      : `${duration(Math.min(...values))} to ${duration(Math.max(...values))}.`,
};
const changes: Chart = {
  id: "changes",
  title: "Rows changed",
  value: ({ cycles, changed }) => (cycles === 0 ? null : changed),
  worded: (value) => counted(value, "row"),
  told: (values) => `${counted(sum(values), "row")} in all.`,
};

export const charts = (samples: readonly Sample[]): Html =>
  html`${[longest, changes].map((chart) => picture(chart, samples))}`;

function picture({ id, title, value, worded, told }: Chart, samples: readonly Sample[]): Html {
  const values = samples.map(value);
  const known = values.filter((one) => one !== null);
  const most = Math.max(0, ...known);
  const width = samples.length * STEP;
  const bars = values.map((one, index) => {
    if (one === null || most === 0) return "";
    // What is not zero is seen, however small.
    const height = one === 0 ? 0 : Math.max(1.5, (one / most) * (HEIGHT - 4));
    const failed = samples[index]!.failed > 0;
    return height === 0 && !failed
      ? ""
      : html`<rect class="${failed ? "failed" : ""}" x="${index * STEP}" y="${(HEIGHT - Math.max(height, 1.5)).toFixed(1)}" width="${BAR}" height="${Math.max(height, 1.5).toFixed(1)}"/>`;
  });
  return html`<figure>
<figcaption><strong>${title}</strong> <span class="quiet">per ${BUCKET_MS / 1000} s${known.length === 0 ? "" : html`, at most ${worded(most)}`}</span></figcaption>
<svg viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-labelledby="${id}-title ${id}-told"><title id="${id}-title">${title} in the last 15 minutes</title><desc id="${id}-told">${told(known)}</desc><line x1="0" x2="${width}" y1="${HEIGHT - 0.5}" y2="${HEIGHT - 0.5}"/>${bars}</svg>
<p class="axis" aria-hidden="true"><span>15 min ago</span><span>now</span></p></figure>`;
}

const PER_MINUTE = 60_000 / BUCKET_MS;

export function samplesTable(samples: readonly Sample[]): Html {
  const minutes = Array.from({ length: Math.ceil(samples.length / PER_MINUTE) }, (_, index) =>
    samples.slice(index * PER_MINUTE, (index + 1) * PER_MINUTE),
  ).reverse();
  return html`<table>
<caption class="hidden">The last 15 minutes, minute by minute</caption>
<thead><tr><th scope="col">Minutes ago</th><th scope="col" class="number">Cycles</th><th scope="col" class="number">Longest</th><th scope="col" class="number">Rows changed</th><th scope="col" class="number">Failed</th></tr></thead>
<tbody>${minutes.map((minute, index) => {
    const known = minute.flatMap(({ longestMs }) => (longestMs === null ? [] : [longestMs]));
    return html`<tr><th scope="row">${index} to ${index + 1}</th><td class="number">${sum(minute.map(({ cycles }) => cycles))}</td><td class="number">${known.length === 0 ? "–" : duration(Math.max(...known))}</td><td class="number">${grouped(sum(minute.map(({ changed }) => changed)))}</td><td class="number">${sum(minute.map(({ failed }) => failed))}</td></tr>`;
  })}</tbody></table>`;
}

function duration(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : lasting(ms);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
