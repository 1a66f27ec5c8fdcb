// Runs the demo as a child, as a terminal would, and knows what it leaves behind.
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { waitFor } from "../../dev/services/wait.ts";

const root = resolve(import.meta.dir, "../..");

export interface DemoProcess {
  /** All that it printed so far. */
  readonly output: string;
  /** As it printed them. */
  readonly databaseUrl: string;
  readonly statusUrl: string;
  /** To the demo's whole process group, as a terminal's Ctrl-C. */
  signal(signal: NodeJS.Signals): void;
  readonly exited: Promise<number>;
  /** Waits until there is no process and no folder of it any more. Throws and names what is left after a while. */
  nothingLeft(): Promise<void>;
  /** For the end of a test, whatever happened in it. */
  dispose(): Promise<void>;
}

/** Starts the demo and waits for it to be ready. */
export async function startDemo(env: Readonly<Record<string, string>>): Promise<DemoProcess> {
  const base = mkdtempSync(join(tmpdir(), "demo-"));
  // Its PostgreSQL runs as another user, who must be able to pass through.
  chmodSync(base, 0o755);
  const child = Bun.spawn([process.execPath, "dev/demo.ts"], {
    cwd: root,
    env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", TMPDIR: base, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    detached: true,
  });
  let output = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) output += decoder.decode(chunk, { stream: true });
  })();

  const demo: DemoProcess = {
    get output() {
      return output;
    },
    get databaseUrl() {
      return /postgres:\/\/[^"\s]+/.exec(output)?.[0] ?? "";
    },
    get statusUrl() {
      return /^ {2}status +(\S+)/m.exec(output)?.[1] ?? "";
    },
    signal: (signal) => void process.kill(-child.pid, signal),
    exited: child.exited,
    nothingLeft: () =>
      waitFor("everything of the demo to be gone", 20_000, () => {
        const left = [...readdirSync(base), ...processesAround(base)];
        if (left.length > 0) throw new Error(`left: ${left.join(", ")}`);
        return true;
      }).then(() => {}),
    async dispose() {
      if (child.exitCode === null && child.signalCode === null) demo.signal("SIGTERM");
      await child.exited;
      await reading;
      await demo.nothingLeft();
      rmSync(base, { recursive: true });
    },
  };
  try {
    await waitFor("the demo to be ready", 45_000, () => {
      if (child.exitCode !== null) throw new Error("it has ended");
      return /^Ready\./m.test(output) && / end .*\n/.test(output);
    });
  } catch (cause) {
    await demo.dispose();
    throw new Error(`Cannot start the demo. It printed:\n${output}`, { cause });
  }
  return demo;
}

/** Processes that have the folder in their environment, their command or as their working directory. */
function processesAround(folder: string): string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  return pids.flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "latin1");
      const texts = [
        command,
        readFileSync(`/proc/${pid}/environ`, "latin1"),
        readlinkSync(`/proc/${pid}/cwd`),
      ];
      return texts.some((text) => text.includes(folder)) ? [`${pid} ${command.replaceAll("\0", " ")}`] : [];
    } catch {
      // It has ended, or it is a kernel thread.
      return [];
    }
  });
}
