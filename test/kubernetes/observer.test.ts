// Goal: on a real API server the executable's table is true for a controller that knows `running` and `exists` alone, while
// etcd is compacted under each listing, while the token is rotated, and while the server is killed and has lost its history.
// Method: a real kube-apiserver with etcd, PostgreSQL, one observer at a time, deeds by another client.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inParallel } from "../../dev/services/engine.ts";
import { type Kubernetes, startKubernetes } from "../../dev/services/kubernetes.ts";
import { type KubernetesAccess, kubeconfigOf } from "../../dev/services/kubernetes-client.ts";
import { startHookedServer } from "../contract/kubernetes-support.ts";
import { judge, type Phase } from "../e2e/judge.ts";
import { checksOfEverything, nextLooks, QUICK, useWorld } from "../e2e/support.ts";
import { startObserver, workFolder } from "../e2e/support-executable.ts";
import { keepSecret } from "../e2e/support-output.ts";
import { createPlatform, type Platform } from "../e2e/support-platform.ts";

const world = useWorld({ postgres: 18, keepObservers: true, ownServices: true });
/** What packaging/kubernetes/role.yaml grants. */
const ROLE = ["pods", "persistentvolumeclaims"].flatMap((resource) =>
  ["get", "list", "watch"].map((verb) => `${verb} ${resource}`),
);
/** A page has 500. */
const STRANGERS = 520;

let kubernetes: Kubernetes;

beforeAll(async () => {
  kubernetes = await startKubernetes();
  const { client } = kubernetes;
  const strangers = Array.from({ length: STRANGERS }, (_, n) => `stranger-${n}`);
  await inParallel(strangers, 8, (name) => client.createPod(name));
  await client.engine.run({ name: "ws-calm", volume: "ws-calm-home" });
}, 120_000);
afterAll(() => kubernetes?.stop(), 60_000);

/** Where the service account is that the token names. */
function accountOf(token: string): string {
  const { sub } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as {
    sub: string;
  };
  return `${kubernetes.client.base}/serviceaccounts/${sub.split(":").at(-1)}`;
}

/** On a table of its own: another address of the server is another world. */
async function start(name: string, access: KubernetesAccess) {
  const tokenFile = join(workFolder(), "token");
  let token: string | null = null;
  /** The former one is worth nothing any more: a server believes what it took for ten seconds, but not across its restart. */
  const rotate = async () => {
    const former = token;
    token = keepSecret(`a token of ${name}`, await kubernetes.tokenFor(ROLE));
    writeFileSync(tokenFile, token);
    if (former !== null) await kubernetes.client.request("DELETE", accountOf(former));
  };
  await rotate();
  const kubeconfig = join(workFolder(), "kubeconfig");
  writeFileSync(kubeconfig, kubeconfigOf(access, { tokenFile }));
  const platform = await createPlatform(world.postgres, name);
  await platform.insert("calm", "a", "none");
  const observer = startObserver({
    ...world.settings(platform, QUICK),
    OBSERVER_ENGINE: "kubernetes",
    KUBECONFIG: kubeconfig,
  });
  return { platform, observer, rotate };
}

const showsIn =
  (platform: Platform) =>
  (id: string, phase: Phase, afterSeq = 0) =>
    // No archives are observed here.
    platform.shows(`${id} ${phase}`, [id], (it) => judge({ ...it, archive: null }) === phase, { afterSeq });
/** Of the one that nothing happens to. */
const falsehoods = async (platform: Platform) =>
  (await platform.written()).filter(({ id, conditions }) => id === "calm" && judge(conditions) !== "running");

test("P1: a pod and its claim come, end and go, while etcd is compacted under each listing", async () => {
  const { client } = kubernetes;
  let compactions = 0;
  const hooked = startHookedServer(kubernetes, async ({ pathname, searchParams }) => {
    if (!pathname.endsWith("/pods") || !searchParams.has("continue")) return;
    await client.patchPod("stranger-0", { metadata: { annotations: { note: String(++compactions) } } });
    await kubernetes.compact();
  });
  const { platform, observer } = await start("compacted", { ...kubernetes, server: hooked.server, ca: null });
  const shows = showsIn(platform);
  await shows("calm", "running");
  await shows("none", "absent");
  let afterSeq = await platform.lastSeq();
  await client.engine.create({ name: "ws-a", volume: "ws-a-home" });
  await shows("a", "stopped", afterSeq);
  await client.running("ws-a");
  await shows("a", "running", afterSeq);
  afterSeq = await platform.lastSeq();
  await client.engine.kill("ws-a");
  await shows("a", "stopped", afterSeq);
  await client.deletePod("ws-a");
  await client.deleteClaim("ws-a-home");
  await shows("a", "absent", afterSeq);
  await nextLooks(observer, 3);
  expect(compactions).toBeGreaterThan(6);
  expect(observer.log("source.down")).toEqual([]);
  expect(await falsehoods(platform)).toEqual([]);
  await observer.stop();
  await hooked.stop();
}, 60_000);

test("P1, P9: the token is rotated, the server killed and its history lost: nothing is made up, and it goes on", async () => {
  const { client } = kubernetes;
  await client.engine.run({ name: "ws-a", volume: "ws-a-home" });
  const { platform, observer, rotate } = await start("restarted", kubernetes);
  const shows = showsIn(platform);
  await shows("a", "running");
  await shows("none", "absent");
  const afterSeq = await platform.lastSeq();
  await rotate();
  // It listens long before it answers: what asks meanwhile waits, or is refused.
  await kubernetes.loseHistory();
  await client.engine.kill("ws-a");
  await shows("a", "stopped", afterSeq);
  await client.deletePod("ws-a");
  const gone = await platform.shows("no pod", ["a"], ({ container }) => container === null, { afterSeq });
  expect(gone.get("a")?.conditions.volume).toMatchObject({ exists: true });
  expect(await falsehoods(platform)).toEqual([]);
  expect(observer.log("world.changed")).toEqual([]);
}, 60_000);

checksOfEverything();
