/**
 * Goal: the API server is reached as the kubeconfig, or the pod's service account, says, or it is refused by name.
 * Method: tables of files that exist in memory only.
 */
import { describe, expect, test } from "bun:test";
import type { Environment } from "../../src/config.ts";
import { type Files, load, problemsOf } from "./config-support.ts";

const CERT = "-----BEGIN CERTIFICATE-----\nc\n-----END CERTIFICATE-----\n";
const KEY = "-----BEGIN EC PRIVATE KEY-----\nk\n-----END EC PRIVATE KEY-----\n";
const MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount";
const inCluster: Files = {
  [`${MOUNTED}/token`]: "abc.def\n",
  [`${MOUNTED}/ca.crt`]: CERT,
  [`${MOUNTED}/namespace`]: "spaces\n",
};
const pod: Environment = {
  OBSERVER_ENGINE: "kubernetes",
  KUBERNETES_SERVICE_HOST: "10.96.0.1",
  KUBERNETES_SERVICE_PORT: "443",
};

const kubeconfig = (cluster: string, user: string, context = ""): string => `
apiVersion: v1
kind: Config
current-context: here
contexts:
  - name: there
    context: {cluster: none, user: none}
  - name: here
    context: {cluster: c, user: u${context}}
clusters:
  - name: c
    cluster:
      server: https://kube.example:6443/
${cluster}
users:
  - name: u
    user:
${user}
`;
const outside: Environment = { OBSERVER_ENGINE: "kubernetes", KUBECONFIG: "/etc/kube/config" };
const at = (text: string, more: Files = {}): Files => ({ "/etc/kube/config": text, ...more });
const withToken = kubeconfig("", "      token: abc.def");

describe("OBSERVER_ENGINE=kubernetes in a pod", () => {
  test("the service account says where, as whom and which namespace", () => {
    const { engines, warnings } = load(pod, inCluster);
    expect({ engine: engines[0]?.endpoint, warnings }).toMatchObject({
      warnings: [],
      engine: {
        kind: "kubernetes",
        server: "https://10.96.0.1:443",
        namespace: "spaces",
        token: null,
        tokenFile: `${MOUNTED}/token`,
        selector: null,
        workspaceLabel: null,
        tls: { ca: CERT, cert: null, key: null, verify: true, serverName: null },
      },
    });
    const v6 = load({ ...pod, KUBERNETES_SERVICE_HOST: "fd00::1" }, inCluster);
    expect(v6.engines[0]?.endpoint).toMatchObject({ server: "https://[fd00::1]:443" });
  });

  test("settings of its own win", () => {
    const config = load(
      {
        ...pod,
        OBSERVER_KUBERNETES_NAMESPACE: "other",
        OBSERVER_KUBERNETES_SELECTOR: "app.kubernetes.io/part-of in (a,b),!test",
        OBSERVER_KUBERNETES_WORKSPACE_LABEL: "example.com/workspace",
        DOCKER_HOST: "nonsense",
      },
      inCluster,
    );
    expect(config.engines[0]?.endpoint).toMatchObject({
      namespace: "other",
      selector: "app.kubernetes.io/part-of in (a,b),!test",
      workspaceLabel: "example.com/workspace",
    });
    expect(config.warnings).toEqual(["DOCKER_HOST is not used: OBSERVER_ENGINE is kubernetes"]);
  });

  test("what is missing is named", () => {
    expect(problemsOf({ OBSERVER_ENGINE: "kubernetes" })).toEqual([
      "KUBECONFIG is missing: OBSERVER_ENGINE is kubernetes, and without KUBERNETES_SERVICE_HOST this is no pod that has a service account",
    ]);
    expect(problemsOf(pod)).toEqual([
      `KUBERNETES_SERVICE_HOST cannot be used: the service account's token "${MOUNTED}/token" does not exist`,
      `KUBERNETES_SERVICE_HOST cannot be used: the service account's authority "${MOUNTED}/ca.crt" does not exist`,
      `KUBERNETES_SERVICE_HOST cannot be used: the service account's namespace "${MOUNTED}/namespace" does not exist`,
    ]);
    expect(problemsOf({ OBSERVER_ENGINE: "podman" })[0]).toBe(
      'OBSERVER_ENGINE must be docker or kubernetes, not "podman"',
    );
    expect(
      problemsOf(
        {
          ...pod,
          OBSERVER_KUBERNETES_NAMESPACE: "Not_One",
          OBSERVER_KUBERNETES_SELECTOR: "&",
          OBSERVER_KUBERNETES_WORKSPACE_LABEL: "a b",
        },
        inCluster,
      ).map((problem) => problem.split(" must be ")[0]),
    ).toEqual([
      "OBSERVER_KUBERNETES_NAMESPACE",
      "OBSERVER_KUBERNETES_SELECTOR",
      "OBSERVER_KUBERNETES_WORKSPACE_LABEL",
    ]);
  });
});

describe("KUBECONFIG", () => {
  const tls = { ca: null, cert: null, key: null, verify: true, serverName: null };
  const data = (text: string) => btoa(text);
  const good: [what: string, files: Files, config: object][] = [
    [
      "a token; the system's authorities",
      at(withToken),
      { server: "https://kube.example:6443", namespace: "default", token: "abc.def", tokenFile: null, tls },
    ],
    ["a namespace", at(kubeconfig("", "      token: t", ", namespace: ns")), { namespace: "ns", token: "t" }],
    [
      "a tokenFile beside it, which wins",
      at(kubeconfig("", "      token: t\n      tokenFile: token"), { "/etc/kube/token": "x" }),
      { token: null, tokenFile: "/etc/kube/token" },
    ],
    [
      "certificates as files",
      at(
        kubeconfig(
          "      certificate-authority: ca.pem\n      tls-server-name: kube",
          "      client-certificate: /c.pem\n      client-key: /k.pem",
        ),
        { "/etc/kube/ca.pem": CERT, "/c.pem": CERT, "/k.pem": KEY },
      ),
      { token: null, tls: { ca: CERT, cert: CERT, key: KEY, verify: true, serverName: "kube" } },
    ],
    [
      "certificates as data",
      at(
        kubeconfig(
          `      certificate-authority-data: ${data(CERT)}`,
          `      client-certificate-data: ${data(CERT)}\n      client-key-data: ${data(KEY)}`,
        ),
      ),
      { tls: { ...tls, ca: CERT, cert: CERT, key: KEY } },
    ],
  ];
  test.each(good)("%s", (_, files, config) => {
    expect(load(outside, files)).toMatchObject({ engines: [{ host: null, endpoint: config }], warnings: [] });
  });

  test("whoever doesn't check certificates is warned", () => {
    const config = load(outside, at(kubeconfig("      insecure-skip-tls-verify: true", "      token: t")));
    expect(config.engines[0]?.endpoint).toMatchObject({ tls: { verify: false } });
    expect(config.warnings[0]).toStartWith("KUBECONFIG says insecure-skip-tls-verify");
  });

  const refused: [what: string, files: Files, problem: string][] = [
    ["no file", {}, 'cannot be used: the file "/etc/kube/config" does not exist'],
    ["no YAML", at("a: [b"), 'cannot be used: the file "/etc/kube/config" is not in YAML form'],
    ["a list", at("- a"), 'cannot be used: "/etc/kube/config" has no current-context'],
    ["no such context", at("current-context: x"), 'cannot be used: "/etc/kube/config" has no context "x"'],
    [
      "no such cluster",
      at(withToken.replace("name: c\n", "name: d\n")),
      'cannot be used: "/etc/kube/config" has no cluster "c"',
    ],
    [
      "an exec plugin",
      at(kubeconfig("", "      exec: {command: aws}")),
      "cannot be used: its user asks for an exec plugin, and the Observer starts no programs; give it a service account's token (kubectl create token) or a client certificate",
    ],
    [
      "impersonation",
      at(kubeconfig("", "      token: t\n      as: admin")),
      "cannot be used: its user asks to be somebody else (as); bind the Role to the Observer itself",
    ],
    [
      "a password",
      at(kubeconfig("", "      username: u\n      password: p")),
      "cannot be used: its user asks for a user name and password, which API servers no longer take; give it a token or a client certificate",
    ],
    [
      "a proxy",
      at(kubeconfig("      proxy-url: http://proxy", "      token: t")),
      "cannot be used: its cluster asks for a proxy-url, which the Observer doesn't go through",
    ],
    [
      "no server",
      at(withToken.replace("https://kube.example:6443/", "kube.example")),
      "cannot be used: its cluster has no server that starts with https:// or http://",
    ],
    [
      "a certificate without its key",
      at(kubeconfig("", `      client-certificate-data: ${data(CERT)}`)),
      "cannot be used: its user has a client certificate without its key, or the other way round",
    ],
    [
      "no PEM",
      at(kubeconfig("      certificate-authority-data: AAAA", "      token: t")),
      "cannot be used: its certificate authority is not in PEM form",
    ],
    [
      "a tokenFile that isn't there",
      at(kubeconfig("", "      tokenFile: gone")),
      'cannot be used: its tokenFile "/etc/kube/gone" does not exist',
    ],
    [
      "a token with a space",
      at(kubeconfig("", '      token: "a b"')),
      "cannot be used: its token has characters that no token has",
    ],
  ];
  test.each(refused)("%s is refused", (_, files, problem) => {
    expect(problemsOf(outside, files)).toEqual([`KUBECONFIG ${problem}`]);
  });

  test("several files are refused", () => {
    expect(problemsOf({ ...outside, KUBECONFIG: "/a:/b" })[0]).toStartWith("KUBECONFIG must name one file");
  });
});
