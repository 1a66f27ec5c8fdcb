// The contract of InstanceController, VolumeProvider and the event stream, as one suite that runs on any engine: Docker,
// Podman, Kubernetes, and what stands in for them.
//
// Method: things are really created, stopped and removed, through a client that is not the product's, and then
// listed through the adapter. A fake that passes it may stand in for the Engine in the simulation.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { type ContainerOptions, type EngineClient, inParallel } from "../../dev/services/engine.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { limits } from "../../src/observer/limits.ts";
import { parseWorkspaceId, type WorkspaceId } from "../../src/observer/names.ts";
import type { ContainerSeen, Engine, HintSource, Listing } from "../../src/observer/ports.ts";
import { deadline, listenTo } from "./engine-support.ts";

/** What the Docker API has and Kubernetes doesn't: pausing, renaming, links, and names with capitals. */
export interface DockerDeeds {
  readonly client: Pick<EngineClient, "pause" | "unpause" | "rename">;
  /** Creates a container that links to another: the Engine then lists the other under `/name/alias` as well. */
  createLinked(name: string, linkTo: string, alias: string): Promise<unknown>;
}

/** What a world must be able to do so that the suite can run on it. */
export interface EngineWorld {
  readonly engine: Engine;
  /** A fresh source of hints. */
  events(prefix: string): HintSource;
  readonly client: {
    create(options: ContainerOptions): Promise<string>;
    run(options: ContainerOptions): Promise<string>;
    start(container: string): Promise<unknown>;
    stop(container: string, timeoutSeconds: number): Promise<unknown>;
    kill(container: string): Promise<unknown>;
    remove(container: string): Promise<unknown>;
    waitForExit(container: string): Promise<unknown>;
    createVolume(name: string): Promise<unknown>;
    removeVolume(name: string): Promise<unknown>;
    removeAll(): Promise<unknown>;
  };
  /** As the Engine names the image `ws-test` in its listings; default: just so. */
  readonly image?: string;
  /** What a listing shows of a container that ends with 1 and is started again, over and over; null: nothing of its own. */
  readonly crashLoop?: Partial<ContainerSeen> | null;
  /** So many containers and volumes are a lot to it; default 300. */
  readonly many?: number;
  /** Does it know that memory ran out? Default true. */
  readonly tellsOutOfMemory?: boolean;
  /** Null: it is Kubernetes, or like it. Must be what `speaks` says. */
  readonly docker: DockerDeeds | null;
  /** Does something to a container after which a listing shows the same: runs a command in it, or writes a note on it. */
  exec(container: string): Promise<unknown>;
  /** Runs a container until the kernel ends it for want of memory; resolves when it has exited. */
  runOutOfMemory(name: string): Promise<unknown>;
  stop(): Promise<void>;
}

const PREFIX = "ws-";
const FOREVER = ["/bin/sleep", "infinity"];
const workspace = (text: string): WorkspaceId => parseWorkspaceId(text)!;
const idsOf = (listing: Listing<unknown>): string[] => [...listing.byWorkspace.keys()].sort();

export function engineContract(
  name: string,
  startWorld: () => Promise<EngineWorld>,
  speaks: "docker" | "kubernetes" = "docker",
): void {
  const isDocker = speaks === "docker";
  describe(name, () => {
    let world: EngineWorld;
    let engine: Engine;

    beforeAll(async () => {
      world = await startWorld();
      engine = world.engine;
      expect(world.docker !== null).toBe(isDocker);
    }, 90_000);
    afterAll(() => world?.stop(), 60_000);
    afterEach(() => world.client.removeAll(), 60_000);

    const listAll = (only?: ReadonlySet<WorkspaceId>, prefix = PREFIX) =>
      engine.listAll(prefix, { signal: deadline(), ...(only && { only }) });
    const listVolumes = (only?: ReadonlySet<WorkspaceId>) =>
      engine.listVolumes(PREFIX, { signal: deadline(), ...(only && { only }) });
    const look = async (id: string): Promise<ContainerSeen | undefined> =>
      (await listAll()).byWorkspace.get(workspace(id));
    const lookUntil = (id: string, wanted: Partial<ContainerSeen>): Promise<ContainerSeen> =>
      waitFor(`${id} to be ${JSON.stringify(wanted)}`, 20_000, async () => {
        const seen = await look(id);
        return seen !== undefined && expectable(seen, wanted) && seen;
      });

    test("listAll() and listVolumes() answer empty listings on an empty Engine", async () => {
      expect(await listAll()).toEqual({ byWorkspace: new Map(), contested: [] });
      expect(await listVolumes()).toEqual({ byWorkspace: new Map(), contested: [] });
    });

    test("info() names the Engine and the version that is spoken", async () => {
      const info = await engine.info(deadline());
      expect(info.apiVersion).toMatch(isDocker ? /^1\.\d+$/ : /^v1$/);
      expect(info.serverVersion).not.toBe("");
      expect(info.id).not.toBe("");
      expect(info.name).not.toBe("");
      expect(await engine.info(deadline())).toEqual(info);
    });

    test("a look at some after events that named their containers tells what is there by those names now", async () => {
      const after = async (ids: readonly string[], containers: readonly string[]) => {
        const look = { only: new Set(ids.map(workspace)), named: new Set(containers), signal: deadline() };
        const { byWorkspace } = await engine.listAll(PREFIX, look);
        return new Map([...byWorkspace].map(([id, { containerId }]) => [String(id), containerId]));
      };
      const short = (id: string) => id.slice(0, 12);
      const a = await world.client.create({ name: "ws-a", cmd: FOREVER });
      const b = await world.client.create({ name: "ws-ab", cmd: FOREVER });
      expect(await after(["a"], [a])).toEqual(new Map([["a", short(a)]]));
      expect(await after(["a", "ab"], [a, b])).toEqual(
        new Map([
          ["a", short(a)],
          ["ab", short(b)],
        ]),
      );
      // An event of one of them alone, and of one that is no more.
      expect((await after(["a", "ab"], [b])).size).toBe(2);
      await world.client.remove("ws-a");
      expect(await after(["a"], [a])).toEqual(new Map());
      // Another container has the name by now, and its own event is still under way.
      const anew = await world.client.create({ name: "ws-a", cmd: FOREVER });
      expect(await after(["a"], [a])).toEqual(new Map([["a", short(anew)]]));
      expect(await after(["ab"], [a])).toEqual(new Map([["ab", short(b)]]));
    });

    describe("states", () => {
      test("a created container is created, without an exit code", async () => {
        const containerId = await world.client.create({ name: "ws-a", cmd: FOREVER });
        const { reason, message, restarts, ...plain } = (await look("a"))!;
        if (isDocker) expect([reason, message, restarts]).toEqual([undefined, undefined, undefined]);
        expect(plain).toEqual({
          state: "created",
          health: "none",
          exitCode: null,
          containerId: containerId.slice(0, 12),
          image: world.image ?? "ws-test",
        });
      });

      test("a running container is running, without an exit code and without a health check", async () => {
        await world.client.run({ name: "ws-a", cmd: FOREVER });
        const seen = await look("a");
        expect(seen).toMatchObject({ state: "running", health: "none", exitCode: null });
        // Its state says it all.
        expect([seen?.reason, seen?.message]).toEqual([undefined, undefined]);
      });

      test("a killed container has exited with 137, and none of it is left once it runs again", async () => {
        await world.client.run({ name: "ws-a", cmd: FOREVER });
        await world.client.kill("ws-a");
        await world.client.waitForExit("ws-a");
        expect(await look("a")).toMatchObject({ state: "exited", exitCode: 137 });
        await world.client.start("ws-a");
        expect(await look("a")).toMatchObject({ state: "running", exitCode: null });
      });

      test("explainDeath() tells an OOM kill from a kill, and nothing of what runs or is gone", async () => {
        const explain = (seen: ContainerSeen | undefined) =>
          engine.explainDeath(seen!.containerId, deadline());
        await world.runOutOfMemory("ws-a");
        const outOfMemory = await look("a");
        expect(outOfMemory).toMatchObject({ state: "exited", exitCode: 137 });
        expect(await explain(outOfMemory)).toMatchObject({
          oomKilled: world.tellsOutOfMemory ?? true,
          exitCode: 137,
          restartCount: 0,
        });
        await world.client.run({ name: "ws-b", cmd: FOREVER });
        const running = await look("b");
        expect(await explain(running)).toBeNull();
        await world.client.kill("ws-b");
        await world.client.waitForExit("ws-b");
        const death = await explain(running);
        expect(death).toMatchObject({ oomKilled: false, exitCode: 137, error: "" });
        expect(Date.parse(death!.finishedAt!)).toBeGreaterThan(Date.UTC(2020));
        await world.client.remove("ws-b");
        expect(await explain(running)).toBeNull();
      });

      test("a stopped container has exited", async () => {
        await world.client.run({ name: "ws-a", cmd: FOREVER });
        await world.client.stop("ws-a", 0);
        expect(await look("a")).toMatchObject({ state: "exited", exitCode: expect.any(Number) });
      });

      test("a removed container is absent", async () => {
        await world.client.run({ name: "ws-a", cmd: FOREVER });
        expect(idsOf(await listAll())).toEqual(["a"]);
        await world.client.remove("ws-a");
        expect(idsOf(await listAll())).toEqual([]);
      });
    });

    describe("processes", () => {
      test("they end by themselves: exit codes 0 and 3, restarting with 1", async () => {
        const { client } = world;
        await client.run({ name: "ws-zero", cmd: ["/bin/true"] });
        await client.run({ name: "ws-three", cmd: ["/bin/sh", "-c", "exit 3"] });
        await client.run({ name: "ws-loop", cmd: ["/bin/false"], restartPolicy: "always" });
        await client.waitForExit("ws-zero");
        await client.waitForExit("ws-three");
        expect(await look("zero")).toMatchObject({ state: "exited", exitCode: 0 });
        expect(await look("three")).toMatchObject({ state: "exited", exitCode: 3 });
        const { crashLoop = { state: "restarting", exitCode: 1 } } = world;
        if (crashLoop !== null) await lookUntil("loop", crashLoop);
      });

      test("health: starting, then healthy or unhealthy, and none once it has stopped", async () => {
        const { client } = world;
        const slow = { cmd: ["/bin/true"], intervalMs: 600_000 };
        await client.run({ name: "ws-starting", cmd: FOREVER, healthcheck: slow });
        await client.run({ name: "ws-good", cmd: FOREVER, healthcheck: { cmd: ["/bin/true"] } });
        await client.run({ name: "ws-bad", cmd: FOREVER, healthcheck: { cmd: ["/bin/false"] } });
        await lookUntil("good", { state: "running", health: "healthy" });
        // A pod that isn't ready isn't running: whoever sends it work must not.
        const bad: Partial<ContainerSeen> = isDocker
          ? { state: "running", health: "unhealthy" }
          : { state: "unready", health: "none" };
        const starting: Partial<ContainerSeen> = isDocker
          ? { state: "running", health: "starting" }
          : { state: "starting", health: "none" };
        await lookUntil("bad", bad);
        expect(await look("starting")).toMatchObject(starting);
        await client.stop("ws-good", 0);
        expect(await look("good")).toMatchObject({ state: "exited", health: "none" });
      });
    });

    describe("names", () => {
      const odd = isDocker ? ["A.b_c-1", "-"] : ["a.b.c-1"];
      const ours = ["a", "a-home", "a-home-home", ...odd, "ws-a", "0", "x".repeat(200)];

      test("containers: the whole name counts, and only it", async () => {
        const strange = isDocker ? ["WS-q", "ws-", "ws_a"] : ["ws.a"];
        const others = ["xws-a", "ws", "other", "a-ws-b", "wsa", ...strange];
        const names = [...ours.map((id) => `ws-${id}`), ...others];
        await inParallel(names, 4, (name) => world.client.create({ name, cmd: FOREVER }));
        expect(idsOf(await listAll())).toEqual([...ours].sort());
      });

      test("volumes: prefix and the last -home are the frame, all between is the id", async () => {
        const strange = isDocker ? ["WS-b-home"] : ["ws.b-home"];
        const others = ["xws-a-home", "ws-q", "ws--home", "ws-home", "ws-a-home2", "home", ...strange];
        const names = [...ours.map((id) => `ws-${id}-home`), ...others];
        await inParallel(names, 4, (name) => world.client.createVolume(name));
        const listing = await listVolumes();
        expect(idsOf(listing)).toEqual([...ours].sort());
        expect(listing.byWorkspace.get(workspace("a-home"))).toEqual({
          name: "ws-a-home-home",
          driver: "local",
        });
        expect(listing.contested).toEqual([]);
      });

      test("a dot in the prefix stands for a dot", async () => {
        for (const name of ["app.x", "appzx", "app.y"]) await world.client.create({ name, cmd: FOREVER });
        expect(idsOf(await listAll(undefined, "app."))).toEqual(["x", "y"]);
      });

      test("a volume that was removed is absent", async () => {
        await world.client.createVolume("ws-a-home");
        expect(idsOf(await listVolumes())).toEqual(["a"]);
        await world.client.removeVolume("ws-a-home");
        expect(idsOf(await listVolumes())).toEqual([]);
      });
    });

    describe("a targeted look", () => {
      test("answers what was asked for and nothing else, in both listings", async () => {
        for (const id of ["a", "aa", "b", "c"]) {
          await world.client.create({ name: `ws-${id}`, cmd: FOREVER, volume: `ws-${id}-home` });
        }
        // Ids of rows are anything at all, so what no Engine would take for a name is asked for as well.
        for (const odd of ["missing", "(", 'it"s', "[a", "ü", "a,b", "a=b", "A", "x".repeat(500)]) {
          const only = new Set(["a", "c", odd].map(workspace));
          expect(idsOf(await listAll(only))).toEqual(["a", "c"]);
          expect(idsOf(await listVolumes(only))).toEqual(["a", "c"]);
        }
        expect(idsOf(await listAll(new Set()))).toEqual([]);
        expect(idsOf(await listVolumes(new Set()))).toEqual([]);
      });

      test("answers just as well for more than fit into a query", async () => {
        await world.client.create({ name: "ws-a", cmd: FOREVER, volume: "ws-a-home" });
        await world.client.create({ name: "ws-not-asked", cmd: FOREVER });
        const many = Array.from({ length: limits.secondLookTargeted + 1 }, (_, index) => `n${index}`);
        const only = new Set([...many, "a"].map(workspace));
        expect(idsOf(await listAll(only))).toEqual(["a"]);
        expect(idsOf(await listVolumes(only))).toEqual(["a"]);
      });
    });

    test("many containers and volumes are all listed", async () => {
      const ids = Array.from({ length: world.many ?? 300 }, (_, index) => `n${index}`);
      await inParallel(ids, 8, (id) => world.client.createVolume(`ws-${id}-home`));
      await inParallel(ids, 8, (id) => world.client.create({ name: `ws-${id}`, cmd: FOREVER }));
      expect(idsOf(await listAll())).toEqual([...ids].sort());
      expect(idsOf(await listVolumes())).toEqual([...ids].sort());
    }, 120_000);

    describe("events", () => {
      test("P9: each change is followed by a hint, and a look after it shows the change", async () => {
        const { client } = world;
        const ear = listenTo(world.events(PREFIX));
        try {
          await ear.heard({ ups: 1 });
          const changes: [string, () => Promise<unknown>, (listing: Listing<ContainerSeen>) => boolean][] = [
            ["create", () => client.create({ name: "ws-a", cmd: FOREVER }), stateIs("a", "created")],
            ["start", () => client.start("ws-a"), stateIs("a", "running")],
            ["die", () => client.kill("ws-a"), stateIs("a", "exited")],
            ["destroy", () => client.remove("ws-a"), stateIs("a", undefined)],
          ];
          for (const [action, change, isVisible] of changes) {
            const before = ear.hints;
            await change();
            await ear.heard({ hints: before + 1 });
            expect([action, isVisible(await listAll())]).toEqual([action, true]);
          }
          const before = ear.hints;
          await client.createVolume("ws-a-home");
          await ear.heard({ hints: before + 1 });
          expect(idsOf(await listVolumes())).toEqual(["a"]);
          await client.removeVolume("ws-a-home");
          await ear.heard({ hints: before + 2 });
          expect(idsOf(await listVolumes())).toEqual([]);
        } finally {
          await ear.stop();
        }
        expect([ear.ups, ear.downs]).toEqual([1, []]);
      });

      test("what happens to others, and what changes no listing, is no hint", async () => {
        const { client } = world;
        await client.run({ name: "ws-a", cmd: FOREVER });
        const ear = listenTo(world.events(PREFIX));
        try {
          await ear.heard({ ups: 1 });
          await client.run({ name: "xws-a", cmd: FOREVER });
          await client.remove("xws-a");
          await client.createVolume("ws-no-volume-of-a-workspace");
          await world.exec("ws-a");
          // Last in their streams: when these are here, so is all before them.
          await client.createVolume("ws-last-home");
          await client.create({ name: "ws-end", cmd: FOREVER });
          await ear.heard({ about: ["end", "last"] });
          expect([...ear.about].sort()).toEqual(["end", "last"]);
        } finally {
          await ear.stop();
        }
      });
    });

    if (isDocker) describeDocker();
    /** What the Docker API has alone. */
    function describeDocker(): void {
      const deeds = () => world.docker!.client;

      test("a paused container is paused, and running again after", async () => {
        const container = await world.client.run({ name: "ws-a", cmd: FOREVER });
        await deeds().pause(container);
        expect(await look("a")).toMatchObject({ state: "paused", health: "none", exitCode: null });
        await deeds().unpause(container);
        expect(await look("a")).toMatchObject({ state: "running", exitCode: null });
      });

      test("the old name of a renamed container is absent", async () => {
        const container = await world.client.run({ name: "ws-a", cmd: FOREVER });
        await deeds().rename(container, "ws-b");
        expect(idsOf(await listAll())).toEqual(["b"]);
      });

      test("a link's alias is nobody's name", async () => {
        await world.client.create({ name: "ws-a", cmd: FOREVER });
        await world.docker!.createLinked("other", "ws-a", "ws-b");
        expect(idsOf(await listAll())).toEqual(["a"]);
        expect(idsOf(await listAll(new Set([workspace("b")])))).toEqual([]);
      });

      test("P9: pausing and renaming are followed by a hint as well", async () => {
        await world.client.run({ name: "ws-a", cmd: FOREVER });
        const ear = listenTo(world.events(PREFIX));
        try {
          await ear.heard({ ups: 1 });
          const changes: [string, () => Promise<unknown>, (listing: Listing<ContainerSeen>) => boolean][] = [
            ["pause", () => deeds().pause("ws-a"), stateIs("a", "paused")],
            ["unpause", () => deeds().unpause("ws-a"), stateIs("a", "running")],
            ["rename", () => deeds().rename("ws-a", "ws-b"), stateIs("b", "running")],
          ];
          for (const [action, change, isVisible] of changes) {
            const before = ear.hints;
            await change();
            await ear.heard({ hints: before + 1 });
            expect([action, isVisible(await listAll())]).toEqual([action, true]);
          }
        } finally {
          await ear.stop();
        }
      });
    }
  });
}

const stateIs =
  (id: string, state: string | undefined) =>
  (listing: Listing<ContainerSeen>): boolean =>
    listing.byWorkspace.get(workspace(id))?.state === state;

const expectable = (seen: ContainerSeen, wanted: Partial<ContainerSeen>): boolean =>
  Object.entries(wanted).every(([key, value]) => seen[key as keyof ContainerSeen] === value);
