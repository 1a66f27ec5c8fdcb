import type { IncomingMessage, ServerResponse } from "node:http";
import { eventLine } from "./engine-events.ts";
import {
  eventMatches,
  type Filters,
  parseFilters,
  selectContainers,
  selectVolumes,
} from "./engine-filters.ts";
import * as json from "./engine-json.ts";
import { EngineRefusal } from "./engine-model.ts";
import { EngineWorld } from "./engine-world.ts";
import { type Answer, beforeAnswer, type Fault, FaultBoard, sendAnswer } from "./faults.ts";
import { type Listen, listenHttp } from "./http-server.ts";

/**
 * A simulated Docker Engine over HTTP: an EngineWorld behind the reading half of the Engine API, in dockerd 20.10's
 * shapes. Anything that writes (POST, DELETE) is answered 501.
 *
 * Known differences from a real one, found by comparing both answer by answer: inspect leaves out most of `Config`,
 * `HostConfig`, the paths, the log of the health checks and the old fields of `NetworkSettings`; there are no
 * `exec_*` and image events; times have milliseconds; the text of a JSON error in `filters` is another; a double slash
 * in a path isn't redirected. What is newer than API 1.41 is built from the API's documentation, not from comparison.
 */

export type EngineRoute =
  | "ping"
  | "version"
  | "info"
  | "containers"
  | "container"
  | "volumes"
  | "volume"
  | "events"
  | "other";

export interface EngineOptions {
  listen: Listen;
  world?: EngineWorld;
  /** Newest API version answered; "1.52" and later have `Health` in the list. Default "1.41" (Engine 20.10). */
  apiVersion?: string;
  /** Oldest one; default "1.12", and "1.44" from API 1.52 on. */
  minApiVersion?: string;
  /** `ID` of /info is made from it. */
  idSeed?: string;
}

export interface EngineRequest {
  route: EngineRoute;
  path: string;
  query: URLSearchParams;
}

export interface FakeEngine {
  readonly world: EngineWorld;
  readonly faults: FaultBoard<EngineRoute>;
  /** Changeable while it runs, as an upgraded Engine's would: `id`, `apiVersion` … */
  readonly identity: json.EngineIdentity;
  /** `unix:///…` or `tcp://127.0.0.1:…`, for DOCKER_HOST. */
  readonly dockerHost: string;
  /** The last 1,000 requests, oldest first. */
  readonly requests: EngineRequest[];
  /** `Warnings` of the volume list; anything in it means that the list is incomplete. */
  volumeWarnings: string[];
  /** Whether an empty volume list is `null`, as older Engines answer, or `[]`. */
  emptyVolumesAsNull: boolean;
  /** While true no event reaches any stream, though the streams stay open: every hint is lost. */
  muteEvents: boolean;
  readonly eventStreamCount: number;
  /** Ends all event streams: cleanly, as when dockerd stops, or by a connection reset. */
  cutEventStreams(how: "end" | "reset"): void;
  stop(): Promise<void>;
}

export async function startEngine(options: EngineOptions): Promise<FakeEngine> {
  const apiVersion = options.apiVersion ?? "1.41";
  const world = options.world ?? new EngineWorld();
  const faults = new FaultBoard<EngineRoute>();
  const streams = new Set<ServerResponse>();
  const requests: EngineRequest[] = [];
  const identity: json.EngineIdentity = {
    id: json.engineId(options.idSeed ?? "simulated"),
    name: "simulated-engine",
    version: "20.10.24+simulated",
    apiVersion,
    minApiVersion: options.minApiVersion ?? (isOlder(apiVersion, "1.52") ? "1.12" : "1.44"),
  };

  const server = await listenHttp(options.listen, async (request, response) => {
    // A pinned version decides what the answer looks like.
    const url = new URL(request.url ?? "/", "http://engine");
    const [, version, path = "/"] = /^(?:\/v(\d+\.\d+))?(\/.*)$/.exec(url.pathname) ?? [];
    const route = routeOf(path);
    requests.push({ route, path: url.pathname, query: url.searchParams });
    if (requests.length > 1000) requests.shift();
    const fault = faults.take(route);
    if (!(await beforeAnswer(response, fault))) return;
    try {
      if (route !== "other") checkVersion(version, identity);
      checkMethod(request, route);
      if (route === "events" && !changesAnswer(fault)) {
        streamEvents(response, url.searchParams, version ?? identity.apiVersion);
      } else {
        await sendAnswer(
          response,
          read(route, path, url.searchParams, version ?? identity.apiVersion),
          fault,
        );
      }
    } catch (error) {
      if (!(error instanceof EngineRefusal)) throw error;
      const refused = refusalAnswer(error, version);
      // An unknown path is refused before the Engine says who it is.
      if (route !== "other") refused.headers = { ...headers(), ...refused.headers };
      await sendAnswer(response, refused, fault);
    }
  });

  function read(route: EngineRoute, path: string, query: URLSearchParams, version: string): Answer {
    const name = decodeURIComponent(path.split("/")[2] ?? "");
    switch (route) {
      case "ping":
        return {
          status: 200,
          headers: {
            ...headers(),
            "Cache-Control": "no-cache, no-store, must-revalidate",
            Pragma: "no-cache",
            "Content-Type": "text/plain; charset=utf-8",
          },
          body: "OK",
        };
      case "version":
        return ok(json.versionDetails(identity));
      case "info":
        return ok(json.infoDetails(identity, world));
      case "containers": {
        const withHealth = !isOlder(version, "1.52");
        return ok(
          selectContainers(world, query).map((c) => json.containerSummary(c, world.nowMs, withHealth)),
        );
      }
      case "container":
        return ok(json.containerDetails(world.container(name)));
      case "volumes": {
        const volumes = selectVolumes(world, query).map(json.volumeDetails);
        return ok({
          Volumes: volumes.length === 0 && fake.emptyVolumesAsNull ? null : volumes,
          Warnings: fake.volumeWarnings.length === 0 ? null : fake.volumeWarnings,
        });
      }
      case "volume":
        return ok(json.volumeDetails(world.volume(name)));
      case "events":
        return { status: 200, headers: { ...headers(), "Content-Type": "application/json" }, body: "" };
      case "other":
        throw new EngineRefusal(404, "page not found");
    }
  }

  /** Kept events since `since`, then the live ones until the client goes or `until` is reached. */
  function streamEvents(response: ServerResponse, query: URLSearchParams, version: string): void {
    const filters: Filters = parseFilters(query.get("filters"));
    const since = parseTime(query.get("since"));
    const until = parseTime(query.get("until"));
    const legacy = isOlder(version, "1.52");
    const kept = since === null ? [] : world.events.since(since);
    response.writeHead(200, {
      ...headers(),
      "Content-Type": legacy ? "application/json" : "application/x-ndjson",
    });
    response.flushHeaders();
    for (const event of kept) {
      if (until !== null && event.timeNano > until) continue;
      if (eventMatches(event, filters)) response.write(eventLine(event, legacy));
    }
    const leftMs = until === null ? null : Number(until / 1_000_000n) - world.nowMs;
    if (leftMs !== null && leftMs <= 0) {
      response.end();
      return;
    }
    streams.add(response);
    const timer = leftMs === null ? undefined : setTimeout(() => response.end(), leftMs);
    const unsubscribe = world.events.subscribe((event) => {
      if (!fake.muteEvents && eventMatches(event, filters)) response.write(eventLine(event, legacy));
    });
    response.once("close", () => {
      clearTimeout(timer);
      unsubscribe();
      streams.delete(response);
    });
  }

  function headers(): Record<string, string> {
    return {
      "Api-Version": identity.apiVersion,
      "Docker-Experimental": "false",
      Ostype: "linux",
      Server: `Docker/${identity.version} (linux)`,
    };
  }

  function ok(value: unknown): Answer {
    const headersJson = { ...headers(), "Content-Type": "application/json" };
    return { status: 200, headers: headersJson, body: `${JSON.stringify(value)}\n` };
  }

  const fake: FakeEngine = {
    world,
    faults,
    identity,
    dockerHost:
      "unixPath" in options.listen ? `unix://${options.listen.unixPath}` : `tcp://127.0.0.1:${server.port}`,
    requests,
    volumeWarnings: [],
    emptyVolumesAsNull: false,
    muteEvents: false,
    get eventStreamCount() {
      return streams.size;
    },
    cutEventStreams(how) {
      for (const stream of streams) {
        if (how === "end") stream.end();
        else stream.req.socket.destroy();
      }
    },
    stop: () => server.stop(),
  };
  return fake;
}

function routeOf(path: string): EngineRoute {
  if (path === "/_ping") return "ping";
  if (path === "/version") return "version";
  if (path === "/info") return "info";
  if (path === "/events") return "events";
  if (path === "/containers/json") return "containers";
  if (/^\/containers\/[^/]+\/json$/.test(path)) return "container";
  if (path === "/volumes") return "volumes";
  return /^\/volumes\/[^/]+$/.test(path) ? "volume" : "other";
}

function checkVersion(version: string | undefined, identity: json.EngineIdentity): void {
  if (version === undefined) return;
  if (isOlder(identity.apiVersion, version)) {
    throw new EngineRefusal(
      400,
      `client version ${version} is too new. Maximum supported API version is ${identity.apiVersion}`,
    );
  }
  if (isOlder(version, identity.minApiVersion)) {
    throw new EngineRefusal(
      400,
      `client version ${version} is too old. Minimum supported API version is ${identity.minApiVersion}, ` +
        "please upgrade your client to a newer version",
    );
  }
}

function checkMethod(request: IncomingMessage, route: EngineRoute): void {
  if (request.method === "GET" || (request.method === "HEAD" && route === "ping")) return;
  throw new EngineRefusal(501, `this Engine is simulated and only reads: ${request.method} is not available`);
}

/** Clients before API 1.24 get errors as bare text. */
function refusalAnswer(refusal: EngineRefusal, version: string | undefined): Answer {
  if (version !== undefined && isOlder(version, "1.24")) {
    const type = { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" };
    return { status: refusal.status, headers: type, body: `${refusal.message}\n` };
  }
  const body = `${JSON.stringify({ message: refusal.message })}\n`;
  return { status: refusal.status, headers: { "Content-Type": "application/json" }, body };
}

function changesAnswer(fault: Fault | undefined): boolean {
  const { delayMs: _, times: __, ...rest } = fault ?? {};
  return Object.keys(rest).length > 0;
}

/** `1795498471` or `1795498471.123456789`, as nanoseconds. */
function parseTime(text: string | null): bigint | null {
  if (text === null || text === "") return null;
  const [, seconds, fraction = ""] = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (seconds === undefined) {
    throw new EngineRefusal(500, `strconv.ParseInt: parsing "${text}": invalid syntax`);
  }
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
}

function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [thanMajor = 0, thanMinor = 0] = than.split(".").map(Number);
  return major < thanMajor || (major === thanMajor && minor < thanMinor);
}
