// The Observer as the demo runs it: the product's own command in a process of its own.
import { join } from "node:path";
import { freePort } from "../services/ports.ts";
import { FOLDER_VARIABLE } from "../services/procfs.ts";
import { canConnect } from "../services/sockets.ts";
import { waitFor } from "../services/wait.ts";

const USUAL_PORT = 9464;
/** Itself it ends within 5 s of SIGTERM. */
const STOP_MS = 4_000;

/** Passed on from the demo's environment, beside every OBSERVER_ setting. */
const PASSED_ON = ["REDIS_URL", "NO_COLOR", "TERM", "TZ", "LANG"];

export interface ObserverProcess {
  readonly statusUrl: string;
  /** Resolves to the exit code, whoever ended it. */
  readonly exited: Promise<number>;
  /** Resolves once it trusts what it has written. */
  ready(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/**
 * @param folder marks the process as belonging to it, so that it is ended with the folder whatever happens here;
 *   it is the working directory too, where no file of anybody's is read
 */
export async function startObserver(
  folder: string,
  settings: Readonly<Record<string, string>>,
): Promise<ObserverProcess> {
  const port = (await isTaken(USUAL_PORT)) ? await freePort() : USUAL_PORT;
  const statusUrl = `http://127.0.0.1:${port}`;
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../../src/main.ts"), "run"], {
    cwd: folder,
    env: {
      ...inherited(),
      ...settings,
      OBSERVER_LISTEN: `127.0.0.1:${port}`,
      [FOLDER_VARIABLE]: folder,
    },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    // A Ctrl-C in the terminal reaches the demo alone, which ends things in their order.
    detached: true,
  });
  return {
    statusUrl,
    exited: child.exited,
    async ready(signal) {
      await waitFor("the Observer's first look", 20_000, async () => {
        if (signal.aborted || child.exitCode !== null) return true;
        const response = await fetch(`${statusUrl}/readyz`, { signal: AbortSignal.timeout(1_000) });
        await response.body?.cancel();
        return response.ok;
      });
    },
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await child.exited;
      clearTimeout(timer);
    },
  };
}

const isTaken = (port: number): Promise<boolean> => canConnect({ host: "127.0.0.1", port });

function inherited(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    ([name]) => name.startsWith("OBSERVER_") || PASSED_ON.includes(name),
  );
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? ""]));
}
