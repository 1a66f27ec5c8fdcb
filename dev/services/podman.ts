// A private Podman with its Docker-compatible socket: its own storage, settings and control groups. Needs root.
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { controlGroupPrefix } from "./control-groups.ts";
import { type EngineClient, engineClient } from "./engine.ts";
import { isRoot } from "./privileges.ts";
import { startDaemon } from "./process.ts";
import { FOLDER_VARIABLE } from "./procfs.ts";
import { inScope } from "./scope.ts";

/** Where it and its runtime keep things whatever the settings say: a memory of images, and the state of containers. */
const FIXED_FOLDERS = "/var/lib/containers /run/runc";

/** Gives a command, in its working directory, such folders of its own; its mounts go with its last process. */
const OWN_FOLDERS = `set -e
for folder in ${FIXED_FOLDERS}; do
  mkdir -p "$folder" "fixed$folder"
  mount --bind "fixed$folder" "$folder"
done
exec "$@"`;

export interface Podman {
  readonly socketPath: string;
  /** `unix://…`, as in DOCKER_HOST. */
  readonly dockerHost: string;
  readonly folder: string;
  readonly engine: EngineClient;
  /** Runs a container's health check once: what systemd's timers do where there is systemd. */
  checkHealth(container: string): Promise<void>;
  /** Ends the service and starts it again on the same socket; its containers run on meanwhile, as Podman's do. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startPodman(): Promise<Podman> {
  if (!isRoot()) throw new Error("Cannot start a private Podman: it needs root; run the tests as root");
  return await inScope("podman", async (scope) => {
    const at = (name: string) => join(scope.folder, name);
    await mkdir(at("hooks"));
    await writeFile(at("containers.conf"), settings(scope.folder));
    // As on a host without a registry: nothing is ever fetched.
    await writeFile(at("registries.conf"), "unqualified-search-registries = []\n");
    const socketPath = at("podman.sock");
    const engine = engineClient(socketPath, {
      cgroupParent: `/${basename(scope.folder)}`,
      networkMode: "none",
      // A forced removal waits for it here.
      stopTimeoutSeconds: 0,
    });
    const command = [
      ...controlGroupPrefix(),
      ...["unshare", "--mount", "sh", "-c", OWN_FOLDERS, "sh"],
      "podman",
      `--root=${at("data")}`,
      `--runroot=${at("run")}`,
      `--hooks-dir=${at("hooks")}`,
      ...["system", "service", "--time=0", `unix://${socketPath}`],
    ];
    const serve = () =>
      startDaemon(scope, {
        name: "podman",
        command,
        env: { CONTAINERS_CONF: at("containers.conf"), CONTAINERS_REGISTRIES_CONF: at("registries.conf") },
        ready: () => engine.ping(),
      });
    let daemon = await serve();
    await engine.importBusybox();
    return {
      socketPath,
      dockerHost: `unix://${socketPath}`,
      folder: scope.folder,
      engine,
      async checkHealth(container) {
        await engine.request("GET", `/v4.0.0/libpod/containers/${container}/healthcheck`);
      },
      async restart() {
        await daemon.stop();
        daemon = await serve();
      },
      stop: scope.stop,
    };
  });
}

/**
 * The machine's own settings have no say. Limits are named since the defaults may be higher than this machine allows;
 * runc, since crun refuses some machines' control groups; the variable, so that what runs in a container is found again.
 */
const settings = (folder: string) => `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=16384:16384"]
env = ["${FOLDER_VARIABLE}=${folder}"]
netns = "none"
log_driver = "none"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
static_dir = "${folder}/data/libpod"
volume_path = "${folder}/data/volumes"
tmp_dir = "${folder}/tmp"
[network]
network_config_dir = "${folder}/networks"
`;
