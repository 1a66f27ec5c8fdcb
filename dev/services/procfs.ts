// What /proc says about processes. A zombie counts as ended: only its parent can still see it.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";

/** A process for good: a reused id has another start time. */
export interface ProcessId {
  readonly pid: number;
  readonly startTicks: string;
}

interface Stat extends ProcessId {
  readonly state: string;
  readonly parentPid: number;
  readonly groupId: number;
  readonly command: string;
}

/** Environment variable that every daemon (and what it forks) carries: the folder it belongs to. */
export const FOLDER_VARIABLE = "DEV_SERVICE_FOLDER";

const read = (path: string): string => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
};

export function processStat(pid: number): Stat | undefined {
  const text = read(`/proc/${pid}/stat`);
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 0 || close < 0) return undefined;
  const fields = text.slice(close + 2).split(" ");
  const state = fields[0] ?? "";
  if (state === "Z" || state === "X") return undefined;
  return {
    pid,
    state,
    command: text.slice(open + 1, close),
    parentPid: Number(fields[1]),
    groupId: Number(fields[2]),
    startTicks: fields[19] ?? "",
  };
}

export const isAlive = (id: ProcessId): boolean => processStat(id.pid)?.startTicks === id.startTicks;

/** Sends a signal to exactly that process. Answers false when it has ended. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    process.kill(id.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The process and its direct children. */
export function processFamily(pid: number): Stat[] {
  return allPids()
    .map(processStat)
    .filter((stat) => stat !== undefined)
    .filter((stat) => stat.pid === pid || stat.parentPid === pid);
}

/** A daemon's group has its own id, and all that it forks unless that leaves it. */
export function processGroup(id: number): Stat[] {
  return allPids()
    .map(processStat)
    .filter((stat) => stat !== undefined)
    .filter(({ groupId }) => groupId === id);
}

/**
 * Every live process that belongs to a service folder. Told by the environment; by the control group for
 * what runs in containers; by the working directory for servers that overwrite their environment with a
 * process title. A shell or editor that merely stands in the folder is not among them.
 */
export function processesOf(folder: string): Stat[] {
  const found: Stat[] = [];
  for (const pid of allPids()) {
    if (pid === process.pid) continue;
    const stat = processStat(pid);
    if (stat === undefined) continue;
    const environment = `\0${read(`/proc/${pid}/environ`)}\0`;
    if (
      environment.includes(`\0${FOLDER_VARIABLE}=${folder}\0`) ||
      // All that Podman leaves of the environment of what supervises its containers.
      environment.includes(`\0CONTAINERS_CONF=${folder}/`) ||
      read(`/proc/${pid}/cgroup`).includes(`/${basename(folder)}/`) ||
      (/^(postgres|redis-)/.test(stat.command) && isInside(folder, workingDirectory(pid)))
    ) {
      found.push(stat);
    }
  }
  return found;
}

function workingDirectory(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

const isInside = (folder: string, path: string): boolean => path === folder || path.startsWith(`${folder}/`);
