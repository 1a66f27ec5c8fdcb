// packaging/grafana/observer.json. Goal: every panel asks for series and labels that the program shows, for one job and the
// chosen instances, and says what it shows. Method: reads the dashboard and compares it with the exposition. That every query
// has an answer, test/e2e/observer-prometheus.test.ts proves on a real Prometheus.
import { describe, expect, test } from "bun:test";
import { isOfProcess } from "../../src/status/metrics-of-view.ts";
import { interpolate, type Panel, readDashboard } from "../packaging.ts";
import { namesIn } from "../promql.ts";
import { OF_THE_TARGET, realSeries } from "./status-series.ts";

const { panels, templating } = readDashboard();
const shown = panels.filter(({ type }) => type !== "row").map((panel) => [panel.title, panel] as const);
const variables = { job: "observer", instance: ".*", datasource: "x", __rate_interval: "1m" };

describe("dashboard", () => {
  test("has a row for each subject, and panels without holes or overlaps", () => {
    const rows = panels.filter(({ type }) => type === "row").map(({ title }) => title);
    expect(rows).toEqual([
      "Overview",
      "Looks",
      "Sources",
      "Rows",
      "Hints, events and glances",
      "Lag",
      "Process",
    ]);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { gridPos, title } of panels) {
      const { x, y, w, h } = gridPos;
      expect(x + w).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          const cell = `${column},${line}`;
          expect([title, cell, taken.has(cell)]).toEqual([title, cell, false]);
          taken.add(cell);
        }
      }
    }
  });

  test("lets choose the data source, the job and the instances", () => {
    expect(templating.list.map(({ name, type }) => [name, type])).toEqual([
      ["datasource", "datasource"],
      ["job", "query"],
      ["instance", "query"],
    ]);
  });

  test.each(shown)("%s says what it shows", (_, panel: Panel) => {
    expect(panel.description).toMatch(/[.?]$/);
    expect(panel.fieldConfig?.defaults.unit).toBeTruthy();
    expect(panel.datasource).toEqual({ type: "prometheus", uid: "$" + "{datasource}" });
    expect(panel.targets?.length).toBeGreaterThan(0);
  });

  test.each(shown)("%s asks for series and labels that there are", async (_, { targets }) => {
    const series = await realSeries();
    for (const { expr, legendFormat } of targets ?? []) {
      const { metrics, matchers, grouping } = namesIn(interpolate(expr, variables));
      expect(metrics.size).toBeGreaterThan(0);
      const labels = new Set(OF_THE_TARGET);
      for (const metric of metrics) {
        expect([metric, series.has(metric)]).toEqual([metric, true]);
        for (const label of series.get(metric)!.keys()) labels.add(label);
        // Without them it would show other tables' Observers as well.
        const chosen = matchers.filter((matcher) => matcher.metric === metric).map(({ label }) => label);
        expect(chosen).toEqual(expect.arrayContaining(["job", "instance"]));
      }
      for (const label of grouping) expect([label, labels.has(label)]).toEqual([label, true]);
      for (const { metric, label, value } of matchers) {
        if (OF_THE_TARGET.includes(label)) continue;
        expect([metric, label, value, series.get(metric)?.get(label)?.has(value)]).toEqual([
          metric,
          label,
          value,
          true,
        ]);
      }
      const kept = /\bby \(/.test(expr)
        ? grouping
        : /^(sum|max|min)\(/.test(expr)
          ? new Set<string>()
          : labels;
      // A process that looks after several Engines has a series for each, which only the host tells apart.
      const perHost = kept === labels && ![...metrics].every(isOfProcess);
      expect([legendFormat, legendFormat.includes("{{instance}} {{host}}")]).toEqual([legendFormat, perHost]);
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        expect([legendFormat, kept.has(label!)]).toEqual([legendFormat, true]);
    }
  });

  test("shows every metric of the program", async () => {
    const asked = new Set(
      shown.flatMap(([, { targets = [] }]) =>
        targets.flatMap(({ expr }) =>
          [...namesIn(interpolate(expr, variables)).metrics].map((name) =>
            name.replace(/_(bucket|sum|count)$/, ""),
          ),
        ),
      ),
    );
    const real = new Set(
      [...(await realSeries()).keys()].map((name) => name.replace(/_(bucket|sum|count)$/, "")),
    );
    // Of the process's own verdicts /healthz is an alert, and the limit of descriptors a number to look up.
    const left = ["up", "observer_live", "process_max_fds"];
    expect([...real].filter((name) => !asked.has(name)).toSorted()).toEqual(left.toSorted());
  });
});
