/** One instance of the Observer: the real loop on fakes, with a clock of its own; it can be paused, killed, stopped. */
import type { Random } from "../../dev/fakes/random.ts";
import type { EngineListing } from "../../src/observer/absence.ts";
import type { ArchiveSeen, Listing, Log, Look } from "../../src/observer/ports.ts";
import { FakeChannel, fakeWake } from "./channels.ts";
import type { Checks } from "./checks.ts";
import { type Timeline, VirtualClock } from "./clock.ts";
import type { FakeDatabase } from "./database.ts";
import type { Domain } from "./domain.ts";
import { guard } from "./emptiness.ts";
import { type Caller, fakeArchives, fakeEngine, type ListingWorld } from "./listings.ts";
import type { Network } from "./network.ts";

/** The defaults, but for a shorter activity: what it costs is looks, and they are what a seed costs. */
export const cadence = {
  idleIntervalMs: 10_000,
  activeIntervalMs: 2_000,
  minIntervalMs: 250,
  activeForMs: 8_000,
} as const;

export interface ProcessWorld {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly network: Network;
  readonly database: FakeDatabase;
  readonly listings: ListingWorld;
  readonly checks: Checks;
  readonly domain: Domain;
  readonly maxAgeMs: number;
  readonly archivesConfigured: boolean;
  readonly trace: (what: string) => void;
  readonly fail: (check: string, what: string) => void;
}

export class ObserverProcess implements Caller {
  state: Caller["state"] = "running";
  readonly backlog: (() => void)[] = [];
  wrongEngine = false;
  wrongBucket = false;
  ended = false;
  readonly channel: FakeChannel;
  readonly events: FakeChannel;
  readonly clock: VirtualClock;
  readonly #stop = new AbortController();
  #pausedAtMs = 0;

  constructor(
    readonly name: string,
    private readonly world: ProcessWorld,
  ) {
    const { timeline, random, network, database, listings, checks, domain, trace } = world;
    const clock = new VirtualClock(timeline, this);
    this.clock = clock;
    const rates = listings.rates;
    this.channel = new FakeChannel(timeline, random, rates, this);
    this.events = new FakeChannel(timeline, random, rates, this);
    const engine = fakeEngine(listings, this);
    const archives = fakeArchives(listings, this);
    const note = (level: string) => (event: string) => trace(`${name} ${level} ${event}`);
    const log: Log = { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
    const sourceOptions = {
      clock,
      random,
      maxBackoffMs: cadence.idleIntervalMs,
      onTransition: (source: string, cause: unknown) =>
        trace(`${name} ${source} is ${cause === null ? "back" : "down"}`),
    };
    const loop = new domain.Loop({
      instance: name,
      cadence,
      channel: this.channel,
      events: this.events,
      log,
      random: () => 0,
      prepare: async () => {},
      describe: (view) => ({ role: view.role }),
      cycle: {
        clock,
        engine,
        config: {
          prefix: "ws-",
          maxAgeMs: world.maxAgeMs,
          listTimeoutMs: 5_000,
          writeTimeoutMs: 5_000,
          sourcePatienceMs: 750,
          guard,
        },
        store: database.store(this),
        leadership: database.leadership(this),
        wake: fakeWake(network, random, rates, this, () => {
          checks.publishedMs = timeline.nowMs;
          trace(`${name} published`);
        }),
        engineSource: new domain.Source<EngineListing>(
          "engine",
          (signal) => this.#listEngine(engine, { signal }),
          {
            ...sourceOptions,
            deadlineMs: 5_000,
          },
        ),
        archiveSource: world.archivesConfigured
          ? new domain.Source<Listing<ArchiveSeen>>(
              "archives",
              (signal) => this.#listArchives(archives, signal),
              {
                ...sourceOptions,
                deadlineMs: 120_000,
              },
            )
          : null,
        lookAt: (look) => this.#listEngine(engine, look),
        archivesIdentity: null,
      },
    });
    loop.run(this.#stop.signal).then(
      () => {
        this.ended = true;
        trace(`${name} ended`);
      },
      (cause) => world.fail("loop", `${name} threw: ${cause instanceof Error ? cause.stack : cause}`),
    );
  }

  pause(clockStops: boolean): void {
    if (this.state !== "running") return;
    this.state = "paused";
    this.#pausedAtMs = clockStops ? this.world.timeline.nowMs : Number.NaN;
  }

  resume(): void {
    if (this.state !== "paused") return;
    if (!Number.isNaN(this.#pausedAtMs))
      this.clock.stoodStillMs += this.world.timeline.nowMs - this.#pausedAtMs;
    this.world.timeline.resume(this);
  }

  kill(): void {
    this.state = "dead";
    this.backlog.length = 0;
  }

  stop(): void {
    if (this.state === "running") this.#stop.abort();
  }

  get isUp(): boolean {
    return this.state !== "dead" && !this.ended && !this.#stop.signal.aborted;
  }

  /** Both lists at once; when one fails, the other is aborted and waited for. */
  async #listEngine(
    engine: ReturnType<typeof fakeEngine>,
    { signal, ...which }: Look,
  ): Promise<EngineListing> {
    const other = new AbortController();
    const stop = () => other.abort();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const look = { ...which, signal: other.signal };
    const calls = [engine.listAll("ws-", look), engine.listVolumes("ws-", look)] as const;
    try {
      const [containers, volumes] = await Promise.all(calls);
      if (which.only === undefined) {
        this.#answered("container", containers);
        this.#answered("volume", volumes);
      }
      // An engine that doesn't tell who it is: the count of what vanished has to do (P7).
      return { containers, volumes, identity: null };
    } catch (cause) {
      other.abort();
      await Promise.allSettled(calls);
      throw cause;
    }
  }

  async #listArchives(
    archives: ReturnType<typeof fakeArchives>,
    signal: AbortSignal,
  ): Promise<Listing<ArchiveSeen>> {
    const listing = await archives.listArchives("ws-", { signal });
    this.#answered("archive", listing);
    return listing;
  }

  #answered(kind: "container" | "volume" | "archive", listing: Listing<unknown>): void {
    const { checks, listings } = this.world;
    checks.emptiness.answered(this, kind, new Set(listing.byWorkspace.keys()), listings.truth.ids);
  }
}
