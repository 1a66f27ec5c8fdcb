// What the Observer relies on of a Kubernetes API server beyond the Engine's contract, as one suite that runs on the
// simulated one and on a real kube-apiserver with etcd: reasons, versions of lists, watches, tokens and rights.
//
// Method: pods and claims are made by another client, which also writes what a kubelet would; then the adapter looks.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KubernetesAccess, KubernetesClient, Manifest } from "../../dev/services/kubernetes-client.ts";
import {
  createKubernetesEngine,
  createKubernetesEvents,
  type KubernetesEndpoint,
} from "../../src/adapters/kubernetes.ts";
import { composeContainer, composeVolume } from "../../src/observer/conditions.ts";
import { parseWorkspaceId, type WorkspaceId } from "../../src/observer/names.ts";
import { deadline, listenTo, realClock } from "./engine-support.ts";
import { endpointOf, startHookedServer } from "./kubernetes-support.ts";

export interface KubernetesTestWorld {
  readonly access: KubernetesAccess;
  readonly client: KubernetesClient;
  /** A token that may do just this. */
  tokenFor(rights: readonly string[]): Promise<string>;
  /** What was before can't be read any more. */
  compact(): Promise<void>;
  /** All watches break, and what happened until now can't be watched any more. */
  loseHistory(): Promise<void>;
  stop(): Promise<void>;
}

const PREFIX = "ws-";
const workspace = (text: string): WorkspaceId => parseWorkspaceId(text)!;
/** What packaging/kubernetes/role.yaml grants. */
const ROLE = ["pods", "persistentvolumeclaims"].flatMap((resource) =>
  ["get", "list", "watch"].map((verb) => `${verb} ${resource}`),
);

export function kubernetesContract(name: string, startWorld: () => Promise<KubernetesTestWorld>): void {
  describe(`${name}: its own`, () => {
    let world: KubernetesTestWorld;
    let client: KubernetesClient;
    beforeAll(async () => {
      world = await startWorld();
      client = world.client;
    }, 90_000);
    afterAll(() => world?.stop(), 60_000);
    afterEach(() => client.engine.removeAll(), 60_000);

    const engineOf = (more: Partial<KubernetesEndpoint> = {}, pageItems?: number) =>
      createKubernetesEngine({
        endpoint: endpointOf(world.access, more),
        ...(pageItems === undefined ? {} : { pageItems }),
      });
    const eventsOf = (more: Partial<KubernetesEndpoint> = {}, watchMs = 60_000) =>
      createKubernetesEvents({
        endpoint: endpointOf(world.access, more),
        prefix: PREFIX,
        clock: realClock,
        random: Math.random,
        watchMs,
      });
    const listed = async (engine = engineOf()) => {
      const { containers, volumes } = await engine.listBoth(PREFIX, { signal: deadline() });
      return {
        containers: [...containers.byWorkspace.keys()].map(String).sort(),
        volumes: [...volumes.byWorkspace.keys()].map(String).sort(),
      };
    };
    /** As a WC reads it. */
    const conditionOf = async (id: string) => {
      const { byWorkspace } = await engineOf().listAll(PREFIX, { signal: deadline() });
      return composeContainer(workspace(id), byWorkspace.get(workspace(id)), undefined, "now");
    };
    const volumeOf = async (id: string) => {
      const { byWorkspace } = await engineOf().listVolumes(PREFIX, { signal: deadline() });
      return composeVolume(workspace(id), byWorkspace.get(workspace(id)), undefined, "now");
    };
    const ready = { type: "Ready", status: "True" };
    const main = {
      name: "main",
      image: "ws-test",
      imageID: "",
      restartCount: 0,
      lastState: {},
      ready: false,
    };
    const statusOf = (container: Manifest, phase = "Running", more: Manifest = {}): Manifest => ({
      phase,
      conditions: [{ type: "Ready", status: "False", reason: "ContainersNotReady" }],
      containerStatuses: [{ ...main, ...container }],
      ...more,
    });
    const waiting = (reason: string, message = "") => ({ state: { waiting: { reason, message } } });
    const terminated = (exitCode: number, reason: string) => ({
      terminated: {
        exitCode,
        reason,
        startedAt: "2026-01-01T00:00:00Z",
        finishedAt: "2026-01-01T00:00:01Z",
      },
    });

    describe("reasons", () => {
      const backOff = waiting("CrashLoopBackOff", "back-off 5m0s restarting failed container=main");
      const told: [reason: string, message: string, exitCode: number | null, status: Manifest][] = [
        ["Pending", "pending", null, {}],
        [
          "Unschedulable",
          "no node takes it yet",
          null,
          {
            phase: "Pending",
            conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }],
          },
        ],
        [
          "ContainerCreating",
          "its containers are being created",
          null,
          statusOf(waiting("ContainerCreating"), "Pending"),
        ],
        [
          "ImagePullBackOff",
          "waiting: ImagePullBackOff",
          null,
          statusOf(waiting("ImagePullBackOff", 'Back-off pulling image "x"'), "Pending"),
        ],
        [
          "CrashLoopBackOff",
          "restarting after exit with code 1: CrashLoopBackOff",
          1,
          statusOf({ ...backOff, lastState: terminated(1, "Error"), restartCount: 7 }),
        ],
        [
          "CrashLoopBackOff",
          "restarting after exit with code 137, OOMKilled: CrashLoopBackOff",
          137,
          statusOf({ ...backOff, lastState: terminated(137, "OOMKilled") }),
        ],
        [
          "OOMKilled",
          "exited with code 137, OOMKilled",
          137,
          statusOf({ state: terminated(137, "OOMKilled") }),
        ],
        ["Completed", "exited with code 0", 0, statusOf({ state: terminated(0, "Completed") }, "Succeeded")],
        ["Error", "exited with code 3", 3, statusOf({ state: terminated(3, "Error") }, "Failed")],
        [
          "Evicted",
          "exited, Evicted: The node was low on resource: memory.",
          null,
          { phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory." },
        ],
        [
          "NodeLost",
          "its node does not answer",
          null,
          { phase: "Running", reason: "NodeLost", conditions: [ready] },
        ],
        [
          "ContainersNotReady",
          "started, not ready",
          null,
          statusOf({ state: { running: { startedAt: "2026-01-01T00:00:00Z" } }, started: true }),
        ],
        [
          "ContainersNotReady",
          "started, health check starting",
          null,
          statusOf({ state: { running: { startedAt: "2026-01-01T00:00:00Z" } }, started: false }),
        ],
      ];
      test.each(told)("%s: %s", async (reason, message, exit_code, status) => {
        await client.createPod("ws-a");
        if (Object.keys(status).length > 0) await client.patchPodStatus("ws-a", status);
        // As the contract has it: health only of what runs.
        expect(await conditionOf("a")).toMatchObject({
          running: false,
          reason,
          message,
          exit_code,
          health: "none",
        });
      });

      test("Running: phase Running and ready, healthy where something is probed", async () => {
        await client.engine.run({ name: "ws-a" });
        await client.engine.run({ name: "ws-b", healthcheck: { cmd: ["/bin/true"] } });
        expect(await conditionOf("a")).toMatchObject({
          running: true,
          reason: "Running",
          message: "running",
        });
        expect(await conditionOf("b")).toMatchObject({
          running: true,
          reason: "Running",
          message: "running, healthy",
          health: "healthy",
          exit_code: null,
        });
      });

      test("Terminating: what is being deleted doesn't run any more, whatever its status says", async () => {
        await client.createPod("ws-a", { metadata: { finalizers: ["example.com/hold"] } });
        await client.running("ws-a");
        await client.deletePod("ws-a");
        expect(await conditionOf("a")).toMatchObject({ running: false, reason: "Terminating" });
        await client.patchPod("ws-a", { metadata: { finalizers: null } });
        if ((await listed()).containers.length > 0) await client.deletePod("ws-a");
      });

      test("claims: Pending, Bound, Lost and Terminating all exist", async () => {
        await client.createClaimObject("ws-a-home", { finalizers: ["example.com/hold"] });
        const told = async () => {
          const { exists, reason } = (await volumeOf("a"))!;
          return [exists, reason];
        };
        expect(await told()).toEqual([true, "VolumePending"]);
        await client.patchClaimStatus("ws-a-home", { phase: "Bound" });
        expect(await told()).toEqual([true, "VolumeExists"]);
        expect(await volumeOf("a")).toMatchObject({ driver: "local", message: "volume ws-a-home exists" });
        await client.request("DELETE", `${client.base}/persistentvolumeclaims/ws-a-home`);
        expect(await told()).toEqual([true, "VolumeTerminating"]);
        await client.patchClaimStatus("ws-a-home", { phase: "Lost" });
        expect(await told()).toEqual([true, "VolumeLost"]);
        await client.request(
          "PATCH",
          `${client.base}/persistentvolumeclaims/ws-a-home`,
          { metadata: { finalizers: null } },
          "application/merge-patch+json",
        );
        // A real server removes it with its last finalizer.
        if ((await listed()).volumes.length > 0) await client.deleteClaim("ws-a-home");
      });
    });

    describe("P1: pages", () => {
      /** Runs `between` before each page but the first; answers what is listed then. */
      async function listWith(between: (page: number) => Promise<unknown>): Promise<string[]> {
        let pages = 0;
        const hooked = startHookedServer(world.access, async (url) => {
          if (url.pathname.endsWith("/pods") && url.searchParams.has("continue")) await between(++pages);
        });
        try {
          const engine = createKubernetesEngine({
            endpoint: endpointOf({ ...world.access, server: hooked.server, ca: null }),
            pageItems: 2,
          });
          const { byWorkspace } = await engine.listAll(PREFIX, { signal: deadline() });
          return [...byWorkspace.keys()].map(String).sort();
        } finally {
          await hooked.stop();
        }
      }
      const fill = async () => {
        for (const id of ["a", "b", "c", "d", "e"]) await client.createPod(`ws-${id}`);
      };

      test("are all of one version, whatever changes between them", async () => {
        await fill();
        const seen = await listWith(async (page) => {
          if (page !== 1) return;
          await client.deletePod("ws-d");
          await client.createPod("ws-z");
        });
        expect(seen).toEqual(["a", "b", "c", "d", "e"]);
        expect((await listed()).containers).toEqual(["a", "b", "c", "e", "z"]);
      });

      test("a version that is compacted away under a listing starts it anew: 410 proves nothing", async () => {
        await fill();
        const seen = await listWith(async (page) => {
          if (page !== 2) return;
          await client.deletePod("ws-a");
          await client.createPod("ws-b2");
          await world.compact();
        });
        expect(seen).toEqual(["b", "b2", "c", "d", "e"]);
      });

      test("compacted away again and again it is asked for in one piece", async () => {
        await fill();
        let changes = 0;
        const seen = await listWith(async () => {
          await client.createPod(`ws-x${++changes}`);
          await world.compact();
        });
        expect(changes).toBe(2);
        expect(seen).toEqual(["a", "b", "c", "d", "e", "x1", "x2"]);
      });
    });

    describe("watches", () => {
      test("P9: one that ends in time goes on where it was, and nothing is lost or told twice", async () => {
        await client.engine.run({ name: "ws-a" });
        const ear = listenTo(eventsOf({}, 1_000));
        try {
          await ear.heard({ ups: 1 });
          for (const [index, deed] of [
            client.engine.kill,
            client.engine.start,
            client.engine.kill,
          ].entries()) {
            await Bun.sleep(800);
            const before = ear.hints;
            await deed("ws-a");
            await ear.heard({ hints: before + 1 });
            expect([index, ear.hints]).toEqual([index, before + 1]);
          }
          expect([ear.ups, ear.downs]).toEqual([1, []]);
        } finally {
          await ear.stop();
        }
      }, 30_000);

      test("P8: whose history is lost starts from now on, and asks for a look", async () => {
        await client.engine.run({ name: "ws-a" });
        const ear = listenTo(eventsOf());
        try {
          await ear.heard({ ups: 1 });
          await world.loseHistory();
          await ear.heard({ ups: 2, downs: 1 });
          const before = ear.hints;
          await client.engine.kill("ws-a");
          await ear.heard({ hints: before + 1, about: ["a"] });
        } finally {
          await ear.stop();
        }
      }, 60_000);
    });

    describe("who asks", () => {
      test("a token's file is read again: what was rotated is used", async () => {
        const tokenFile = join(tmpdir(), `observer-token-${process.pid}-${Math.random()}`);
        const good = await world.tokenFor(ROLE);
        try {
          await client.createPod("ws-a");
          writeFileSync(tokenFile, "no-such-token\n");
          const engine = engineOf({ token: null, tokenFile });
          await expect(listed(engine)).rejects.toThrow(
            /Cannot list (pods|claims): the API server answered 401 "Unauthorized": it doesn't take this token/,
          );
          writeFileSync(tokenFile, `${good}\n`);
          expect((await listed(engine)).containers).toEqual(["a"]);
          rmSync(tokenFile);
          await expect(listed(engine)).rejects.toThrow(`the token's file ${tokenFile} cannot be read`);
        } finally {
          rmSync(tokenFile, { force: true });
        }
      });

      test("the Role's rights are enough for everything", async () => {
        const token = await world.tokenFor(ROLE);
        await client.engine.create({ name: "ws-a", volume: "ws-a-home" });
        const engine = engineOf({ token });
        expect(await listed(engine)).toEqual({ containers: ["a"], volumes: ["a"] });
        const only = new Set([workspace("a")]);
        expect(
          (await engine.listBoth(PREFIX, { only, signal: deadline() })).containers.byWorkspace.size,
        ).toBe(1);
        expect((await engine.info(deadline())).serverVersion).toStartWith("v1.");
        const ear = listenTo(eventsOf({ token }));
        await ear.heard({ ups: 1 });
        await ear.stop();
        expect(ear.downs).toEqual([]);
      });

      test.each(["list pods", "list persistentvolumeclaims"])(
        "without the right to %s it says so",
        async (right) => {
          const token = await world.tokenFor(ROLE.filter((one) => one !== right));
          await expect(listed(engineOf({ token }))).rejects.toThrow(
            new RegExp(
              `answered 403 ".* is forbidden.*": the right to ${right} in the namespace .* is missing`,
            ),
          );
        },
      );

      test.each(["watch pods", "watch persistentvolumeclaims"])(
        "without the right to %s it says so",
        async (right) => {
          const token = await world.tokenFor(ROLE.filter((one) => one !== right));
          const ear = listenTo(eventsOf({ token }));
          await ear.heard({ downs: 1 });
          await ear.stop();
          expect(String(ear.downs[0])).toContain(`: the right to ${right} in the namespace`);
          expect(ear.ups).toBe(0);
        },
      );
    });

    describe("which workspace", () => {
      const workspaceLabel = "example.com/workspace";
      const labelled = (id: string) => ({ labels: { [workspaceLabel]: id } });

      test("a label says it, whatever the names are; running beats not running, the newer the older", async () => {
        await client.createPod("code-0", { metadata: labelled("a") });
        await client.createPod("code-1", { metadata: labelled("a") });
        await client.running("code-0");
        await client.createPod("ws-b");
        await client.createClaimObject("home-code-0", labelled("a"));
        const engine = engineOf({ workspaceLabel });
        const look = { signal: deadline() };
        const { containers, volumes } = await engine.listBoth(PREFIX, look);
        expect([...containers.byWorkspace.keys()]).toEqual([workspace("a")]);
        expect(containers.contested).toEqual([workspace("a")]);
        expect(containers.byWorkspace.get(workspace("a"))?.state).toBe("running");
        expect(volumes.byWorkspace.get(workspace("a"))?.name).toBe("home-code-0");
        const some = async (...ids: string[]) => {
          const only = new Set(ids.map(workspace));
          const both = await engine.listBoth(PREFIX, { only, signal: deadline() });
          return [both.containers.byWorkspace.size, both.volumes.byWorkspace.size];
        };
        expect(await some("a", "b", "not a label's value")).toEqual([1, 1]);
        expect(await some("not a label's value")).toEqual([0, 0]);
        expect(await some(...Array.from({ length: 70 }, (_, index) => `n${index}`), "a")).toEqual([1, 1]);
        const ear = listenTo(eventsOf({ workspaceLabel }));
        try {
          await ear.heard({ ups: 1 });
          await client.patchPod("code-0", { metadata: labelled("c") });
          await ear.heard({ about: ["a", "c"] });
        } finally {
          await ear.stop();
        }
      });

      test("a selector leaves out the rest, of pods and claims", async () => {
        const metadata = { labels: { kind: "workspace" } };
        await client.createPod("ws-a", { metadata });
        await client.createClaimObject("ws-a-home", metadata);
        await client.createPod("ws-b");
        await client.createClaimObject("ws-b-home");
        const engine = engineOf({ selector: "kind=workspace" });
        expect(await listed(engine)).toEqual({ containers: ["a"], volumes: ["a"] });
        const only = new Set([workspace("a"), workspace("b")]);
        const some = await engine.listBoth(PREFIX, { only, signal: deadline() });
        expect([some.containers.byWorkspace.size, some.volumes.byWorkspace.size]).toEqual([1, 1]);
      });

      test("P7: another namespace, selector or label is another world", async () => {
        const id = async (more: Partial<KubernetesEndpoint>) =>
          (await engineOf(more).listBoth(PREFIX, { signal: deadline() })).engineId;
        const ids = await Promise.all(
          [{}, { namespace: "elsewhere" }, { selector: "a=b" }, { workspaceLabel: "a" }].map(id),
        );
        expect(new Set(ids).size).toBe(4);
        expect(await id({})).toBe(ids[0]!);
      });
    });
  });
}
