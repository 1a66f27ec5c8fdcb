/** The metrics as OTLP's JSON has them, under the same names: docs/status-endpoint.md. */
import type { MetricSnapshot } from "./metrics.ts";
import { attributes, type KeyValue, nanoseconds } from "./otlp-values.ts";

interface Point {
  readonly attributes: readonly KeyValue[];
  readonly startTimeUnixNano?: string;
  readonly timeUnixNano: string;
}
interface NumberPoint extends Point {
  readonly asDouble: number;
}
interface HistogramPoint extends Point {
  /** 64 bits, so texts. */
  readonly count: string;
  readonly sum: number;
  readonly bucketCounts: readonly string[];
  readonly explicitBounds: readonly number[];
}
export type OtlpMetric = { readonly name: string; readonly description: string; readonly unit: string } & (
  | { readonly gauge: { readonly dataPoints: readonly NumberPoint[] } }
  | { readonly sum: Cumulative & { readonly isMonotonic: true; readonly dataPoints: readonly NumberPoint[] } }
  | { readonly histogram: Cumulative & { readonly dataPoints: readonly HistogramPoint[] } }
);
interface Cumulative {
  readonly aggregationTemporality: typeof CUMULATIVE;
}
const CUMULATIVE = 2;

/** By UCUM, from the end of the name. */
const unitOf = (name: string): string =>
  /_seconds(_total)?$/.test(name) ? "s" : name.endsWith("_bytes") ? "By" : "1";

/**
 * What is not a number is left out: JSON has no infinity, so what never happened has no age here.
 *
 * @param startMs since when totals count, milliseconds since 1970
 */
export function otlpMetrics(
  snapshots: readonly MetricSnapshot[],
  startMs: number,
  nowMs: number,
): OtlpMetric[] {
  const timeUnixNano = nanoseconds(nowMs);
  const startTimeUnixNano = nanoseconds(startMs);
  return snapshots.map((snapshot): OtlpMetric => {
    const { name, help, type, values } = snapshot;
    const head = { name, description: help, unit: unitOf(name) };
    if (type === "histogram") {
      const dataPoints = histogramPoints(snapshot, { startTimeUnixNano, timeUnixNano });
      return { ...head, histogram: { aggregationTemporality: CUMULATIVE, dataPoints } };
    }
    const known = values.filter(({ value }) => Number.isFinite(value));
    if (type === "gauge") {
      const point = ({ value, labels }: (typeof known)[number]) => ({
        attributes: attributes(labels),
        timeUnixNano,
        asDouble: value,
      });
      return { ...head, gauge: { dataPoints: known.map(point) } };
    }
    const dataPoints = known.map(({ value, labels }) => ({
      attributes: attributes(labels),
      startTimeUnixNano,
      timeUnixNano,
      asDouble: value,
    }));
    return { ...head, sum: { aggregationTemporality: CUMULATIVE, isMonotonic: true, dataPoints } };
  });
}

/** From Prometheus's cumulative buckets, one sample each, to one point per set of labels. */
function histogramPoints(
  { name, values }: MetricSnapshot,
  times: Omit<Point, "attributes">,
): HistogramPoint[] {
  const series = new Map<string, { labels: Labels; upTo: [bound: number, count: number][]; sum: number }>();
  for (const { metricName, value, labels } of values) {
    const { le, ...own } = labels;
    const key = JSON.stringify(own);
    const known = series.get(key) ?? { labels: own, upTo: [], sum: 0 };
    series.set(key, known);
    if (metricName === `${name}_sum`) known.sum = value;
    else if (le !== undefined)
      known.upTo.push([le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le), value]);
  }
  return [...series.values()].map(({ labels, upTo, sum }) => ({
    attributes: attributes(labels),
    ...times,
    count: `${upTo.at(-1)?.[1] ?? 0}`,
    sum,
    bucketCounts: upTo.map(([, count], index) => `${count - (upTo[index - 1]?.[1] ?? 0)}`),
    explicitBounds: upTo.slice(0, -1).map(([bound]) => bound),
  }));
}

type Labels = Readonly<Record<string, string | number>>;
