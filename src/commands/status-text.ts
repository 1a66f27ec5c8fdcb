/** `observer status` for people: who leads, what each source is like, what is held back, and one verdict. */
import { isJsonObject, type Json, type JsonObject } from "../observer/conditions.ts";
import type { Reading, Said } from "./status-source.ts";
import { columns, green, printable, red, yellow } from "./terminal.ts";

/** An instance that was silent for longer is probably gone: a leader writes its row after each cycle. */
const SILENT_SECONDS = 60;
/** Workspaces that are named in one line. */
const MOST_NAMES = 20;

export interface StatusVerdict {
  /** Somebody observes. */
  readonly observed: boolean;
  /** What is wrong all the same, one line each. */
  readonly reasons: readonly string[];
  /** One sentence. */
  readonly text: string;
}

/** Whose knowledge of the world counts: the leader that gave a sign of late. */
const leaderOf = ({ instances }: Reading): Said | null =>
  instances.find(({ age_seconds, status }) => status.role === "leader" && age_seconds < SILENT_SECONDS) ??
  null;

export function verdictOf(reading: Reading): StatusVerdict {
  const leader = leaderOf(reading);
  if (leader !== null) {
    const reasons = reasonsOf(leader);
    const name = `${printable(leader.instance)} leads`;
    const text =
      reasons.length === 0
        ? `All is well: ${name}, and everything is observed.`
        : `${name}, but: ${reasons.map(printable).join("; ")}`;
    return { observed: true, reasons, text };
  }
  // An instance that was asked itself knows whether another one leads; its row in the table may be about to be replaced.
  const [asked] = reading.instances;
  if (reading.from !== "observer_status" && asked?.status.role === "standby") {
    const other = word(asked.status.leader);
    return {
      observed: true,
      reasons: [],
      text: `${printable(asked.instance)} stands by, and ${other} leads.`,
    };
  }
  const text =
    reading.from === "observer_status" || asked === undefined
      ? "no leader has given a sign for a minute"
      : `${printable(asked.instance)} is ${word(asked.status.role)}`;
  return { observed: false, reasons: [text], text: `Nobody observes: ${text}.` };
}

/** An instance that answers for itself says `ready`; of a row the same is made of what it holds. */
function reasonsOf({ status, age_seconds }: Said): string[] {
  const ready = at(status, "ready");
  if (isJsonObject(ready) && Array.isArray(ready.reasons)) return ready.reasons.map(String);
  const sources = ["engine", "archives"].flatMap((name) => {
    const source = at(status, "sources", name);
    if (!isJsonObject(source)) return [];
    if (typeof source.last_error === "string") return [`${name} cannot be observed`];
    return typeof source.last_success_age_ms === "number" ? [] : [`${name} was never observed`];
  });
  const database = at(status, "links", "database", "up") === false ? ["the database is down"] : [];
  const held = kinds.filter((kind) => countOf(at(status, "held", kind)) > 0).map((kind) => `${kind}s`);
  const foreign = ["engine", "archives"].filter((name) => isJsonObject(at(status, "foreign", name)));
  return [
    ...(age_seconds > SILENT_SECONDS / 2 ? [`its last sign is ${age_seconds.toFixed(0)} s old`] : []),
    ...sources,
    ...database,
    ...foreign.map((name) => `${name} is not the known one`),
    ...(held.length === 0 ? [] : [`absences of ${held.join(" and ")} are held back`]),
  ];
}

/** Lines without their ends, the verdict last. Everything foreign is made harmless. */
export function statusLines(reading: Reading): readonly string[] {
  const { instances } = reading;
  const verdict = verdictOf(reading);
  const table = columns([
    ["INSTANCE", "ROLE", "EPOCH", "VERSION", "LAST SIGN", "CADENCE"],
    ...instances.map(({ instance, age_seconds, status }) => [
      printable(instance),
      word(status.role),
      word(status.epoch),
      word(status.version),
      age_seconds === 0 ? "now" : `${age_seconds.toFixed(1)} s ago`,
      status.role === "leader" ? cadence(status) : "–",
    ]),
  ]);
  const said = leaderOf(reading) ?? instances[0];
  const paint = !verdict.observed ? red : verdict.reasons.length > 0 ? yellow : green;
  return [
    ...(instances.length === 0 ? ["No instance has said anything yet."] : table.split("\n")),
    "",
    ...(said === undefined ? [] : [...details(said), ""]),
    paint(verdict.text),
  ];
}

function details(said: Said): string[] {
  const { status } = said;
  const lines = columns([
    ...["engine", "archives"].map((name) => [name, sourceText(said, name)]),
    ["links", linksText(status)],
    ["last cycle", cycleText(status)],
  ]).split("\n");
  const foreign = ["engine", "archives"].flatMap((name) => {
    const world = at(status, "foreign", name);
    if (!isJsonObject(world)) return [];
    return [
      `${name} is ${word(world.seen)}, but the table was written from ${word(world.known)}: ` +
        `if that is right, observer accept ${name}`,
    ];
  });
  const failures = at(status, "last_cycle", "failures");
  const error = Array.isArray(failures) ? at(failures.at(-1), "error") : undefined;
  return [
    ...lines,
    ...[
      ...foreign,
      ...named(status, "held", "the guard holds back the absence of"),
      ...named(status, "orphans", "without a row:"),
      ...(typeof error === "string" ? [`last error: ${printable(error)}`] : []),
    ].map(yellow),
  ];
}

function sourceText({ status, age_seconds }: Said, name: string): string {
  const source = at(status, "sources", name);
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
  return ["database", "channel", "events", "wake"]
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
