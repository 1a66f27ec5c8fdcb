// P1, P12 on a real dockerd: it is restarted, stopped in its tracks and killed while it is being listed, and its
// event stream is found again.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Docker, startDocker } from "../../dev/services/docker.ts";
import { startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { createDockerEngine, createDockerEvents, type DockerEndpoint } from "../../src/adapters/docker.ts";
import { deadline, type Ear, listenTo, realClock } from "../contract/engine-support.ts";

let docker: Docker;
let endpoint: DockerEndpoint;

beforeAll(async () => {
  docker = await startDocker();
  endpoint = { kind: "unix", socketPath: docker.socketPath };
  await docker.engine.run({ name: "ws-a", volume: "ws-a-home" });
}, 90_000);
afterAll(() => docker?.stop(), 60_000);

const listen = (at: DockerEndpoint): Ear =>
  listenTo(createDockerEvents({ endpoint: at, prefix: "ws-", clock: realClock, random: Math.random }));

test("an Engine that was restarted is listed again at once, its event stream is up again and says so", async () => {
  const engine = createDockerEngine({ endpoint });
  const ear = listen(endpoint);
  try {
    await ear.heard({ ups: 1 });
    expect((await engine.listAll("ws-", { signal: deadline() })).byWorkspace.size).toBe(1);
    await docker.restart();
    // The pooled connection is stale, which costs no failure.
    const listing = await engine.listAll("ws-", { signal: deadline() });
    expect([...listing.byWorkspace.values()]).toMatchObject([{ state: "exited", exitCode: 137 }]);
    expect((await engine.listVolumes("ws-", { signal: deadline() })).byWorkspace.size).toBe(1);
    await ear.heard({ ups: 2, downs: 1 });
    expect(String(ear.downs[0])).toContain("Cannot follow the Engine's events: ");
    const before = ear.hints;
    await docker.engine.start("ws-a");
    await ear.heard({ hints: before + 1 });
  } finally {
    await ear.stop();
  }
}, 90_000);

test("P12: an Engine that hangs is given up at the deadline, and listed again once it goes on", async () => {
  const engine = createDockerEngine({ endpoint });
  await engine.listAll("ws-", { signal: deadline() });
  docker.kill("SIGSTOP");
  try {
    for (const list of [engine.listAll, engine.listVolumes]) {
      await expect(list("ws-", { signal: AbortSignal.timeout(200) })).rejects.toThrow(
        /^Cannot list .* given up while waiting for the Engine's answer/,
      );
    }
  } finally {
    docker.kill("SIGCONT");
  }
  expect((await engine.listAll("ws-", { signal: deadline() })).byWorkspace.size).toBe(1);
});

test("P1: a connection that is cut at any moment makes no listing shorter", async () => {
  const proxy = await startFaultProxy({ target: { path: docker.socketPath }, listen: "unix" });
  const engine = createDockerEngine({ endpoint: { kind: "unix", socketPath: proxy.path } });
  const sizes: number[] = [];
  const failures: string[] = [];
  try {
    for (let look = 0; look < 200; look++) {
      // An answer takes about a millisecond, so some cuts come before, some after and some within it.
      const cutting = Bun.sleep(look % 3).then(() => proxy.cut());
      await engine.listAll("ws-", { signal: deadline() }).then(
        (listing) => sizes.push(listing.byWorkspace.size),
        (error: Error) => failures.push(error.message),
      );
      await cutting;
    }
    sizes.push((await engine.listAll("ws-", { signal: deadline() })).byWorkspace.size);
  } finally {
    await proxy.stop();
  }
  expect(sizes.every((size) => size === 1)).toBe(true);
  expect(
    failures.filter((text) => !/^Cannot list containers: the connection to .* was closed/.test(text)),
  ).toEqual([]);
});

test("the event stream ends with the signal, and leaves no connection behind", async () => {
  const proxy = await startFaultProxy({ target: { path: docker.socketPath }, listen: "unix" });
  try {
    const ear = listen({ kind: "unix", socketPath: proxy.path });
    await ear.heard({ ups: 1 });
    proxy.cut();
    await ear.heard({ ups: 2, downs: 1 });
    await ear.stop();
    expect(ear.downs).toHaveLength(1);
    // Kept alive for another request, or closed; none of them reads events.
    await docker.engine.createVolume("ws-b-home");
    expect(ear.hints).toBe(0);
    await waitFor("all but idle connections to be closed", 5_000, () => proxy.openConnections <= 1);
  } finally {
    await proxy.stop();
  }
});
