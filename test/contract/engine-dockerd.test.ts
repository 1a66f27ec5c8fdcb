// The Engine's contract on a real, private dockerd.
import { startDocker } from "../../dev/services/docker.ts";
import { type EngineWorld, engineContract } from "./engine.ts";
import { dockerWorld } from "./engine-support.ts";

engineContract("Docker Engine", async (): Promise<EngineWorld> => {
  const docker = await startDocker();
  const { engine: client } = docker;
  return {
    ...dockerWorld({ kind: "unix", socketPath: docker.socketPath }),
    client,
    docker: {
      client,
      async createLinked(name, linkTo, alias) {
        await client.request("POST", `/containers/create?name=${name}`, {
          Image: "ws-test",
          Cmd: ["/bin/true"],
          HostConfig: { NetworkMode: "none", Links: [`${linkTo}:${alias}`] },
        });
        const names = (await client.list()).flatMap((container) => container.Names);
        if (!names.includes(`/${name}/${alias}`)) throw new Error(`No alias among ${names.join(" ")}`);
      },
    },
    async exec(container) {
      const { Id } = await client.request<{ Id: string }>("POST", `/containers/${container}/exec`, {
        Cmd: ["/bin/true"],
        AttachStdout: true,
      });
      // Its answer is a raw stream, not JSON.
      await client.request("POST", `/exec/${Id}/start`, { Detach: true });
    },
    runOutOfMemory: (name) => client.runOutOfMemory({ name }),
    stop: docker.stop,
  };
});
