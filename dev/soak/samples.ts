// What a running process needs, by /proc.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Bound } from "./trend.ts";

export interface Sample {
  /** Since the first one. */
  readonly atSeconds: number;
  readonly residentMegabytes: number;
  readonly files: number;
  /** Of the files: connections, and sockets that listen. */
  readonly sockets: number;
  readonly threads: number;
  /** Since the sample before, per second. A timer that is never stopped shows here, and in the memory. */
  readonly cpuMsPerSecond: number;
}

export type Figure = Exclude<keyof Sample, "atSeconds">;

export const BOUNDS: Readonly<Record<Figure, Bound>> = {
  residentMegabytes: { name: "resident memory", unit: "MB", mostGrowth: 20, mostGrowthShare: 0.15 },
  files: { name: "open descriptors", unit: "", mostGrowth: 4, mostGrowthShare: 0.15 },
  sockets: { name: "connections", unit: "", mostGrowth: 4, mostGrowthShare: 0.15 },
  threads: { name: "threads", unit: "", mostGrowth: 3, mostGrowthShare: 0.15 },
  cpuMsPerSecond: { name: "CPU time", unit: "ms/s", mostGrowth: 30, mostGrowthShare: 0.5 },
};

/** Linux counts CPU time in hundredths of a second. */
const MS_PER_TICK = 10;

/** Samples one process each time that it is called; undefined when it has ended. */
export function samplerOf(pid: number): () => Sample | undefined {
  const startedMs = performance.now();
  let before = { atMs: startedMs, cpuMs: cpuMs(pid) ?? 0 };
  return () => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
      const files = readdirSync(`/proc/${pid}/fd`);
      const now = { atMs: performance.now(), cpuMs: cpuMs(pid) ?? 0 };
      const sample: Sample = {
        atSeconds: Math.round((now.atMs - startedMs) / 1000),
        residentMegabytes: Math.round(field("VmRSS") / 102.4) / 10,
        files: files.length,
        sockets: files.filter((file) => isSocket(`/proc/${pid}/fd/${file}`)).length,
        threads: field("Threads"),
        cpuMsPerSecond: Math.round(((now.cpuMs - before.cpuMs) / (now.atMs - before.atMs)) * 1000),
      };
      before = now;
      return sample;
    } catch {
      return undefined;
    }
  };
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith("socket:");
  } catch {
    return false;
  }
}

function cpuMs(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  } catch {
    return undefined;
  }
}
