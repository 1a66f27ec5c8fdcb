/** What an instance says of itself, in `/status` and in its row of `observer_status`: docs/status-endpoint.md. */
import type { JsonObject } from "../observer/conditions.ts";
import type { HealthConfig } from "../observer/health.ts";
import { formatInstant } from "../observer/instant.ts";
import { limits } from "../observer/limits.ts";
import type { CycleReport } from "../observer/report.ts";
import type { SourceHealth } from "../observer/source.ts";
import type { LinkHealth, ObserverView, PartView } from "../observer/view.ts";
import { errorText, publicText } from "./error-text.ts";
import { describeFleet } from "./fleet-view.ts";
import { type Item, judge } from "./judgement.ts";

export interface BuildInfo {
  readonly version: string;
  /** `unknown` where it was not built from a checkout. */
  readonly commit: string;
}

/** Of the containers that exited, so many are told; the rest is counted. */
const MOST_DEATHS = 20;

/**
 * @param sign of a host in a fleet, instead of what it knows of the others
 *
 * Bounded whatever the world holds: lists name the first hundred and count the rest, error texts are cut.
 * Ages are null for what never happened. Keys are stable; adding one is a minor version.
 */
export function describeView(
  view: ObserverView,
  build: BuildInfo,
  health: HealthConfig,
  sign?: JsonObject,
): JsonObject {
  const age = (atMs: number | null) => (atMs === null ? null : roundMs(view.nowMs - atMs));
  const { state, headline, items } = judge(view, health);
  const describeItem = ({ what, sinceMs, detail, advice }: Item): JsonObject => ({
    what: publicText(what),
    since_ms: age(sinceMs),
    detail: detail === null ? null : publicText(detail),
    advice: publicText(advice),
  });
  return {
    instance: view.instance,
    version: build.version,
    commit: build.commit,
    role: view.role,
    leader: view.leader,
    epoch: view.epoch,
    uptime_ms: age(view.startedMs),
    progress_age_ms: age(view.progressMs),
    last_commit_age_ms: age(view.lastCommitMs),
    cadence: {
      mode: view.cadence.mode,
      next_in_ms: view.cadence.nextInMs === null ? null : roundMs(view.cadence.nextInMs),
    },
    sources: mapValues(view.sources, (source) => source && describeSource(source, age(source.lastSuccessMs))),
    links: mapValues(view.links, (link) => describeLink(link, age(link.sinceMs))),
    last_cycle: view.lastCycle && describeCycle(view.lastCycle),
    totals: snakeKeys(view.totals),
    orphans: mapValues(view.orphans, named),
    held: mapValues(view.held, named),
    foreign: mapValues(view.foreign, (foreign) => foreign && { known: foreign.known, seen: foreign.seen }),
    ...(view.parts && { engines: describeEngines(view.parts, age) }),
    ...(sign !== undefined ? { fleet: sign } : view.fleet ? { fleet: describeFleet(view.fleet) } : {}),
    deaths: {
      count: view.deaths.length,
      latest: view.deaths.slice(-MOST_DEATHS).map((death) => ({
        workspace: death.workspaceId,
        container_id: death.containerId,
        oom_killed: death.oomKilled,
        exit_code: death.exitCode,
        error: publicText(death.error),
        finished_at: death.finishedAt,
        restart_count: death.restartCount,
        learnt_age_ms: age(death.learntMs),
      })),
    },
    verdict: { state, headline: publicText(headline), findings: items.map(describeItem) },
  };
}

/** By host, where one process looks after several. */
const describeEngines = (
  parts: readonly PartView[],
  age: (atMs: number | null) => number | null,
): JsonObject =>
  Object.fromEntries(
    parts.flatMap(({ host, view }) => {
      if (host === null) return [];
      const { engine } = view.sources;
      const { events } = view.links;
      const described: JsonObject = {
        role: view.role,
        leader: view.leader,
        epoch: view.epoch,
        progress_age_ms: age(view.progressMs),
        last_commit_age_ms: age(view.lastCommitMs),
        source: engine && describeSource(engine, age(engine.lastSuccessMs)),
        events: describeLink(events, age(events.sinceMs)),
        last_cycle: view.lastCycle && describeCycle(view.lastCycle),
        foreign: view.foreign.engine && { known: view.foreign.engine.known, seen: view.foreign.engine.seen },
      };
      return [[host, described]];
    }),
  );

const describeSource = (source: SourceHealth, lastSuccessAgeMs: number | null): JsonObject => ({
  in_flight: source.inFlight,
  last_success_age_ms: lastSuccessAgeMs,
  /** The database's clock before the listing; also in the rows, as `observed`. */
  last_success_stamp: source.lastSuccessStamp === null ? null : formatInstant(source.lastSuccessStamp),
  last_duration_ms: source.lastDurationMs === null ? null : roundMs(source.lastDurationMs),
  last_error: source.lastError === null ? null : publicText(source.lastError),
  consecutive_failures: source.consecutiveFailures,
  successes: source.successes,
  failures: source.failures,
});

const describeLink = (link: LinkHealth, sinceAgeMs: number | null): JsonObject => ({
  up: link.up,
  since_ms: link.up === null ? null : sinceAgeMs,
  last_error: link.lastError === null ? null : publicText(link.lastError),
  failures: link.failures,
});

const describeCycle = (report: CycleReport): JsonObject => ({
  kind: report.kind,
  stamp: report.stamp === null ? null : formatInstant(report.stamp),
  duration_ms: roundMs(report.durationMs),
  stages_ms: mapValues(report.stagesMs, (ms) => roundMs(ms)),
  sources: [...report.sources],
  counts: snakeKeys(report.counts),
  contested: named(report.contested),
  operation_in_flight: report.operationInFlight,
  lease_lost: report.leaseLost,
  woke: report.woke,
  wake_owed: report.memory.wake.isOwed,
  // A cycle has a handful of stages, and each fails once or twice: no bound is needed.
  failures: report.failures.map(({ stage, cause }) => ({ stage, error: errorText(cause) })),
});

const named = (ids: readonly string[]): JsonObject => ({
  count: ids.length,
  workspaces: ids.slice(0, limits.orphansNamed),
});

const roundMs = (ms: number): number => Math.round(ms * 10) / 10;

function mapValues<K extends string, V, R>(
  record: Readonly<Partial<Record<K, V>>>,
  change: (value: V) => R,
): { [key: string]: R } {
  return Object.fromEntries(
    Object.entries<V>(record as Record<K, V>).map(([key, value]) => [key, change(value)]),
  );
}

const snakeKeys = <T extends { readonly [K in keyof T]: number | null }>(record: T): JsonObject =>
  Object.fromEntries(
    Object.entries<number | null>(record).map(([key, value]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  );
