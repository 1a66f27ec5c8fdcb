/**
 * The metrics that are read from the view at scrape time: gauges, and counters whose totals the loop keeps.
 *
 * Ages rather than `_timestamp_seconds`, against the usual advice, for two reasons. The loop's times are those of
 * the monotonic clock, and made into timestamps they would jump with the wall clock and raise false alarms. And
 * the usual objection, that an age stands still when its owner hangs, doesn't hold: it is computed at the scrape.
 */
import type { GivenUp } from "../observer/glances.ts";
import { type HealthConfig, isLive, isReady } from "../observer/health.ts";
import type { ResourceKind } from "../observer/orphans.ts";
import type { SourceName } from "../observer/source.ts";
import type { LinkName, ObserverView } from "../observer/view.ts";
import type { BuildInfo } from "./describe.ts";
import { cpuSeconds, maxFds, openFds, processStartSeconds, residentBytes } from "./process-metrics.ts";

/** Numbers of the last cycle that knew them; a cycle without a listing says nothing about resources. */
export interface LastCounts {
  readonly workspaces: number | null;
  readonly contested: number | null;
  readonly resources: Readonly<Record<ResourceKind, number | null>>;
}

export interface Scrape {
  readonly view: ObserverView;
  readonly build: BuildInfo;
  readonly health: HealthConfig;
  readonly last: LastCounts;
}

export interface ViewMetric {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly labels: readonly string[];
  /** One sample per set of labels, in the order of `labels`; a value of null is left out. */
  readonly read: (scrape: Scrape) => readonly (readonly [value: number | null, ...labels: string[]])[];
}

/** What a process that looks after several Engines tells once. The rest it tells of each unit. */
export const isOfProcess = (name: string): boolean =>
  /^(process_.*|observer_(build_info|live|ready|idle_interval_seconds|fleet_hosts))$/.test(name);
/** What of the table's unit would be taken for a host's: in most processes that one stands by. */
export const isOfHosts = (name: string): boolean => name === "observer_is_leader";

const KINDS = ["container", "volume", "archive"] as const satisfies readonly ResourceKind[];
const LINKS = ["database", "channel", "events", "wake", "transitions"] as const satisfies readonly LinkName[];
const GIVEN_UP = ["doubted", "crowded", "unfinished"] as const satisfies readonly (keyof GivenUp)[];
const SOURCES = ["engine", "archives"] as const satisfies readonly SourceName[];

/** An instance that stands by looks at nothing: what it once saw must not be taken for the present. */
const leads = ({ role }: ObserverView): boolean => role === "leader" || role === "disconnected";

/** What never happened is infinitely long ago, so that an alert's threshold is passed by it as well. */
const ageSeconds = (view: ObserverView, atMs: number | null): number =>
  atMs === null ? Number.POSITIVE_INFINITY : (view.nowMs - atMs) / 1000;

const gauge = (
  name: string,
  help: string,
  labels: readonly string[],
  read: ViewMetric["read"],
): ViewMetric => ({ name, type: "gauge", help, labels, read });

const counter = (
  name: string,
  help: string,
  labels: readonly string[],
  read: ViewMetric["read"],
): ViewMetric => ({ name, type: "counter", help, labels, read });

const total = (name: string, key: keyof ObserverView["totals"], help: string): ViewMetric =>
  counter(name, help, [], ({ view }) => [[view.totals[key]]]);

const ofSources =
  (read: (health: NonNullable<ObserverView["sources"]["engine"]>, view: ObserverView) => number | null) =>
  ({ view }: Scrape) =>
    SOURCES.map((name) => {
      const health = view.sources[name];
      return [health === null ? null : read(health, view), name] as const;
    });

/** What no source of this one shows is left out: zero would claim that there are none. */
const ofKinds = (read: (scrape: Scrape, kind: ResourceKind) => number | null) => (scrape: Scrape) =>
  KINDS.map((kind) => {
    const source = kind === "archive" ? "archives" : "engine";
    const known = leads(scrape.view) && scrape.view.sources[source] !== null;
    return [known ? read(scrape, kind) : null, kind] as const;
  });

export const viewMetrics: readonly ViewMetric[] = [
  gauge(
    "observer_build_info",
    "Version and commit of this executable; always 1.",
    ["version", "commit"],
    ({ build }) => [[1, build.version, build.commit]],
  ),
  gauge(
    "observer_is_leader",
    "1 while this instance holds the lease and may write, otherwise 0.",
    [],
    ({ view }) => [[view.role === "leader" ? 1 : 0]],
  ),
  total("observer_takeovers_total", "takeovers", "Times this instance took the lease."),
  gauge("observer_live", "1 while /healthz answers 200, otherwise 0.", [], ({ view, health }) => [
    [Number(isLive(view, health).ok)],
  ]),
  gauge("observer_ready", "1 while /readyz answers 200, otherwise 0.", [], ({ view, health }) => [
    [Number(isReady(view, health).ok)],
  ]),
  gauge(
    "observer_idle_interval_seconds",
    "OBSERVER_IDLE_INTERVAL: what the ages are to be measured by.",
    [],
    ({ health }) => [[health.idleIntervalMs / 1000]],
  ),
  gauge(
    "observer_progress_age_seconds",
    "Time since a cycle, a stand-by check, or a page of rows last came to its end, whatever it found.",
    [],
    ({ view }) => [[ageSeconds(view, view.progressMs ?? view.startedMs)]],
  ),
  gauge(
    "observer_last_commit_age_seconds",
    "Time since a cycle last read and wrote the database without a failure; only while leading.",
    [],
    ({ view }) => [[leads(view) ? ageSeconds(view, view.lastCommitMs) : null]],
  ),
  gauge(
    "observer_source_up",
    "1 while the last listing completed, 0 while listings fail; absent before the first. Only while leading.",
    ["source"],
    (scrape) =>
      ofSources(({ successes, failures, consecutiveFailures }, view) =>
        leads(view) && successes + failures > 0 ? Number(consecutiveFailures === 0) : null,
      )(scrape),
  ),
  gauge(
    "observer_link_up",
    "1 up, 0 down; absent until it was first tried; wake and transitions only while leading.",
    ["link"],
    ({ view }) =>
      LINKS.map((link) => {
        const { up } = view.links[link];
        return [up === null ? null : Number(up), link] as const;
      }),
  ),
  gauge(
    "observer_source_last_success_age_seconds",
    "Time since the last completed listing; +Inf before the first; only while leading.",
    ["source"],
    ofSources((health, view) => (leads(view) ? ageSeconds(view, health.lastSuccessMs) : null)),
  ),
  counter(
    "observer_source_successes_total",
    "Completed listings.",
    ["source"],
    ofSources(({ successes }) => successes),
  ),
  counter(
    "observer_source_failures_total",
    "Listings that failed or ran into their deadline.",
    ["source"],
    ofSources(({ failures }) => failures),
  ),
  total("observer_rows_changed_total", "changed", "Rows written because a condition changed."),
  total("observer_rows_stamped_total", "stamped", "Rows written for their freshness alone."),
  total(
    "observer_rows_skipped_total",
    "skipped",
    "Rows left for the next look: locked by somebody else, or gone.",
  ),
  total("observer_rows_fenced_total", "fenced", "Rows not written: they hold a newer observation."),
  total(
    "observer_drift_repaired_total",
    "driftRepaired",
    "Rows restored after somebody else had edited conditions or observed_at.",
  ),
  counter("observer_hints_total", "Hints heard.", ["source"], ({ view }) => [
    [view.totals.hints, "channel"],
    [view.totals.events, "events"],
  ]),
  total("observer_hints_coalesced_total", "coalesced", "Hints that came while a look was already asked for."),
  counter(
    "observer_glances_given_up_total",
    "Events that were left to a whole look; of unfinished ones, the glances.",
    ["reason"],
    ({ view }) => GIVEN_UP.map((reason) => [view.glancesGivenUp[reason], reason]),
  ),
  total("observer_wakeups_total", "wakeUps", "Wake-ups published."),
  gauge("observer_workspaces", "Rows that are observed; only while leading.", [], ({ view, last }) => [
    [leads(view) ? last.workspaces : null],
  ]),
  gauge(
    "observer_contested_workspaces",
    "Workspaces that more than one resource claims, in the Engine's last listing; only while leading.",
    [],
    ({ view, last }) => [[leads(view) ? last.contested : null]],
  ),
  gauge(
    "observer_resources",
    "Workspaces of which the last completed listing shows a resource, with or without a row.",
    ["kind"],
    ofKinds(({ last }, kind) => last.resources[kind]),
  ),
  gauge(
    "observer_orphans",
    "Resources without a row, listed again after the rows were read.",
    ["kind"],
    ofKinds(({ view }, kind) => view.orphans[kind].length),
  ),
  gauge(
    "observer_guard_held",
    "Absences that the sudden-emptiness guard holds back.",
    ["kind"],
    ofKinds(({ view }, kind) => view.held[kind].length),
  ),
  gauge(
    "observer_world_changed",
    "1 while a source is another one than the table was written from, and its absences are held back.",
    ["source"],
    ({ view }) =>
      SOURCES.map((source) => {
        const known = leads(view) && view.sources[source] !== null;
        return [known ? Number(view.foreign[source] !== null) : null, source] as const;
      }),
  ),
  counter("process_cpu_seconds_total", "User and system CPU time.", [], () => [[cpuSeconds()]]),
  gauge("process_resident_memory_bytes", "Resident memory.", [], () => [[residentBytes()]]),
  gauge("process_open_fds", "Open file descriptors.", [], () => [[openFds()]]),
  gauge("process_max_fds", "Most file descriptors that may be open.", [], () => [[maxFds()]]),
  gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", [], () => [
    [processStartSeconds],
  ]),
];

/** Of a member of a fleet, in addition. */
export const fleetMetrics: readonly ViewMetric[] = [
  gauge(
    "observer_host_contested_workspaces",
    "In a fleet, workspaces that this host has as well, but another one's word stands for; only while leading.",
    [],
    ({ view }) => [[leads(view) && view.sources.engine !== null ? (view.rivals?.size ?? 0) : null]],
  ),
  gauge(
    "observer_fleet_hosts",
    "In a fleet, the registered hosts, as this one last read them: those that give signs, and those that are lost.",
    ["state"],
    ({ view }) =>
      (["present", "lost"] as const).map((state) => {
        const these = view.fleet?.hosts?.filter(({ isLost }) => isLost === (state === "lost"));
        return [these?.length ?? null, state] as const;
      }),
  ),
];
