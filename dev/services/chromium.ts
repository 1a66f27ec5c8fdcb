// A private Chromium without a window, driven over its debugging port on loopback.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { startDaemon } from "./process.ts";
import { processGroup, signalProcess } from "./procfs.ts";
import { inScope } from "./scope.ts";
import { waitFor } from "./wait.ts";

export interface Chromium {
  /** Each context of it is a person of its own: cookies, scripts or none, colours. */
  readonly browser: Browser;
  stop(): Promise<void>;
}

/** As root there is no sandbox; and it must ask nobody for anything but what the tests ask it for. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A container's /dev/shm is small.
  "--disable-dev-shm-usage",
  // Grey edges of letters, not coloured ones: pictures are smaller and look alike everywhere.
  "--disable-lcd-text",
  "--remote-debugging-port=0",
];

export async function startChromium(): Promise<Chromium> {
  return await inScope("chromium", async (scope) => {
    const profile = join(scope.folder, "profile");
    let address = "";
    const daemon = await startDaemon(scope, {
      name: "chromium",
      command: ["chromium", ...FLAGS, `--user-data-dir=${profile}`, "about:blank"],
      // Whatever it would write beside its profile goes where it is removed with it.
      env: {
        HOME: scope.folder,
        TMPDIR: scope.folder,
        XDG_CONFIG_HOME: scope.folder,
        XDG_CACHE_HOME: scope.folder,
      },
      async ready() {
        const [port, path] = (await readFile(join(profile, "DevToolsActivePort"), "utf8")).split("\n");
        address = `ws://127.0.0.1:${port}${path}`;
        return path !== undefined && path !== "";
      },
    });
    const browser = await chromium.connectOverCDP(address);
    return {
      browser,
      async stop() {
        await browser.close();
        // Its processes overwrite their environment, by which others are found, and while one lives it writes to the
        // profile that is to be removed. There is nothing in that worth a polite end.
        await waitFor("Chromium to end", 20_000, () => {
          const left = processGroup(daemon.pid);
          for (const one of left) signalProcess(one, "SIGKILL");
          return left.length === 0;
        });
        await scope.stop();
      },
    };
  });
}
