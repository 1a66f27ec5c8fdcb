// Goal: a real API server takes every manifest of packaging/kubernetes, and who runs under them can do all that it has to.
// Method: the manifests as they are, for nothing; then the account's own token, with the Role that is bound to it.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Kubernetes, startKubernetes } from "../../dev/services/kubernetes.ts";
import type { Manifest } from "../../dev/services/kubernetes-client.ts";
import {
  createKubernetesEngine,
  createKubernetesEvents,
  type KubernetesEndpoint,
} from "../../src/adapters/kubernetes.ts";
import { deadline, listenTo, realClock } from "../contract/engine-support.ts";
import { endpointOf } from "../contract/kubernetes-support.ts";
import { textOf } from "../packaging.ts";

let kubernetes: Kubernetes;
beforeAll(async () => {
  kubernetes = await startKubernetes();
}, 90_000);
afterAll(() => kubernetes?.stop(), 60_000);

const read = (file: string) => Bun.YAML.parse(textOf(`packaging/kubernetes/${file}`)) as Manifest;
const { resources } = read("kustomization.yaml") as { resources: string[] };

test.each(resources)("%s is taken, with every field", async (file) => {
  const manifest = read(file);
  // Stable since 1.21; the fields are the same.
  const isOld = /^v1\.(1\d|20)\./.test(kubernetes.version) && manifest.apiVersion === "policy/v1";
  const sent = isOld ? { ...manifest, apiVersion: "policy/v1beta1" } : manifest;
  const taken = await kubernetes.create(sent, { dryRun: true });
  const { metadata, subjects, ...rest } = manifest;
  // A server drops what it doesn't know; what it knows it gives back.
  expect(taken).toMatchObject({ ...rest, ...(isOld && { apiVersion: "policy/v1beta1" }) });
  expect(taken.metadata).toMatchObject({ labels: (metadata as Manifest).labels });
});

test("a client certificate is enough, and a stranger's server is not believed", async () => {
  const { ca, clientCertificate } = kubernetes;
  const by = (tls: Partial<KubernetesEndpoint["tls"]>) => {
    const endpoint = endpointOf(kubernetes, { token: null });
    const engine = createKubernetesEngine({ endpoint: { ...endpoint, tls: { ...endpoint.tls, ...tls } } });
    return engine.listAll("ws-", { signal: deadline() });
  };
  await by(clientCertificate);
  await expect(by({})).rejects.toThrow("Cannot list pods: the API server answered 40");
  // Another authority than the one that signed its certificate; and none at all, so the system's.
  for (const other of [clientCertificate.cert, null])
    await expect(by({ ...clientCertificate, ca: other })).rejects.toThrow(
      /^Cannot list pods: TLS with .* failed/,
    );
  await expect(by({ ...clientCertificate, ca, serverName: "somebody.example" })).rejects.toThrow(
    /^Cannot list pods: TLS with .* failed/,
  );
  await by({ ...clientCertificate, ca: null, verify: false });
});

test("the service account lists and watches, and may do nothing else", async () => {
  for (const file of ["serviceaccount.yaml", "role.yaml", "rolebinding.yaml"])
    await kubernetes.create(read(file));
  const token = await kubernetes.serviceAccountToken("observer");
  const endpoint = endpointOf(kubernetes, { token });
  await kubernetes.client.engine.run({ name: "ws-a", volume: "ws-a-home" });
  const engine = createKubernetesEngine({ endpoint });
  const { containers, volumes } = await engine.listBoth("ws-", { signal: deadline() });
  expect([containers.byWorkspace.size, volumes.byWorkspace.size]).toEqual([1, 1]);
  expect((await engine.info(deadline())).serverVersion).toBe(kubernetes.version);
  const ear = listenTo(
    createKubernetesEvents({ endpoint, prefix: "ws-", clock: realClock, random: Math.random }),
  );
  await ear.heard({ ups: 1 });
  await ear.stop();
  const refused = async (method: string, path: string) => {
    const response = await fetch(`${kubernetes.server}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      tls: { ca: kubernetes.ca! },
      ...(method === "POST" && { body: "{}" }),
    });
    return response.status;
  };
  const { base } = kubernetes.client;
  expect(await refused("DELETE", `${base}/pods/ws-a`)).toBe(403);
  expect(await refused("POST", `${base}/pods`)).toBe(403);
  expect(await refused("GET", `${base}/secrets`)).toBe(403);
  expect(await refused("GET", "/api/v1/namespaces/default/pods")).toBe(403);
});
