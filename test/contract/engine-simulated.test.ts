// The Engine's contract on the simulated Engine, as an Engine of today and as one whose listing has health fields.
// What passes here and on dockerd alike may be believed of the simulation and the demo.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { startEngine } from "../../dev/fakes/engine.ts";
import type { EngineWorld as SimulatedWorld } from "../../dev/fakes/engine-world.ts";
import type { ContainerOptions } from "../../dev/services/engine.ts";
import { openScope } from "../../dev/services/scope.ts";
import { createDockerEngine } from "../../src/adapters/docker.ts";
import { type DockerDeeds, type EngineWorld, engineContract } from "./engine.ts";
import { deadline, dockerWorld } from "./engine-support.ts";

for (const apiVersion of ["1.41", "1.52"]) {
  engineContract(`simulated Engine, API ${apiVersion}`, async (): Promise<EngineWorld> => {
    const scope = await openScope("sim");
    const socketPath = join(scope.folder, "engine.sock");
    const fake = await startEngine({ listen: { unixPath: socketPath }, apiVersion });
    const client = clientOf(fake.world);
    return {
      ...dockerWorld({ kind: "unix", socketPath }),
      client,
      docker: {
        client,
        async createLinked(name, linkTo, alias) {
          fake.world.createContainer({ name, image: "ws-test" });
          fake.world.addAlias(linkTo, name, alias);
        },
      },
      async exec(ref) {
        const { id, name } = fake.world.container(ref);
        for (const action of ["exec_create: /bin/true", "exec_start: /bin/true", "exec_die"]) {
          const event = { type: "container", action, actorId: id, attributes: { name } } as const;
          fake.world.events.emit(fake.world.nowMs, event);
        }
      },
      async runOutOfMemory(name) {
        fake.world.createContainer({ name });
        fake.world.start(name);
        fake.world.oom(name);
      },
      async stop() {
        await fake.stop();
        await scope.stop();
      },
    };
  });
}

/** The client of the real Engine's suite, in the simulated world, which has no processes: it plays their parts. */
function clientOf(world: SimulatedWorld): EngineWorld["client"] & DockerDeeds["client"] {
  const create = (options: ContainerOptions) =>
    world.createContainer({
      name: options.name,
      image: options.image ?? "ws-test",
      health: options.healthcheck === undefined ? null : "starting",
      ...(options.volume !== undefined && { volume: options.volume }),
    }).id;
  const isLater = (options: ContainerOptions) => (options.healthcheck?.intervalMs ?? 0) > 60_000;

  function play(id: string, options: ContainerOptions): void {
    const command = options.cmd?.join(" ") ?? "";
    const exitCode =
      command === "/bin/true" ? 0 : command === "/bin/false" ? 1 : /exit (\d+)/.exec(command)?.[1];
    if (exitCode !== undefined) {
      if (options.restartPolicy === "always") world.crashLoop(id, Number(exitCode));
      else world.exit(id, Number(exitCode));
    }
    if (options.healthcheck !== undefined && !isLater(options)) {
      world.setHealth(id, options.healthcheck.cmd[0] === "/bin/true" ? "healthy" : "unhealthy");
    }
  }

  const nothing = async (act: () => void): Promise<null> => {
    act();
    return null;
  };

  return {
    create: async (options) => create(options),
    async run(options) {
      const id = create(options);
      world.start(id);
      play(id, options);
      return id;
    },
    start: (ref) => nothing(() => world.start(ref)),
    stop: (ref) => nothing(() => world.stop(ref)),
    kill: (ref) => nothing(() => world.kill(ref)),
    pause: (ref) => nothing(() => world.pause(ref)),
    unpause: (ref) => nothing(() => world.unpause(ref)),
    rename: (ref, name) => nothing(() => world.rename(ref, name)),
    remove: (ref) => nothing(() => world.removeContainer(ref, { force: true })),
    waitForExit: async (ref) => world.container(ref).state.exitCode,
    createVolume: async (name) => ({ Name: world.createVolume(name).name }),
    removeVolume: (name) => nothing(() => world.removeVolume(name)),
    async removeAll() {
      for (const { id } of world.containers()) world.removeContainer(id, { force: true });
      for (const { name } of world.volumes()) world.removeVolume(name);
    },
  };
}

test("states that no real Engine can be brought into at will: removing and dead", async () => {
  const scope = await openScope("sim");
  const socketPath = join(scope.folder, "engine.sock");
  const fake = await startEngine({ listen: { unixPath: socketPath } });
  try {
    const engine = createDockerEngine({ endpoint: { kind: "unix", socketPath } });
    for (const name of ["ws-removing", "ws-dead"]) {
      fake.world.createContainer({ name });
      fake.world.start(name);
      fake.world.exit(name, 3);
    }
    fake.world.beginRemoval("ws-removing");
    fake.world.markDead("ws-dead");
    const { byWorkspace } = await engine.listAll("ws-", { signal: deadline() });
    expect(
      [...byWorkspace].map(([id, { state, exitCode }]) => [id as string, state, exitCode]).sort(),
    ).toEqual([
      ["dead", "dead", null],
      ["removing", "removing", null],
    ]);
  } finally {
    await fake.stop();
    await scope.stop();
  }
});
