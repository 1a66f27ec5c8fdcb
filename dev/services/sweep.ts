// Removes a service folder with everything that hangs on it: processes, mounts, control groups, sockets.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { removeControlGroups, thawControlGroups } from "./control-groups.ts";
import { processesOf, signalProcess } from "./procfs.ts";
import { waitFor } from "./wait.ts";

/** The servers are throw-away, so they are killed rather than asked; PostgreSQL alone is asked first. */
export async function sweepFolder(folder: string): Promise<void> {
  await endProcesses(folder);
  for (const path of shimSockets(folder)) rmSync(path, { force: true });
  unmountAll(folder);
  if (hasContainers(folder)) removeControlGroups(basename(folder));
  removeSharedMemory(folder);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

const hasContainers = (folder: string): boolean =>
  existsSync(join(folder, "exec/containerd")) || existsSync(join(folder, "containers.conf"));

/** Kills everything that belongs to the folder and waits until none of it is left. */
export async function endProcesses(folder: string): Promise<void> {
  const startedMs = performance.now();
  const asked = new Set<number>();
  await waitFor(`the processes of ${folder} to end`, 20_000, () => {
    const left = processesOf(folder);
    const pids = new Set(left.map((stat) => stat.pid));
    for (const stat of left) {
      // A killed postmaster leaves its shared memory segment behind. SIGQUIT lets it end its backends and clean
      // up at once; asked again, or with its backends asked by somebody else, it takes seconds.
      const isPolite = stat.command === "postgres" && performance.now() - startedMs < 5_000;
      if (!isPolite) {
        signalProcess(stat, "SIGKILL");
        continue;
      }
      signalProcess(stat, "SIGCONT");
      if (pids.has(stat.parentPid) || asked.has(stat.pid)) continue;
      asked.add(stat.pid);
      signalProcess(stat, "SIGQUIT");
    }
    if (left.length > 0 && hasContainers(folder)) thawControlGroups(basename(folder));
    return left.length === 0;
  });
}

/** containerd's shims keep their sockets outside of every configurable folder, and killed ones leave them there. */
function shimSockets(folder: string): string[] {
  const tasks = join(folder, "exec/containerd/daemon/io.containerd.runtime.v2.task/moby");
  if (!existsSync(tasks)) return [];
  return readdirSync(tasks)
    .map((id) => join(tasks, id, "address"))
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, "utf8").trim())
    .filter((address) => address.startsWith("unix://"))
    .map((address) => address.slice("unix://".length));
}

export function mountsUnder(folder: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${folder}/`));
}

export function unmountAll(folder: string): void {
  const mounts = mountsUnder(folder).reverse();
  if (mounts.length === 0) return;
  const { status, stderr } = spawnSync("umount", ["--lazy", ...mounts], { encoding: "utf8" });
  // rm would otherwise walk into whatever is still mounted there.
  if (status !== 0 && mountsUnder(folder).length > 0) {
    throw new Error(`Cannot unmount what is mounted under ${folder}: ${stderr.trim()}`);
  }
}

/** A postmaster that was killed leaves its pid file, whose seventh line names its segment. */
function removeSharedMemory(folder: string): void {
  const path = join(folder, "data/postmaster.pid");
  if (!existsSync(path)) return;
  const segment = readFileSync(path, "utf8").split("\n")[6]?.trim().split(/\s+/)[1];
  if (segment !== undefined && /^\d+$/.test(segment)) spawnSync("ipcrm", ["-m", segment]);
}
