/**
 * What whoever was woken at night reads first: is all well, and if not, what is wrong, since when, and what to do. The page
 * and `observer status` say the same, for it is judged here alone.
 */
import { acceptCommand, type Finding, findings, type HealthConfig } from "../observer/health.ts";
import { type LinkName, type ObserverView, partsOf } from "../observer/view.ts";
import { counted, shown } from "./wording.ts";

export interface Judgement {
  /** `doubtful`: the table can be trusted in spite of it. */
  readonly state: "well" | "doubtful" | "failing";
  /** One sentence without ages or counts that tick: it is read aloud whenever it changes. */
  readonly headline: string;
  readonly items: readonly Item[];
}

export interface Item {
  /** The beginning of a sentence, without its capital. */
  readonly what: string;
  /** Monotonic milliseconds. */
  readonly sinceMs: number | null;
  /** The reason in full, where the headline doesn't say it all. */
  readonly detail: string | null;
  /** What to do; commands between back quotes. */
  readonly advice: string;
}

export function judge(view: ObserverView, health: HealthConfig): Judgement {
  const wrong = findings(view, health).map((finding) => ({ ...finding, item: itemOf(finding) }));
  const doubts = partsOf(view).flatMap(({ host, view: part }) => {
    const known = wrong.filter((finding) => finding.host === host).map(({ item }) => item.what);
    return doubtsOf(part, new Set(known)).map((item) => ({ host, item }));
  });
  // Where one process looks after several Engines each thing says whose it is.
  const items = [...wrong, ...doubts].map(({ host, item }) =>
    host === null ? item : { ...item, what: `${host}: ${item.what}` },
  );
  const more = items.length < 2 ? "" : `, and ${counted(items.length - 1, "thing")} more`;
  const [first] = items;
  if (first === undefined) return { state: "well", headline: wellOf(view), items };
  const what = first.what.replace(/\.$/, "");
  return wrong.length > 0
    ? { state: "failing", headline: `Not well: ${what}${more}.`, items }
    : { state: "doubtful", headline: `It works, but ${what}${more}.`, items };
}

const wellOf = ({ role, leader }: ObserverView): string =>
  role === "standby"
    ? `All well. This instance stands by; ${leader === null ? "nobody is known to lead" : `${shown(leader, 80)} leads`}.`
    : "All well.";

const SOURCE = { engine: "the Engine", archives: "the archive store" } as const;
const sourceName = (about: string | null): string => SOURCE[about as keyof typeof SOURCE] ?? String(about);

function itemOf({ kind, about, host, sinceMs, reason }: Finding): Item {
  const item = (what: string, advice: string): Item => ({ what, sinceMs, detail: reason, advice });
  switch (kind) {
    case "hang":
      return item("nothing moves any more", "Restart this instance: it doesn't get out of this by itself.");
    case "database":
      return item(
        "the database cannot be used",
        "Nothing is written until it is back, and nothing is lost. `observer check` tests the address, the role and the tables.",
      );
    case "starting":
      return item(
        "it is still starting",
        "If it stays so, the database keeps it waiting: its error says why.",
      );
    case "disconnected":
      return item(
        "this instance lost touch with the database while it led",
        "Another instance leads by now, if it reaches the database: `observer status` tells.",
      );
    case "write":
      return item("nothing was written for too long", "See what failed in the last cycle, and the log.");
    case "source":
      return item(
        `${sourceName(about)} cannot be observed`,
        "Its part of the table stands still, and nothing of it is taken for absent. `observer check` tells how to mend it.",
      );
    case "foreign":
      return item(
        `${sourceName(about)} is another one than the table was written from`,
        `If the socket, bucket and prefix are right, run \`${acceptCommand(about, host)}\`; if not, mend the setting. Absences wait until then.`,
      );
    case "held":
      return item(
        `many ${about}s vanished at once, and that is not believed yet`,
        "Check the socket, the prefix and the bucket. If the loss is real, do nothing: it is believed after a few more looks.",
      );
  }
}

const LINK: Readonly<Record<Exclude<LinkName, "database">, readonly [what: string, advice: string]>> = {
  channel: [
    "hints cannot be heard",
    "Changes are found at the idle cadence until it is back. Look at Redis, or at PostgreSQL's LISTEN.",
  ],
  events: [
    "the Engine's events cannot be heard",
    "Changes are found at the idle cadence until they are back.",
  ],
  wake: [
    "wake-ups cannot be published",
    "The table is right, but the controller hears of it late. Look at Redis, or at PostgreSQL's NOTIFY.",
  ],
  transitions: [
    "the history of changes cannot be kept",
    "The table is right, but what changes meanwhile is missing in `observer_transitions` for good. Mend what the error names; the next change that is kept ends this.",
  ],
};

/** What the table can be trusted in spite of. */
function doubtsOf(view: ObserverView, known: ReadonlySet<string>): Item[] {
  const doubts: Item[] = [];
  for (const [name, source] of Object.entries(view.sources)) {
    const what = `${sourceName(name)} cannot be observed`;
    if (source === null || source.consecutiveFailures === 0 || known.has(what)) continue;
    const times = counted(source.consecutiveFailures, "listing");
    doubts.push({
      what: `${sourceName(name)} cannot be observed right now`,
      sinceMs: source.lastSuccessMs,
      detail: `${times} in a row failed: ${source.lastError ?? "unknown"}`,
      advice: "It is tried again by itself.",
    });
  }
  for (const [name, [what, advice]] of Object.entries(LINK)) {
    const link = view.links[name as LinkName];
    if (link.up === false) doubts.push({ what, sinceMs: link.sinceMs, detail: link.lastError, advice });
  }
  const orphans = new Set(Object.values(view.orphans).flat());
  if (orphans.size > 0)
    doubts.push({
      what: "there are resources without a row",
      sinceMs: null,
      detail: `${counted(orphans.size, "workspace")} of which a container, a volume or an archive is left`,
      advice: "Remove them, or restore their rows: `observer status` and the page name them.",
    });
  const contested = view.lastCycle?.contested ?? [];
  if (contested.length > 0)
    doubts.push({
      what: "more than one resource claims the same workspace",
      sinceMs: null,
      detail: contested
        .slice(0, 5)
        .map((id) => shown(id, 60))
        .join(", "),
      advice: "The running, else the newest one counts. Remove the wrong one.",
    });
  return doubts;
}
