// Goal: a namespace of Kubernetes is a host of a fleet like any other (docs/fleet.md): beside a Docker host, in one table,
// each writes what it has itself, a workspace moves from one to the other, and who is silent or lost makes no null.
// Method: a real Engine, a simulated API server, an observer of each; what was written is judged by what was done. Without S3:
// then the lease of the table's unit is another one.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ABSENT, inSomeState, Journal, type Kind, PRESENT } from "../../dev/chaos/journal.ts";
import { NO_STORE } from "../../dev/chaos/store.ts";
import { type SimulatedKubernetes, startSimulatedKubernetes } from "../../dev/fakes/kubernetes.ts";
import {
  type KubernetesClient,
  kubeconfigOf,
  kubernetesClient,
} from "../../dev/services/kubernetes-client.ts";
import { judge } from "./judge.ts";
import { checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { type Observer, runCommand, type Settings, startObserver, workFolder } from "./support-executable.ts";
import { DockerHost, Fleet, FleetHost } from "./support-fleet.ts";
import { keepSecret } from "./support-output.ts";
import { type Conditions, createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, keepObservers: true });
const TOKEN = keepSecret("the cluster's token", "Kube-Fleet-Tk47");
const LOST_AFTER_MS = 2_000;

/** A namespace: a pod is a container, whatever its phase, and a claim is a volume. */
class Cluster extends FleetHost {
  constructor(
    name: string,
    private readonly client: KubernetesClient,
  ) {
    super(name);
  }

  /** Its pod doesn't run yet. */
  async create(id: string): Promise<void> {
    const volume = () => this.client.engine.createVolume(`ws-${id}-home`);
    await this.#do("volume", id, volume, () => PRESENT);
    const pod = () => this.client.createPod(`ws-${id}`);
    await this.#do("container", id, pod, (uid) => inSomeState(uid.slice(0, 12)));
  }
  start = (id: string) => this.client.running(`ws-${id}`);
  async give(id: string): Promise<void> {
    await this.create(id);
    await this.start(id);
  }
  async take(id: string): Promise<void> {
    const gone = () => ABSENT;
    await this.#do("container", id, () => this.client.deletePod(`ws-${id}`), gone);
    await this.#do("volume", id, () => this.client.deleteClaim(`ws-${id}-home`), gone);
  }

  async #do<T>(kind: Kind, id: string, deed: () => Promise<T>, becomes: (answer: T) => string) {
    const beganMs = Date.now();
    const answer = await deed();
    this.journal.moved(kind, id, becomes(answer), beganMs, Date.now() + 1);
  }
}

let fake: SimulatedKubernetes;
let platform: Platform;
let fleet: Fleet;
let machine: DockerHost;
let cluster: Cluster;
let ofMachine: Observer;
let ofCluster: Observer;
let clusterSettings: Settings;

const settingsOf = (name: string, host: string, engine: Settings): Settings => ({
  ...world.settings(platform, { ...QUICK, OBSERVER_HOST_LOST_AFTER: `${LOST_AFTER_MS}ms` }),
  DATABASE_URL: platform.url(name),
  OBSERVER_INSTANCE: name,
  OBSERVER_HOST: host,
  ...engine,
});

beforeAll(async () => {
  fake = await startSimulatedKubernetes({ listen: { port: 0 }, tokens: [TOKEN] });
  const access = { server: fake.server, ca: null, token: TOKEN, namespace: fake.namespace };
  const kubeconfig = join(workFolder(), "kubeconfig");
  writeFileSync(kubeconfig, kubeconfigOf(access));
  platform = await createPlatform(world.postgres, "fleet_kubernetes");
  machine = new DockerHost("vm-1", world.docker, NO_STORE);
  cluster = new Cluster("cluster-1", kubernetesClient(access));
  fleet = new Fleet(platform, {
    hosts: [machine, cluster],
    hostOf: { m: "vm-1", k: "cluster-1" },
    lostAfterMs: LOST_AFTER_MS,
    archives: new Journal(),
  });
  await fleet.watchSigns();
  const { DOCKER_HOST: _, ...others } = settingsOf("k", "cluster-1", {});
  clusterSettings = { ...others, OBSERVER_ENGINE: "kubernetes", KUBECONFIG: kubeconfig };
  ofMachine = startObserver(settingsOf("m", "vm-1", {}));
  await ofMachine.logged("lease.acquired", 2);
  ofCluster = startObserver(clusterSettings);
  await ofCluster.logged("lease.acquired");
}, 120_000);
afterAll(() => fake?.stop());

type Host = DockerHost | Cluster;
const isOn =
  ({ name }: Host) =>
  ({ container, volume }: Conditions): boolean =>
    container?.host === name && volume?.host === name && container.unknown !== true;
const isNowhere = ({ container, volume }: Conditions) => container === null && volume === null;
const runs = async (id: string, host: Host, afterSeq = 0) =>
  await platform.shows(
    `${id} runs on ${host.name}`,
    [id],
    (it) => judge(it) === "running" && isOn(host)(it),
    { afterSeq },
  );

test("Each writes what it has itself, and what neither has is proven by both", async () => {
  await Promise.all([machine.give("d"), cluster.give("p"), cluster.give("calm")]);
  await platform.insert("d", "p", "calm", "none");
  await runs("d", machine);
  for (const id of ["p", "calm"]) await runs(id, cluster);
  await platform.shows("nowhere", ["none"], isNowhere);
  const explained = await runCommand(["explain", "p"], clusterSettings);
  expect(explained.stdout).toMatch(/^Container .*\n {2}host +cluster-1$/m);
});

test("Workspaces move from the one to the other, and are right within one look of the new host", async () => {
  const move = async (id: string, from: Host, to: Host) => {
    const afterSeq = await platform.lastSeq();
    await from.take(id);
    await platform.shows(`${id} gone`, [id], isNowhere, { afterSeq });
    fleet.moves(id);
    await to.give(id);
    fleet.arrived(id, to.name);
    await runs(id, to, afterSeq);
  };
  await Promise.all([move("d", machine, cluster), move("p", cluster, machine)]);
});

test("Both have one workspace: a pod that is ready beats a container that isn't, and the other way round", async () => {
  await cluster.create("p");
  expect(await ofCluster.logged("host.contested")).toMatchObject({ workspaces: ["p"] });
  await Promise.all([nextLooks(ofMachine, 2), nextLooks(ofCluster, 2)]);
  expect(isOn(machine)((await platform.row("p")).conditions)).toBe(true);
  const afterSeq = await platform.lastSeq();
  fleet.moves("p");
  await cluster.start("p");
  await machine.truth.killContainer("p");
  await runs("p", cluster, afterSeq);
  await Promise.all([nextLooks(ofMachine, 2), nextLooks(ofCluster, 2)]);
  await machine.take("p");
});

test("The API server is away, then the observer: unknown and lost, never gone; back, it writes what is", async () => {
  const { port, world: kubernetes } = fake;
  const afterSeq = await platform.lastSeq();
  await fake.stop();
  const away = cluster.isSilent();
  await platform.insert("new");
  await nextLooks(ofMachine, 2);
  expect((await platform.row("new")).conditions.container).toBeUndefined();
  expect(isOn(cluster)((await platform.row("calm")).conditions)).toBe(true);
  await ofCluster.stop();
  const isLost = ({ container }: Conditions) => container?.reason === "HostLost";
  const lost = await platform.shows("lost", ["d", "p", "calm"], isLost, { afterSeq });
  expect(lost.get("calm")).toMatchObject({ writer: "m", conditions: { container: { running: true } } });
  kubernetes.compact();
  away.ends();
  fake = await startSimulatedKubernetes({ listen: { port }, tokens: [TOKEN], world: kubernetes });
  ofCluster = startObserver(clusterSettings);
  for (const id of ["d", "p", "calm"]) await runs(id, cluster, lost.get(id)!.seq);
  await platform.shows("new is nowhere", ["new"], isNowhere, { afterSeq });
});

test("P1, P2: of all that was written nothing was false, by whom it may not be, or back and forth", async () => {
  const { wrong, seen } = await fleet.judge();
  expect(wrong.slice(0, 10)).toEqual([]);
  for (const what of ["absentByReporter", "absentByAll", "present", "lost", "ousted"] as const)
    expect([what, seen[what] > 0]).toEqual([what, true]);
});

checksOfEverything();
