/** `observer status`: what the instances say of themselves in `observer_status`. */
import type { Config } from "../config.ts";
import { exitCode } from "../exit-codes.ts";
import { isJsonObject, type Json, type JsonObject } from "../observer/conditions.ts";
import { withDeadline } from "../observer/deadline.ts";
import { limits } from "../observer/limits.ts";
import { wire } from "../wire.ts";
import { columns, print, printable, red, silent, yellow } from "./terminal.ts";

interface StatusRow {
  readonly instance: string;
  readonly age_seconds: number;
  readonly status: Json;
}

/** An instance that was silent for longer is probably gone: a leader writes its row after each cycle. */
const SILENT_SECONDS = 60;

export async function status(
  config: Config,
  options: { readonly json: boolean },
  stop: AbortSignal,
): Promise<number> {
  const world = await wire(config, silent, { sourcePatienceMs: limits.sourcePatienceMs });
  try {
    const rows = await withDeadline(
      world.cycle.clock,
      config.writeTimeoutMs,
      "Cannot read observer_status",
      (signal) =>
        world.database.transaction(
          "Cannot read observer_status",
          signal,
          (tx) => tx<StatusRow[]>`
            select instance, extract(epoch from clock_timestamp() - updated_at)::float8 as age_seconds, status
              from observer_status order by updated_at desc limit 100`,
        ),
      stop,
    );
    const leads = rows.some(
      (row) => text(row.status, "role") === "leader" && row.age_seconds < SILENT_SECONDS,
    );
    await print(
      options.json ? JSON.stringify({ observed: leads, instances: rows }, null, 2) : asText(rows, leads),
    );
    return leads ? exitCode.ok : exitCode.failed;
  } finally {
    await world.close();
  }
}

function asText(rows: readonly StatusRow[], leads: boolean): string {
  const table = columns([
    ["INSTANCE", "ROLE", "VERSION", "LAST SIGN", "ENGINE", "ARCHIVES"],
    ...rows.map(({ instance, age_seconds, status: said }) => [
      printable(instance),
      text(said, "role"),
      text(said, "version"),
      `${age_seconds.toFixed(1)} s ago`,
      sourceCell(said, "engine"),
      sourceCell(said, "archives"),
    ]),
  ]);
  const leader = rows.find(({ status: said }) => text(said, "role") === "leader")?.status ?? null;
  return [
    rows.length === 0 ? "No instance has said anything yet." : table,
    "",
    ...reasons(leader).map((reason) => yellow(printable(reason))),
    ...named(leader, "held", "the guard holds back the absence of").map(yellow),
    ...named(leader, "orphans", "without a row:").map(yellow),
    ...(leads ? [] : [red("Nobody observes: no leader has given a sign for a minute.")]),
  ].join("\n");
}

function sourceCell(said: Json, source: string): string {
  const health = at(at(said, "sources"), source);
  if (!isJsonObject(health)) return "–";
  const age = health.last_success_age_ms;
  const when = typeof age === "number" ? `observed ${(age / 1000).toFixed(1)} s before` : "never observed";
  return typeof health.last_error === "string" ? `${when}: ${printable(health.last_error)}` : when;
}

function reasons(said: Json): string[] {
  return ["engine", "archives"].flatMap((source) => {
    const foreign = at(at(said, "foreign"), source);
    if (!isJsonObject(foreign)) return [];
    return [
      `${source} is ${foreign.seen}, but the table was written from ${foreign.known}: if that is right, observer accept ${source}`,
    ];
  });
}

function named(said: Json, key: string, words: string): string[] {
  return ["container", "volume", "archive"].flatMap((kind) => {
    const list = at(at(said, key), kind);
    if (!isJsonObject(list) || typeof list.count !== "number" || list.count === 0) return [];
    const names = Array.isArray(list.workspaces)
      ? list.workspaces.slice(0, 20).map((id) => printable(String(id)))
      : [];
    const more = list.count > names.length ? ", …" : "";
    return [`${list.count} ${kind}s: ${words} ${names.join(", ")}${more}`];
  });
}

const at = (value: Json | undefined, key: string): Json | undefined =>
  isJsonObject(value) ? (value as JsonObject)[key] : undefined;

function text(value: Json, key: string): string {
  const found = at(value, key);
  return typeof found === "string" ? printable(found) : "–";
}
