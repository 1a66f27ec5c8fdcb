/** A world for one cycle: everything answers at once unless the test says otherwise, on virtual time. */
import type { EngineListing } from "../../../src/observer/absence.ts";
import { type CycleMemory, emptyMemory } from "../../../src/observer/believe.ts";
import type { JsonObject } from "../../../src/observer/conditions.ts";
import { type CycleParts, type CyclePlan, runCycle } from "../../../src/observer/cycle.ts";
import { addMs, type Instant } from "../../../src/observer/instant.ts";
import type { WorkspaceId } from "../../../src/observer/names.ts";
import type {
  ArchiveSeen,
  ContainerDeath,
  ContainerSeen,
  KnownWorld,
  Lease,
  LeaseAnswer,
  Listing,
  Look,
  RowWrite,
  SaveOutcome,
  VolumeSeen,
  WorkspaceRow,
} from "../../../src/observer/ports.ts";
import type { CycleReport } from "../../../src/observer/report.ts";
import { Source } from "../../../src/observer/source.ts";
import { Timeline, VirtualClock } from "../../simulation/clock.ts";
import { guardConfig, lease, listing, second } from "./support.ts";

export class CycleWorld {
  readonly timeline = new Timeline();
  readonly clock = new VirtualClock(this.timeline);
  rows: WorkspaceRow[] = [];
  containers = new Map<string, ContainerSeen>();
  volumes = new Map<string, VolumeSeen>();
  archives: Map<string, ArchiveSeen> | null = new Map();
  readonly calls: string[] = [];
  readonly saves: RowWrite[][] = [];

  now: () => Instant = () => addMs(second(100), this.timeline.nowMs);
  known: KnownWorld = {};
  /** Who the engine says it is. */
  identity: string | null = "one";
  renew = async (held: Lease): Promise<LeaseAnswer> => ({
    kind: "held",
    lease: held,
    now: this.now(),
    known: this.known,
  });
  load = async (): Promise<WorkspaceRow[]> => this.rows;
  save = async (writes: readonly RowWrite[]): Promise<SaveOutcome> => this.apply(writes);
  publish = async (): Promise<void> => {};
  listEngine = async (): Promise<EngineListing> => ({
    containers: listing(this.containers),
    volumes: listing(this.volumes),
    identity: this.identity,
  });
  listArchives = async (): Promise<Listing<ArchiveSeen>> => listing(this.archives!);
  /** By container id. */
  deaths = new Map<string, ContainerDeath>();
  explainDeath = async (containerId: string): Promise<ContainerDeath | null> =>
    this.deaths.get(containerId) ?? null;
  lookAt = async ({ only }: Look): Promise<EngineListing> => {
    const all = await this.listEngine();
    const some = <Seen>({ byWorkspace, contested }: Listing<Seen>): Listing<Seen> => ({
      byWorkspace: new Map([...byWorkspace].filter(([id]) => only!.has(id))),
      contested,
    });
    return { ...all, containers: some(all.containers), volumes: some(all.volumes) };
  };
  listAgain = async (): Promise<EngineListing> => this.listEngine();

  /** As the writing statement would. */
  apply(writes: readonly RowWrite[]): SaveOutcome {
    this.rows = this.rows.map((row) => {
      const write = writes.find(({ id }) => id === row.id);
      if (write === undefined) return row;
      const observed = { ...(row.conditions.observed as JsonObject), ...write.observed };
      return {
        ...row,
        conditions: { ...row.conditions, ...write.set, observed },
        observedAt: write.observedAt,
      };
    });
    return { kind: "saved", written: new Set(writes.map(({ id }) => id)), skipped: [], fenced: [] };
  }

  #parts: CycleParts | null = null;
  get parts(): CycleParts {
    this.#parts ??= this.#build();
    return this.#parts;
  }

  #build(): CycleParts {
    const { clock } = this;
    const noted =
      <Given extends unknown[], T>(what: string, work: (...given: Given) => Promise<T>) =>
      (...given: Given) => {
        this.calls.push(what);
        return work(...given);
      };
    const sourceOptions = { clock, random: () => 0, maxBackoffMs: 10_000, onTransition: () => {} };
    return {
      clock,
      config: {
        prefix: "ws-",
        maxAgeMs: 10_000,
        listTimeoutMs: 5_000,
        writeTimeoutMs: 5_000,
        sourcePatienceMs: 750,
        guard: guardConfig,
      },
      store: {
        load: noted("load", async () => {
          const rows = await this.load();
          return { all: new Set(rows.map((row) => row.id)), rows, gone: [], cursor: null };
        }),
        loadOnly: noted("load", async (only: ReadonlySet<WorkspaceId>) =>
          (await this.load()).filter(({ id }) => only.has(id)),
        ),
        save: noted("save", (_: Lease, writes: readonly RowWrite[]) => {
          this.saves.push([...writes]);
          return this.save(writes);
        }),
        report: async () => {},
      },
      leadership: {
        scope: "workspaces",
        acquire: async () => ({ kind: "held", lease, now: this.now(), known: {} }),
        confirm: noted("confirm", (held: Lease) => this.renew(held)),
        renew: noted("renew", (held: Lease) => this.renew(held)),
        release: async () => {},
        now: noted("now", async () => this.now()),
        known: noted("known", async () => this.known),
        remember: noted("remember", async (_: Lease, known: KnownWorld) => {
          this.known = { ...this.known, ...known };
        }),
      },
      wake: { publish: noted("wake", () => this.publish()) },
      engine: {
        listAll: noted("again", async () => (await this.listAgain()).containers),
        listVolumes: noted("again", async () => (await this.listAgain()).volumes),
        explainDeath: noted("inspect", async (containerId: string) => this.explainDeath(containerId)),
      },
      engineSource: new Source(
        "engine",
        noted("engine", () => this.listEngine()),
        {
          ...sourceOptions,
          deadlineMs: 5_000,
        },
      ),
      archiveSource:
        this.archives === null
          ? null
          : new Source(
              "archives",
              noted("archives", () => this.listArchives()),
              {
                ...sourceOptions,
                deadlineMs: 120_000,
              },
            ),
      lookAt: noted("glance", (look: Look) => this.lookAt(look)),
      archivesIdentity: this.archives === null ? null : "bucket",
    };
  }

  memory: CycleMemory = emptyMemory();

  /** Starts a cycle; its report is there once time has moved on far enough. */
  begin(over: Partial<CyclePlan> = {}): { report: CycleReport | null } {
    const running: { report: CycleReport | null } = { report: null };
    const plan = {
      lease,
      kind: "look" as const,
      horizonMs: 10_000,
      stop: new AbortController().signal,
      ...over,
    };
    runCycle(this.parts, this.memory, plan).then((report) => {
      running.report = report;
      this.memory = report.memory;
    });
    this.timeline.advance(0);
    return running;
  }

  /** One whole cycle. */
  cycle(over: Partial<CyclePlan> = {}): CycleReport {
    const running = this.begin(over);
    this.timeline.advance(60_000);
    if (running.report === null) throw new Error("the cycle did not end within a minute");
    return running.report;
  }
}
