// The series that a scrape gives, with their labels, for tests of what uses them.
import { createMetrics } from "../../src/status/metrics.ts";
import { parseExposition } from "./status-exposition.ts";
import { build, health, memberView, report } from "./status-fixtures.ts";

/** What Prometheus adds to everything that it scrapes, and a process that looks after several Engines to what is of one. */
export const OF_THE_TARGET: readonly string[] = ["job", "instance", "host"];

/** By the name of a series, as a query names it: what labels it has, and with which values. */
export async function realSeries(): Promise<Map<string, Map<string, Set<string>>>> {
  const metrics = createMetrics({ view: () => memberView(), build, health, isMember: true });
  metrics.onReport(report());
  return seriesOf(await metrics.text());
}

export function seriesOf(exposition: string): Map<string, Map<string, Set<string>>> {
  const series = new Map([["up", new Map<string, Set<string>>()]]);
  for (const { samples } of parseExposition(exposition).values()) {
    for (const { name, labels } of samples) {
      const known = series.get(name) ?? new Map<string, Set<string>>();
      for (const [label, value] of Object.entries(labels))
        known.set(label, (known.get(label) ?? new Set()).add(value));
      series.set(name, known);
    }
  }
  return series;
}
