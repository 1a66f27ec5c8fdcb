/**
 * What all of the page is made of. Every text goes through `html`, which escapes it, and every foreign one through
 * `shown` first: nothing of an Engine's or a table's becomes markup, grows without bound, or turns its surroundings round.
 */
import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import { shown } from "../wording.ts";

export { html, shown };
export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** Isolated, so that a name of another direction stays in its place. */
export const foreign = (value: unknown, most?: number): Html => html`<bdi>${shown(value, most)}</bdi>`;

/** @param tone for the eye; the text has to say the same */
export const badge = (tone: Tone, text: string): Html => html`<span class="badge ${tone}">${text}</span>`;

export type Tone = "good" | "bad" | "warn" | "quiet";

/** A moment, in UTC to the second. Whole milliseconds since 1970. */
export function moment(wallMs: number): Html {
  const text = new Date(wallMs).toISOString().slice(0, 19);
  return html`<time datetime="${text}Z">${text.replace("T", " ")} UTC</time>`;
}
