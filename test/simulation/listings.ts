/**
 * A fake Engine and a fake store. A listing isn't taken at one instant: it reads one part of the workspaces at one
 * moment and the rest at another. Whatever can't be read whole rejects, as an adapter has to.
 */
import type { Random } from "../../dev/fakes/random.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type {
  ArchiveProvider,
  ArchiveSeen,
  ContainerSeen,
  InstanceController,
  Listing,
  Look,
  VolumeProvider,
  VolumeSeen,
} from "../../src/observer/ports.ts";
import type { Owner, Timeline } from "./clock.ts";
import type { Sabotage } from "./domain.ts";
import { draw, type FaultRates } from "./faults.ts";
import type { Resources, Truth } from "./truth.ts";

export interface ListingWorld {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly truth: Truth;
  readonly rates: () => FaultRates;
  readonly sabotage: ReadonlySet<Sabotage>;
  readonly trace: (what: string) => void;
  /** Everything that is asked of it from now on fails like this. */
  readonly down: { engine: "error" | "hang" | null; archives: "error" | "hang" | null };
  /** Set: called once, when the next whole listing of containers has been read. */
  afterNextRead: (() => void) | null;
}

export interface Caller extends Owner {
  readonly name: string;
  /** Sees an empty world: another socket, another prefix, another bucket. */
  wrongEngine: boolean;
  wrongBucket: boolean;
}

type Kind = "container" | "volume" | "archive";
type ListFault = "error" | "truncated" | "hang" | "deaf" | "slow" | "none";

function read<Seen>(world: ListingWorld, caller: Caller, kind: Kind, look: Look): Promise<Listing<Seen>> {
  const { timeline, random, truth } = world;
  const rates = world.rates();
  const down = world.down[kind === "archive" ? "archives" : "engine"];
  const fault =
    down ??
    draw<ListFault>(
      random,
      {
        error: rates.listError,
        truncated: rates.listTruncated,
        hang: rates.listHang,
        deaf: rates.listHangDeaf,
        slow: rates.listSlow,
      },
      "none",
    );
  const latencyMs =
    fault === "slow" ? random() * (kind === "archive" ? 20_000 : 4_500) : 1 + random() * random() * 150;
  const byWorkspace = new Map<WorkspaceId, Seen>();
  const readHalf = (half: number) => {
    truth.ids.forEach((id, index) => {
      if (index % 2 !== half || (look.only !== undefined && !look.only.has(id))) return;
      if (kind === "archive" ? caller.wrongBucket : caller.wrongEngine) return;
      const seen = truth.now(id)[kind as keyof Resources];
      if (seen !== undefined) byWorkspace.set(id, seen as Seen);
    });
  };
  world.trace(`${caller.name} lists ${kind}s${look.only ? ` of ${look.only.size}` : ""} (${fault})`);
  return new Promise((resolve, reject) => {
    const answer = (afterMs: number, run: () => void) => timeline.after(afterMs, run, caller);
    const fail = (why: string) => {
      if (world.sabotage.has("failed-list-is-empty")) resolve({ byWorkspace: new Map(), contested: [] });
      else if (world.sabotage.has("half-read-list-is-whole")) {
        readHalf(0);
        resolve({ byWorkspace, contested: [] });
      } else reject(new Error(why));
    };
    if (fault !== "deaf") {
      const onAbort = () => timeline.after(random() * 5, () => reject(new Error("aborted")), caller);
      if (look.signal.aborted) onAbort();
      else look.signal.addEventListener("abort", onAbort, { once: true });
    }
    if (fault === "error" || fault === "truncated") {
      answer(latencyMs, () => fail(`Cannot list ${kind}s: ${fault}`));
      return;
    }
    // A page has its deadline, so even a listing whose own is minutes away ends after some seconds.
    if (fault === "hang" || fault === "deaf") {
      answer(fault === "hang" ? 8_000 : 6_000 + random() * 8_000, () =>
        fail(`Cannot list ${kind}s: no answer`),
      );
      return;
    }
    const firstMs = random() * latencyMs;
    const secondMs = firstMs + random() * (latencyMs - firstMs);
    timeline.after(firstMs, () => readHalf(0));
    timeline.after(secondMs, () => {
      readHalf(1);
      if (kind === "volume" || look.only !== undefined || caller.state !== "running") return;
      const hook = kind === "container" ? world.afterNextRead : null;
      if (hook === null) return;
      world.afterNextRead = null;
      hook();
    });
    answer(latencyMs + 2, () => resolve({ byWorkspace, contested: [] }));
  });
}

export type FakeEngine = InstanceController & VolumeProvider;

export const fakeEngine = (world: ListingWorld, caller: Caller): FakeEngine => ({
  listAll: (_, look) => read<ContainerSeen>(world, caller, "container", look),
  listVolumes: (_, look) => read<VolumeSeen>(world, caller, "volume", look),
  // Nothing is decided by why a container died; deaths.test.ts covers what is said of it.
  explainDeath: async () => null,
});

export const fakeArchives = (world: ListingWorld, caller: Caller): ArchiveProvider => ({
  listArchives: (_, look) => read<ArchiveSeen>(world, caller, "archive", look),
});
