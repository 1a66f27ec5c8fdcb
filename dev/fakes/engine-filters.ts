import type { EngineEvent } from "./engine-events.ts";
import { type Container, EngineRefusal, type Volume } from "./engine-model.ts";
import { stateName } from "./engine-status-text.ts";
import type { EngineWorld } from "./engine-world.ts";

/** Filter name → wanted values; any of them will do, but for labels, of which all must match. */
export type Filters = Map<string, string[]>;

/** Filters that dockerd takes. Those this simulation doesn't know are refused aloud rather than ignored. */
const CONTAINER_FILTERS = new Set(
  "ancestor before exited expose health id is-task isolation label name network publish since status volume".split(
    " ",
  ),
);
const KNOWN_CONTAINER_FILTERS = new Set("exited health id label name status volume".split(" "));
const VOLUME_FILTERS = new Set(["dangling", "driver", "label", "name"]);
const STATE_NAMES = new Set("created dead exited paused removing restarting running".split(" "));

/** Reads `{"name":["a"]}` and the older `{"name":{"a":true}}`. */
export function parseFilters(text: string | null): Filters {
  if (text === null || text === "") return new Map();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new EngineRefusal(500, `invalid character in filters: ${(cause as Error).message}`);
  }
  const entries = Object.entries(mapOf(parsed, "map[string]map[string]bool"));
  return new Map(
    entries.map(([name, values]) => [
      name,
      Array.isArray(values) ? values.map(String) : Object.keys(mapOf(values, "map[string]bool")),
    ]),
  );
}

function mapOf(value: unknown, goType: string): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  const kind = Array.isArray(value) ? "array" : typeof value;
  throw new EngineRefusal(500, `json: cannot unmarshal ${kind} into Go value of type ${goType}`);
}

/** A whole number, or 0 when there is none. */
function parseLimit(text: string | null): number {
  if (text === null || text === "") return 0;
  if (!/^[+-]?\d+$/.test(text)) {
    throw new EngineRefusal(500, `strconv.Atoi: parsing "${text}": invalid syntax`);
  }
  return Number(text);
}

/**
 * The list of containers. Name and id filters are unanchored regular expressions, names are tried with and without
 * the slash; links' names don't count. A pattern that doesn't parse matches nothing, with status 200: dockerd is so.
 */
export function selectContainers(world: EngineWorld, query: URLSearchParams): Container[] {
  const filters = parseFilters(query.get("filters"));
  for (const name of filters.keys()) {
    if (!CONTAINER_FILTERS.has(name)) throw new EngineRefusal(400, `Invalid filter '${name}'`);
    if (!KNOWN_CONTAINER_FILTERS.has(name)) {
      throw new EngineRefusal(501, `the simulated Engine does not know the filter '${name}'`);
    }
  }
  const wantedStates = filters.get("status");
  for (const state of wantedStates ?? []) {
    if (!STATE_NAMES.has(state)) throw new EngineRefusal(400, `Invalid filter 'status=${state}'`);
  }
  const limit = parseLimit(query.get("limit"));
  const all = isTrue(query.get("all")) || wantedStates !== undefined || limit > 0;

  const exitCodes = filters.get("exited");
  const selected = world.containers().filter(({ id, name, labels, mount, state }) => {
    if (!all && !state.running) return false;
    if (!matchesAny(filters.get("name"), [`/${name}`, name])) return false;
    // An id filter is first looked up as the start of an id, then as a pattern: so only a start matches.
    if (filters.has("id") && !filters.get("id")!.some((start) => id.startsWith(start))) return false;
    if (!hasLabels(labels, filters.get("label"))) return false;
    if (wantedStates && !wantedStates.includes(stateName(state))) return false;
    if (filters.has("health") && !filters.get("health")!.includes(state.health?.status ?? "none"))
      return false;
    if (exitCodes && !(!state.running && state.startedMs !== null && exitCodes.includes(`${state.exitCode}`)))
      return false;
    const wantedVolumes = filters.get("volume");
    return !wantedVolumes || wantedVolumes.some((w) => w === mount?.volume || w === mount?.destination);
  });
  return limit > 0 ? selected.slice(0, limit) : selected;
}

/** The list of volumes; a name filter is an unanchored regular expression here too. */
export function selectVolumes(world: EngineWorld, query: URLSearchParams): Volume[] {
  const filters = parseFilters(query.get("filters"));
  for (const name of filters.keys()) {
    if (!VOLUME_FILTERS.has(name)) throw new EngineRefusal(400, `Invalid filter '${name}'`);
  }
  const dangling = filters.get("dangling")?.map(isTrue);
  return world.volumes().filter((volume) => {
    if (!matchesAny(filters.get("name"), [volume.name])) return false;
    if (filters.has("driver") && !filters.get("driver")!.includes(volume.driver)) return false;
    if (!hasLabels(volume.labels ?? {}, filters.get("label"))) return false;
    return dangling === undefined || dangling.includes(world.users(volume.name).length === 0);
  });
}

/** Filters of `/events`; unknown ones are ignored, as by dockerd 20.10. */
export function eventMatches(event: EngineEvent, filters: Filters): boolean {
  const actions = filters.get("event");
  // `health_status` stands for `health_status: healthy` too; asked for, it makes every wanted action a prefix.
  const asPrefix = actions?.includes("health_status") ?? false;
  if (actions && !actions.some((a) => (asPrefix ? event.action.startsWith(a) : event.action === a)))
    return false;
  const types = filters.get("type");
  if (types && !types.includes(event.type)) return false;
  for (const type of ["container", "volume", "network"] as const) {
    const starts = filters.get(type);
    const name = event.attributes.name ?? "";
    if (starts && !starts.some((s) => event.actorId.startsWith(s) || name.startsWith(s))) return false;
  }
  return hasLabels(event.attributes, filters.get("label"));
}

function matchesAny(patterns: string[] | undefined, texts: string[]): boolean {
  if (!patterns || patterns.length === 0) return true;
  return patterns.some((pattern) => {
    try {
      const expression = new RegExp(pattern);
      return texts.some((text) => expression.test(text));
    } catch {
      return false;
    }
  });
}

function hasLabels(labels: Record<string, string>, wanted: string[] | undefined): boolean {
  return (wanted ?? []).every((label) => {
    const [name = "", value] = label.split(/=(.*)/s);
    return Object.hasOwn(labels, name) && (value === undefined || labels[name] === value);
  });
}

/** Go's way: anything but an empty value, `0`, `no`, `false` and `none` is true. */
export function isTrue(value: string | null): boolean {
  return value !== null && !["", "0", "no", "false", "none"].includes(value.trim().toLowerCase());
}
