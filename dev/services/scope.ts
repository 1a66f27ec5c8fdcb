// Folders of services and the promise that nothing of them outlives this process, however it ends.
import { randomBytes } from "node:crypto";
import { mkdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { sweepFolder } from "./sweep.ts";

/** One service's folder and life. */
export interface Scope {
  readonly folder: string;
  /** True from the moment that stop() was called: start nothing any more. */
  readonly stopping: boolean;
  /** Ends every process of the folder and removes it. Called twice, it does it once. */
  stop(): Promise<void>;
}

const open = new Set<Scope>();
let watchdog: Bun.Subprocess<"pipe", "ignore", "ignore"> | undefined;
let isEnding = false;
let signals: "automatic" | "manual" = "automatic";

/**
 * Makes a temporary folder and registers it for removal.
 * @param kind short name that ends up in the folder's: unix socket paths are limited to 107 bytes
 */
export function openScope(kind: string): Scope {
  if (isEnding) throw new Error(`Cannot start ${kind}: this process is ending`);
  guardThisProcess();
  // Told before it exists, and made without an await in between: no signal finds it unregistered.
  const folder = join(baseFolder(), `obs-${kind}-${randomBytes(5).toString("hex")}`);
  tellWatchdog(`+${folder}`);
  mkdirSync(folder, { mode: 0o700 });
  let stopped: Promise<void> | undefined;
  const scope: Scope = {
    folder,
    get stopping() {
      return stopped !== undefined;
    },
    stop() {
      stopped ??= (async () => {
        await sweepFolder(folder);
        tellWatchdog(`-${folder}`);
        open.delete(scope);
      })();
      return stopped;
    },
  };
  open.add(scope);
  return scope;
}

/** The temporary folder, unless its name is too long for sockets or other users can't pass through it. */
function baseFolder(): string {
  const folder = tmpdir();
  if (folder.length > 40) return "/tmp";
  for (let at = folder; at !== dirname(at); at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return "/tmp";
  }
  return folder;
}

/** Runs `start` in a new scope, which is stopped again when it fails. */
export async function inScope<T>(kind: string, start: (scope: Scope) => Promise<T>): Promise<T> {
  const scope = openScope(kind);
  try {
    return await start(scope);
  } catch (error) {
    await scope.stop();
    throw error;
  }
}

/** Stops every service that this process started. Throws an AggregateError when some could not be. */
export async function stopAllServices(): Promise<void> {
  const results = await Promise.allSettled([...open].map((scope) => scope.stop()));
  const errors = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  if (errors.length > 0) throw new AggregateError(errors, `Cannot stop ${errors.length} services`);
}

/** For programs with an order of their own at SIGINT and SIGTERM: they call `stopAllServices()` themselves. */
export function handleSignalsManually(): void {
  signals = "manual";
}

function guardThisProcess(): void {
  if (watchdog !== undefined) return;
  watchdog = Bun.spawn([process.execPath, join(import.meta.dir, "watchdog.ts")], {
    cwd: "/",
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
  });
  watchdog.unref();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
}

async function onSignal(signal: NodeJS.Signals): Promise<void> {
  if (signals === "manual") return;
  isEnding = true;
  process.removeAllListeners(signal);
  try {
    await stopAllServices();
  } finally {
    process.kill(process.pid, signal);
  }
}

function tellWatchdog(line: string): void {
  watchdog?.stdin.write(`${line}\n`);
  watchdog?.stdin.flush();
}
