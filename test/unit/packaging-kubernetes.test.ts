// Goal: what packaging/kubernetes asks a cluster for is what the program needs, and no more.
// Method: the files, read as kustomize and a cluster would; what the adapter asks for is heard by a simulated API server.
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { startSimulatedKubernetes } from "../../dev/fakes/kubernetes.ts";
import { createKubernetesEngine, createKubernetesEvents } from "../../src/adapters/kubernetes.ts";
import { knownNames } from "../../src/config/settings.ts";
import { parseWorkspaceId } from "../../src/observer/names.ts";
import { deadline, listenTo, realClock } from "../contract/engine-support.ts";
import { endpointOf } from "../contract/kubernetes-support.ts";
import { textOf } from "../packaging.ts";

const FOLDER = "packaging/kubernetes";
// biome-ignore lint/suspicious/noExplicitAny: foreign documents, of which the tests name each field that they read.
type Manifest = any;
const read = (file: string): Manifest => Bun.YAML.parse(textOf(`${FOLDER}/${file}`));
const kustomization = read("kustomization.yaml");
const manifests: Manifest[] = kustomization.resources.map(read);
const ofKind = (kind: string): Manifest => manifests.find((one) => one.kind === kind);
const labels = { "app.kubernetes.io/name": "observer" };

describe("the base", () => {
  test("names each of its files, and each kind once", () => {
    const files = readdirSync(join(import.meta.dir, "../..", FOLDER)).filter((name) =>
      name.endsWith(".yaml"),
    );
    expect([...kustomization.resources, "kustomization.yaml"].sort()).toEqual(files.sort());
    expect(manifests.map(({ kind }) => kind).sort()).toEqual([
      "Deployment",
      "NetworkPolicy",
      "PodDisruptionBudget",
      "Role",
      "RoleBinding",
      "Service",
      "ServiceAccount",
    ]);
    expect(read("monitoring/kustomization.yaml")).toMatchObject({
      kind: "Component",
      resources: ["servicemonitor.yaml"],
    });
  });

  test("all of it is called observer, and finds one another by label", () => {
    const monitor = read("monitoring/servicemonitor.yaml");
    for (const { metadata } of [...manifests, monitor])
      expect(metadata).toMatchObject({ name: "observer", labels });
    const { spec } = ofKind("Deployment");
    expect(spec.template.metadata.labels).toMatchObject(labels);
    for (const { matchLabels } of [
      spec.selector,
      spec.template.spec.topologySpreadConstraints[0].labelSelector,
      ofKind("PodDisruptionBudget").spec.selector,
      ofKind("NetworkPolicy").spec.podSelector,
      monitor.spec.selector,
    ])
      expect(matchLabels).toEqual(labels);
    expect(ofKind("Service").spec.selector).toEqual(labels);
    expect(ofKind("RoleBinding")).toMatchObject({
      roleRef: { kind: "Role", name: "observer" },
      subjects: [{ kind: "ServiceAccount", name: "observer", namespace: kustomization.namespace }],
    });
  });

  test("its settings are settings", () => {
    const [{ literals }] = kustomization.configMapGenerator;
    const { env } = ofKind("Deployment").spec.template.spec.containers[0];
    for (const name of [
      ...literals.map((text: string) => text.split("=")[0]),
      ...env.map((one: Manifest) => one.name),
    ])
      expect(knownNames).toContain(name);
    expect(literals).toContain("OBSERVER_ENGINE=kubernetes");
    const { authorization, port } = read("monitoring/servicemonitor.yaml").spec.endpoints[0];
    expect(knownNames).toContain(authorization.credentials.key);
    expect(port).toBe(ofKind("Service").spec.ports[0].name);
  });

  test("two replicas, of which a disruption leaves one", () => {
    expect(ofKind("Deployment").spec.replicas).toBe(2);
    expect(ofKind("PodDisruptionBudget").spec.minAvailable).toBe(1);
  });

  test("the Pod Security Standard restricted: non-root, read-only, nothing to gain", () => {
    const pod = ofKind("Deployment").spec.template.spec;
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(pod.securityContext.runAsUser).toBe(Number(/^USER (\d+):/m.exec(textOf("Containerfile"))![1]));
    expect(pod.containers).toHaveLength(1);
    expect(pod.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    for (const field of ["volumes", "hostNetwork", "hostPID", "hostIPC", "initContainers"])
      expect(pod[field]).toBeUndefined();
    // SIGTERM to exit is five seconds.
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(5);
  });
});

test("the Role grants get, list and watch on pods and claims, and every question of the adapter is among them", async () => {
  const { rules } = ofKind("Role");
  expect(rules).toEqual([
    { apiGroups: [""], resources: ["pods", "persistentvolumeclaims"], verbs: ["get", "list", "watch"] },
  ]);
  const fake = await startSimulatedKubernetes({ listen: { port: 0 } });
  try {
    fake.world.create("pods", { metadata: { name: "ws-a" } });
    const endpoint = endpointOf({
      server: fake.server,
      ca: null,
      token: "admin-token",
      namespace: fake.namespace,
    });
    for (const workspaceLabel of [null, "workspace"]) {
      const here = { ...endpoint, workspaceLabel };
      const engine = createKubernetesEngine({ endpoint: here });
      const { containers } = await engine.listBoth("ws-", { signal: deadline() });
      await engine.listBoth("ws-", { only: new Set([parseWorkspaceId("a")!]), signal: deadline() });
      for (const { containerId } of containers.byWorkspace.values())
        await engine.explainDeath(containerId, deadline());
      await engine.info(deadline());
      const ear = listenTo(
        createKubernetesEvents({ endpoint: here, prefix: "ws-", clock: realClock, random: Math.random }),
      );
      await ear.heard({ ups: 1 });
      await ear.stop();
    }
    const asked = new Set(fake.asked.map(({ verb, resource }) => `${verb} ${resource}`));
    const granted = rules.flatMap(({ resources, verbs }: { resources: string[]; verbs: string[] }) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
    );
    expect(asked.size).toBe(4);
    for (const question of asked) expect(granted).toContain(question);
    expect(new Set(fake.asked.map(({ namespace }) => namespace))).toEqual(new Set([fake.namespace]));
  } finally {
    await fake.stop();
  }
});
