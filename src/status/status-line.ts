/** One line for people, of how it goes: `systemctl status` shows it. */
import { type HealthConfig, isReady } from "../observer/health.ts";
import { formatInstant, type Instant } from "../observer/instant.ts";
import { type ObserverView, partsOf } from "../observer/view.ts";
import { publicText } from "./error-text.ts";

/** The whole line; each thing that is wrong is cut at 500 characters before that. */
const MOST_CHARACTERS = 1_000;

/**
 * Role, cadence, freshness, and what is wrong: `leading, idle: 12 workspaces, as of 2026-11-24T10:48:17Z`.
 *
 * Times are given as times: an age that nobody renews, since the process hangs, would look fresh for ever.
 */
export function statusLine(view: ObserverView, health: HealthConfig): string {
  const line = [roleOf(view), ...problemsOf(view, health).map(publicText)].join("; ");
  const printable = line.replace(/[\u0000-\u001f\u007f]+/g, " ");
  return printable.length > MOST_CHARACTERS ? `${printable.slice(0, MOST_CHARACTERS - 1)}…` : printable;
}

function roleOf(view: ObserverView): string {
  if (view.role === "standby") return `standing by for ${view.leader ?? "an unknown leader"}`;
  if (view.role === "starting") return "starting";
  const rows = view.lastCycle?.counts.rows ?? null;
  const what = rows === null ? "" : `${rows} workspaces, `;
  const hosts = (view.parts ?? []).filter(({ host }) => host !== null);
  const leading = hosts.filter((part) => part.view.role === "leader").length;
  const all = hosts.length === 0 ? "" : ` for ${leading} of ${hosts.length} hosts`;
  const role = view.role === "leader" ? `leading${all}` : "led until the database was lost";
  return `${role}, ${view.cadence.mode}: ${what}${freshnessOf(view)}`;
}

/** By the database's clock; of the source that lags most. */
function freshnessOf(view: ObserverView): string {
  const sources = partsOf(view).flatMap((part) => Object.values(part.view.sources));
  const stamps = sources.flatMap((source) => (source === null ? [] : [source.lastSuccessStamp]));
  const known = stamps.filter((stamp) => stamp !== null);
  if (known.length < stamps.length) return "not all observed yet";
  const oldest = Math.min(...known) as Instant;
  return `as of ${formatInstant(oldest).slice(0, "2026-11-24T10:48:17".length)}Z`;
}

/** Why not to trust the table; and what fails already, though that did no harm yet. */
function problemsOf(view: ObserverView, health: HealthConfig): string[] {
  const problems = isReady(view, health).reasons.filter((reason) => !reason.startsWith("starting:"));
  const mention = (name: string, error: string | null) => {
    if (error !== null && !problems.some((reason) => reason.startsWith(name)))
      problems.push(`${name}: ${error}`);
  };
  for (const { host, view: part } of partsOf(view)) {
    const whose = host === null ? "" : `${host}: `;
    if (part.role !== "standby")
      for (const [name, source] of Object.entries(part.sources))
        mention(whose + name, source?.lastError ?? null);
    for (const [name, link] of Object.entries(part.links)) mention(whose + name, link.lastError);
  }
  return problems;
}
