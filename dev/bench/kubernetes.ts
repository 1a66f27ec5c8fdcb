// A look at a namespace of a real API server, beside the same pages read raw.
import { readBody } from "../../src/adapters/http-body.ts";
import { inParallel } from "../services/engine.ts";
import { ensureKubernetesPrograms, type Kubernetes, startKubernetes } from "../services/kubernetes.ts";
import { kubeconfigOf } from "../services/kubernetes-client.ts";
import { STEADY } from "./cycle.ts";
import { hintedLook, type Look, settled } from "./looks.ts";
import { containerName, volumeName, workspaceIds } from "./names.ts";
import { usageOf } from "./proc.ts";
import { pairedRatio } from "./statistics.ts";
import type { Step } from "./step.ts";

const AT_ONCE = 12;
/** As large as the Observer's. */
const PAGE_ITEMS = 500;
const RESOURCES = ["pods", "persistentvolumeclaims"] as const;
const MOST_PAGE_BYTES = 64 * 2 ** 20;
const HEAD_BYTES = 4_096;
const WARM_UP_ROUNDS = 3;
const LEAST_ROUNDS = 15;

export const kubernetesStep = (workspaces: number): Step => ({
  section: "kubernetes",
  workspaces,
  containers: 0,
  async run(world, plan, results) {
    await ensureKubernetesPrograms();
    const kubernetes = await startKubernetes();
    const table = await world.openTable(workspaces);
    const kubeconfig = `${kubernetes.folder}/kubeconfig`;
    await Bun.write(kubeconfig, kubeconfigOf(kubernetes));
    try {
      await inParallel(workspaceIds(workspaces), AT_ONCE, (id) => createWorkspace(kubernetes, id));
      const observer = world.startObserver(table, {
        ...STEADY,
        OBSERVER_ENGINE: "kubernetes",
        KUBECONFIG: kubeconfig,
        S3_BUCKET: "",
      });
      let expectedMs = (await settled(observer, world.publisher)).durationMs;
      const raw: number[] = [];
      const looks: Look[] = [];
      let bytes = 0;
      const readRaw = async () => {
        const startedMs = performance.now();
        const sizes = await Promise.all(RESOURCES.map((resource) => listRaw(kubernetes, resource)));
        bytes = sizes.reduce((sum, size) => sum + size, 0);
        return performance.now() - startedMs;
      };
      const startedMs = performance.now();
      const isTimeLeft = () => !plan.quick && performance.now() - startedMs < plan.budgetSeconds * 1_000;
      for (let round = 0; round < LEAST_ROUNDS || isTimeLeft(); round++) {
        const before = await readRaw();
        const look = await hintedLook(observer, world.publisher, expectedMs);
        expectedMs = look.durationMs;
        const after = await readRaw();
        if (round < WARM_UP_ROUNDS) continue;
        raw.push((before + after) / 2);
        looks.push(look);
      }
      const add = (name: string, unit: string, values: readonly number[], note = "") =>
        results.figure("kubernetes", workspaces, name, unit, values, note);
      const lookMs = looks.map(({ durationMs }) => durationMs);
      add(
        "raw list",
        "ms",
        raw,
        `${(bytes / 1e6).toFixed(1)} MB in pages of ${PAGE_ITEMS}, pods and claims at once, unparsed`,
      );
      add("observer", "ms", lookMs, "by its own account");
      for (const stage of new Set(looks.flatMap(({ stagesMs }) => Object.keys(stagesMs))))
        add(
          `observer, stage ${stage}`,
          "ms",
          looks.map(({ stagesMs }) => stagesMs[stage] ?? 0),
        );
      add("memory, peak", "MB", [usageOf(observer.pid).peakMegabytes]);
      results.ratio("kubernetes", workspaces, "observer ÷ raw list", pairedRatio(lookMs, raw), "lower", {
        target: workspaces === 5_000 ? 1.2 : null,
      });
      await observer.stop();
    } finally {
      await kubernetes.stop();
      await table.close();
    }
  },
});

/** All pages to the last byte; of each only the token of the next is looked for, in its head. */
async function listRaw({ server, ca, token, namespace }: Kubernetes, resource: string): Promise<number> {
  let bytes = 0;
  for (let next: string | null = ""; next !== null; ) {
    const more = next === "" ? "" : `&continue=${encodeURIComponent(next)}`;
    const response = await fetch(
      `${server}/api/v1/namespaces/${namespace}/${resource}?limit=${PAGE_ITEMS}${more}`,
      {
        headers: {
          authorization: `Bearer ${token}`,
          accept: "application/json",
          "accept-encoding": "identity",
        },
        tls: { ca: ca ?? "" },
      } as BunFetchRequestInit,
    );
    const body = await readBody(response, MOST_PAGE_BYTES);
    if (response.status !== 200) throw new Error(`Cannot list ${resource}: ${response.status}`);
    bytes += body.length;
    const head = new TextDecoder().decode(body.subarray(0, HEAD_BYTES));
    next = /"continue":"([^"]+)"/.exec(head)?.[1] ?? null;
  }
  return bytes;
}

/** A pod as platforms make them, some 5 KB, running and ready; and its claim, bound. */
async function createWorkspace({ client }: Kubernetes, id: string): Promise<void> {
  const name = containerName(id);
  await Promise.all([
    client.engine.createVolume(volumeName(id)),
    client.createPod(name, podOf(id)).then(() => client.patchPodStatus(name, runningStatus())),
  ]);
}

const podOf = (id: string) => ({
  metadata: {
    labels: {
      "app.kubernetes.io/name": "workspace",
      "app.kubernetes.io/managed-by": "platform",
      workspace: id,
    },
    annotations: { "example.com/owner": "somebody@example.com", "example.com/template": "code-server/v4" },
  },
  spec: {
    nodeName: "node-7",
    serviceAccountName: "workspace",
    securityContext: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000 },
    tolerations: [{ key: "workspaces", operator: "Exists", effect: "NoSchedule" }],
    volumes: [
      { name: "home", persistentVolumeClaim: { claimName: volumeName(id) } },
      { name: "tmp", emptyDir: {} },
    ],
    containers: [
      {
        name: "main",
        image: "registry.example.com/workspaces/code-server:4.99.1",
        args: ["--bind-addr", "0.0.0.0:8080", "--auth", "none"],
        ports: [{ name: "http", containerPort: 8080 }],
        env: Array.from({ length: 8 }, (_, at) => ({ name: `SETTING_${at}`, value: `value ${at} of ${id}` })),
        resources: { requests: { cpu: "250m", memory: "1Gi" }, limits: { cpu: "2", memory: "4Gi" } },
        volumeMounts: [
          { name: "home", mountPath: "/home/coder" },
          { name: "tmp", mountPath: "/tmp" },
        ],
        readinessProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 10 },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  },
});

function runningStatus() {
  const at = "2026-01-01T00:00:00Z";
  return {
    phase: "Running",
    hostIP: "10.0.0.7",
    podIP: "10.1.2.3",
    podIPs: [{ ip: "10.1.2.3" }],
    startTime: at,
    qosClass: "Burstable",
    conditions: ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map((type) => ({
      type,
      status: "True",
      lastProbeTime: null,
      lastTransitionTime: at,
    })),
    containerStatuses: [
      {
        name: "main",
        image: "registry.example.com/workspaces/code-server:4.99.1",
        imageID: `registry.example.com/workspaces/code-server@sha256:${"ab".repeat(32)}`,
        containerID: `containerd://${"cd".repeat(32)}`,
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: { startedAt: at } },
        lastState: {},
      },
    ],
  };
}
