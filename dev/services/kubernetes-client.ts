// A Kubernetes client for tests, on purpose not the product's: it makes pods and claims, and plays the kubelet, which
// neither a bare API server nor a simulated one has.
import type { ContainerOptions } from "./engine.ts";

export interface KubernetesAccess {
  /** `https://127.0.0.1:port` or `http://…`. */
  readonly server: string;
  /** PEM text; null for plain HTTP. */
  readonly ca: string | null;
  readonly token: string;
  readonly namespace: string;
}

export type Manifest = Readonly<Record<string, unknown>>;
export type KubernetesClient = ReturnType<typeof kubernetesClient>;

const MERGE = "application/merge-patch+json";

/** Containers all run this command's part: what ends by itself is ended here. */
const endOf = (cmd: readonly string[] | undefined): number | null => {
  const text = cmd?.join(" ") ?? "";
  if (text === "/bin/true") return 0;
  if (text === "/bin/false") return 1;
  const exit = /exit (\d+)/.exec(text)?.[1];
  return exit === undefined ? null : Number(exit);
};

export function kubernetesClient({ server, ca, token, namespace }: KubernetesAccess) {
  async function request<T = Manifest>(
    method: string,
    path: string,
    body?: unknown,
    contentType = "application/json",
  ): Promise<T> {
    const response = await fetch(`${server}${path}`, {
      method,
      signal: AbortSignal.timeout(30_000),
      headers: { authorization: `Bearer ${token}`, "content-type": contentType },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(ca === null ? {} : { tls: { ca } }),
    });
    const text = await response.text();
    if (!response.ok)
      throw new Error(`Cannot ${method} ${path}: the API server answered ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  const base = `/api/v1/namespaces/${namespace}`;
  const pod = (name: string) => `${base}/pods/${name}`;
  const claim = (name: string) => `${base}/persistentvolumeclaims/${name}`;
  const conditions = (ready: boolean) => [
    { type: "Ready", status: ready ? "True" : "False", ...(ready ? {} : { reason: "ContainersNotReady" }) },
  ];
  const now = () => new Date().toISOString().replace(/\.\d+Z$/, "Z");

  const client = {
    request,
    base,
    async createPod(name: string, more: { metadata?: Manifest; spec?: Manifest } = {}): Promise<string> {
      const { metadata } = await request<{ metadata: { uid: string } }>("POST", `${base}/pods`, {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, ...more.metadata },
        spec: { containers: [{ name: "main", image: "ws-test" }], ...more.spec },
      });
      return metadata.uid.replaceAll("-", "");
    },
    /** What a kubelet, a scheduler or a controller would write. */
    patchPodStatus: (name: string, status: Manifest): Promise<Manifest> =>
      request("PATCH", `${pod(name)}/status`, { status }, MERGE),
    patchClaimStatus: (name: string, status: Manifest) =>
      request("PATCH", `${claim(name)}/status`, { status }, MERGE),
    patchPod: (name: string, patch: Manifest) => request("PATCH", pod(name), patch, MERGE),
    /** The status of the one container, and what follows from it for the pod. */
    setContainer: (
      name: string,
      status: { state: Manifest; lastState?: Manifest; restartCount?: number; started?: boolean },
      phase = "Running",
      ready = status.state.running !== undefined && status.started !== false,
    ): Promise<Manifest> =>
      client.patchPodStatus(name, {
        phase,
        conditions: conditions(ready),
        containerStatuses: [
          {
            name: "main",
            image: "ws-test",
            imageID: "",
            ready,
            restartCount: 0,
            lastState: {},
            ...status,
          },
        ],
      }),
    terminated: (exitCode: number, reason = exitCode === 0 ? "Completed" : "Error") => ({
      terminated: { exitCode, reason, startedAt: now(), finishedAt: now() },
    }),
    running: (name: string, started = true): Promise<Manifest> =>
      client.setContainer(name, { state: { running: { startedAt: now() } }, started }),
    deletePod: (name: string): Promise<Manifest> =>
      request("DELETE", pod(name), { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds: 0 }),
    async createClaimObject(name: string, metadata: Manifest = {}): Promise<void> {
      await request("POST", `${base}/persistentvolumeclaims`, {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name, ...metadata },
        spec: {
          accessModes: ["ReadWriteOnce"],
          storageClassName: "local",
          resources: { requests: { storage: "1Gi" } },
        },
      });
    },
    deleteClaim: (name: string): Promise<Manifest> =>
      // What the kube-controller-manager would do once no pod uses it.
      request("PATCH", claim(name), { metadata: { finalizers: null } }, MERGE).then(() =>
        request("DELETE", claim(name)),
      ),
    list: (resource: "pods" | "persistentvolumeclaims") =>
      request<{ readonly items: readonly { readonly metadata: { readonly name: string } }[] }>(
        "GET",
        `${base}/${resource}`,
      ),

    /** The operations of the Engine's contract, in the words of Kubernetes. */
    engine: {
      async create(options: ContainerOptions): Promise<string> {
        if (options.volume !== undefined) await client.engine.createVolume(options.volume);
        const probe = { exec: { command: options.healthcheck?.cmd ?? [] } };
        return await client.createPod(options.name, {
          spec: {
            containers: [
              {
                name: "main",
                image: "ws-test",
                ...(options.healthcheck && { readinessProbe: probe }),
              },
            ],
          },
        });
      },
      async run(options: ContainerOptions): Promise<string> {
        const id = await client.engine.create(options);
        const { name, cmd, healthcheck, restartPolicy } = options;
        const exit = endOf(cmd);
        if (exit !== null && restartPolicy === "always") {
          await client.setContainer(name, {
            state: {
              waiting: { reason: "CrashLoopBackOff", message: "back-off 10s restarting failed container" },
            },
            lastState: client.terminated(exit),
            restartCount: 3,
          });
        } else if (exit !== null) {
          await client.setContainer(
            name,
            { state: client.terminated(exit) },
            exit === 0 ? "Succeeded" : "Failed",
          );
        } else if (healthcheck !== undefined && healthcheck.cmd[0] !== "/bin/true") {
          await client.setContainer(name, { state: { running: { startedAt: now() } } }, "Running", false);
        } else await client.running(name, (healthcheck?.intervalMs ?? 0) <= 60_000);
        return id;
      },
      start: (name: string): Promise<Manifest> => client.running(name),
      stop: (name: string): Promise<Manifest> => client.setContainer(name, { state: client.terminated(143) }),
      kill: (name: string): Promise<Manifest> => client.setContainer(name, { state: client.terminated(137) }),
      async runOutOfMemory(name: string): Promise<void> {
        await client.createPod(name);
        await client.running(name);
        await client.setContainer(name, { state: client.terminated(137, "OOMKilled") });
      },
      remove: (name: string): Promise<Manifest> => client.deletePod(name),
      waitForExit: async (_name: string): Promise<number> => 0,
      async createVolume(name: string): Promise<void> {
        await client.createClaimObject(name);
        await client.patchClaimStatus(name, { phase: "Bound" });
      },
      removeVolume: (name: string): Promise<Manifest> => client.deleteClaim(name),
      async removeAll(): Promise<void> {
        for (const [resource, remove] of [
          ["pods", (name: string): Promise<unknown> => client.deletePod(name)],
          ["persistentvolumeclaims", (name: string): Promise<unknown> => client.deleteClaim(name)],
        ] as const) {
          const { items } = await client.list(resource);
          const names = items.map(({ metadata }) => metadata.name);
          const worker = async () => {
            for (let name = names.pop(); name !== undefined; name = names.pop()) await remove(name);
          };
          await Promise.all(Array.from({ length: 8 }, worker));
        }
      },
    },
  };
  return client;
}

/** A kubeconfig, in JSON, which is YAML as well. */
export const kubeconfigOf = (
  { server, ca, token, namespace }: KubernetesAccess,
  user: Manifest = { token },
): string =>
  JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      contexts: [{ name: "test", context: { cluster: "test", user: "test", namespace } }],
      clusters: [
        {
          name: "test",
          cluster: { server, ...(ca && { "certificate-authority-data": btoa(ca) }) },
        },
      ],
      users: [{ name: "test", user }],
    },
    null,
    2,
  );
