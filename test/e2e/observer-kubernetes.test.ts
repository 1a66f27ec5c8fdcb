// Goal: on Kubernetes the table is as true as on Docker, for a controller that knows `running` and `exists` alone: a pod's
// life, a restart of the API server, a token that is rotated.
// Method: one observer on a simulated API server, which the contract suite holds to a real one; deeds by another client.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type SimulatedKubernetes, startSimulatedKubernetes } from "../../dev/fakes/kubernetes.ts";
import {
  type KubernetesClient,
  kubeconfigOf,
  kubernetesClient,
} from "../../dev/services/kubernetes-client.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { type Observer, runCommand, type Settings, startObserver, workFolder } from "./support-executable.ts";
import { keepSecret } from "./support-output.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ postgres: 18, keepObservers: true });
const ADMIN = keepSecret("the administrator's token", "Kube-Admin-Tk71");
const FIRST = keepSecret("the first token", "Kube-First-Tk82");
const SECOND = keepSecret("the second token", "Kube-Second-Tk93");
const NAMES = { name: "ws-a", volume: "ws-a-home" };
let fake: SimulatedKubernetes;
let client: KubernetesClient;
let platform: Platform;
let settings: Settings;
let observer: Observer;
let tokenFile: string;

const start = async (port: number, tokens: readonly string[], kubernetes?: SimulatedKubernetes["world"]) => {
  fake = await startSimulatedKubernetes({
    listen: { port },
    tokens,
    ...(kubernetes && { world: kubernetes }),
  });
};

beforeAll(async () => {
  await start(0, [ADMIN, FIRST]);
  const access = { server: fake.server, ca: null, token: ADMIN, namespace: fake.namespace };
  client = kubernetesClient(access);
  tokenFile = join(workFolder(), "kubernetes-token");
  const kubeconfig = join(workFolder(), "kubeconfig");
  writeFileSync(tokenFile, FIRST);
  // In YAML, as people write it: the executable has to read it.
  writeFileSync(kubeconfig, Bun.YAML.stringify(JSON.parse(kubeconfigOf(access, { tokenFile })), null, 2));
  platform = await createPlatform(world.postgres, "kubernetes");
  await platform.insert("a", "b");
  settings = world.settings(platform, { OBSERVER_ENGINE: "kubernetes", KUBECONFIG: kubeconfig });
  // Idle looks are rare: what is quick is told by watches.
  observer = startObserver({ ...settings, ...QUICK, OBSERVER_IDLE_INTERVAL: "10s" });
  await observer.logged("lease.acquired");
}, 120_000);
afterAll(() => fake?.stop());

/** As the controller reads it: three facts and no more. */
const shows = (what: string, running: boolean | null, exists: boolean | null, afterSeq = 0) =>
  platform.shows(
    what,
    ["a"],
    ({ container, volume }) =>
      (container === null ? null : container?.running) === running &&
      (volume === null ? null : volume?.exists) === exists,
    { afterSeq },
  );
const isWatching = () =>
  waitFor(
    "the watches to be there",
    20_000,
    async () => (await observer.status()).links.events?.up === true,
    20,
  );

test("P1: a pod and its claim come, are killed and go: the row says so", async () => {
  await shows("absence", null, null);
  await client.engine.create({ ...NAMES, healthcheck: { cmd: ["/bin/true"] } });
  const created = await shows("created", false, true);
  await client.running("ws-a");
  const running = await shows("running", true, true, created.get("a")!.seq);
  expect(running.get("a")!.conditions).toMatchObject({
    container: { reason: "Running", message: "running, healthy", health: "healthy", exit_code: null },
    volume: { reason: "VolumeExists", volume_name: "ws-a-home", driver: "local" },
  });
  await client.engine.kill("ws-a");
  const killed = await shows("killed", false, true, running.get("a")!.seq);
  expect(killed.get("a")!.conditions.container).toMatchObject({ reason: "Error", exit_code: 137 });
  await client.deletePod("ws-a");
  await client.deleteClaim("ws-a-home");
  await shows("removal", null, null, killed.get("a")!.seq);
  expect((await platform.row("b")).conditions).toMatchObject({ container: null, volume: null });
}, 60_000);

test("a crash loop's restarts are told by the transition, and the row is not rewritten by them", async () => {
  await client.engine.create(NAMES);
  const loop = (restartCount: number) =>
    client.setContainer("ws-a", {
      state: { waiting: { reason: "CrashLoopBackOff", message: `back-off ${restartCount}0s` } },
      lastState: client.terminated(1),
      restartCount,
    });
  await loop(4);
  await platform.shows("the loop", ["a"], ({ container }) => container?.reason === "CrashLoopBackOff");
  const afterSeq = await platform.lastSeq();
  await loop(5);
  await loop(6);
  await nextLooks(observer);
  expect((await platform.written(afterSeq)).filter(({ id }) => id === "a")).toEqual([]);
  const [transition] = await platform.sql`
    select details from observer_transitions where to_reason = 'CrashLoopBackOff'`;
  expect(transition!.details).toMatchObject({ restart_count: 4, exit_code: 1 });
  await client.running("ws-a");
  await shows("running", true, true, afterSeq);
}, 60_000);

test("a rotated token is used, for lists and for watches", async () => {
  fake.tokens.add(SECOND);
  writeFileSync(tokenFile, SECOND);
  fake.tokens.delete(FIRST);
  fake.endWatches();
  fake.cutWatches();
  await observer.logged("events.down");
  await isWatching();
  const afterSeq = await platform.lastSeq();
  await client.engine.kill("ws-a");
  const killed = await shows("the end", false, true, afterSeq);
  await client.running("ws-a");
  await shows("the pod", true, true, killed.get("a")!.seq);
  expect(observer.log("world.changed")).toEqual([]);
}, 60_000);

test("P1, P9: the API server is away, restarts and has forgotten what was: nothing is lost, and nothing made up", async () => {
  const { port, world: kubernetes } = fake;
  await isWatching();
  const afterSeq = await platform.lastSeq();
  await fake.stop();
  await observer.logged("source.down");
  kubernetes.delete("pods", "ws-a");
  kubernetes.compact();
  await nextLooks(observer, 2);
  expect(
    (await platform.written(afterSeq)).filter(({ conditions }) => conditions.container === null),
  ).toEqual([]);
  await start(port, [ADMIN, SECOND], kubernetes);
  await shows("what happened meanwhile", null, true, afterSeq);
  await isWatching();
}, 60_000);

test("check names the API server and each right that is missing, and never a Docker Engine", async () => {
  const good = await runCommand(["check", "--json"], { ...settings, OBSERVER_LISTEN: "off" });
  const found = (JSON.parse(good.stdout) as { findings: { name: string; result: string; detail: string }[] })
    .findings;
  expect(found.filter(({ result }) => result === "wrong")).toEqual([]);
  expect(found).toContainEqual({
    name: "engine",
    result: "ok",
    detail: `Kubernetes at ${fake.server}, namespace workspaces, version v1.33.0-simulated, API v1`,
  });
  const without = async (right: string) => {
    const all = ["pods", "persistentvolumeclaims"].flatMap((one) => [`list ${one}`, `watch ${one}`]);
    fake.rights.set(SECOND, new Set(all.filter((one) => one !== right)));
    const { code, stdout } = await runCommand(["check"], { ...settings, OBSERVER_LISTEN: "off" });
    fake.rights.delete(SECOND);
    expect(code).toBe(1);
    expect(stdout).toContain(
      `the right to ${right} in the namespace workspaces is missing; bind packaging/kubernetes/role.yaml`,
    );
    return stdout;
  };
  const poor = `${await without("list persistentvolumeclaims")}${await without("watch pods")}`;
  const status = await runCommand(["status"], settings);
  const explained = await runCommand(["explain", "a"], settings);
  const page = await observer.get("/");
  for (const text of [good.stdout, poor, status.stdout, explained.stdout, page.text])
    expect(text).not.toMatch(/docker/i);
}, 60_000);

checksOfEverything();
