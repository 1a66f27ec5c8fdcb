/**
 * What the conventional `process_*` metrics show. prom-client's default set is not used: it measures V8, which isn't
 * there, and keeps a 10 ms timer for its event-loop lag, which an idle daemon would pay for all day.
 */
import { readdirSync, readFileSync } from "node:fs";

/** By the wall clock, as the convention wants it; read once, so that it doesn't wander when the clock is set. */
export const processStartSeconds = Date.now() / 1000 - process.uptime();

export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

export const residentBytes = (): number => process.memoryUsage.rss();

/** Null where there is no /proc. */
export function openFds(): number | null {
  try {
    // One of them is the directory that is being read.
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return null;
  }
}

/** The soft limit; null where there is no /proc. */
export function maxFds(): number | null {
  try {
    const soft = /^Max open files +(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    if (soft === undefined) return null;
    return soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return null;
  }
}
