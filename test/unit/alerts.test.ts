// packaging/prometheus/alerts.yml. Goal: every metric, label and label value that an alert uses is one that the program
// shows, every alert can be read by a person at night, and each is tested by promtool (test/integration/prometheus.test.ts).
// Method: reads the file, the exposition and the pages, and compares them.
import { describe, expect, test } from "bun:test";
import { readAlerts, textOf } from "../packaging.ts";
import { namesIn } from "../promql.ts";
import { OF_THE_TARGET, realSeries } from "./status-series.ts";

const text = textOf;
const alerts = readAlerts();
const named = alerts.map((alert) => [alert.alert, alert] as const);

describe("alerts", () => {
  test("there are some, and no two of one name", () => {
    expect(alerts.length).toBeGreaterThan(10);
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  });

  test.each(named)("%s uses metrics and labels that there are", async (_, { expr }) => {
    const series = await realSeries();
    const { metrics, matchers, grouping } = namesIn(expr);
    expect(metrics.size).toBeGreaterThan(0);
    const labels = new Set(OF_THE_TARGET);
    for (const metric of metrics) {
      expect([metric, series.has(metric)]).toEqual([metric, true]);
      for (const label of series.get(metric)!.keys()) labels.add(label);
    }
    for (const label of grouping) expect([label, labels.has(label)]).toEqual([label, true]);
    for (const { metric, label, value } of matchers) {
      if (OF_THE_TARGET.includes(label)) continue;
      for (const one of value.split("|"))
        expect([metric, label, one, series.get(metric)?.get(label)?.has(one)]).toEqual([
          metric,
          label,
          one,
          true,
        ]);
    }
  });

  test.each(named)("%s tells labels that its expression keeps", async (_, { expr, annotations }) => {
    const series = await realSeries();
    const { metrics } = namesIn(expr);
    // What begins with a metric keeps that one's labels, whatever it is compared with.
    const aggregated = /^(?!process_|observer_).*?\bby \(([^)]*)\)/
      .exec(expr)?.[1]
      ?.split(",")
      .map((label) => label.trim());
    const kept = aggregated ?? [
      ...OF_THE_TARGET,
      ...[...metrics].flatMap((metric) => [...series.get(metric)!.keys()]),
    ];
    for (const [, label] of Object.values(annotations)
      .join(" ")
      .matchAll(/\$labels\.(\w+)/g))
      expect([label, kept.includes(label!)]).toEqual([label, true]);
  });

  test.each(named)("%s says how bad it is, what it means and where its runbook is", (name, alert) => {
    expect(["critical", "warning", "info"]).toContain(alert.labels.severity!);
    expect(alert.annotations.summary.length).toBeGreaterThan(15);
    expect(alert.annotations.summary.length).toBeLessThan(90);
    expect(alert.annotations.description).toMatch(/^[^\n]{60,400}\.$/);
    expect(alert.annotations.runbook_url).toBe(`docs/operations.md#${name.toLowerCase()}`);
    const [, section] = text("docs/operations.md").split(`\n### ${name}\n`);
    const runbook = section?.split(/\n##/)[0] ?? "";
    for (const part of ["Means", "Impact", "Look", "Mend"]) expect(runbook).toContain(`- **${part}:** `);
  });

  test("the runbooks are of alerts that there are", () => {
    const headings = [...text("docs/operations.md").matchAll(/^### (Observer\w+)$/gm)].map(
      ([, name]) => name!,
    );
    expect(headings.toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
  });

  test.each(named)("%s fires in a test of promtool", (name) => {
    const tests =
      text("packaging/prometheus/alerts.test.yml") + text("packaging/prometheus/alerts.days.test.yml");
    expect(tests).toContain(`{ labels: '{alertname="${name}"`);
  });

  test("runbooks name commands and settings that there are", () => {
    const [, page = ""] = text("docs/operations.md").split("\n## Alerts\n");
    const commands = new Set([...page.matchAll(/`observer ([a-z]+)/g)].map(([, command]) => command!));
    expect(commands.size).toBeGreaterThan(4);
    for (const command of commands) expect(text("README.md")).toContain(`| \`observer ${command}`);
    const metrics = [...page.matchAll(/`((?:observer|process)_[a-z_]+)/g)].map(([, name]) => name!);
    for (const metric of metrics) {
      if (metric === "observer_lease") continue;
      expect(text("docs/status-endpoint.md")).toContain(`| \`${metric}\` |`);
    }
  });
});

describe("namesIn()", () => {
  test("tells metrics from functions, words, ranges and numbers", () => {
    const names = namesIn(
      'sum by (job, le) (rate(a_total{x="1",y=~"2|3"}[5m])) > on (job) group_left () (1.5 * b offset 1d) and 256e6 < c',
    );
    expect([...names.metrics]).toEqual(["a_total", "b", "c"]);
    expect([...names.grouping]).toEqual(["job", "le"]);
    expect(names.matchers).toEqual([
      { metric: "a_total", label: "x", operator: "=", value: "1" },
      { metric: "a_total", label: "y", operator: "=~", value: "2|3" },
    ]);
  });
});
