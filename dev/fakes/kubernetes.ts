// A simulated Kubernetes API server, as far as the Observer and its tests ask it: lists with `limit` and `continue` at one
// version, 410 after a compaction, watches with bookmarks, tokens, missing rights, and faults. The contract suite
// holds it to a real kube-apiserver.
import type { IncomingMessage, ServerResponse } from "node:http";
import { beforeAnswer, FaultBoard, sendAnswer } from "./faults.ts";
import { type Listen, listenHttp } from "./http-server.ts";
import { ApiError, expired, type KubeObject, KubernetesWorld, type Resource } from "./kubernetes-world.ts";

export type KubernetesRoute =
  | "list pods"
  | "list persistentvolumeclaims"
  | "watch pods"
  | "watch persistentvolumeclaims"
  | "version";

export interface SimulatedKubernetesOptions {
  readonly listen: Listen;
  readonly namespace?: string;
  /** Those that are let in; more may be added later. */
  readonly tokens?: readonly string[];
  readonly world?: KubernetesWorld;
  /** Between bookmarks; a real one sends one a minute, and one before a watch ends. */
  readonly bookmarkMs?: number;
}

/** One request that was answered. */
export interface Asked {
  readonly verb: string;
  readonly resource: string;
  readonly namespace: string;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface SimulatedKubernetes {
  readonly server: string;
  readonly port: number;
  readonly namespace: string;
  readonly world: KubernetesWorld;
  readonly faults: FaultBoard<KubernetesRoute>;
  readonly tokens: Set<string>;
  /** What a token may do, `watch pods` and the like; one that isn't here may do everything. */
  readonly rights: Map<string, ReadonlySet<string>>;
  readonly asked: Asked[];
  /** Before each answer to a list: what a test does in between two pages. */
  onList: ((asked: Asked) => void) | null;
  /** Ends all watches in order, as at their time-out. */
  endWatches(): void;
  /** Breaks them off. */
  cutWatches(): void;
  bookmark(): void;
  stop(): Promise<void>;
}

const KINDS = { pods: "Pod", persistentvolumeclaims: "PersistentVolumeClaim" } as const;

export async function startSimulatedKubernetes(
  options: SimulatedKubernetesOptions,
): Promise<SimulatedKubernetes> {
  const { listen, namespace = "workspaces", world = new KubernetesWorld(), bookmarkMs = 1_000 } = options;
  const faults = new FaultBoard<KubernetesRoute>();
  const tokens = new Set(options.tokens ?? ["admin-token"]);
  const rights = new Map<string, ReadonlySet<string>>();
  const asked: Asked[] = [];
  const watches = new Set<{ bookmark(): void; end(): void; cut(): void }>();
  const fake = { onList: null as SimulatedKubernetes["onList"] };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await answer(request, response);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const { code, reason, message, metadata } = error;
      send(response, code, statusOf(code, reason, message, metadata));
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://fake");
    const parameters = Object.fromEntries(url.searchParams);
    const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    if (!tokens.has(token)) throw new ApiError(401, "Unauthorized", "Unauthorized");
    if (url.pathname === "/version") {
      const fault = faults.take("version");
      if (!(await beforeAnswer(response, fault))) return;
      const body = JSON.stringify({ major: "1", minor: "33", gitVersion: "v1.33.0-simulated" });
      return await sendAnswer(response, { status: 200, headers: JSON_TYPE, body }, fault);
    }
    const path =
      /^\/api\/v1\/namespaces\/([^/]+)\/(pods|persistentvolumeclaims)(?:\/([^/]+))?(\/status)?$/.exec(
        url.pathname,
      );
    if (path === null)
      throw new ApiError(404, "NotFound", "the server could not find the requested resource");
    const [, where = "", kind = "", name, status] = path;
    const resource = kind as Resource;
    const method = request.method ?? "GET";
    const isWatch = parameters.watch !== undefined;
    const verb = method === "GET" ? (name ? "get" : isWatch ? "watch" : "list") : method.toLowerCase();
    asked.push({ verb, resource, namespace: where, parameters });
    if (rights.get(token)?.has(`${verb} ${resource}`) === false) {
      const words = `${resource} is forbidden: User "system:serviceaccount:${namespace}:observer" cannot ${verb} resource "${resource}" in API group "" in the namespace "${where}"`;
      throw new ApiError(403, "Forbidden", words);
    }
    if (method === "GET" && name === undefined) {
      const fault = faults.take(`${isWatch ? "watch" : "list"} ${resource}`);
      if (!(await beforeAnswer(response, fault))) return;
      if (isWatch && fault === undefined) return watch(resource, parameters, response);
      if (!isWatch) fake.onList?.(asked.at(-1)!);
      const body = JSON.stringify(where === namespace ? list(resource, parameters) : list(resource, {}, []));
      return await sendAnswer(response, { status: 200, headers: JSON_TYPE, body }, fault);
    }
    const body = await bodyOf(request);
    const object =
      method === "POST"
        ? world.create(resource, { apiVersion: "v1", kind: KINDS[resource], ...body })
        : method === "PATCH"
          ? world.patch(resource, name!, body, status !== undefined)
          : method === "DELETE"
            ? world.delete(resource, name!)
            : world.find(resource, name!);
    if (object === null) throw new ApiError(404, "NotFound", `${resource} "${name}" not found`);
    send(response, method === "POST" ? 201 : 200, object);
  }

  function list(resource: Resource, parameters: Record<string, string>, objects?: KubeObject[]): unknown {
    const { limit = "0", continue: token } = parameters;
    let version = world.version;
    let after = "";
    if (token !== undefined && token !== "") {
      const decoded = JSON.parse(Buffer.from(token, "base64url").toString()) as { rv: number; start: string };
      version = decoded.rv;
      after = decoded.start;
    }
    const start = (rv: number, name: string) =>
      Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv, start: name })).toString("base64url");
    let all: KubeObject[];
    try {
      all = objects ?? world.at(resource, version);
    } catch (error) {
      // With a token for an inconsistent rest, as a real one offers.
      throw error instanceof ApiError && token ? expired({ continue: start(-1, after) }) : error;
    }
    const isSelected = selection(parameters);
    const rest = all.filter((object) => object.metadata.name > after);
    const most = Number(limit) || Number.POSITIVE_INFINITY;
    const chosen = rest.filter(isSelected);
    const items = chosen.slice(0, most);
    const more = chosen.length - items.length;
    const hasSelector = parameters.labelSelector !== undefined || parameters.fieldSelector !== undefined;
    return {
      kind: `${KINDS[resource]}List`,
      apiVersion: "v1",
      metadata: {
        resourceVersion: String(version),
        ...(more > 0 && {
          continue: start(version, items.at(-1)!.metadata.name),
          ...(!hasSelector && { remainingItemCount: more }),
        }),
      },
      items: items.map(({ kind: _, apiVersion: __, ...item }) => item),
    };
  }

  function watch(resource: Resource, parameters: Record<string, string>, response: ServerResponse): void {
    const isSelected = selection(parameters);
    const write = (type: string, object: unknown) => response.write(`${JSON.stringify({ type, object })}\n`);
    const stop = world.watch(resource, Number(parameters.resourceVersion), ({ type, object }) => {
      if (isSelected(object)) write(type, object);
    });
    response.writeHead(200, JSON_TYPE);
    response.flushHeaders();
    const bookmark = () => {
      if (parameters.allowWatchBookmarks !== "true") return;
      const metadata = { resourceVersion: String(world.version), creationTimestamp: null };
      write("BOOKMARK", { kind: KINDS[resource], apiVersion: "v1", metadata });
    };
    const timer = setInterval(bookmark, bookmarkMs);
    const timeout = setTimeout(end, Number(parameters.timeoutSeconds ?? 3_600) * 1000);
    const one = { bookmark, end, cut: () => response.req.socket.destroy() };
    watches.add(one);
    response.once("close", end);
    function end(): void {
      if (!watches.delete(one)) return;
      stop();
      clearInterval(timer);
      clearTimeout(timeout);
      response.end();
    }
  }

  const server = await listenHttp(listen, handle);
  return {
    server: `http://127.0.0.1:${server.port}`,
    port: server.port ?? 0,
    namespace,
    world,
    faults,
    tokens,
    rights,
    asked,
    get onList() {
      return fake.onList;
    },
    set onList(hook) {
      fake.onList = hook;
    },
    endWatches() {
      for (const one of [...watches]) one.end();
    },
    cutWatches() {
      for (const one of watches) one.cut();
    },
    bookmark() {
      for (const one of watches) one.bookmark();
    },
    async stop() {
      // Their timers would hold the process.
      const open = [...watches];
      await server.stop();
      for (const one of open) one.end();
    },
  };
}

const JSON_TYPE = { "Content-Type": "application/json" };

const LABEL_VALUE = /^(?=.{0,63}$)(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Equality, `in` and existence, all of a list of them; the only field is the name. */
function selection(parameters: Record<string, string>): (object: KubeObject) => boolean {
  const { fieldSelector = "", labelSelector = "" } = parameters;
  const fields = fieldSelector === "" ? [] : fieldSelector.split(",");
  const names = fields.map((field) => {
    const name = /^metadata\.name=(.*)$/.exec(field)?.[1];
    if (name === undefined) throw new ApiError(400, "BadRequest", `field label not supported: ${field}`);
    return name;
  });
  const terms = labelSelector === "" ? [] : labelSelector.split(/,(?![^(]*\))/);
  const tests = terms.map((term) => {
    const [, among, values = ""] = /^(\S+) in \(([^()]*)\)$/.exec(term) ?? [];
    const given = values.split(",");
    if (among !== undefined && given.every((value) => LABEL_VALUE.test(value)))
      return [among, given] as const;
    const [, key = "", value] = /^([^=!() ]+)(?:==?([^=!() ]*))?$/.exec(term) ?? [];
    if (key === "") throw new ApiError(400, "BadRequest", `unable to parse requirement: ${term}`);
    return [key, value === undefined ? null : [value]] as const;
  });
  return ({ metadata }) =>
    names.every((name) => metadata.name === name) &&
    tests.every(([key, values]) => {
      const label: unknown = metadata.labels?.[key];
      return typeof label === "string" && (values === null || values.includes(label));
    });
}

const statusOf = (code: number, reason: string, message: string, metadata: Record<string, string>) => ({
  kind: "Status",
  apiVersion: "v1",
  metadata,
  status: "Failure",
  message,
  reason,
  code,
});

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, JSON_TYPE);
  response.end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}
