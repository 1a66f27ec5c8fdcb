// The compiled executable: built when it is missing or older than its sources, started, listened to, ended.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { FOLDER_VARIABLE } from "../../dev/services/procfs.ts";
import { openScope, type Scope } from "../../dev/services/scope.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { type Captured, capture } from "./support-output.ts";

const root = join(import.meta.dir, "../..");
/** `E2E_EXECUTABLE` names another one to test: a release, or that of another checkout. */
export const executable = process.env.E2E_EXECUTABLE ?? join(root, "dist/observer");
const SOURCES = ["src", "package.json", "bun.lock", "patches", "dev/build.ts", "dev/left-out"];

export type Settings = Readonly<Record<string, string>>;

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly message: string;
  readonly instance: string;
  readonly [field: string]: unknown;
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

export interface Observer {
  readonly instance: string;
  readonly pid: number;
  readonly output: Captured;
  /** The log so far; of all events, or of one. */
  log(event?: string): LogLine[];
  /** Resolves with the line that is the `count`-th of its event. */
  logged(event: string, count?: number, deadlineMs?: number): Promise<LogLine>;
  signal(signal: NodeJS.Signals): void;
  isRunning(): boolean;
  /** SIGTERM; resolves at the end of the process, and kills it when that doesn't come. */
  stop(signal?: NodeJS.Signals): Promise<Finished>;
  /** `/status` with the token. */
  status(): Promise<StatusDocument>;
  /** Asks a path of the status endpoint, by default with the token. */
  get(path: string, headers?: Record<string, string>): Promise<{ status: number; text: string }>;
}

/** As much of /status as tests look at: docs/status-endpoint.md. */
export interface StatusDocument {
  readonly role: string;
  readonly cadence: { readonly mode: string };
  readonly sources: Readonly<
    Record<string, { in_flight: boolean; consecutive_failures: number; last_error: string | null } | null>
  >;
  readonly links: Readonly<Record<string, { up: boolean | null; last_error: string | null }>>;
  readonly totals: Readonly<Record<string, number>>;
  readonly orphans: Readonly<Record<string, { count: number; workspaces: string[] }>>;
  readonly held: Readonly<Record<string, { count: number; workspaces: string[] }>>;
  readonly ready: { readonly ok: boolean; readonly reasons: string[] };
}

export const STATUS_TOKEN = "e2e-Token-Kzq81xPw";

let scope: Scope | undefined;
let running: Observer[] = [];
let started = 0;

/** The executable itself, for who starts it in a way of its own. */
export function executablePath(): string {
  ensureExecutable();
  return executable;
}

/** Sources newer than the executable would test something else. Replaced in one step: it may be running. */
function ensureExecutable(): void {
  if (process.env.E2E_EXECUTABLE !== undefined) return;
  if (existsSync(executable) && statSync(executable).mtimeMs >= newestMs(SOURCES)) return;
  const fresh = join(root, `dist/observer-${process.pid}`);
  const built = Bun.spawnSync([process.execPath, join(root, "dev/build.ts"), "--outfile", fresh], {
    cwd: root,
    stdout: "ignore",
    stderr: "pipe",
  });
  if (built.exitCode !== 0) throw new Error(`Cannot build the executable:\n${built.stderr}`);
  renameSync(fresh, executable);
}

const newestMs = (paths: readonly string[]): number =>
  Math.max(
    ...paths.map((path) => {
      const at = join(root, path);
      if (!statSync(at).isDirectory()) return statSync(at).mtimeMs;
      return newestMs(readdirSync(at).map((name) => join(path, name)));
    }),
  );

/** A folder that goes with the observers of this file. */
export function workFolder(): string {
  scope ??= openScope("e2e");
  const parent = join(scope.folder, "work");
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, "w-"));
}

interface SpawnOptions {
  readonly cwd?: string;
  /** The command that becomes the executable, of whose path it is made. Default: just that. */
  readonly launch?: (executable: string) => readonly string[];
}

function spawn(args: readonly string[], settings: Settings, { cwd, launch }: SpawnOptions) {
  ensureExecutable();
  const folder = cwd ?? workFolder();
  const startedMs = performance.now();
  const child = Bun.spawn([...(launch?.(executable) ?? [executable]), ...args], {
    cwd: folder,
    // Nothing of this process's environment: it may hold AWS_ or PG variables.
    env: { ...settings, [FOLDER_VARIABLE]: scope?.folder ?? "" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = capture(args.join(" "), child);
  const ended = (async (): Promise<Finished> => {
    const code = await child.exited;
    await output.closed;
    return {
      code: child.signalCode === null ? code : null,
      stdout: output.stdout,
      stderr: output.stderr,
      durationMs: performance.now() - startedMs,
    };
  })();
  return { child, output, ended };
}

/** Runs a command to its end. */
export async function runCommand(
  args: readonly string[],
  settings: Settings = {},
  options: SpawnOptions & { deadlineMs?: number } = {},
): Promise<Finished> {
  const { child, ended } = spawn(args, settings, options);
  const timer = setTimeout(() => child.kill("SIGKILL"), options.deadlineMs ?? 30_000);
  try {
    return await ended;
  } finally {
    clearTimeout(timer);
  }
}

/** Starts `observer run`; its status endpoint is on a port that the system chose, and wants a token. */
export function startObserver(settings: Settings, options: SpawnOptions = {}): Observer {
  const instance = settings.OBSERVER_INSTANCE ?? `e2e-${++started}`;
  const { child, output, ended } = spawn(
    ["run"],
    {
      OBSERVER_LISTEN: "127.0.0.1:0",
      OBSERVER_STATUS_TOKEN: STATUS_TOKEN,
      OBSERVER_INSTANCE: instance,
      ...settings,
    },
    options,
  );
  const log = (event?: string): LogLine[] => {
    const lines = output.stdout.split("\n").slice(0, -1).map(parseLine);
    return event === undefined ? lines : lines.filter((line) => line.event === event);
  };
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const observer: Observer = {
    instance,
    pid: child.pid,
    output,
    log,
    async logged(event, count = 1, deadlineMs = 20_000) {
      return await waitFor(`${instance} to log ${event}`, deadlineMs, () => {
        const line = log(event)[count - 1];
        if (line === undefined && !isRunning()) {
          throw new Error(`${instance} has ended without: ${output.stdout}${output.stderr}`);
        }
        return line;
      });
    },
    signal: (signal) => child.kill(signal),
    isRunning,
    async stop(signal = "SIGTERM") {
      const askedMs = performance.now();
      child.kill("SIGCONT");
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      const finished = await ended;
      clearTimeout(timer);
      running = running.filter((other) => other !== observer);
      return { ...finished, durationMs: performance.now() - askedMs };
    },
    async status() {
      return JSON.parse((await observer.get("/status")).text) as StatusDocument;
    },
    async get(path, headers = { authorization: `Bearer ${STATUS_TOKEN}` }) {
      const { url } = await observer.logged("status.listening");
      const response = await fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(5_000) });
      const text = await response.text();
      output.stderr += text;
      return { status: response.status, text };
    },
  };
  running.push(observer);
  return observer;
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch (cause) {
    throw new Error(`Not a line of JSON on standard output: ${line}`, { cause });
  }
}

/** For afterEach and afterAll: nothing runs any more. */
export async function stopObservers(): Promise<void> {
  await Promise.all(running.map((observer) => observer.stop("SIGKILL")));
}

/** For afterAll: the folders too. */
export async function closeObservers(): Promise<void> {
  await stopObservers();
  await scope?.stop();
  scope = undefined;
}
