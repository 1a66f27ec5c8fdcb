// What is sent to a collector. Goal: valid OTLP with the metrics' own values and a span per cycle; a collector that is down,
// refuses or hangs costs bounded memory, few lines in the log, and nobody's time.
// Method: views and reports as the loop gives them, judged by a strict reader of the protocol's JSON; the exporter on virtual
// time with a sender that answers as the test says.
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import type { CycleReport } from "../../src/observer/report.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { createOtlpExporter } from "../../src/status/otlp-exporter.ts";
import { otlpMetrics } from "../../src/status/otlp-metrics.ts";
import { spanOf } from "../../src/status/otlp-spans.ts";
import { nanoseconds } from "../../src/status/otlp-values.ts";
import { metricsRequest, plain, type Span, tracesRequest } from "../otlp-collector.ts";
import { Timeline, VirtualClock } from "../simulation/clock.ts";
import { parseExposition } from "./status-exposition.ts";
import { build, health, leaderView, report, source } from "./status-fixtures.ts";

const START_MS = 1_795_464_000_000;

async function sent(view = leaderView()) {
  const metrics = createMetrics({ view: () => view, build, health });
  metrics.onReport(report({ durationMs: 30 }));
  metrics.onReport(report({ durationMs: 70 }));
  const all = otlpMetrics(await metrics.snapshot(), START_MS, START_MS + 5_000);
  return { all, families: parseExposition(await metrics.text()) };
}
type Sent = Awaited<ReturnType<typeof sent>>["all"][number];
const pointsOf = (metric: Sent | undefined) => {
  if (metric === undefined) return [];
  if ("gauge" in metric) return metric.gauge.dataPoints;
  return "sum" in metric ? metric.sum.dataPoints : [];
};

describe("otlpMetrics()", () => {
  test("has what the exposition has, with its types and values", async () => {
    const { all, families } = await sent();
    const request = {
      resourceMetrics: [
        { resource: { attributes: [] }, scopeMetrics: [{ scope: { name: "", version: "" }, metrics: all }] },
      ],
    };
    expect(v.safeParse(metricsRequest, request).issues).toBeUndefined();
    expect(all.map(({ name }) => name).toSorted()).toEqual([...families.keys()].toSorted());
    for (const metric of all) {
      const { type, samples, help } = families.get(metric.name)!;
      expect(metric.description).toBe(help);
      expect(type in { ...metric, ...("sum" in metric && { counter: 1 }) }).toBe(true);
      if (type === "histogram" || metric.name.startsWith("process_")) continue;
      const points = pointsOf(metric).map(({ attributes, asDouble }) => [plain([...attributes]), asDouble]);
      expect(points).toEqual(samples.map(({ labels, value }) => [labels, value]));
    }
  });

  test("a histogram's buckets are each for themselves", async () => {
    const { all } = await sent();
    const cycles = all.find(({ name }) => name === "observer_cycle_duration_seconds");
    if (cycles === undefined || !("histogram" in cycles)) throw new Error("no histogram");
    expect(cycles.unit).toBe("s");
    expect(cycles.histogram.dataPoints.map(({ attributes }) => plain([...attributes]))).toEqual([
      { kind: "look" },
      { kind: "delivery" },
      { kind: "glance" },
    ]);
    const [looks] = cycles.histogram.dataPoints;
    expect(looks).toMatchObject({ count: "2", startTimeUnixNano: `${START_MS}000000` });
    expect(looks?.sum).toBeCloseTo(0.1);
    // Of 0.005 0.01 0.025 0.05 0.1 … the fourth holds 30 ms and the fifth 70 ms.
    expect(looks?.bucketCounts.slice(0, 6)).toEqual(["0", "0", "0", "1", "1", "0"]);
    expect(looks?.explicitBounds.slice(0, 2)).toEqual([0.005, 0.01]);
  });

  test("what never happened is left out: JSON has no infinity", async () => {
    const never = source({ lastSuccessMs: null });
    const { all } = await sent(leaderView({ sources: { engine: never, archives: source() } }));
    const ages = pointsOf(all.find(({ name }) => name === "observer_source_last_success_age_seconds"));
    expect(ages.map(({ attributes }) => plain([...attributes]).source)).toEqual(["archives"]);
  });

  test("units come from the names", async () => {
    const { all } = await sent();
    const units = Object.fromEntries(all.map(({ name, unit }) => [name, unit]));
    expect(units).toMatchObject({
      process_cpu_seconds_total: "s",
      process_resident_memory_bytes: "By",
      observer_hints_total: "1",
      observer_change_lag_seconds: "s",
    });
  });
});

describe("spanOf()", () => {
  test("covers the cycle and says what it did", () => {
    const span = spanOf(report({ durationMs: 61.25 }), START_MS + 100);
    expect(span).toMatchObject({
      name: "observer look",
      startTimeUnixNano: `${START_MS + 38}750000`,
      endTimeUnixNano: `${START_MS + 100}000000`,
      status: { code: 0 },
    });
    expect(plain([...span.attributes])).toMatchObject({
      "observer.kind": "look",
      "observer.sources": "engine,archives",
      "observer.count.changed": 3,
      "observer.count.containers": 90,
      "observer.stage.load.duration_ms": 12.34,
      "observer.woke": true,
    });
    expect(span.traceId).not.toBe(spanOf(report(), 0).traceId);
  });

  test("names the first failure, without secrets", () => {
    const cause = new Error("Cannot write: postgres://observer:hunter2@db refused");
    const { status } = spanOf(report({ failures: [{ stage: "save", cause }] }), START_MS);
    expect(status).toEqual({ code: 2, message: "save: Cannot write: postgres://***@db refused" });
  });

  test("nanoseconds are exact to the microsecond", () => {
    expect(nanoseconds(1_795_464_154_123.456)).toBe("1795464154123456000");
  });
});

type Answer = "taken" | "refused" | "unreached" | "hangs";

function setUp(metricIntervalMs = 60_000) {
  const timeline = new Timeline();
  const clock = new VirtualClock(timeline);
  const view = leaderView();
  const metrics = createMetrics({ view: () => view, build, health });
  const stop = new AbortController();
  const world = {
    timeline,
    answer: "taken" as Answer,
    /** What the answer is for this signal alone. */
    answers: {} as { metrics?: Answer; traces?: Answer },
    latencyMs: 0,
    lines: [] as { event: string; fields: Record<string, unknown> | undefined }[],
    requests: [] as { signal: string; atMs: number }[],
    spans: [] as Span[],
    hasEnded: false,
    stop,
    report: (count: number, changes: Partial<CycleReport> = {}) => {
      for (let n = 0; n < count; n++) exporter.onReport(report(changes));
    },
  };
  const say = (event: string, _: string, fields?: Record<string, unknown>) =>
    void world.lines.push({ event, fields });
  const exporter = createOtlpExporter({
    clock,
    log: { debug: say, info: say, warn: say, error: say },
    wallMs: () => START_MS + timeline.nowMs,
    metrics,
    build,
    instance: "host-1",
    resource: { "service.name": "observer" },
    timeoutMs: 10_000,
    metricIntervalMs,
    send: async (signal, body) => {
      world.requests.push({ signal, atMs: timeline.nowMs });
      const answer = world.answers[signal] ?? world.answer;
      if (answer === "hangs") return new Promise<void>(() => {});
      if (world.latencyMs > 0) await clock.sleep(world.latencyMs);
      if (answer !== "taken") throw Object.assign(new Error(answer), { isPassing: answer === "unreached" });
      if (signal === "metrics") return void v.parse(metricsRequest, body);
      const { resourceSpans } = v.parse(tracesRequest, body);
      world.spans.push(...resourceSpans[0]!.scopeSpans[0]!.spans);
    },
  });
  void exporter.run(stop.signal).then(() => {
    world.hasEnded = true;
  });
  timeline.advance(0);
  const events = () => world.lines.map(({ event }) => event);
  const count = (signal: string) => world.requests.filter((request) => request.signal === signal).length;
  return Object.assign(world, { events, count });
}

describe("exporter", () => {
  test("sends spans within seconds, metrics at their interval, and nothing where there is none", () => {
    const world = setUp();
    world.timeline.advance(59_000);
    expect(world.requests).toEqual([]);
    world.report(2);
    world.timeline.advance(1_000);
    expect(world.spans).toHaveLength(2);
    expect(world.requests.map(({ signal }) => signal)).toEqual(["traces", "metrics"]);
    world.timeline.advance(60_000);
    expect([world.count("traces"), world.count("metrics")]).toEqual([1, 2]);
    expect(world.lines).toEqual([]);
  });

  test("a collector that is down is told as an outage of each signal, and once that it is back; the newest spans wait", () => {
    const world = setUp();
    world.answer = "unreached";
    world.report(1_500);
    world.timeline.advance(300_000);
    const said = (event: string, signal: string) =>
      world.lines.filter((line) => line.event === event && line.fields?.signal === signal);
    // At once, and after 1, 2 and 4 minutes.
    expect(said("telemetry.down", "traces").map(({ fields }) => fields?.downMs)).toEqual([
      0, 60_000, 120_000, 240_000,
    ]);
    expect(said("telemetry.down", "metrics").map(({ fields }) => fields?.failures)).toEqual([1, 2, 3, 5]);
    // One try a tick: a queue of a thousand makes no storm.
    expect(world.count("traces")).toBe(60);
    world.report(10, { kind: "glance" });
    world.answer = "taken";
    world.timeline.advance(60_000);
    expect(world.spans).toHaveLength(1_024);
    expect(world.spans.slice(-10).map(({ name }) => name)).toEqual(Array(10).fill("observer glance"));
    expect(said("telemetry.up", "traces").map(({ fields }) => fields)).toEqual([
      { signal: "traces", failures: 60, downMs: 300_000, droppedSpans: 1_510 - 1_024 },
    ]);
    expect(said("telemetry.up", "metrics").map(({ fields }) => fields)).toEqual([
      { signal: "metrics", failures: 5, downMs: 300_000 },
    ]);
  });

  test("a collector that takes metrics only is told as one outage of spans", () => {
    const world = setUp();
    world.answers.traces = "refused";
    for (let minute = 0; minute < 60; minute++) {
      world.report(5);
      world.timeline.advance(60_000);
    }
    expect(world.count("metrics")).toBe(60);
    expect(world.lines.map(({ event, fields }) => [event, fields?.signal, fields?.failures])).toEqual(
      [1, 2, 3, 5, 9, 17, 33].map((failures) => ["telemetry.down", "traces", failures]),
    );
    world.answers.traces = "taken";
    world.report(1);
    world.timeline.advance(5_000);
    expect(world.lines.at(-1)).toMatchObject({
      event: "telemetry.up",
      fields: { signal: "traces", failures: 60, droppedSpans: 300 },
    });
  });

  test("what a collector refuses is not sent again", () => {
    const world = setUp();
    world.answer = "refused";
    world.report(3);
    world.timeline.advance(5_000);
    world.answer = "taken";
    world.timeline.advance(60_000);
    expect(world.spans).toEqual([]);
    world.report(1);
    world.timeline.advance(5_000);
    expect(world.spans).toHaveLength(1);
    expect(world.lines.at(-1)?.fields).toMatchObject({ failures: 1, droppedSpans: 3 });
  });

  test("P12: one that hangs is given up at the deadline, and what comes meanwhile is kept", () => {
    const world = setUp();
    world.answer = "hangs";
    world.report(1);
    world.timeline.advance(14_999);
    expect(world.events()).toEqual([]);
    world.report(2_000);
    world.answer = "taken";
    world.timeline.advance(1);
    expect(world.events()).toEqual(["telemetry.down"]);
    world.timeline.advance(5_000);
    expect(world.spans).toHaveLength(1_024);
  });

  test("P12: the end cuts an export off, sends what is left, and waits a second at the most", () => {
    const world = setUp();
    world.answer = "hangs";
    world.report(2);
    world.timeline.advance(6_000);
    world.stop.abort();
    world.timeline.advance(999);
    expect([world.hasEnded, world.events()]).toEqual([false, []]);
    world.timeline.advance(1);
    expect(world.hasEnded).toBe(true);

    // However many batches that is: each of four would be taken, a second apart.
    const slow = setUp();
    slow.latencyMs = 900;
    slow.report(1_000);
    slow.stop.abort();
    slow.timeline.advance(1_000);
    expect([slow.hasEnded, slow.count("traces"), slow.events()]).toEqual([true, 2, []]);

    const quick = setUp();
    quick.report(2);
    quick.stop.abort();
    quick.timeline.advance(0);
    expect([quick.hasEnded, quick.spans.length, quick.count("metrics")]).toEqual([true, 2, 1]);
  });
});
