// One host of a fleet without its machine: the product's own units, on an Engine and an archive store in memory.
import { openUnits, type Units } from "../../src/commands/run-units.ts";
import { loadConfig } from "../../src/config.ts";
import { limits } from "../../src/observer/limits.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type {
  ArchiveSeen,
  ContainerSeen,
  Engine,
  HintListener,
  HintSource,
  Listing,
  Log,
  Look,
  VolumeSeen,
} from "../../src/observer/ports.ts";
import type { CycleReport } from "../../src/observer/report.ts";
import { describeView } from "../../src/status/describe.ts";
import { wire } from "../../src/wire.ts";
import { archiveKey, PREFIX, volumeName } from "../bench/names.ts";

export type Settings = Readonly<Record<string, string>>;
export type ArchiveListing = Listing<ArchiveSeen>;

const BUCKET = "workspaces";
const BUILD = { version: "bench", commit: "bench" };
const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };

export function archivesOf(ids: readonly string[]): ArchiveListing {
  const archive = (id: string): ArchiveSeen => ({
    key: archiveKey(id),
    sizeBytes: 52_428_800,
    uploadedAt: "2026-01-01T00:00:00.000Z",
  });
  return { byWorkspace: new Map(ids.map((id) => [id as WorkspaceId, archive(id)])), contested: [] };
}

export class Host {
  readonly #containers: Map<WorkspaceId, ContainerSeen>;
  readonly #volumes: Map<WorkspaceId, VolumeSeen>;
  #listener: HintListener | null = null;
  #stop: AbortController | null = null;
  #running: Promise<unknown> = Promise.resolve();
  #units: Units | null = null;
  /** Called with each report of either unit. */
  onReport: (report: CycleReport) => void = () => {};
  faults = 0;
  #isComplete = false;
  #hasLookedAtTable = false;

  constructor(
    readonly name: string,
    readonly ids: readonly string[],
    private readonly archives: ArchiveListing,
    private readonly settings: Settings,
  ) {
    this.#containers = new Map(ids.map((id) => [id as WorkspaceId, containerOf(id, true)]));
    this.#volumes = new Map(ids.map((id) => [id as WorkspaceId, { name: volumeName(id), driver: "local" }]));
  }

  /** A new process of this host, as far as the database can tell: its connections bear its name, not the host's. */
  async start(more: Settings = {}): Promise<void> {
    const instance = `${this.name}-${Math.random().toString(36).slice(2, 8)}`;
    const env = {
      OBSERVER_HOST: this.name,
      OBSERVER_INSTANCE: instance,
      OBSERVER_PREFIX: PREFIX,
      S3_BUCKET: BUCKET,
      AWS_REGION: "us-east-1",
      ...this.settings,
      ...more,
      PGAPPNAME: instance,
    };
    const config = loadConfig(env, () => "", { hostname: this.name, pid: 1, user: "observer" });
    const log: Log = { ...SILENT, warn: this.#note, error: this.#note };
    const world = await wire(config, log, {
      sourcePatienceMs: limits.sourcePatienceMs,
      engine: { engine: this.#engine, events: this.#events },
      archives: {
        listArchives: async () => this.archives,
        head: () => Promise.reject(new Error("Cannot ask for one key: nobody does in a benchmark")),
        destroy: () => {},
      },
    });
    const health = { ...config.cadence, ...config };
    const units = openUnits(config, world, log, {
      onReport: () => (report) => {
        this.#isComplete ||= report.complete !== null;
        this.#hasLookedAtTable ||= report.sources.includes("archives") && report.failures.length === 0;
        this.onReport(report);
      },
      onProgress: () => {},
      describe: (own, sign) => describeView(own, BUILD, health, sign),
    });
    const stop = new AbortController();
    this.#stop = stop;
    this.#units = units;
    this.#running = Promise.all(units.runs.map((run) => run(stop.signal))).finally(() => world.close());
    this.#running.catch((error) => console.error(`${this.name} ended`, error));
  }

  async stop(): Promise<void> {
    this.#stop?.abort();
    await this.#running.catch(() => {});
    this.#units = null;
    this.#isComplete = this.#hasLookedAtTable = false;
  }

  get isTableLeader(): boolean {
    return this.#units?.view().fleet?.table.role === "leader";
  }

  get hasLookedAtTable(): boolean {
    return this.#hasLookedAtTable;
  }

  /** The first look that wrote all it had to is over. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** A container starts or ends, and the Engine's event tells of it. Says which state it has then. */
  change(id: string): ContainerSeen {
    const workspace = id as WorkspaceId;
    const container = containerOf(id, this.#containers.get(workspace)?.state !== "running");
    this.#containers.set(workspace, container);
    this.#listener?.onHint([{ workspace, containerId: container.containerId }]);
    return container;
  }

  readonly #note: Log["warn"] = (event, _message, fields) => {
    this.faults += 1;
    if (this.faults <= 3) console.error(`${this.name}: ${event} ${String(fields?.error ?? "")}`);
  };

  readonly #events: HintSource = {
    listen: async (listener, signal) => {
      this.#listener = listener;
      listener.onUp();
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      this.#listener = null;
    },
  };

  readonly #engine: Engine = {
    info: async () => ({ id: this.name, serverVersion: "bench", apiVersion: "bench", name: this.name }),
    listBoth: async (prefix, look) => ({
      containers: await this.#engine.listAll(prefix, look),
      volumes: await this.#engine.listVolumes(prefix, look),
      engineId: this.name,
    }),
    listAll: async (_, look) => listingOf(this.#containers, look),
    listVolumes: async (_, look) => listingOf(this.#volumes, look),
    explainDeath: async () => null,
  };
}

/** New objects each time, as a parser makes them. */
function listingOf<Seen extends object>(all: ReadonlyMap<WorkspaceId, Seen>, { only }: Look): Listing<Seen> {
  const byWorkspace = new Map<WorkspaceId, Seen>();
  for (const id of only ?? all.keys()) {
    const seen = all.get(id);
    if (seen !== undefined) byWorkspace.set(id, { ...seen });
  }
  return { byWorkspace, contested: [] };
}

const containerOf = (id: string, isRunning: boolean): ContainerSeen => ({
  state: isRunning ? "running" : "exited",
  health: isRunning ? "healthy" : "none",
  exitCode: isRunning ? null : 0,
  containerId: id.replaceAll("-", "").slice(0, 12),
  image: "registry.example.com/workspaces/code-server:4.99.1",
});
