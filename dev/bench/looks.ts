// A running Observer's looks, as its status endpoint tells them.
import type { Redis as RedisClient } from "ioredis";
import type { ObserverProcess } from "../chaos/observer.ts";
import { waitFor } from "../services/wait.ts";

export interface Look {
  readonly looks: number;
  readonly durationMs: number;
  readonly stagesMs: Readonly<Record<string, number>>;
  readonly sources: readonly string[];
  readonly changed: number;
  readonly stamped: number;
}

interface Status {
  readonly role: string;
  readonly totals: Readonly<Record<string, number>>;
  readonly sources: Readonly<
    Record<"engine" | "archives", null | { readonly last_duration_ms: number | null }>
  >;
  readonly last_cycle: null | {
    readonly kind: string;
    readonly duration_ms: number;
    readonly stages_ms: Readonly<Record<string, number>>;
    readonly sources: readonly string[];
    readonly counts: Readonly<Record<string, number | null>>;
    readonly failures: readonly { readonly stage: string; readonly error: string }[];
  };
}

export async function statusOf(observer: ObserverProcess): Promise<Status> {
  const { status, text } = await observer.ask("/status");
  if (status !== 200) {
    const end = observer.lines.slice(-3).map((line) => JSON.stringify(line));
    throw new Error(
      `Cannot read /status of ${observer.instance}: ${status} ${text.slice(0, 200)}; running: ${observer.isRunning}; its log ends with\n${end.join("\n")}\n${observer.stderr}`,
    );
  }
  return JSON.parse(text) as Status;
}

/** A number of `/metrics`, summed over its labels; 0 when there is none of that name. */
export async function metricOf(observer: ObserverProcess, name: string, labels = ""): Promise<number> {
  const { text } = await observer.ask("/metrics");
  return text
    .split("\n")
    .filter((line) => new RegExp(`^${name}(\\{| )`).test(line) && line.includes(labels))
    .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/** The last look with a number above the given one; waits for it. */
export async function lookAfter(
  observer: ObserverProcess,
  looks: number,
  deadlineMs: number,
  pollMs: number,
): Promise<Look> {
  return await waitFor(
    `${observer.instance} to look`,
    deadlineMs,
    async () => {
      const { totals, last_cycle: cycle } = await statusOf(observer);
      // A delivery takes in a late answer: what was asked for is a look.
      if (cycle === null || totals.looks === undefined || totals.looks <= looks || cycle.kind !== "look")
        return;
      if (cycle.failures.length > 0) {
        throw new Error(`Cannot measure a look that failed: ${JSON.stringify(cycle.failures)}`);
      }
      return {
        looks: totals.looks,
        durationMs: cycle.duration_ms,
        stagesMs: cycle.stages_ms,
        sources: cycle.sources,
        changed: cycle.counts.changed ?? 0,
        stamped: cycle.counts.stamped ?? 0,
      };
    },
    pollMs,
  );
}

/** Hints, waits for the look that follows, and answers how long that took by the Observer's own account. */
export async function hintedLook(
  observer: ObserverProcess,
  publisher: RedisClient,
  expectedMs: number,
): Promise<Look> {
  const { totals } = await statusOf(observer);
  await publisher.publish("ob:wake", "");
  // Asked too early, it would answer in the middle of what is measured.
  await Bun.sleep(expectedMs * 1.1 + 3);
  return await lookAfter(observer, totals.looks ?? 0, 180_000, Math.max(4, expectedMs / 6));
}

/** Every row was written at least once, and nothing is left to be written. */
export async function settled(observer: ObserverProcess, publisher: RedisClient): Promise<Look> {
  await observer.logged("status.listening");
  let last = await lookAfter(observer, 0, 180_000, 50);
  let quiet = 0;
  for (let rounds = 0; rounds < 200; rounds++) {
    last = await hintedLook(observer, publisher, last.durationMs);
    quiet = last.changed === 0 ? quiet + 1 : 0;
    if (quiet >= 3) return last;
  }
  throw new Error(`Cannot measure a steady state: after 200 looks ${observer.instance} still writes changes`);
}
