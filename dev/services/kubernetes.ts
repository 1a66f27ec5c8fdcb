// A private, real kube-apiserver with its etcd, on loopback. There is no kubelet and no controller: tests write what
// these would. The programs come from KUBEBUILDER_ASSETS, or are built once by kube-apiserver.sh.
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import {
  type KubernetesAccess,
  type KubernetesClient,
  kubernetesClient,
  type Manifest,
} from "./kubernetes-client.ts";
import { freePort } from "./ports.ts";
import { type Daemon, runCommand, startDaemon } from "./process.ts";
import { inScope } from "./scope.ts";

export interface Kubernetes extends KubernetesAccess {
  readonly folder: string;
  readonly version: string;
  /** As an administrator, in the namespace `workspaces`. */
  readonly client: KubernetesClient;
  /** Applies a manifest of a namespaced or cluster-wide kind. */
  create(manifest: Manifest, options?: { dryRun?: boolean }): Promise<Manifest>;
  /** A token of a service account of the namespace, as its pods get them. */
  serviceAccountToken(name: string): Promise<string>;
  /** Everything before the present version can't be read any more: a `continue` token from before is 410. */
  compact(): Promise<void>;
  /** The server restarts and knows nothing any more of what happened before: a watch from there is 410. */
  loseHistory(): Promise<void>;
  /** A service account of its own with these rights on pods and claims, `list pods` and the like; its token. */
  tokenFor(rights: readonly string[]): Promise<string>;
  /** PEM texts of a client certificate of an administrator. */
  readonly clientCertificate: { readonly cert: string; readonly key: string };
  restart(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export const TEST_NAMESPACE = "workspaces";
const ADMIN_TOKEN = "admin-token";

function cacheFolder(): string {
  return (
    process.env.KUBE_PKG ??
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "kube-apiserver-deb12")
  );
}

/** The folder with `kube-apiserver` and `etcd`; null where there is none yet. */
export function kubernetesPrograms(): string | null {
  const given = process.env.KUBEBUILDER_ASSETS;
  const folder = given ?? join(cacheFolder(), "bin");
  const isBuilt = given !== undefined || existsSync(join(cacheFolder(), "ok"));
  const hasBoth = ["kube-apiserver", "etcd"].every((name) => existsSync(join(folder, name)));
  if (given !== undefined && !hasBoth)
    throw new Error(`KUBEBUILDER_ASSETS is ${given}, where kube-apiserver or etcd is missing`);
  return isBuilt && hasBoth ? folder : null;
}

/** Builds them where they are missing: some minutes, on Debian 12. */
export async function ensureKubernetesPrograms(): Promise<string> {
  const found = kubernetesPrograms();
  if (found !== null) return found;
  console.error(
    `Building kube-apiserver into ${cacheFolder()} from Debian's source package, once: some minutes …`,
  );
  await runCommand(["bash", join(import.meta.dir, "kube-apiserver.sh"), "install"], {
    env: { KUBE_PKG: cacheFolder() },
    deadlineMs: 45 * 60_000,
  });
  return kubernetesPrograms()!;
}

export async function startKubernetes(): Promise<Kubernetes> {
  const programs = kubernetesPrograms();
  if (programs === null)
    throw new Error(
      "There is no kube-apiserver: `bun run test:kubernetes` builds it, or set KUBEBUILDER_ASSETS",
    );
  return await inScope("kube", async (scope) => {
    const { folder } = scope;
    const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
    const etcdUrl = `http://127.0.0.1:${etcdPort}`;
    const etcd = await startDaemon(scope, {
      name: "etcd",
      command: [
        join(programs, "etcd"),
        ...[`--data-dir=${join(folder, "etcd")}`, "--unsafe-no-fsync"],
        ...[`--listen-client-urls=${etcdUrl}`, `--advertise-client-urls=${etcdUrl}`],
        ...[`--listen-peer-urls=http://127.0.0.1:${peerPort}`],
        ...[`--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`],
        `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
      ],
      ready: async () => (await fetch(`${etcdUrl}/health`)).ok,
    });
    const key = join(folder, "service-account.key");
    await runCommand(["openssl", "genrsa", "-out", key, "2048"]);
    await writeFile(join(folder, "tokens.csv"), `${ADMIN_TOKEN},admin,admin,"system:masters"\n`);
    const clients = await makeClientCertificate(folder);
    const certificates = join(folder, "certificates");
    const server = `https://127.0.0.1:${port}`;
    const start = () =>
      startDaemon(scope, {
        name: "kube-apiserver",
        command: [
          join(programs, "kube-apiserver"),
          ...[`--etcd-servers=${etcdUrl}`, "--bind-address=127.0.0.1", `--secure-port=${port}`],
          ...[`--cert-dir=${certificates}`, `--token-auth-file=${join(folder, "tokens.csv")}`],
          ...["--service-account-issuer=https://kubernetes.default.svc", `--service-account-key-file=${key}`],
          ...[`--service-account-signing-key-file=${key}`, `--client-ca-file=${clients.caPath}`],
          ...["--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24"],
          ...["--disable-admission-plugins=ServiceAccount", "--etcd-compaction-interval=0"],
          ...["--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"],
        ],
        readyDeadlineMs: 60_000,
        ready: async () => {
          const ca = await readFile(join(certificates, "apiserver.crt"), "utf8");
          const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
          return (await fetch(`${server}/readyz`, { headers, tls: { ca } })).ok;
        },
      });
    let daemon: Daemon = await start();
    const ca = await readFile(join(certificates, "apiserver.crt"), "utf8");
    const access = { server, ca, token: ADMIN_TOKEN, namespace: TEST_NAMESPACE };
    const client = kubernetesClient(access);
    await client.request("POST", "/api/v1/namespaces", {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: TEST_NAMESPACE },
    });
    const { gitVersion } = await client.request<{ gitVersion: string }>("GET", "/version");

    let accounts = 0;
    const tokenOf = async (name: string): Promise<string> => {
      const { status } = await client.request<{ status: { token: string } }>(
        "POST",
        `${client.base}/serviceaccounts/${name}/token`,
        { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { audiences: [] } },
      );
      return status.token;
    };

    /** JSON over HTTP is a gateway to etcd's own protocol. */
    const ask = async (path: string, body: unknown) => {
      const response = await fetch(`${etcdUrl}/v3/kv/${path}`, {
        method: "POST",
        body: JSON.stringify(body),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`Cannot ask etcd for ${path}: ${response.status} ${text}`);
      return JSON.parse(text) as { header: { revision: string } };
    };

    return {
      ...access,
      folder,
      version: gitVersion,
      client,
      clientCertificate: clients,
      async create(manifest, { dryRun = false } = {}) {
        const { apiVersion, kind } = manifest as { apiVersion: string; kind: string };
        const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
        const plural = kind.endsWith("y") ? `${kind.slice(0, -1)}ies` : `${kind}s`;
        const metadata = { ...(manifest.metadata as Manifest), namespace: TEST_NAMESPACE };
        return await client.request(
          "POST",
          `${group}/namespaces/${TEST_NAMESPACE}/${plural.toLowerCase()}${dryRun ? "?dryRun=All" : ""}`,
          { ...manifest, metadata },
        );
      },
      serviceAccountToken: tokenOf,
      async compact() {
        const { header } = await ask("range", { key: Buffer.from("\0").toString("base64"), limit: "1" });
        await ask("compaction", { revision: header.revision, physical: true });
      },
      async loseHistory() {
        await daemon.stop({ signal: "SIGKILL" });
        await ask("put", { key: Buffer.from("/elsewhere").toString("base64"), value: "" });
        daemon = await start();
      },
      async tokenFor(rights) {
        accounts += 1;
        const name = `account-${accounts}`;
        const metadata = { name, namespace: TEST_NAMESPACE };
        const rules = rights.map((right) => {
          const [verb, resource] = right.split(" ");
          return { apiGroups: [""], resources: [resource], verbs: [verb] };
        });
        const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${TEST_NAMESPACE}`;
        await client.request("POST", `${client.base}/serviceaccounts`, { metadata });
        await client.request("POST", `${rbac}/roles`, { metadata, rules });
        await client.request("POST", `${rbac}/rolebindings`, {
          metadata,
          roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
          subjects: [{ kind: "ServiceAccount", name, namespace: TEST_NAMESPACE }],
        });
        return await tokenOf(name);
      },
      async restart() {
        await daemon.stop({ deadlineMs: 10_000 });
        daemon = await start();
      },
      kill: (signal) => void daemon.kill(signal),
      async stop() {
        await daemon.stop({ signal: "SIGKILL" });
        await etcd.stop({ signal: "SIGKILL" });
        await scope.stop();
      },
    };
  });
}

/** An authority for clients, and a certificate of one who may do everything. */
async function makeClientCertificate(folder: string): Promise<{ caPath: string; cert: string; key: string }> {
  const at = (name: string) => join(folder, name);
  await writeFile(at("clients.cnf"), "[req]\ndistinguished_name = name\n[name]\n");
  const request = (name: string, subject: string, extra: readonly string[]) =>
    runCommand([
      ...[
        "openssl",
        "req",
        "-config",
        at("clients.cnf"),
        "-x509",
        "-days",
        "3650",
        "-nodes",
        "-subj",
        subject,
      ],
      ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
      ...["-keyout", at(`${name}.key`), "-out", at(`${name}.crt`), ...extra],
    ]);
  await request("clients-ca", "/CN=clients of a test", ["-addext", "basicConstraints=critical,CA:TRUE"]);
  await request("admin", "/O=system:masters/CN=admin", [
    ...["-CA", at("clients-ca.crt"), "-CAkey", at("clients-ca.key")],
    ...["-addext", "extendedKeyUsage=clientAuth"],
  ]);
  const [cert, key] = await Promise.all(["admin.crt", "admin.key"].map((name) => readFile(at(name), "utf8")));
  return { caPath: at("clients-ca.crt"), cert: cert!, key: key! };
}
