/**
 * `OBSERVER_ENGINE=kubernetes`: the API server by `KUBECONFIG`, or by the service account that Kubernetes mounts into
 * every pod. What a kubeconfig asks for and isn't done here is refused: it must not quietly be somebody else who asks.
 */
import { dirname, isAbsolute, join } from "node:path";
import { quote } from "./parse.ts";
import type { ConfigSource } from "./source.ts";
import type { KubernetesConfig } from "./types.ts";

const MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount";

type Access = Pick<KubernetesConfig, "server" | "token" | "tokenFile" | "tls"> & {
  readonly namespace: string | null;
};

/** Null where something is wrong; every problem is then in `source`. */
export function readKubernetes(source: ConfigSource): KubernetesConfig | null {
  const before = source.problems.length;
  const namespace = source.word("OBSERVER_KUBERNETES_NAMESPACE");
  const selector = source.word("OBSERVER_KUBERNETES_SELECTOR");
  const workspaceLabel = source.word("OBSERVER_KUBERNETES_WORKSPACE_LABEL");
  const path = source.text("KUBECONFIG");
  const access = path === null ? readServiceAccount(source) : readKubeconfig(source, path);
  for (const name of ["DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] as const)
    if (source.text(name) !== null) source.warn(name, "is not used: OBSERVER_ENGINE is kubernetes");
  if (access === null || source.problems.length > before) return null;
  return {
    kind: "kubernetes",
    ...access,
    namespace: namespace ?? access.namespace ?? "default",
    selector,
    workspaceLabel,
  };
}

function readServiceAccount(source: ConfigSource): Access | null {
  const host = source.text("KUBERNETES_SERVICE_HOST");
  const port = source.text("KUBERNETES_SERVICE_PORT") ?? "443";
  if (host === null) {
    source.problem(
      "KUBECONFIG",
      "is missing: OBSERVER_ENGINE is kubernetes, and without KUBERNETES_SERVICE_HOST this is no pod that has a service account",
    );
    return null;
  }
  const name = "KUBERNETES_SERVICE_HOST";
  const tokenFile = `${MOUNTED}/token`;
  const token = source.file(name, tokenFile, "the service account's token");
  const ca = source.file(name, `${MOUNTED}/ca.crt`, "the service account's authority");
  const namespace = source.file(name, `${MOUNTED}/namespace`, "the service account's namespace");
  if (token === null || ca === null || namespace === null) return null;
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    namespace: namespace.trim() || null,
    token: null,
    tokenFile,
    tls: { ca, cert: null, key: null, verify: true, serverName: null },
  };
}

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

/** What a user of a kubeconfig may ask for, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  exec: "for an exec plugin, and the Observer starts no programs; give it a service account's token (kubectl create token) or a client certificate",
  "auth-provider":
    "for an auth provider, which kubectl itself no longer knows; give it a token or a client certificate",
  username:
    "for a user name and password, which API servers no longer take; give it a token or a client certificate",
  as: "to be somebody else (as); bind the Role to the Observer itself",
  "as-groups": "to be somebody else (as-groups); bind the Role to the Observer itself",
  "as-uid": "to be somebody else (as-uid); bind the Role to the Observer itself",
};

function readKubeconfig(source: ConfigSource, path: string): Access | null {
  const problem = (what: string): null => {
    source.problem("KUBECONFIG", what);
    return null;
  };
  if (path.includes(":"))
    return problem("must name one file, not several; kubectl config view --flatten makes one of them");
  const text = source.file("KUBECONFIG", path, "the file");
  if (text === null) return null;
  let config: Fields;
  try {
    config = fieldsOf(Bun.YAML.parse(text));
  } catch {
    return problem(`cannot be used: the file ${quote(path)} is not in YAML form`);
  }
  const current = textOf(config["current-context"]);
  if (current === null) return problem(`cannot be used: ${quote(path)} has no current-context`);

  const find = (list: string, kind: string, name: string | null): Fields | null => {
    const all = config[list];
    const one = Array.isArray(all) ? all.map(fieldsOf).find((each) => each.name === name) : undefined;
    if (name !== null && one !== undefined) return fieldsOf(one[kind]);
    return problem(`cannot be used: ${quote(path)} has no ${kind} ${quote(name ?? "")}`);
  };
  const context = find("contexts", "context", current);
  if (context === null) return null;
  const cluster = find("clusters", "cluster", textOf(context.cluster));
  const user = find("users", "user", textOf(context.user));
  if (cluster === null || user === null) return null;

  for (const [key, what] of Object.entries(REFUSED))
    if (user[key] !== undefined && user[key] !== null) problem(`cannot be used: its user asks ${what}`);
  if (textOf(cluster["proxy-url"]) !== null)
    problem("cannot be used: its cluster asks for a proxy-url, which the Observer doesn't go through");

  const server = (textOf(cluster.server) ?? "").replace(/\/+$/, "");
  if (!/^https?:\/\/[^\s/?#@]+(?:\/[^\s?#]*)?$/.test(server))
    problem("cannot be used: its cluster has no server that starts with https:// or http://");

  const pathIn = (file: string) => (isAbsolute(file) ? file : join(dirname(path), file));
  /** A PEM text, by its file or in base64; what is wrong with it has become a problem. */
  const pem = (of: Fields, key: string, what: string): string | null => {
    const data = textOf(of[`${key}-data`]);
    const file = textOf(of[key]);
    if (data === null && file === null) return null;
    const read = data === null ? source.file("KUBECONFIG", pathIn(file!), what) : atobOrEmpty(data);
    if (read !== null && !/-----BEGIN [A-Z ]+-----/.test(read))
      problem(`cannot be used: ${what} is not in PEM form`);
    return read;
  };
  const tokenFile = textOf(user.tokenFile);
  const verify = cluster["insecure-skip-tls-verify"] !== true;
  if (!verify)
    source.warn("KUBECONFIG", "says insecure-skip-tls-verify: whoever is in between can read and lie");
  const access: Access = {
    server,
    namespace: textOf(context.namespace),
    // As with kubectl a file wins: it is the one that is renewed.
    token: tokenFile === null ? textOf(user.token) : null,
    tokenFile: tokenFile === null ? null : pathIn(tokenFile),
    tls: {
      ca: pem(cluster, "certificate-authority", "its certificate authority"),
      cert: pem(user, "client-certificate", "its client certificate"),
      key: pem(user, "client-key", "its client key"),
      verify,
      serverName: textOf(cluster["tls-server-name"]),
    },
  };
  if ((access.tls.cert === null) !== (access.tls.key === null))
    problem("cannot be used: its user has a client certificate without its key, or the other way round");
  if (tokenFile !== null) source.file("KUBECONFIG", access.tokenFile!, "its tokenFile");
  if (access.token !== null && !/^[\x21-\x7e]+$/.test(access.token))
    problem("cannot be used: its token has characters that no token has");
  return access;
}

function atobOrEmpty(text: string): string {
  try {
    return atob(text.replaceAll(/\s/g, ""));
  } catch {
    return "";
  }
}
