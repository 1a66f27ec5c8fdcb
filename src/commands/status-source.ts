/** Where `observer status` reads: the rows of `observer_status`, or what one running instance answers. */

import type { PostgresClient } from "../adapters/postgres-client.ts";
import { isLoopback } from "../config/status.ts";
import type { ListenAddress } from "../config.ts";
import { isJsonObject, type Json, type JsonObject } from "../observer/conditions.ts";
import { errorText } from "../status/error-text.ts";

/** What one instance said of itself, and how long ago: docs/status-endpoint.md, of whatever version it is. */
export interface Said {
  readonly instance: string;
  readonly age_seconds: number;
  readonly status: JsonObject;
}

export interface Reading {
  /** `observer_status`, or the URL that answered. */
  readonly from: string;
  /** The latest first. */
  readonly instances: readonly Said[];
}

const MOST_INSTANCES = 1_000;
/** An instance names at most a hundred workspaces per list; this is many times that. */
const MOST_ANSWER_BYTES = 1024 * 1024;

export async function readStatusTable(database: PostgresClient, signal: AbortSignal): Promise<Reading> {
  const rows = await database.transaction(
    "Cannot read observer_status",
    signal,
    (tx) => tx<(Omit<Said, "status"> & { readonly status: Json })[]>`
      select instance, extract(epoch from clock_timestamp() - updated_at)::float8 as age_seconds, status
        from observer_status order by updated_at desc limit ${MOST_INSTANCES}::int`,
  );
  const instances = rows.map((row) => ({ ...row, status: isJsonObject(row.status) ? row.status : {} }));
  return { from: "observer_status", instances };
}

/** The URL under which this machine reaches that address. */
export function endpointOf({ hostname, port }: ListenAddress): string {
  const any = { "0.0.0.0": "127.0.0.1", "::": "[::1]" }[hostname];
  return `http://${any ?? (hostname.includes(":") ? `[${hostname}]` : hostname)}:${port}`;
}

/**
 * Asks a running instance.
 *
 * @param base `http://127.0.0.1:9464`, or where a proxy shows that
 * @throws Error `Cannot ask …`, without the token
 */
export async function askEndpoint(base: string, token: string | null, signal: AbortSignal): Promise<Reading> {
  const url = `${base.replace(/\/+$/, "")}/status`;
  const refuse = (state: string, cause?: unknown) =>
    new Error(`Cannot ask ${errorText(url)}: ${state}`, { cause });
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      signal,
      // Elsewhere the token is nobody's: not a redirect's target's, nor a proxy's on the way to this very machine.
      redirect: "manual",
      ...(isLoopback(URL.parse(url)?.hostname ?? "") && { proxy: false as const }),
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
    });
    text = await boundedText(response);
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw refuse(whyUnreachable(cause), cause);
  }
  if (response.status === 401) throw refuse("it wants the token of OBSERVER_STATUS_TOKEN");
  if (response.status !== 200) throw refuse(`it answered ${response.status}`);
  const status = parsed(text);
  if (status === null || typeof status.instance !== "string" || typeof status.role !== "string")
    throw refuse("no Observer answers there");
  return { from: base, instances: [{ instance: status.instance, age_seconds: 0, status }] };
}

/** The runtime's own words ask whether the computer can reach the URL, of which it is no help to hear. */
export const whyUnreachable = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && /^E?CONN(?:ECTION)?REFUSED$/i.test(String(cause.code))
    ? "nobody listens there: does an Observer run, and is that its OBSERVER_LISTEN?"
    : errorText(cause);

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MOST_ANSWER_BYTES) throw new Error("the answer is too long to be a status");
  }
  return text;
}

function parsed(text: string): JsonObject | null {
  try {
    const value = JSON.parse(text) as Json;
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}
