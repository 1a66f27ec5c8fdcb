/** An explanation for people. Everything foreign is made harmless, and cut: a message can be as long as a command line. */
import { isJsonObject, type Json, type JsonObject } from "../observer/conditions.ts";
import { parseWorkspaceId } from "../observer/names.ts";
import { foldRepetitions } from "../status/repetitions.ts";
import { ago, lasting, sizeOf } from "../status/wording.ts";
import type { Explanation } from "./explanation.ts";
import { bold, columns, green, printable, red, yellow } from "./terminal.ts";

/** An instance that leads writes its row after every cycle, and the longest idle interval that makes sense is shorter. */
const SILENT_MS = 60_000;
const MOST_CHARACTERS = 200;

type Line = readonly [name: string, value: string];

/** @param mostChanges lines of what happened before, at most */
export function explanationText(it: Explanation, mostChanges: number): string {
  const lines: Line[] = it.found
    ? [
        ["Workspace", bold(shown(it.workspace))],
        ...(it.deleted_at === null ? [] : [["Deleted", yellow(shown(it.deleted_at))] as const]),
        ["Operation", operation(it)],
        ["Observed", observed(it)],
        ...Object.entries(it.observed).map(([source, at]) => [`  ${shown(source)}`, when(at)] as const),
        ...looking(it),
        ...guard(it),
        ...container(it),
        ...volume(it),
        ...archive(it),
      ]
    : [
        ["Workspace", red(`there is no workspace ${quoted(it.workspace)}`)],
        ...(it.near.length === 0 ? [] : [["Perhaps", it.near.map(shown).join(", ")] as const]),
        ...(it.orphan.length === 0
          ? []
          : [["Orphan", yellow(`${it.orphan.join(", ")}: there without a row in workspaces`)] as const]),
        ...looking(it),
      ];
  return [columns(lines), ...history(it, mostChanges)].join("\n");
}

const operation = (it: Explanation): string =>
  it.operation_in_flight ? yellow(`${shown(it.operation)}, in flight`) : shown(it.operation ?? "NONE");

const observed = (it: Explanation): string =>
  parseWorkspaceId(it.workspace) === null
    ? yellow("never: nothing can be named after an id that is empty, or has a slash or a control character")
    : it.observed_at === null
      ? yellow("never, or not by every source")
      : when({ at: it.observed_at, age_ms: it.observed_age_ms });

function looking({ leader, sources }: Explanation): Line[] {
  if (leader === null) return [["Leader", red("none: nobody has ever looked")]];
  const { instance, epoch, leads, reported_age_ms: silentMs } = leader;
  const word = silentMs === null ? "it keeps no observer_status" : `last heard of ${ago(silentMs)}`;
  const text = `${shown(instance)}, epoch ${shown(epoch)}, ${word}`;
  const failing = Object.entries(sources ?? {}).filter(
    ([, { consecutive_failures }]) => consecutive_failures > 0,
  );
  return [
    [
      "Leader",
      leads
        ? (silentMs ?? 0) > SILENT_MS
          ? yellow(text)
          : text
        : red(
            `none: the lease of ${shown(instance)} ran out at ${shown(leader.lease_ends_at)}; nobody looks`,
          ),
    ],
    ...failing.map(
      ([name, { consecutive_failures, last_error }]): Line => [
        `  ${shown(name)}`,
        red(`failed ${consecutive_failures} times in a row: ${shown(last_error)}`),
      ],
    ),
  ];
}

const guard = ({ held, foreign }: Explanation): Line[] => [
  ...(held.length === 0
    ? []
    : [["Held back", yellow(`${held.join(", ")}: not listed any more, which is not believed yet`)] as const]),
  ...foreign.map(
    (source): Line => [
      `Other ${shown(source)}`,
      yellow("another world answers than the table was written from: see observer status"),
    ],
  ),
];

function container(it: Explanation): Line[] {
  const condition = it.conditions.container;
  if (!isJsonObject(condition)) return [["Container", absence(condition)]];
  const { death } = it;
  const paint = condition.running === true ? green : condition.reason === "OOMKilled" ? red : yellow;
  return [
    ["Container", head(it, "container", condition, paint)],
    ...host(condition),
    ["  id", shown(condition.container_id)],
    ["  image", shown(condition.image)],
    ...(condition.health === "none" ? [] : [["  health", shown(condition.health)] as const]),
    ...(condition.exit_code === null ? [] : [["  exit code", shown(condition.exit_code)] as const]),
    ...(death === null
      ? []
      : ([
          ["  out of memory", death.oom_killed === true ? red("yes") : "no"],
          ["  finished", `${shown(death.finished_at)} by the Engine's clock`],
          ...(death.error === "" ? [] : [["  error", red(shown(death.error))] as const]),
          ...(death.restart_count === 0 ? [] : [["  restarts", shown(death.restart_count)] as const]),
        ] as const)),
  ];
}

/** Of a fleet: whose word it is. */
const host = ({ host }: JsonObject): Line[] => (host === undefined ? [] : [["  host", shown(host)]]);

function volume(it: Explanation): Line[] {
  const condition = it.conditions.volume;
  if (!isJsonObject(condition)) return [["Volume", absence(condition)]];
  return [
    ["Volume", head(it, "volume", condition, green)],
    ...host(condition),
    ["  name", `${shown(condition.volume_name)}, driver ${shown(condition.driver)}`],
  ];
}

function archive(it: Explanation): Line[] {
  const condition = it.conditions.archive;
  if (!isJsonObject(condition)) return [["Archive", absence(condition)]];
  return [
    ["Archive", head(it, "archive", condition, green)],
    ["  key", shown(condition.archive_key)],
    ["  size", sized(condition.size_bytes)],
    ["  uploaded", `${shown(condition.uploaded_at)} by the store's clock`],
  ];
}

function head(it: Explanation, kind: string, condition: JsonObject, paint: (text: string) => string): string {
  const since = it.since[kind];
  return `${paint(shown(condition.reason))}: ${shown(condition.message)}${since ? `; since ${when(since)}` : ""}`;
}

const absence = (condition: Json | undefined): string =>
  condition === null
    ? "absent, which is proven"
    : yellow(condition === undefined ? "not observed" : "unreadable");

function history({ transitions, found }: Explanation, most: number): string[] {
  if (transitions === null)
    return ["", "What happened before is not kept: there is no observer_transitions."];
  if (transitions.length === 0) return found ? ["", "Nothing is known to have happened before."] : [];
  const rows = foldRepetitions(transitions)
    .slice(0, most)
    .map(({ latest: one, times, spanMs }) => [
      shown(one.at),
      `${one.age_ms === null ? "" : ago(one.age_ms)}${times === 1 ? "" : ` (×${times} in ${lasting(spanMs)})`}`,
      shown(one.condition),
      `${shown(one.from_reason)} → ${shown(one.to_reason)}`,
      [shown(one.message), ...telling(one.details)].filter((part) => part !== "").join(", "),
    ]);
  return ["", columns([["WHEN", "AGE", "CONDITION", "CHANGE", "WHY"], ...rows])];
}

/** What the message doesn't say already. */
function telling(details: unknown): string[] {
  if (!isJsonObject(details as Json)) return [];
  const { container_id, archive_key, finished_at } = details as JsonObject;
  return [container_id, archive_key, finished_at && `finished ${shown(finished_at)}`].flatMap((part) =>
    typeof part === "string" ? [shown(part)] : [],
  );
}

const when = ({ at, age_ms }: { readonly at: string; readonly age_ms: number | null }): string =>
  age_ms === null ? shown(at) : `${shown(at)}, ${ago(age_ms)}`;

const sized = (bytes: Json | undefined): string =>
  typeof bytes === "number" ? `${sizeOf(bytes)}${bytes < 1000 ? "" : ` (${bytes} bytes)`}` : shown(bytes);

const quoted = (text: string): string => JSON.stringify(shown(text));

/** Whatever somebody wrote there. */
function shown(value: Json | undefined): string {
  const text = typeof value === "string" ? value : value === undefined ? "unknown" : JSON.stringify(value);
  return printable(text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS - 1)}…` : text);
}
