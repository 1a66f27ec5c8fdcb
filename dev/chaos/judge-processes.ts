// What every process has to be after a fault, and in it: alive, honest, and no heavier than before.
import { waitFor } from "../services/wait.ts";
import type { Violation } from "./check.ts";
import type { ObserverProcess } from "./observer.ts";
import type { World } from "./world.ts";

/** At the worst moment. */
const MOST_FILES = 120;
const MOST_MEGABYTES = 400;
/**
 * Kept-alive connections come and go with what happens to be asked. What is left of a fault has this long to close; a
 * descriptor that is lost at each of a fault's looks is then more than these.
 */
const SPARE_FILES = 9;
const CLOSE_DEADLINE_MS = 10_000;
/** What a collector that sees no need leaves lying about. */
const SPARE_MEGABYTES = 60;
const UNREADY_DEADLINE_MS = 5_000;
/** SIGTERM to the end of the process; a noisy machine gets a second on top of what is promised. */
export const STOP_MS = 6_000;

export interface Weight {
  readonly files: number;
  readonly bytes: number;
}

/** @param before of the one instance that met the fault; null where another lives after it */
export async function judgeProcesses(world: World, before: Weight | null): Promise<Violation[]> {
  const found: Violation[] = [];
  for (const observer of world.observers) {
    const blame = (text: string) =>
      found.push({ promise: "P12", text: `Instance ${observer.instance}: ${text}` });
    if (!observer.isRunning) {
      blame(`it ended: ${observer.stderr || JSON.stringify(observer.lines.at(-1))}`);
      continue;
    }
    if (observer.mostFiles > MOST_FILES) blame(`${observer.mostFiles} descriptors at most`);
    if (observer.mostBytes > MOST_MEGABYTES * 1e6) blame(`${observer.mostBytes} bytes of memory`);
    if (before !== null) await judgeGrowth(observer, before, blame);
    const health = await observer.ask("/healthz");
    if (health.status !== 200) blame(`/healthz says ${health.status} ${health.text}`);
    const ready = await waitFor(
      "/readyz",
      10_000,
      async () => (await observer.ask("/readyz")).status === 200,
      200,
    ).catch(async () => false);
    if (!ready) blame(`/readyz says ${(await observer.ask("/readyz")).text}, yet the table is right`);
  }
  return found;
}

async function judgeGrowth(
  observer: ObserverProcess,
  before: Weight,
  blame: (text: string) => void,
): Promise<void> {
  const isFlat = () => observer.weigh().files <= before.files + SPARE_FILES;
  await waitFor("descriptors to be closed", CLOSE_DEADLINE_MS, isFlat, 100).catch(() =>
    blame(`${observer.weigh().files} descriptors are left, ${before.files} before`),
  );
  const { bytes } = observer.weigh();
  if (bytes > before.bytes + SPARE_MEGABYTES * 1e6)
    blame(`${megabytes(bytes)} MB are left, ${megabytes(before.bytes)} before`);
}

const megabytes = (bytes: number) => Math.round(bytes / 1e6);

/** While dependencies are down a restart would mend nothing, and the table isn't to be trusted. */
export async function judgeUnready({ observers }: World): Promise<Violation[]> {
  const [observer] = observers;
  if (observer === undefined) return [];
  // Its patience grows with how long its last listing took, which on a busy machine may be seconds.
  const isUnready = async () => (await observer.ask("/readyz")).status === 503;
  await waitFor("/readyz to say so", UNREADY_DEADLINE_MS, isUnready, 200).catch(() => {});
  const [live, ready, command] = await Promise.all([
    observer.ask("/healthz"),
    observer.ask("/readyz"),
    observer.health(),
  ]);
  const found: string[] = [];
  if (live.status !== 200) found.push(`/healthz says ${live.status} ${live.text}, though it is at work`);
  if (command !== 0) found.push(`\`observer health\` ends with ${command}, though it is at work`);
  if (ready.status !== 503)
    found.push(`/readyz says ${ready.status} ${ready.text}, though it cannot observe`);
  return found.map((text) => ({
    promise: "P12",
    text: `Instance ${observer.instance}: in the fault ${text}`,
  }));
}

/** Whoever was asked to end did so by itself, in time, with code 0. */
export function judgeEnds(ended: readonly ObserverProcess[]): Violation[] {
  return ended.flatMap(({ instance, ended: end, lines }) => {
    if (end?.signal !== "SIGTERM") return [];
    const blame = (text: string) => [
      { promise: "P12", text: `Instance ${instance}: ${text}: ${JSON.stringify(lines.at(-1))}` },
    ];
    if (end.code !== 0) return blame(`asked to end, it ended with ${end.code}`);
    return end.tookMs > STOP_MS ? blame(`it took ${Math.round(end.tookMs)} ms to end`) : [];
  });
}
