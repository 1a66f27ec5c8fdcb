/** `observer status` for people: who leads, what each source is like, what is held back, and one verdict. */
import { isJsonObject, type Json, type JsonObject } from "../observer/conditions.ts";
import { lasting } from "../status/wording.ts";
import type { Reading, Said } from "./status-source.ts";
import { columns, green, printable, red, yellow } from "./terminal.ts";

/** An instance that was silent for longer is probably gone: a leader writes its row after each cycle. */
const SILENT_SECONDS = 60;
/** Workspaces that are named in one line. */
const MOST_NAMES = 20;
/** Of the instances that are gone; a day of restarts leaves many rows. */
const MOST_GONE = 3;

export interface StatusVerdict {
  /** Somebody observes. */
  readonly observed: boolean;
  /** What is wrong all the same, one line each. */
  readonly reasons: readonly string[];
  /** One line. */
  readonly text: string;
  readonly tone: "well" | "doubtful" | "failing";
}

/** Whose knowledge of the world counts: the leader that gave a sign of late. */
const leaderOf = ({ instances }: Reading): Said | null =>
  instances.find(({ age_seconds, status }) => status.role === "leader" && age_seconds < SILENT_SECONDS) ??
  null;

/** Who was asked itself, and is not the leader: what it suffers from may be what the leader does. */
const besideOf = ({ instances }: Reading): Said | null =>
  instances.find(({ age_seconds, status }) => age_seconds === 0 && status.role !== "leader") ?? null;

/** The host of a fleet that an instance is on. */
const hostOf = ({ status }: Said): string | null => {
  const host = at(status, "fleet", "host");
  return typeof host === "string" ? host : null;
};

/** Of a fleet each host has to be observed, by a leader of its own. Null: there is none. */
function fleetVerdict({ from, instances }: Reading): StatusVerdict | null {
  const hosts = new Set(instances.flatMap((said) => hostOf(said) ?? []));
  if (from !== "observer_status" || hosts.size === 0) return null;
  const judged = [...hosts].sort().map((host) => {
    const leader = leaderOf({ from, instances: instances.filter((said) => hostOf(said) === host) });
    const reasons = leader === null ? ["no leader has given a sign for a minute"] : reasonsOf(leader);
    return { isObserved: leader !== null, reasons: reasons.map((reason) => `${host}: ${reason}`) };
  });
  const observing = judged.filter(({ isObserved }) => isObserved).length;
  const reasons = judged.flatMap((one) => one.reasons);
  const count = `${observing} of ${hosts.size} hosts`;
  const text =
    observing === 0
      ? "Nobody observes: no leader of any host has given a sign for a minute."
      : reasons.length === 0
        ? `All is well: ${count} are observed.`
        : [`${count} are observed, but:`, ...reasons.map((reason) => `  ${printable(reason)}`)].join("\n");
  const tone = observing < hosts.size ? "failing" : reasons.length > 0 ? "doubtful" : "well";
  return { observed: observing > 0, reasons, text, tone };
}

/** What is wrong is each instance's own judgement (docs/status-endpoint.md); here it is only told who says so. */
export function verdictOf(reading: Reading): StatusVerdict {
  const fleet = fleetVerdict(reading);
  if (fleet !== null) return fleet;
  const leader = leaderOf(reading);
  const beside = besideOf(reading);
  const own = leader === null ? [] : reasonsOf(leader);
  const others = beside === null ? [] : reasonsOf(beside);
  const reasons = [...own, ...others];
  const text = (...sentences: readonly string[]) => sentences.filter((it) => it !== "").join(" ");
  const trouble = beside === null || others.length === 0 ? "" : troubleOf(beside);
  if (leader !== null) {
    const name = `${printable(leader.instance)} leads`;
    if (reasons.length === 0)
      return {
        observed: true,
        reasons,
        text: `All is well: ${name}, and everything is observed.`,
        tone: "well",
      };
    const isFailing = at(leader.status, "verdict", "state") === "failing";
    const told = others.length === 0 ? "" : `${printable(beside?.instance ?? "")}: ${trouble}`;
    return {
      observed: true,
      reasons,
      text: text(`${name}.`, troubleOf(leader), told),
      tone: isFailing ? "failing" : "doubtful",
    };
  }
  // An instance that was asked itself knows whether another one leads; its row in the table may be about to be replaced.
  if (reading.from !== "observer_status" && beside?.status.role === "standby")
    return {
      observed: true,
      reasons,
      text: text(
        `${printable(beside.instance)} stands by, and ${word(beside.status.leader)} leads.`,
        trouble,
      ),
      tone: reasons.length === 0 ? "well" : "doubtful",
    };
  const why =
    beside === null || beside.status.role === "standby"
      ? "no leader has given a sign for a minute"
      : `${printable(beside.instance)} is ${word(beside.status.role)}`;
  return {
    observed: false,
    reasons: [why, ...reasons],
    text: text(`Nobody observes: ${why}.`, trouble),
    tone: "failing",
  };
}

interface Found {
  readonly what: string;
  readonly sinceMs: number | null;
  readonly detail: string | null;
  readonly advice: string | null;
}

function findingsOf({ status }: Said): Found[] {
  const list = at(status, "verdict", "findings");
  if (!Array.isArray(list)) return [];
  return list.filter(isJsonObject).map(({ what, since_ms, detail, advice }) => ({
    what: printable(String(what)),
    sinceMs: typeof since_ms === "number" ? since_ms : null,
    detail: typeof detail === "string" ? printable(detail) : null,
    advice: typeof advice === "string" ? printable(advice) : null,
  }));
}

/** What is wrong with it, in a sentence or two: its own headline, and what it can't know of itself. */
function troubleOf(said: Said): string {
  const headline = at(said.status, "verdict", "headline");
  const isWell = at(said.status, "verdict", "state") === "well";
  const own = typeof headline === "string" && !isWell ? [printable(headline)] : [];
  return [...own, ...doubtsOf(said).map((doubt) => `But ${doubt}.`)].join(" ");
}

const reasonsOf = (said: Said): string[] => [
  ...doubtsOf(said),
  ...findingsOf(said).map(({ what, detail }) => (detail === null ? what : `${what}: ${detail}`)),
];

const doubtsOf = ({ age_seconds, status }: Said): string[] => [
  ...(age_seconds > SILENT_SECONDS / 2 ? [`its last sign is ${age_seconds.toFixed(0)} s old`] : []),
  ...(at(status, "verdict", "state") === undefined ? ["it gives no verdict: it is of another version"] : []),
];

/** Lines without their ends, the verdict last. Everything foreign is made harmless. */
export function statusLines(reading: Reading): readonly string[] {
  const { instances } = reading;
  const verdict = verdictOf(reading);
  const leader = leaderOf(reading);
  const beside = besideOf(reading);
  const isGone = ({ age_seconds }: Said) => age_seconds >= SILENT_SECONDS;
  const gone = instances.filter(isGone);
  const shown = [...instances.filter((it) => !isGone(it)), ...gone.slice(0, MOST_GONE)];
  const isFleet = instances.some((said) => hostOf(said) !== null);
  const table = columns([
    [...(isFleet ? ["HOST"] : []), "INSTANCE", "ROLE", "EPOCH", "VERSION", "LAST SIGN", "CADENCE"],
    ...shown.map((it) => [
      ...(isFleet ? [word(at(it.status, "fleet", "host"))] : []),
      printable(it.instance),
      roleOf(it, reading),
      word(it.status.epoch),
      word(it.status.version),
      it.age_seconds === 0 ? "now" : `${it.age_seconds.toFixed(1)} s ago`,
      it === leader ? cadence(it.status) : "–",
    ]),
  ]);
  const said = leader ?? instances[0];
  const found = [...new Set([leader, beside])].filter((it) => it !== null).flatMap(findingLines);
  const paint = { well: green, doubtful: yellow, failing: red }[verdict.tone];
  return [
    ...(instances.length === 0 ? ["No instance has said anything yet."] : table.split("\n")),
    ...(gone.length > MOST_GONE ? [`… and ${gone.length - MOST_GONE} more that are gone`] : []),
    "",
    ...(said === undefined ? [] : [...details(said), ""]),
    ...(found.length === 0 ? [] : [...found, ""]),
    ...verdict.text.split("\n").map(paint),
  ];
}

/** A row stays behind where an instance ended, or lost the lease. Each host of a fleet has a leader. */
function roleOf(said: Said, { from, instances }: Reading): string {
  if (said.age_seconds >= SILENT_SECONDS) return "gone";
  const ofHost = instances.filter((other) => hostOf(other) === hostOf(said));
  const isLeader = said === leaderOf({ from, instances: ofHost });
  return said.status.role === "leader" && !isLeader ? "led before" : word(said.status.role);
}

const findingLines = (said: Said): string[] =>
  findingsOf(said).flatMap(({ what, sinceMs, detail, advice }) => [
    yellow(
      `${what.charAt(0).toUpperCase()}${what.slice(1)}${sinceMs === null ? "" : `, for ${lasting(sinceMs + said.age_seconds * 1000)}`}.`,
    ),
    ...[detail, advice].filter((text) => text !== null).map((text) => `  ${text}`),
  ]);

function details(said: Said): string[] {
  const { status } = said;
  const engines = at(status, "engines");
  const lines = columns([
    ...(isJsonObject(engines)
      ? Object.entries(engines).map(([host, engine]) => [
          `engine of ${printable(host)}`,
          sourceText(said, at(engine, "source")),
        ])
      : [["engine", sourceText(said, at(status, "sources", "engine"))]]),
    ["archives", sourceText(said, at(status, "sources", "archives"))],
    ["links", linksText(status)],
    ["last cycle", cycleText(status)],
  ]).split("\n");
  const failures = at(status, "last_cycle", "failures");
  const error = Array.isArray(failures) ? at(failures.at(-1), "error") : undefined;
  const isTold = (text: string) => findingsOf(said).some(({ detail }) => detail?.includes(text));
  return [
    ...lines,
    ...[
      ...named(status, "held", "the guard holds back the absence of"),
      ...named(status, "orphans", "without a row:"),
      ...(typeof error === "string" && !isTold(printable(error)) ? [`last error: ${printable(error)}`] : []),
    ].map(yellow),
  ];
}

function sourceText({ age_seconds }: Said, source: Json | undefined): string {
  if (!isJsonObject(source)) return "–";
  const age = source.last_success_age_ms;
  const fresh =
    typeof age === "number" ? `observed ${seconds(age + age_seconds * 1000)} ago` : "never observed";
  const duration =
    typeof source.last_duration_ms === "number" ? `, in ${Math.round(source.last_duration_ms)} ms` : "";
  if (typeof source.last_error !== "string") return fresh + duration;
  const failures = source.consecutive_failures;
  return red(`${fresh}; failed ${failures ?? "?"} times in a row: ${printable(source.last_error)}`);
}

function linksText(status: JsonObject): string {
  const links = at(status, "links");
  if (!isJsonObject(links)) return "–";
  // The table's jsonb keeps no order.
  return ["database", "channel", "events", "wake", "transitions"]
    .map((name) => {
      const link = links[name];
      const up = at(link, "up");
      if (up !== false) return `${name} ${up === true ? "up" : "–"}`;
      const since = at(link, "since_ms");
      const error = at(link, "last_error");
      return red(
        `${name} down${typeof since === "number" ? ` for ${seconds(since)}` : ""}` +
          `${typeof error === "string" ? ` (${printable(error)})` : ""}`,
      );
    })
    .join(", ");
}

function cycleText(status: JsonObject): string {
  const duration = at(status, "last_cycle", "duration_ms");
  if (typeof duration !== "number") return "–";
  const count = (name: string) => word(at(status, "last_cycle", "counts", name));
  const kind = word(at(status, "last_cycle", "kind"));
  return `${kind}, ${Math.round(duration)} ms: ${count("rows")} workspaces, ${count("changed")} changed, ${count("skipped")} skipped`;
}

function cadence(status: JsonObject): string {
  const next = at(status, "cadence", "next_in_ms");
  return `${word(at(status, "cadence", "mode"))}${typeof next === "number" ? `, next look in ${seconds(next)}` : ""}`;
}

const kinds = ["container", "volume", "archive"] as const;

function named(status: JsonObject, key: string, words: string): string[] {
  return kinds.flatMap((kind) => {
    const list = at(status, key, kind);
    const count = countOf(list);
    if (count === 0) return [];
    const workspaces = at(list, "workspaces");
    const names = Array.isArray(workspaces)
      ? workspaces.slice(0, MOST_NAMES).map((id) => printable(String(id)))
      : [];
    return [`${count} ${kind}s: ${words} ${names.join(", ")}${count > names.length ? ", …" : ""}`];
  });
}

function countOf(list: Json | undefined): number {
  const count = at(list, "count");
  return typeof count === "number" ? count : 0;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

const at = (value: Json | undefined, ...keys: readonly string[]): Json | undefined =>
  keys.reduce<Json | undefined>((inner, key) => (isJsonObject(inner) ? inner[key] : undefined), value);

const word = (value: Json | undefined): string =>
  typeof value === "string" || typeof value === "number" ? printable(String(value)) : "–";
