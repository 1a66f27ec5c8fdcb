/** The log's level, changed while the process runs: debug for a while, and back. */
import type { LogOptions, ProcessLog } from "./log.ts";

/**
 * @param configured the level to come back to
 * @returns what to do at each SIGUSR2
 */
export function levelSwitch(log: ProcessLog, configured: LogOptions["level"]): () => void {
  let isDebugging = configured === "debug";
  const tell = (level: LogOptions["level"]) =>
    log.info("log.level_changed", "The log's level was changed by a signal", { level });
  return () => {
    isDebugging = !isDebugging || configured === "debug";
    // It is said while that is visible: a configured level may hide it.
    if (isDebugging) {
      log.setLevel("debug");
      tell("debug");
    } else {
      tell(configured);
      log.setLevel(configured);
    }
  };
}
