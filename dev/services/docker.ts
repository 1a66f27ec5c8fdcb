// A private Docker Engine: its own socket, data, containerd and control groups. Needs root.
import { rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { controlGroupPrefix } from "./control-groups.ts";
import { type EngineClient, engineClient } from "./engine.ts";
import { isRoot } from "./privileges.ts";
import { type Daemon, runCommand, startDaemon } from "./process.ts";
import { inScope, type Scope } from "./scope.ts";
import { endProcesses, unmountAll } from "./sweep.ts";

export interface DockerOptions {
  /** Default: what the Engine finds best, overlay2 where the file system can do it. */
  readonly storageDriver?: "overlay2" | "vfs";
  /** Import the busybox image `ws-test`. Default true. */
  readonly image?: boolean;
}

export interface Docker {
  readonly socketPath: string;
  /** `unix://…`, as in DOCKER_HOST. */
  readonly dockerHost: string;
  readonly folder: string;
  readonly engine: EngineClient;
  /** dockerd's process; another one after each restart. */
  readonly pid: number;
  /** Signals dockerd alone. After SIGKILL its containers run on unsupervised, as on a real host. */
  kill(signal: NodeJS.Signals): void;
  /**
   * Ends the daemon where it runs and starts it again on the same socket and data; the containers have exited then.
   * graceful (default): it stops each container first, half a second and more for each; crash: SIGKILL to it and to what it
   * leaves behind, 2 s in all; rebuild: the same, and of all data nothing is left, so that it is another Engine.
   */
  restart(options?: { mode?: "graceful" | "crash" | "rebuild" }): Promise<void>;
  stop(): Promise<void>;
}

export async function startDocker(options: DockerOptions = {}): Promise<Docker> {
  if (!isRoot()) throw new Error("Cannot start a private dockerd: it needs root; run the tests as root");
  return await inScope("docker", async (scope) => {
    const socketPath = join(scope.folder, "docker.sock");
    const engine = engineClient(socketPath);
    let daemon = await startDockerd(scope, options, engine);
    if (options.image ?? true) await engine.importBusybox();
    return {
      socketPath,
      dockerHost: `unix://${socketPath}`,
      folder: scope.folder,
      engine,
      get pid() {
        return daemon.pid;
      },
      kill: (signal) => void daemon.kill(signal),
      async restart({ mode = "graceful" } = {}) {
        // The socket still answers while dockerd shuts down, so it is the process that counts.
        await daemon.stop({ signal: mode === "graceful" ? "SIGTERM" : "SIGKILL", deadlineMs: 60_000 });
        // As on a host that boots: the new one finds no process, no mount and no /run of the old one's. Left to find
        // shims and containers of a killed one, it now and then waits for them for ever.
        await endProcesses(scope.folder);
        unmountAll(scope.folder);
        // It also never forgets the network sandbox of a container while it runs, and takes a tenth of a second for each
        // when it starts again: minutes, after some thousand.
        const gone = mode === "rebuild" ? ["data", "key.json"] : ["data/network"];
        for (const name of ["dockerd.pid", "exec", ...gone])
          await rm(join(scope.folder, name), { recursive: true, force: true });
        daemon = await startDockerd(scope, options, engine);
        if (mode === "rebuild" && (options.image ?? true)) await engine.importBusybox();
      },
      stop: scope.stop,
    };
  });
}

async function startDockerd(scope: Scope, options: DockerOptions, engine: EngineClient): Promise<Daemon> {
  const at = (name: string) => join(scope.folder, name);
  // A file of our own, so that the machine's /etc/docker/daemon.json has no say. Engines up to 20.10 would
  // write /etc/docker/key.json; later ones refuse the setting.
  const config = (await dockerMajorVersion()) <= 20 ? { "deprecated-key-path": at("key.json") } : {};
  await writeFile(at("daemon.json"), JSON.stringify(config));
  const dockerd = [
    "dockerd",
    `--config-file=${at("daemon.json")}`,
    `--host=unix://${at("docker.sock")}`,
    `--data-root=${at("data")}`,
    `--exec-root=${at("exec")}`,
    `--pidfile=${at("dockerd.pid")}`,
    // Where the processes in its containers are found again, whatever became of their parents.
    `--cgroup-parent=/${basename(scope.folder)}`,
    "--bridge=none",
    "--iptables=false",
    "--ip6tables=false",
    ...(options.storageDriver === undefined ? [] : [`--storage-driver=${options.storageDriver}`]),
  ];
  return await startDaemon(scope, {
    name: "dockerd",
    command: [...controlGroupPrefix(), ...dockerd],
    // Of a containerd that doesn't answer, since a test froze it, dockerd asks for its stacks: it writes them there.
    env: { TMPDIR: scope.folder },
    readyDeadlineMs: 60_000,
    ready: () => engine.ping(),
  });
}

async function dockerMajorVersion(): Promise<number> {
  const text = await runCommand(["dockerd", "--version"]);
  return Number(/version (\d+)/.exec(text)?.[1] ?? Number.NaN);
}
