/**
 * A namespace of Kubernetes (1.20 or newer): its pods are containers, its PersistentVolumeClaims volumes.
 *
 * Every call rejects with an Error `Cannot list pods: …` unless the listing is complete (P1), and settles as soon as its
 * signal fires. Nothing is retried here but a listing whose version was compacted away under it.
 */
import { storableText, type WorkspaceId } from "../observer/names.ts";
import type { ContainerSeen, Engine, Listing, Look, VolumeSeen } from "../observer/ports.ts";
import { seeClaim } from "./kubernetes-claims.ts";
import { KubernetesFault } from "./kubernetes-fault.ts";
import { type Fields, fieldsOf, textOf } from "./kubernetes-fields.ts";
import { listObjects, type Resource } from "./kubernetes-list.ts";
import { queriesFor, workspaceOf } from "./kubernetes-names.ts";
import { KnownPages } from "./kubernetes-pages.ts";
import { deathOf, identityIn, type ObjectIdentity, seePod, shortId } from "./kubernetes-pods.ts";
import {
  createKubernetesTransport,
  identityOf,
  type KubernetesEndpoint,
  parseJson,
} from "./kubernetes-transport.ts";

export type { KubernetesEndpoint } from "./kubernetes-transport.ts";
export { createKubernetesEvents, type KubernetesEventsOptions } from "./kubernetes-watch.ts";

/** Lists by name that are under way at once. */
const IN_PARALLEL = 8;

/** One that claims a workspace. */
interface Claimant<Seen> {
  readonly identity: ObjectIdentity;
  readonly workspace: WorkspaceId;
  readonly seen: Seen;
}

export interface KubernetesEngineOptions {
  readonly endpoint: KubernetesEndpoint;
  /** Only tests need another. */
  readonly pageItems?: number;
}

export function createKubernetesEngine({ endpoint, pageItems }: KubernetesEngineOptions): Engine {
  const transport = createKubernetesTransport(endpoint);
  const engineId = identityOf(endpoint);
  /** Of the pods of the last whole listing, and of glances since: an end is asked about by the pod's id alone. */
  const podNames = new Map<string, string>();

  /** Of whole lists, by what was asked. */
  const pages = new Map<string, KnownPages<Claimant<unknown> | null>>();
  function knownPages<Seen>(question: string): KnownPages<Claimant<Seen> | null> {
    const known = pages.get(question) ?? new KnownPages();
    pages.set(question, known);
    return known as KnownPages<Claimant<Seen> | null>;
  }

  /** What of a resource is there of these workspaces, or of all. */
  async function find<Seen>(
    resource: Resource,
    prefix: string,
    { only, signal }: Look,
    see: (object: Fields) => Seen,
  ): Promise<Claimant<Seen>[]> {
    const queries = queriesFor(endpoint, resource, prefix, only);
    const parse = (object: Fields): Claimant<Seen> | null => {
      const identity = identityIn(object);
      const workspace = workspaceOf(endpoint, resource, prefix, identity);
      const isWanted = workspace !== null && (only === undefined || only.has(workspace));
      return isWanted ? { identity, workspace, seen: see(object) } : null;
    };
    const lists = await inParallel(queries, signal, (query, each) => {
      const known = only === undefined ? knownPages<Seen>(JSON.stringify([resource, prefix, query])) : null;
      return listObjects(transport, endpoint, resource, { ...query, pageItems }, parse, each, known);
    });
    return lists.flatMap(({ items }) => items.filter((item) => item !== null));
  }

  const engine: Engine = {
    async listBoth(prefix, { signal, ...which }) {
      const others = new AbortController();
      const look = { ...which, signal: AbortSignal.any([signal, others.signal]) };
      const calls = [engine.listAll(prefix, look), engine.listVolumes(prefix, look)] as const;
      try {
        const [containers, volumes] = await Promise.all(calls);
        return { containers, volumes, engineId };
      } catch (cause) {
        others.abort(cause);
        await Promise.allSettled(calls);
        throw cause;
      }
    },

    listAll: (prefix, look) =>
      named("list pods", async () => {
        const found = await find("pods", prefix, look, seePod);
        if (look.only === undefined) podNames.clear();
        for (const { identity, seen } of found) podNames.set(seen.containerId, identity.name);
        return choose(found, podBeats);
      }),

    listVolumes: (prefix, look) =>
      named("list claims", async () => {
        return choose(await find("persistentvolumeclaims", prefix, look, seeClaim), claimBeats);
      }),

    explainDeath: (containerId, signal) =>
      named("look into a pod", async () => {
        const id = shortId(containerId);
        const name = podNames.get(id);
        if (name === undefined) return null;
        const { items } = await listObjects(transport, endpoint, "pods", { name }, (pod) => pod, signal);
        const pod = items.find((one) => shortId(identityIn(one).uid) === id);
        return pod === undefined ? null : deathOf(pod);
      }),

    info: (signal) =>
      named("ask the API server who it is", async () => {
        const version = fieldsOf(parseJson(await transport.getBody("/version", null, signal)));
        const serverVersion = textOf(version.gitVersion);
        if (serverVersion === null) throw new KubernetesFault("the API server doesn't tell its version");
        return {
          id: engineId,
          name: `Kubernetes at ${endpoint.server}, namespace ${endpoint.namespace}`,
          serverVersion: storableText(serverVersion),
          apiVersion: "v1",
        };
      }),
  };
  return engine;
}

async function named<T>(action: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof KubernetesFault)) throw error;
    throw new Error(`Cannot ${action}: ${error.message}`, { cause: error.cause ?? error });
  }
}

/** All of them, some at a time; when one fails, the others are aborted and waited for. */
async function inParallel<In, Out>(
  inputs: readonly In[],
  signal: AbortSignal,
  work: (input: In, signal: AbortSignal) => Promise<Out>,
): Promise<Out[]> {
  const others = new AbortController();
  const both = AbortSignal.any([signal, others.signal]);
  const outputs: Out[] = [];
  const waiting = [...inputs];
  const take = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      outputs.push(await work(next, both));
    }
  };
  const workers = Array.from({ length: Math.min(IN_PARALLEL, inputs.length) }, take);
  try {
    await Promise.all(workers);
  } catch (cause) {
    others.abort(cause);
    await Promise.allSettled(workers);
    throw cause;
  }
  return outputs;
}

/** By label several may claim one workspace: while one pod replaces another, or by mistake. */
function choose<Seen>(
  found: readonly Claimant<Seen>[],
  beats: (one: Claimant<Seen>, rival: Claimant<Seen>) => boolean,
): Listing<Seen> {
  const chosen = new Map<WorkspaceId, Claimant<Seen>>();
  const contested = new Set<WorkspaceId>();
  for (const one of found) {
    const rival = chosen.get(one.workspace);
    if (rival !== undefined) contested.add(one.workspace);
    if (rival === undefined || beats(one, rival)) chosen.set(one.workspace, one);
  }
  const byWorkspace = new Map([...chosen].map(([id, { seen }]) => [id, seen] as const));
  return { byWorkspace, contested: [...contested] };
}

/** Running beats not running, the newer the older, and the uid decides. */
function podBeats(one: Claimant<ContainerSeen>, rival: Claimant<ContainerSeen>): boolean {
  const isRunning = one.seen.state === "running";
  return isRunning === (rival.seen.state === "running") ? isNewer(one, rival) : isRunning;
}

/** A whole one beats one that is pending, lost or being removed. */
function claimBeats(one: Claimant<VolumeSeen>, rival: Claimant<VolumeSeen>): boolean {
  const isWhole = one.seen.reason === undefined;
  return isWhole === (rival.seen.reason === undefined) ? isNewer(one, rival) : isWhole;
}

function isNewer({ identity: one }: Claimant<unknown>, { identity: rival }: Claimant<unknown>): boolean {
  return one.createdAt === rival.createdAt ? one.uid > rival.uid : one.createdAt > rival.createdAt;
}
