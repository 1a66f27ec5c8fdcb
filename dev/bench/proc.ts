// What /proc says a process has used.
import { readFileSync } from "node:fs";

/** Linux counts CPU time in hundredths of a second. */
const MS_PER_TICK = 10;

export interface Usage {
  readonly cpuMs: number;
  readonly residentMegabytes: number;
  /** Since its start. */
  readonly peakMegabytes: number;
}

/** @throws when the process has ended */
export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const megabytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? Number.NaN) / 1024;
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK,
    residentMegabytes: megabytes("VmRSS"),
    peakMegabytes: megabytes("VmHWM"),
  };
}

export interface Load {
  /** Of one core. */
  readonly cpuPercent: number;
  readonly residentMegabytes: readonly number[];
}

/** Watches processes for some time; what each used, in the order given. */
export async function watch(pids: readonly number[], seconds: number): Promise<Load[]> {
  const before = pids.map(usageOf);
  const startedMs = performance.now();
  const resident: number[][] = pids.map(() => []);
  while (performance.now() - startedMs < seconds * 1_000) {
    await Bun.sleep(1_000);
    pids.forEach((pid, at) => {
      resident[at]!.push(usageOf(pid).residentMegabytes);
    });
  }
  const tookMs = performance.now() - startedMs;
  return pids.map((pid, at) => ({
    cpuPercent: ((usageOf(pid).cpuMs - before[at]!.cpuMs) / tookMs) * 100,
    residentMegabytes: resident[at]!,
  }));
}
