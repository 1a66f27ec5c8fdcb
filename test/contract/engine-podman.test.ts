// The Engine's contract on a real, private Podman, through its Docker-compatible socket. What differs: docs/engines.md.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { basename } from "node:path";
import { controlGroups } from "../../dev/services/control-groups.ts";
import { startPodman } from "../../dev/services/podman.ts";
import { processesOf } from "../../dev/services/procfs.ts";
import { mountsUnder } from "../../dev/services/sweep.ts";
import { createDockerEngine } from "../../src/adapters/docker.ts";
import { type EngineWorld, engineContract } from "./engine.ts";
import { deadline, dockerWorld } from "./engine-support.ts";

engineContract("Podman", async (): Promise<EngineWorld> => {
  const podman = await startPodman();
  const { engine: client } = podman;
  return {
    ...dockerWorld({ kind: "unix", socketPath: podman.socketPath }),
    client: {
      ...client,
      async run(options) {
        const id = await client.run(options);
        const intervalMs = options.healthcheck?.intervalMs ?? 200;
        // systemd's timer would, and there is no systemd here.
        if (options.healthcheck !== undefined && intervalMs < 60_000) await podman.checkHealth(id);
        return id;
      },
    },
    image: "docker.io/library/ws-test:latest",
    // It starts it again at once, so that there is nothing in between to be seen.
    crashLoop: null,
    many: 40,
    // Its conmon 2.1.6 misses it.
    tellsOutOfMemory: false,
    // It has no links, and so no aliases.
    docker: { client, createLinked: (name) => client.create({ name, cmd: ["/bin/true"] }) },
    async exec(container) {
      const { Id } = await client.request<{ Id: string }>("POST", `/containers/${container}/exec`, {
        Cmd: ["/bin/true"],
        AttachStdout: true,
      });
      await client.request("POST", `/exec/${Id}/start`, { Detach: true });
    },
    async runOutOfMemory(name) {
      const cmd = ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
      await client.waitForExit(await client.run({ name, cmd, memoryBytes: 8 * 1024 * 1024 }));
    },
    stop: podman.stop,
  };
});

test("P7: Podman is the same Engine after a restart; and nothing of it is left after its stop", async () => {
  const podman = await startPodman();
  try {
    const id = async () => {
      const endpoint = { kind: "unix", socketPath: podman.socketPath } as const;
      return (await createDockerEngine({ endpoint }).listBoth("ws-", { signal: deadline() })).engineId;
    };
    const first = await id();
    expect(first).toBe(`podman ${hostname()}:${podman.folder}/data`);
    await podman.engine.run({ name: "ws-running", volume: "ws-running-home" });
    await podman.engine.pause(await podman.engine.run({ name: "ws-paused" }));
    await podman.restart();
    expect(await id()).toBe(first);
    // Itself, two containers, and who supervises each.
    expect(processesOf(podman.folder).length).toBeGreaterThanOrEqual(5);
  } finally {
    await podman.stop();
  }
  expect(processesOf(podman.folder)).toEqual([]);
  expect(mountsUnder(podman.folder)).toEqual([]);
  expect(controlGroups(basename(podman.folder))).toEqual([]);
  expect(existsSync(podman.folder)).toBe(false);
}, 60_000);
