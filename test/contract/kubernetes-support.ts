// What makes a world of the Engine's contract out of an API server.
import type { KubernetesAccess, KubernetesClient } from "../../dev/services/kubernetes-client.ts";
import {
  createKubernetesEngine,
  createKubernetesEvents,
  type KubernetesEndpoint,
} from "../../src/adapters/kubernetes.ts";
import type { EngineWorld } from "./engine.ts";
import { realClock } from "./engine-support.ts";

export const endpointOf = (
  { server, ca, token, namespace }: KubernetesAccess,
  more: Partial<KubernetesEndpoint> = {},
): KubernetesEndpoint => ({
  server,
  namespace,
  selector: null,
  workspaceLabel: null,
  token,
  tokenFile: null,
  tls: { ca, cert: null, key: null, verify: true, serverName: null },
  ...more,
});

export function kubernetesWorld(
  access: KubernetesAccess,
  client: KubernetesClient,
  pageItems = 500,
): Omit<EngineWorld, "stop"> {
  const endpoint = endpointOf(access);
  let notes = 0;
  return {
    engine: createKubernetesEngine({ endpoint, pageItems }),
    events: (prefix) => createKubernetesEvents({ endpoint, prefix, clock: realClock, random: Math.random }),
    client: client.engine,
    docker: null,
    many: 1_100,
    crashLoop: { state: "restarting", reason: "CrashLoopBackOff", exitCode: 1, restarts: 3 },
    exec: (name) => client.patchPod(name, { metadata: { annotations: { note: String(++notes) } } }),
    runOutOfMemory: (name) => client.engine.runOutOfMemory(name),
  };
}

/** A server in front of an API server: asked what to do before each request is passed on. Plain HTTP. */
export function startHookedServer(
  { server, ca }: KubernetesAccess,
  before: (url: URL) => Promise<void>,
): { readonly server: string; stop(): Promise<void> } {
  const proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const url = new URL(request.url);
      await before(url);
      const { status, body } = await fetch(`${server}${url.pathname}${url.search}`, {
        headers: { authorization: request.headers.get("authorization") ?? "" },
        ...(ca === null ? {} : { tls: { ca } }),
      });
      return new Response(body, { status });
    },
  });
  return { server: `http://127.0.0.1:${proxy.port}`, stop: () => proxy.stop(true) };
}
