/** What systemd leaves in the environment of a service that it wants to hear of: sd_notify(3), sd_watchdog_enabled(3). */
import type { ConfigSource } from "./source.ts";
import type { SupervisorConfig } from "./types.ts";

/**
 * Null where nobody wants to hear of this process. What a surrounding program set wrongly is no reason not to start.
 *
 * @param pid a watchdog that is meant for another process, such as a parent, is none of ours
 */
export function readSupervisor(source: ConfigSource, pid: number): SupervisorConfig | null {
  const socket = source.text("NOTIFY_SOCKET");
  if (socket === null) return null;
  const watchdogPid = source.text("WATCHDOG_PID");
  const isOurs = watchdogPid === null || watchdogPid === String(pid);
  return { socket, watchdogMs: isOurs ? watchdogMs(source.text("WATCHDOG_USEC")) : null };
}

/** Microseconds, as digits; 0 and what is no number mean: no watchdog. */
function watchdogMs(text: string | null): number | null {
  if (text === null || !/^\d{1,16}$/.test(text)) return null;
  return Number(text) / 1000 || null;
}
