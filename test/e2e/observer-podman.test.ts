// Goal: on Podman the table is as true as on Docker: a workspace's whole life, and Podman's own restart.
// Method: one observer, deeds through Podman's socket; what its answers look like is the contract suite's business.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Podman, startPodman } from "../../dev/services/podman.ts";
import { checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { startEngineProxy } from "./support-engine-proxy.ts";
import { type Observer, runCommand, startObserver, workFolder } from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ postgres: 18, keepObservers: true });
const NAMES = { name: "ws-a", volume: "ws-a-home" };
let podman: Podman;
let platform: Platform;
let observer: Observer;

beforeAll(async () => {
  podman = await startPodman();
  platform = await createPlatform(world.postgres, "podman");
  await platform.insert("a", "b");
  observer = startObserver(world.settings(platform, { ...QUICK, DOCKER_HOST: podman.dockerHost }));
  await observer.logged("lease.acquired");
}, 120_000);
afterAll(() => podman?.stop(), 60_000);

const shows = (what: string, isSo: (conditions: Record<string, unknown>) => boolean, afterSeq = 0) =>
  platform.shows(what, ["a"], ({ container, volume }) => isSo({ ...container, volume }), { afterSeq });

test("a workspace is created, started, becomes healthy, is stopped and removed", async () => {
  const { engine } = podman;
  await shows("absence", ({ volume, running }) => volume === null && running === undefined);
  const healthcheck = { cmd: ["/bin/true"] };
  await engine.create({ ...NAMES, healthcheck });
  const created = await shows("Created", ({ reason, volume }) => reason === "Created" && volume !== null);
  expect(created.get("a")!.conditions).toMatchObject({
    container: { running: false, exit_code: null, image: "docker.io/library/ws-test:latest" },
    volume: { exists: true, volume_name: "ws-a-home", driver: "local" },
  });
  await engine.start("ws-a");
  await shows("starting", ({ running, health }) => running === true && health === "starting");
  await podman.checkHealth("ws-a");
  await shows("healthy", ({ running, health }) => running === true && health === "healthy");
  await engine.stop("ws-a", 0);
  await shows("Exited", ({ reason, exit_code }) => reason === "Exited" && exit_code === 137);
  await engine.remove("ws-a");
  await engine.removeVolume("ws-a-home");
  const afterSeq = created.get("a")!.seq;
  await platform.shows("removal", ["a"], (it) => it.container === null && it.volume === null, { afterSeq });
  expect((await platform.row("b")).conditions).toMatchObject({ container: null, volume: null });
}, 60_000);

test("P7: after Podman's restart it is the same world, and what vanishes is not held back", async () => {
  const { engine } = podman;
  const afterSeq = await platform.lastSeq();
  await engine.run(NAMES);
  await shows("running", ({ running, volume }) => running === true && volume !== null, afterSeq);
  await podman.restart();
  await nextLooks(observer);
  await engine.remove("ws-a");
  await engine.removeVolume("ws-a-home");
  await platform.shows("removal", ["a"], (it) => it.container === null && it.volume === null, {
    afterSeq: await platform.lastSeq(),
  });
  expect(observer.log("world.changed")).toEqual([]);
}, 60_000);

test("check finds all well behind a proxy with the rule of docs/engines.md, and names Podman's version", async () => {
  const page = readFileSync(join(import.meta.dir, "../../docs/engines.md"), "utf8");
  const rule = new RegExp(/path_reg (\S+)/.exec(page)![1]!);
  const proxy = await startEngineProxy({
    socketPath: join(workFolder(), "engine.sock"),
    engineSocketPath: podman.socketPath,
    groupId: 0,
    allows: (method, path) => method === "GET" && rule.test(path),
  });
  try {
    const settings = world.settings(platform, { DOCKER_HOST: `unix://${proxy.socketPath}` });
    const checked = await runCommand(["check", "--json"], settings);
    const { findings } = JSON.parse(checked.stdout) as { findings: unknown[] };
    const { Version } = await podman.engine.version();
    expect(findings).toContainEqual({
      name: "engine",
      result: "ok",
      detail: expect.stringContaining(`version ${Version}`),
    });
    expect(checked.code).toBe(0);
    expect(proxy.denied.size).toBe(0);
    expect(proxy.allowed).toContain("GET /libpod/containers/json");
    expect(proxy.allowed).not.toContain("GET /containers/json");
  } finally {
    await proxy.stop();
  }
});

checksOfEverything();
