/** Prometheus metrics, in a registry of their own. Labels come from closed sets, never from an Engine or a table. */
import type { ConditionKey } from "../observer/conditions.ts";
import type { HealthConfig } from "../observer/health.ts";
import type { CycleReport, ReportKind, Stage } from "../observer/report.ts";
import type { SourceName } from "../observer/source.ts";
import { type ObserverView, partsOf } from "../observer/view.ts";
import type { BuildInfo } from "./describe.ts";
import {
  fleetMetrics,
  isOfHosts,
  isOfProcess,
  type LastCounts,
  type ViewMetric,
  viewMetrics,
} from "./metrics-of-view.ts";
import { Counter, Gauge, Histogram, Registry } from "./prom-client.ts";

/** One metric as prom-client holds it. A histogram's values are its cumulative buckets (`le`), sums and counts. */
export interface MetricSnapshot {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Record<string, string | number>>;
    readonly metricName?: string;
  }[];
}

export interface Metrics {
  /** Called once after every cycle. @param host whose it was, where there are several, but for the table's unit */
  onReport(report: CycleReport, host?: string | null): void;
  /** The exposition. Everything in it is of one view. */
  text(): Promise<string>;
  /** The same as values. */
  snapshot(): Promise<readonly MetricSnapshot[]>;
  readonly contentType: string;
}

export interface MetricsParts {
  readonly view: () => ObserverView;
  readonly build: BuildInfo;
  readonly health: HealthConfig;
  /** Of a fleet. */
  readonly isMember?: boolean;
  /** Of a process that looks after several Engines; each is then a label of what concerns it alone. */
  readonly hosts?: readonly string[];
}

const STAGES: readonly Stage[] = ["stamp", "list", "load", "inspect", "save", "again", "wake"];
const CYCLES = ["look", "delivery", "glance"] as const satisfies readonly ReportKind[];
/** Conditions of which reality tells when they changed: transitions.ts. */
const TIMED = ["container", "archive"] as const satisfies readonly ConditionKey[];
const SOURCES: readonly SourceName[] = ["engine", "archives"];
/** From one row on a quiet machine to a whole archive listing at its deadline. */
const DURATIONS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
/** From a glance after an event to what happened while nobody looked. */
const LAGS_SECONDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300, 1800];

export function createMetrics({ view, build, health, isMember = false, hosts = [] }: MetricsParts): Metrics {
  const registry = new Registry();
  const hostLabel = hosts.length > 0 ? ["host"] : [];
  const units = [null, ...hosts];
  const ofHost = (host: string | null) => (host === null ? {} : { host });
  const histogram = (
    name: string,
    help: string,
    label: string,
    values: readonly string[],
    buckets = DURATIONS_SECONDS,
  ) => {
    const labelNames = [label, ...hostLabel];
    const made = new Histogram({ name, help, labelNames, buckets, registers: [registry] });
    // A series that exists from the start loses no first increase to rate().
    for (const host of units) for (const value of values) made.zero({ [label]: value, ...ofHost(host) });
    return made;
  };
  const cycles = histogram("observer_cycle_duration_seconds", "Duration of cycles.", "kind", CYCLES);
  const stages = histogram(
    "observer_stage_duration_seconds",
    "Duration of the stages of a cycle; of a stage that comes twice in one cycle, the sum.",
    "stage",
    STAGES,
  );
  const stageFailures = new Counter({
    name: "observer_stage_failures_total",
    help: "Failures by the stage of the cycle; a source's own failures are in observer_source_failures_total.",
    labelNames: ["stage", ...hostLabel],
    registers: [registry],
  });
  for (const host of units) for (const stage of STAGES) stageFailures.inc({ stage, ...ofHost(host) }, 0);
  const listings = histogram(
    "observer_source_listing_duration_seconds",
    "Duration of completed listings.",
    "source",
    [],
  );
  const lags = histogram(
    "observer_change_lag_seconds",
    "From a change of the world to the row that tells it, where the world tells its time.",
    "kind",
    TIMED,
    LAGS_SECONDS,
  );
  const moving = new Counter({
    name: "observer_rows_moving_total",
    help: "Rows left for the next look: their container and volume still moved at the second look.",
    labelNames: hostLabel,
    registers: [registry],
  });
  const ofView = [...viewMetrics, ...(isMember ? fleetMetrics : [])].map((metric) => ({
    metric,
    write: writer(metric, isOfProcess(metric.name) ? [] : hostLabel, registry),
  }));

  const counts = new Map<string | null, LastCounts>();
  const countsOf = (host: string | null): LastCounts => counts.get(host) ?? NOTHING_COUNTED;
  const successesSeen = new Map<string, number>();

  /** A source's health stands still until its next listing, however often it is read: the count tells. */
  const observeListings = (now: ObserverView) => {
    for (const { host, view: part } of partsOf(now))
      for (const source of SOURCES) {
        const seen = part.sources[source];
        if (seen === null) continue;
        const labels = { source, ...ofHost(host) };
        const key = JSON.stringify(labels);
        if (!successesSeen.has(key)) listings.zero(labels);
        const isNew = seen.successes > (successesSeen.get(key) ?? 0);
        successesSeen.set(key, seen.successes);
        if (isNew && seen.lastDurationMs !== null) listings.observe(labels, seen.lastDurationMs / 1000);
      }
  };

  const readView = () => {
    const now = view();
    observeListings(now);
    const scrapeOf = (host: string | null, part: ObserverView) => ({
      host,
      scrape: { view: part, build, health, last: countsOf(host) },
    });
    const whole = [scrapeOf(null, now)];
    const all = partsOf(now).map((part) => scrapeOf(part.host, part.view));
    const ofHosts = now.parts === undefined ? all : all.filter(({ host }) => host !== null);
    for (const { metric, write } of ofView) {
      const told = isOfProcess(metric.name) ? whole : isOfHosts(metric.name) ? ofHosts : all;
      write(
        told.flatMap(({ host, scrape }) =>
          metric.read(scrape).map((sample) => (host === null ? sample : ([...sample, host] as const))),
        ),
      );
    }
  };

  return {
    contentType: registry.contentType,
    onReport(report, host = null) {
      const whose = ofHost(host);
      cycles.observe({ kind: report.kind, ...whose }, report.durationMs / 1000);
      for (const [stage, ms] of Object.entries(report.stagesMs))
        stages.observe({ stage, ...whose }, ms / 1000);
      for (const { stage } of report.failures) stageFailures.inc({ stage, ...whose });
      for (const { key, lagMs } of report.changes) {
        // Clocks that differ make it negative, and a sum that falls is a restart to rate().
        if (lagMs !== null) lags.observe({ kind: key, ...whose }, Math.max(0, lagMs) / 1000);
      }
      moving.inc(whose, report.counts.moving);
      const before = countsOf(host);
      counts.set(host, {
        contested: report.sources.includes("engine") ? report.contested.length : before.contested,
        // Null there means that the rows could not be read, and the count of zero beside it says nothing.
        workspaces: report.operationInFlight === null ? before.workspaces : report.counts.rows,
        resources: {
          container: report.counts.containers ?? before.resources.container,
          volume: report.counts.volumes ?? before.resources.volume,
          archive: report.counts.archives ?? before.resources.archive,
        },
      });
      // No glance lists everything, and there may be many a second.
      if (report.kind !== "glance") observeListings(view());
    },
    text() {
      readView();
      return registry.metrics();
    },
    async snapshot() {
      readView();
      return (await registry.getMetricsAsJSON()) as unknown as MetricSnapshot[];
    },
  };
}

const NOTHING_COUNTED: LastCounts = {
  workspaces: null,
  contested: null,
  resources: { container: null, volume: null, archive: null },
};

type Samples = ReturnType<ViewMetric["read"]>;

/** Registers a metric, and answers the function that replaces all its samples. */
function writer(
  { name, help, type, labels: own }: ViewMetric,
  hostLabel: readonly string[],
  registry: Registry,
): (samples: Samples) => void {
  const labels = [...own, ...hostLabel];
  const options = { name, help, labelNames: labels, registers: [registry] };
  const made = type === "gauge" ? new Gauge(options) : new Counter(options);
  return (samples) => {
    made.reset();
    // A reset leaves a zero where there are no labels; nothing known is nothing shown.
    if (labels.length === 0) made.remove();
    for (const [value, ...values] of samples) {
      if (value === null) continue;
      // The table's unit has no host.
      const known = labels.filter((_, index) => values[index] !== undefined);
      const named = Object.fromEntries(known.map((label, index) => [label, values[index] ?? ""]));
      if (made instanceof Gauge) made.set(named, value);
      else made.inc(named, value);
    }
  };
}
