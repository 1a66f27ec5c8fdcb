// One daemon process: started, waited for, signalled, stopped.
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FOLDER_VARIABLE, isAlive, type ProcessId, processStat, signalProcess } from "./procfs.ts";
import type { Scope } from "./scope.ts";
import { Fatal, waitFor } from "./wait.ts";

export interface DaemonOptions {
  /** For messages and the log's file name. */
  readonly name: string;
  readonly command: readonly string[];
  /** Answers true once the daemon serves; a throw or anything else means "not yet". */
  readonly ready: () => Promise<boolean> | boolean;
  readonly readyDeadlineMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Daemon extends ProcessId {
  readonly logPath: string;
  /** Answers false when it has ended already. */
  kill(signal: NodeJS.Signals): boolean;
  isAlive(): boolean;
  waitForExit(deadlineMs?: number): Promise<void>;
  /** SIGCONT, the signal (SIGTERM by default), and SIGKILL after the deadline. Returns when the process has ended. */
  stop(options?: { signal?: NodeJS.Signals; deadlineMs?: number }): Promise<void>;
}

/** Starts a daemon in a session of its own (a terminal's Ctrl-C doesn't reach it) and waits until it serves. */
export async function startDaemon(scope: Scope, options: DaemonOptions): Promise<Daemon> {
  if (scope.stopping) throw new Error(`Cannot start ${options.name}: its folder is being removed`);
  const logPath = join(scope.folder, `${options.name}.log`);
  const log = openSync(logPath, "a");
  const [program = "", ...args] = options.command;
  const child = spawn(program, args, {
    cwd: options.cwd ?? scope.folder,
    detached: true,
    stdio: ["ignore", log, log],
    env: { PATH: searchPath(), LANG: "C.UTF-8", ...options.env, [FOLDER_VARIABLE]: scope.folder },
  });
  closeSync(log);
  child.unref();
  let failure: Error | undefined;
  child.on("error", (error) => {
    failure = error;
  });
  await new Promise((resolve) => {
    child.once("spawn", resolve);
    child.once("error", resolve);
  });
  const pid = child.pid;
  if (failure !== undefined || pid === undefined) {
    throw new Error(`Cannot start ${program}; run \`bun dev/install.ts\` to install what is missing`, {
      cause: failure,
    });
  }
  const daemon = daemonOf(options.name, pid, logPath);
  try {
    await waitFor(`${options.name} to serve`, options.readyDeadlineMs ?? 30_000, async () => {
      if (!daemon.isAlive()) throw new Fatal(new Error("the process has ended"));
      return await options.ready();
    });
  } catch (cause) {
    await daemon.stop({ deadlineMs: 1_000 });
    const reason = (cause as Error).message;
    throw new Error(`Cannot start ${options.name}: ${reason}. Its log ends with:\n${lastLines(logPath)}`, {
      cause,
    });
  }
  return daemon;
}

function daemonOf(name: string, pid: number, logPath: string): Daemon {
  const id: ProcessId = { pid, startTicks: processStat(pid)?.startTicks ?? "ended" };
  const waitForExit = async (deadlineMs = 15_000): Promise<void> => {
    await waitFor(`${name} (process ${pid}) to end`, deadlineMs, () => !isAlive(id), 5);
  };
  return {
    ...id,
    logPath,
    kill: (signal) => signalProcess(id, signal),
    isAlive: () => isAlive(id),
    waitForExit,
    async stop({ signal = "SIGTERM", deadlineMs = 10_000 } = {}) {
      signalProcess(id, "SIGCONT");
      if (!signalProcess(id, signal)) return;
      try {
        await waitForExit(deadlineMs);
      } catch {
        signalProcess(id, "SIGKILL");
        await waitForExit();
      }
    },
  };
}

/** Daemons live in /usr/sbin, which is not on an ordinary user's path. */
export function searchPath(): string {
  return `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`.replace(
    /^:/,
    "",
  );
}

export function lastLines(path: string, count = 20): string {
  try {
    return readFileSync(path, "utf8").trimEnd().split("\n").slice(-count).join("\n");
  } catch {
    return "(no log)";
  }
}

/**
 * Runs a command to its end and returns what it printed.
 * Throws with the end of its error output when it fails or takes longer than the deadline.
 */
export async function runCommand(
  command: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; deadlineMs?: number } = {},
): Promise<string> {
  const child = Bun.spawn([...command], {
    env: { ...process.env, PATH: searchPath(), ...options.env },
    cwd: options.cwd ?? "/",
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.deadlineMs ?? 60_000,
    killSignal: "SIGKILL",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) {
    const detail = (err.trim() || out.trim()).split("\n").slice(-15).join("\n");
    throw new Error(`Cannot run ${command.slice(0, 3).join(" ")}: it ended with ${code}:\n${detail}`);
  }
  return out;
}
