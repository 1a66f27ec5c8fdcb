/** Tells systemd how the loop is, where it asked for that. Without NOTIFY_SOCKET nothing is loaded, and nothing runs. */
import { systemClock } from "../adapters/clock.ts";
import type { Config } from "../config.ts";
import type { Log } from "../observer/ports.ts";
import { Supervisor, type SupervisorParts } from "../status/supervisor.ts";

export interface Supervision {
  onProgress(): void;
  /** Until the signal fires. Never rejects. */
  keep(stop: AbortSignal): Promise<void>;
}

const nobody: Supervision = { onProgress() {}, async keep() {} };

export async function openSupervision(
  { supervisor }: Config,
  log: Log,
  parts: Pick<SupervisorParts, "view" | "health">,
): Promise<Supervision> {
  if (supervisor === null) return nobody;
  try {
    const { openNotifySocket } = await import("../adapters/systemd-notify.ts");
    const socket = openNotifySocket(supervisor.socket);
    const it = new Supervisor({
      ...parts,
      clock: systemClock,
      watchdogMs: supervisor.watchdogMs,
      send: socket.send,
    });
    return { onProgress: it.onProgress, keep: (stop) => it.keep(stop).finally(socket.close) };
  } catch (cause) {
    log.warn("supervisor.unavailable", "Goes on without telling systemd how it is", { error: cause });
    return nobody;
  }
}
