// One instance of the executable: started, listened to, signalled, weighed.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { FOLDER_VARIABLE } from "../services/procfs.ts";
import { waitFor } from "../services/wait.ts";

const root = join(import.meta.dir, "../..");

export type Settings = Readonly<Record<string, string>>;

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

/** The built executable, built first when there is none, or an older one than its sources. */
export function ensureExecutable(path = join(root, "dist/observer")): string {
  const sources = [...new Bun.Glob("src/**/*.ts").scanSync(root), "package.json", "bun.lock"];
  const newestMs = Math.max(...sources.map((source) => statSync(join(root, source)).mtimeMs));
  if (existsSync(path) && statSync(path).mtimeMs >= newestMs) return path;
  return build(root, path);
}

/** @param folder a checkout, or a copy of one */
export function build(folder: string, path: string): string {
  const command = [process.execPath, join(folder, "dev/build.ts"), "--outfile", path];
  const built = Bun.spawnSync(command, { cwd: folder, stdout: "ignore", stderr: "pipe" });
  if (built.exitCode !== 0) throw new Error(`Cannot build the executable:\n${built.stderr}`);
  return path;
}

export interface Ended {
  readonly signal: NodeJS.Signals;
  /** Null when it had to be killed. */
  readonly code: number | null;
  readonly tookMs: number;
}

export class ObserverProcess {
  readonly pid: number;
  readonly lines: LogLine[] = [];
  /** What it needed at most so far. */
  mostFiles = 0;
  mostBytes = 0;
  stderr = "";
  /** How it went when it was asked to end while it ran. */
  ended: Ended | null = null;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #read: Promise<unknown>;
  readonly #sampler: Timer;

  constructor(
    readonly instance: string,
    private readonly executable: string,
    private readonly folder: string,
    private readonly settings: Settings,
  ) {
    this.#child = Bun.spawn([executable, "run"], {
      cwd: folder,
      env: {
        OBSERVER_INSTANCE: instance,
        OBSERVER_LISTEN: "127.0.0.1:0",
        OBSERVER_LOG_FORMAT: "json",
        ...settings,
        [FOLDER_VARIABLE]: folder,
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.pid = this.#child.pid;
    this.#read = Promise.all([this.#readLog(), this.#readErrors()]);
    this.#sampler = setInterval(() => this.weigh(), 250);
  }

  async #readLog(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.lines.push(JSON.parse(line) as LogLine);
    }
  }
  async #readErrors(): Promise<void> {
    this.stderr = await new Response(this.#child.stderr).text();
  }

  /** Open descriptors and resident bytes; zero when it has ended. */
  weigh(): { files: number; bytes: number } {
    try {
      const files = readdirSync(`/proc/${this.pid}/fd`).length;
      const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1];
      const bytes = Number(kilobytes ?? 0) * 1024;
      this.mostFiles = Math.max(this.mostFiles, files);
      this.mostBytes = Math.max(this.mostBytes, bytes);
      return { files, bytes };
    } catch {
      return { files: 0, bytes: 0 };
    }
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  count(event: string): number {
    return this.lines.filter((line) => line.event === event).length;
  }

  /** Resolves when so many lines of the event were logged. */
  async logged(event: string, count = 1, deadlineMs = 40_000): Promise<void> {
    await waitFor(`${this.instance} to log ${event}`, deadlineMs, () => this.count(event) >= count);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM; null when it had to be killed. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<{ code: number | null; tookMs: number }> {
    const askedMs = performance.now();
    const wasRunning = this.isRunning;
    this.#child.kill("SIGCONT");
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 15_000);
    await this.#child.exited;
    clearTimeout(timer);
    clearInterval(this.#sampler);
    await this.#read;
    const code = this.#child.signalCode === null ? this.#child.exitCode : null;
    const tookMs = performance.now() - askedMs;
    if (wasRunning) this.ended = { signal, code, tookMs };
    return { code, tookMs };
  }

  /** The exit code of `observer health` for this instance. */
  async health(): Promise<number | null> {
    const url = this.lines.find((line) => line.event === "status.listening")?.url;
    const child = Bun.spawn([this.executable, "health"], {
      cwd: this.folder,
      env: {
        ...this.settings,
        OBSERVER_LISTEN: new URL(String(url)).host,
        [FOLDER_VARIABLE]: this.folder,
      },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
      timeout: 10_000,
      killSignal: "SIGKILL",
    });
    await child.exited;
    return child.exitCode;
  }

  /** The status that a path of the endpoint answers with; 0 when it doesn't within two seconds. */
  async ask(path: string): Promise<{ status: number; text: string }> {
    const url = this.lines.find((line) => line.event === "status.listening")?.url;
    try {
      const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(2_000) });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      return { status: 0, text: String(error) };
    }
  }
}
