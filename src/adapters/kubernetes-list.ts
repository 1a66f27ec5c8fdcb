/** Lists of the API, page by page at one resourceVersion. */
import { KubernetesFault, notAList, type Question } from "./kubernetes-fault.ts";
import { type Fields, textOf } from "./kubernetes-fields.ts";
import { foretoldToken, type KnownPages, type Page, readPage } from "./kubernetes-pages.ts";
import type { KubernetesEndpoint, KubernetesTransport } from "./kubernetes-transport.ts";

export type Resource = Question["resource"];
const KINDS = { pods: "PodList", persistentvolumeclaims: "PersistentVolumeClaimList" } as const;

/** Small enough for the server to answer each in some ten milliseconds. */
const PAGE_ITEMS = 500;
/** So often one listing is tried page by page; what expires each time is asked for in one piece, which can't. */
const PAGED_TRIES = 2;

export interface ListQuery {
  /** The one object of this name. */
  readonly name?: string;
  /** Added to the endpoint's own. */
  readonly selector?: string;
  readonly pageItems?: number | undefined;
}

export interface Listed<T> {
  readonly items: readonly T[];
  /** The one that all pages show; a watch goes on from here. */
  readonly resourceVersion: string;
}

export const pathOf = (
  { namespace }: KubernetesEndpoint,
  resource: Resource,
  parameters: Readonly<Record<string, string>>,
): string =>
  `/api/v1/namespaces/${encodeURIComponent(namespace)}/${resource}?${new URLSearchParams(parameters)}`;

/** With its own label as a condition a server leaves out what can't be a workspace's. */
export function selectorOf(endpoint: KubernetesEndpoint, more?: string): Readonly<Record<string, string>> {
  const parts = [endpoint.selector, more ?? endpoint.workspaceLabel].filter((part) => part !== null);
  return parts.length === 0 ? {} : { labelSelector: parts.join(",") };
}

/**
 * Everything, at one version: without a resourceVersion the server answers with the newest there is, and its `continue`
 * tokens go on at that one. Where it is compacted away before the last page (410), what was read proves nothing, and the
 * listing begins anew; the token for an inconsistent rest that comes with a 410 is never used.
 */
export async function listObjects<T>(
  transport: KubernetesTransport,
  endpoint: KubernetesEndpoint,
  resource: Resource,
  query: ListQuery,
  parse: (object: Fields) => T,
  signal: AbortSignal,
  known: KnownPages<T> | null = null,
): Promise<Listed<T>> {
  for (let tries = 0; ; tries++) {
    const pageItems = tries < PAGED_TRIES ? (query.pageItems ?? PAGE_ITEMS) : null;
    try {
      const pages = known?.begin();
      const read = (body: Uint8Array) => pages?.read(body, parse) ?? readPage(body, parse);
      const listed = await listOnce(transport, endpoint, resource, query, pageItems, read, signal);
      pages?.done();
      return listed;
    } catch (error) {
      if (!(error instanceof KubernetesFault && error.isExpired) || pageItems === null) throw error;
    }
  }
}

async function listOnce<T>(
  transport: KubernetesTransport,
  endpoint: KubernetesEndpoint,
  resource: Resource,
  { name, selector }: ListQuery,
  pageItems: number | null,
  read: (body: Uint8Array) => Page<T>,
  signal: AbortSignal,
): Promise<Listed<T>> {
  const parameters = {
    ...(pageItems === null ? {} : { limit: String(pageItems) }),
    ...selectorOf(endpoint, selector),
    ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }),
  };
  const ended = new AbortController();
  const both = AbortSignal.any([signal, ended.signal]);
  const ask = (token: string | null) => {
    const path = pathOf(endpoint, resource, token === null ? parameters : { ...parameters, continue: token });
    const body = transport.getBody(path, { verb: "list", resource }, both);
    body.catch(() => {});
    return body;
  };
  const items: T[] = [];
  const tokens = new Set<string>();
  let version: string | null = null;
  let asked = ask(null);
  try {
    for (;;) {
      const body = await asked;
      // The server makes the next page while this one is parsed.
      const foretold = foretoldToken(body);
      if (foretold !== null && !tokens.has(foretold)) asked = ask(foretold);
      const { kind, metadata, items: shown } = read(body);
      if (kind !== KINDS[resource] || shown === null) throw notAList(`no ${KINDS[resource]}`);
      const { resourceVersion, continue: next, remainingItemCount } = metadata;
      if (textOf(resourceVersion) === null) throw notAList("a list without a version");
      if (version !== null && resourceVersion !== version) {
        throw new KubernetesFault("the pages of the list are of different versions, so they prove nothing");
      }
      version = resourceVersion as string;
      if (next !== undefined && typeof next !== "string") throw notAList("a list whose end is not told");
      const token = textOf(next);
      if (token === null && typeof remainingItemCount === "number" && remainingItemCount > 0) {
        throw new KubernetesFault(`the list ends ${remainingItemCount} objects before its end`);
      }
      if (token !== null && tokens.has(token)) throw new KubernetesFault("the list comes round in a circle");
      for (const item of shown) items.push(item);
      if (token === null) return { items, resourceVersion: version };
      tokens.add(token);
      if (token === foretold) continue;
      await Promise.allSettled([asked]);
      asked = ask(token);
    }
  } finally {
    // Nothing of it is left running, whatever was asked for in vain.
    ended.abort();
    await Promise.allSettled([asked]);
  }
}
