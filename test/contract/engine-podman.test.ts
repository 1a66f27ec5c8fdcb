// The Engine's contract on a real, private Podman, through its Docker-compatible socket. What differs: docs/engines.md.
import { expect, test } from "bun:test";
import { hostname } from "node:os";
import { startPodman } from "../../dev/services/podman.ts";
import { createDockerEngine } from "../../src/adapters/docker.ts";
import { type EngineWorld, engineContract } from "./engine.ts";
import { deadline } from "./engine-support.ts";

engineContract("Podman", async (): Promise<EngineWorld> => {
  const podman = await startPodman();
  const { engine: client } = podman;
  return {
    endpoint: { kind: "unix", socketPath: podman.socketPath },
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
    createLinked: (name) => client.create({ name, cmd: ["/bin/true"] }),
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

test("P7: Podman is the same Engine after a restart, and for a second client", async () => {
  const podman = await startPodman();
  try {
    const id = async () => {
      const endpoint = { kind: "unix", socketPath: podman.socketPath } as const;
      return (await createDockerEngine({ endpoint }).listBoth("ws-", { signal: deadline() })).engineId;
    };
    const first = await id();
    expect(first).toBe(`podman ${hostname()}:${podman.folder}/data`);
    await podman.restart();
    expect(await id()).toBe(first);
  } finally {
    await podman.stop();
  }
}, 60_000);
