// createMetrics(): the Prometheus exposition. Goal: valid text, values that are the view's at the scrape, nothing
// counted twice, nothing shown that is not known, and a bounded set of series. Method: views and reports as the loop
// gives them, read back through a strict parser of the text format.
import { describe, expect, test } from "bun:test";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type { ObserverView } from "../../src/observer/view.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { parseExposition, sampleValue } from "./status-exposition.ts";
import {
  build,
  disconnectedView,
  health,
  holdingView,
  leaderView,
  nowMs,
  report,
  source,
  staleArchivesView,
  stamp,
  standbyView,
} from "./status-fixtures.ts";

function metricsOf(first: ObserverView) {
  let view = first;
  const metrics = createMetrics({ view: () => view, build, health });
  return {
    metrics,
    text: () => metrics.text(),
    become: (next: ObserverView) => {
      view = next;
    },
  };
}

describe("createMetrics()", () => {
  test("needs no view before the first scrape, since the loop is made after it", async () => {
    let view: ObserverView | null = null;
    const metrics = createMetrics({ view: () => view!, build, health });
    view = leaderView();
    expect(sampleValue(await metrics.text(), "observer_is_leader")).toBe(1);
  });

  test("writes the Prometheus text format, with help, type and units by convention", async () => {
    const { metrics, text } = metricsOf(leaderView());
    metrics.onReport(report());
    const families = parseExposition(await text());
    expect(metrics.contentType).toStartWith("text/plain; version=0.0.4");
    expect(families.size).toBeGreaterThan(25);
    for (const [name, { type, help, samples }] of families) {
      expect(name).toMatch(/^(observer|process)_/);
      expect(help).toEndWith(".");
      expect(name.endsWith("_total")).toBe(type === "counter");
      expect(samples.length).toBeGreaterThan(0);
    }
  });

  test("shows a leader's view as it is at the scrape", async () => {
    const { text, become } = metricsOf(leaderView());
    const first = await text();
    expect(sampleValue(first, "observer_build_info", { version: "1.2.3", commit: "abc1234" })).toBe(1);
    expect(sampleValue(first, "observer_is_leader")).toBe(1);
    expect(sampleValue(first, "observer_progress_age_seconds")).toBe(1.2);
    expect(sampleValue(first, "observer_last_commit_age_seconds")).toBe(1.2);
    expect(sampleValue(first, "observer_source_last_success_age_seconds", { source: "engine" })).toBe(1.25);
    expect(sampleValue(first, "observer_source_successes_total", { source: "engine" })).toBe(30);
    expect(sampleValue(first, "observer_source_failures_total", { source: "archives" })).toBe(2);
    expect(sampleValue(first, "observer_rows_changed_total")).toBe(11);
    expect(sampleValue(first, "observer_rows_stamped_total")).toBe(400);
    expect(sampleValue(first, "observer_rows_skipped_total")).toBe(5);
    expect(sampleValue(first, "observer_rows_fenced_total")).toBe(2);
    expect(sampleValue(first, "observer_hints_total", { source: "channel" })).toBe(40);
    expect(sampleValue(first, "observer_hints_total", { source: "events" })).toBe(50);
    expect(sampleValue(first, "observer_hints_coalesced_total")).toBe(13);
    expect(sampleValue(first, "observer_wakeups_total")).toBe(9);
    expect(sampleValue(first, "observer_takeovers_total")).toBe(1);
    expect(sampleValue(first, "observer_link_up", { link: "database" })).toBe(1);

    become(leaderView({ nowMs: nowMs + 60_000 }));
    const later = await text();
    // A loop that hangs changes nothing but its ages.
    expect(sampleValue(later, "observer_progress_age_seconds")).toBe(61.2);
    expect(sampleValue(later, "observer_source_last_success_age_seconds", { source: "engine" })).toBe(61.25);
    expect(sampleValue(later, "observer_rows_changed_total")).toBe(11);
  });

  test("times cycles and stages from reports, in seconds", async () => {
    const { metrics, text } = metricsOf(leaderView());
    metrics.onReport(report({ durationMs: 100 }));
    metrics.onReport(report({ durationMs: 300, stagesMs: { list: 250 } }));
    metrics.onReport(report({ kind: "delivery", durationMs: 20, stagesMs: {} }));
    const shown = await text();
    expect(sampleValue(shown, "observer_cycle_duration_seconds_count", { kind: "look" })).toBe(2);
    expect(sampleValue(shown, "observer_cycle_duration_seconds_sum", { kind: "look" })).toBeCloseTo(0.4);
    expect(sampleValue(shown, "observer_cycle_duration_seconds_count", { kind: "delivery" })).toBe(1);
    expect(sampleValue(shown, "observer_stage_duration_seconds_count", { stage: "list" })).toBe(2);
    expect(sampleValue(shown, "observer_stage_duration_seconds_count", { stage: "again" })).toBe(0);
  });

  test("counts a listing once, however often its source is looked at", async () => {
    const { metrics, text, become } = metricsOf(leaderView());
    const listings = async () =>
      sampleValue(await text(), "observer_source_listing_duration_seconds_count", { source: "engine" });
    metrics.onReport(report());
    metrics.onReport(report({ kind: "delivery" }));
    expect(await listings()).toBe(1);
    expect(await listings()).toBe(1);
    become(leaderView({ sources: { engine: source({ successes: 31, failures: 3 }), archives: null } }));
    expect(await listings()).toBe(2);
    become(leaderView({ sources: { engine: source({ successes: 31, failures: 4 }), archives: null } }));
    metrics.onReport(report());
    expect(await listings()).toBe(2);
  });

  test("times glances too, from the first scrape on", async () => {
    const { metrics, text } = metricsOf(leaderView());
    const glances = async () =>
      sampleValue(await text(), "observer_cycle_duration_seconds_count", { kind: "glance" });
    expect(await glances()).toBe(0);
    metrics.onReport(report({ kind: "glance", durationMs: 4 }));
    expect(await glances()).toBe(1);
    const shown = await text();
    for (const [reason, count] of [
      ["doubted", 3],
      ["crowded", 2],
      ["unfinished", 1],
    ] as const)
      expect(sampleValue(shown, "observer_glances_given_up_total", { reason })).toBe(count);
  });

  test("measures the lag of changes whose time is known, and never below zero", async () => {
    const { metrics, text } = metricsOf(leaderView());
    const change = (key: "container" | "volume" | "archive", lagMs: number | null) => ({
      workspaceId: "secret-id" as WorkspaceId,
      key,
      from: { reason: "Running", message: "" },
      to: { reason: "Exited", message: "" },
      at: stamp,
      details: {},
      lagMs,
    });
    metrics.onReport(
      report({
        changes: [
          change("container", 200),
          change("container", -900),
          change("volume", null),
          change("archive", 4_000),
        ],
      }),
    );
    const shown = await text();
    const lag = (suffix: string, labels: Record<string, string>) =>
      parseExposition(shown)
        .get("observer_change_lag_seconds")
        ?.samples.find(
          ({ name, labels: real }) =>
            name.endsWith(suffix) && Object.entries(labels).every(([key, value]) => real[key] === value),
        )?.value;
    expect(lag("_count", { kind: "container" })).toBe(2);
    expect(lag("_sum", { kind: "container" })).toBeCloseTo(0.2);
    expect(lag("_bucket", { kind: "container", le: "0.025" })).toBe(1);
    expect(lag("_count", { kind: "archive" })).toBe(1);
    expect(lag("_bucket", { kind: "archive", le: "2.5" })).toBe(0);
    expect(lag("_bucket", { kind: "archive", le: "5" })).toBe(1);
    expect(shown).not.toContain("secret-id");
  });

  test("counts rows that still moved, and knows who is contested until the next Engine listing", async () => {
    const { metrics, text } = metricsOf(leaderView());
    expect(sampleValue(await text(), "observer_contested_workspaces")).toBeUndefined();
    const { counts } = report();
    metrics.onReport(report({ counts: { ...counts, moving: 2 }, contested: ["a" as WorkspaceId] }));
    metrics.onReport(report({ counts: { ...counts, moving: 1 }, sources: ["archives"] }));
    const shown = await text();
    expect(sampleValue(shown, "observer_rows_moving_total")).toBe(3);
    expect(sampleValue(shown, "observer_contested_workspaces")).toBe(1);
    metrics.onReport(report());
    expect(sampleValue(await text(), "observer_contested_workspaces")).toBe(0);
  });

  test("gives the verdicts of the probes, and what ages are to be measured by", async () => {
    const well = await metricsOf(leaderView()).text();
    expect(sampleValue(well, "observer_live")).toBe(1);
    expect(sampleValue(well, "observer_ready")).toBe(1);
    expect(sampleValue(well, "observer_idle_interval_seconds")).toBe(10);
    const stale = await metricsOf(staleArchivesView()).text();
    expect(sampleValue(stale, "observer_live")).toBe(1);
    expect(sampleValue(stale, "observer_ready")).toBe(0);
    const stuck = await metricsOf(leaderView({ progressMs: nowMs - 3_600_000 })).text();
    expect(sampleValue(stuck, "observer_live")).toBe(0);
  });

  test("counts failures by stage", async () => {
    const { metrics, text } = metricsOf(leaderView());
    metrics.onReport(report({ failures: [{ stage: "save", cause: new Error("secret detail") }] }));
    const shown = await text();
    expect(sampleValue(shown, "observer_stage_failures_total", { stage: "save" })).toBe(1);
    expect(sampleValue(shown, "observer_stage_failures_total", { stage: "load" })).toBe(0);
    expect(shown).not.toContain("secret detail");
  });

  test("keeps the last known numbers where a cycle saw none", async () => {
    const { metrics, text } = metricsOf(leaderView());
    expect(sampleValue(await text(), "observer_workspaces")).toBeUndefined();
    metrics.onReport(report());
    const { counts } = report();
    metrics.onReport(
      report({
        operationInFlight: null,
        counts: { ...counts, rows: 0, containers: null, volumes: null, archives: 4 },
      }),
    );
    const shown = await text();
    expect(sampleValue(shown, "observer_workspaces")).toBe(100);
    expect(sampleValue(shown, "observer_resources", { kind: "container" })).toBe(90);
    expect(sampleValue(shown, "observer_resources", { kind: "volume" })).toBe(95);
    expect(sampleValue(shown, "observer_resources", { kind: "archive" })).toBe(4);
  });

  test("an instance that stands by claims nothing about the world", async () => {
    const { metrics, text, become } = metricsOf(leaderView());
    metrics.onReport(report());
    become(standbyView({ orphans: holdingView().held, held: holdingView().held }));
    const shown = await text();
    expect(sampleValue(shown, "observer_is_leader")).toBe(0);
    expect(sampleValue(shown, "observer_progress_age_seconds")).toBe(1.2);
    for (const name of ["observer_workspaces", "observer_last_commit_age_seconds"]) {
      expect(sampleValue(shown, name)).toBeUndefined();
    }
    for (const name of ["observer_resources", "observer_orphans", "observer_guard_held"]) {
      expect(parseExposition(shown).get(name)?.samples).toEqual([]);
    }
    expect(parseExposition(shown).get("observer_source_last_success_age_seconds")?.samples).toEqual([]);
    // Not tried yet is neither up nor down.
    expect(sampleValue(shown, "observer_link_up", { link: "wake" })).toBeUndefined();
    expect(sampleValue(shown, "observer_source_failures_total", { source: "archives" })).toBeUndefined();
  });

  test("a leader that lost the database is no leader, and its ages go on", async () => {
    const shown = await metricsOf(disconnectedView()).text();
    expect(sampleValue(shown, "observer_is_leader")).toBe(0);
    expect(sampleValue(shown, "observer_link_up", { link: "database" })).toBe(0);
    expect(sampleValue(shown, "observer_last_commit_age_seconds")).toBe(9);
  });

  test("what never happened passes every threshold", async () => {
    const never = source({ lastSuccessMs: null, successes: 0, lastDurationMs: null });
    const view = leaderView({
      sources: { engine: never, archives: null },
      lastCommitMs: null,
      progressMs: null,
    });
    const shown = await metricsOf(view).text();
    expect(sampleValue(shown, "observer_source_last_success_age_seconds", { source: "engine" })).toBe(
      Number.POSITIVE_INFINITY,
    );
    expect(sampleValue(shown, "observer_last_commit_age_seconds")).toBe(Number.POSITIVE_INFINITY);
    expect(sampleValue(shown, "observer_progress_age_seconds")).toBe(3600);
  });

  test("shows stale sources and what the guard holds", async () => {
    const stale = await metricsOf(staleArchivesView()).text();
    expect(sampleValue(stale, "observer_source_last_success_age_seconds", { source: "archives" })).toBe(900);
    expect(sampleValue(stale, "observer_source_last_success_age_seconds", { source: "engine" })).toBe(1.25);
    const holding = await metricsOf(holdingView()).text();
    expect(sampleValue(holding, "observer_guard_held", { kind: "container" })).toBe(6);
    expect(sampleValue(holding, "observer_guard_held", { kind: "archive" })).toBe(0);
  });

  test("no number of workspaces makes more series, and no name of one gets into them", async () => {
    const { metrics, text, become } = metricsOf(leaderView());
    metrics.onReport(report());
    const before = (await text()).split("\n").length;
    const ids = Array.from({ length: 5_000 }, (_, index) => `workspace-${index}`);
    become(leaderView({ orphans: { container: ids, volume: ids, archive: ids } }));
    const after = await text();
    expect(after.split("\n").length).toBe(before);
    expect(after).not.toContain("workspace-");
    expect(sampleValue(after, "observer_orphans", { kind: "volume" })).toBe(5_000);
  });

  test("shows the process by the conventional names", async () => {
    const shown = await metricsOf(leaderView()).text();
    expect(sampleValue(shown, "process_resident_memory_bytes")).toBeGreaterThan(1e6);
    expect(sampleValue(shown, "process_cpu_seconds_total")).toBeGreaterThan(0);
    expect(sampleValue(shown, "process_open_fds")).toBeGreaterThan(2);
    expect(sampleValue(shown, "process_max_fds")).toBeGreaterThan(2);
    expect(sampleValue(shown, "process_start_time_seconds")).toBeGreaterThan(1.6e9);
  });
});
