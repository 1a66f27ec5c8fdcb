// A collector that takes OTLP's JSON and nothing else: every field by its name and type, as the protocol's schema has them
// (opentelemetry-proto 1.x, in the JSON encoding of OTLP), and nothing that it doesn't know.
import * as v from "valibot";

const hex = (bytes: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`)));
/** 64 bits: a text of digits. */
const int64 = v.pipe(v.string(), v.regex(/^\d{1,19}$/));
const double = v.pipe(v.number(), v.finite());
const keyValue = v.strictObject({
  key: v.pipe(v.string(), v.minLength(1)),
  value: v.union([
    v.strictObject({ stringValue: v.string() }),
    v.strictObject({ boolValue: v.boolean() }),
    v.strictObject({ intValue: v.pipe(v.string(), v.regex(/^-?\d{1,19}$/)) }),
    v.strictObject({ doubleValue: double }),
  ]),
});
const attributes = v.array(keyValue);
const resource = v.strictObject({ attributes });
const scope = v.strictObject({ name: v.string(), version: v.string() });
const gaugePoint = v.strictObject({ attributes, timeUnixNano: int64, asDouble: double });
const sumPoint = v.strictObject({ ...gaugePoint.entries, startTimeUnixNano: int64 });
const histogramPoint = v.pipe(
  v.strictObject({
    attributes,
    startTimeUnixNano: int64,
    timeUnixNano: int64,
    count: int64,
    sum: double,
    bucketCounts: v.array(int64),
    explicitBounds: v.array(double),
  }),
  v.check(
    ({ bucketCounts, explicitBounds }) => bucketCounts.length === explicitBounds.length + 1,
    "one bucket more than bounds",
  ),
  v.check(
    ({ bucketCounts, count }) => bucketCounts.reduce((sum, each) => sum + Number(each), 0) === Number(count),
    "the buckets hold as many as the count",
  ),
);
const head = { name: v.string(), description: v.string(), unit: v.string() };
const metric = v.union([
  v.strictObject({ ...head, gauge: v.strictObject({ dataPoints: v.array(gaugePoint) }) }),
  v.strictObject({
    ...head,
    sum: v.strictObject({
      aggregationTemporality: v.literal(2),
      isMonotonic: v.literal(true),
      dataPoints: v.array(sumPoint),
    }),
  }),
  v.strictObject({
    ...head,
    histogram: v.strictObject({ aggregationTemporality: v.literal(2), dataPoints: v.array(histogramPoint) }),
  }),
]);
const span = v.strictObject({
  traceId: hex(16),
  spanId: hex(8),
  name: v.string(),
  kind: v.literal(1),
  startTimeUnixNano: int64,
  endTimeUnixNano: int64,
  attributes,
  status: v.union([
    v.strictObject({ code: v.literal(0) }),
    v.strictObject({ code: v.literal(2), message: v.string() }),
  ]),
});
export const metricsRequest = v.strictObject({
  resourceMetrics: v.array(
    v.strictObject({ resource, scopeMetrics: v.array(v.strictObject({ scope, metrics: v.array(metric) })) }),
  ),
});
export const tracesRequest = v.strictObject({
  resourceSpans: v.array(
    v.strictObject({ resource, scopeSpans: v.array(v.strictObject({ scope, spans: v.array(span) })) }),
  ),
});
export type Metric = v.InferOutput<typeof metric>;
export type Span = v.InferOutput<typeof span>;
export type Attributes = v.InferOutput<typeof attributes>;

/** As a plain object; numbers from their texts. */
export const plain = (pairs: Attributes): Record<string, string | number | boolean> =>
  Object.fromEntries(
    pairs.map(({ key, value }) => {
      const [[kind, it]] = Object.entries(value) as [[string, string | number | boolean]];
      return [key, kind === "intValue" ? Number(it) : it];
    }),
  );

export interface Collector {
  readonly url: string;
  /** What the latest requests held, whole. */
  readonly metrics: Metric[];
  readonly spans: Span[];
  /** Of each request. */
  readonly headers: Headers[];
  resource: Record<string, string | number | boolean>;
  /** What was not valid, or not asked for as it should. */
  readonly complaints: string[];
  /** Instead of 200. */
  answer: ((request: Request) => Response | Promise<Response>) | null;
  stop(): Promise<void>;
}

/** On loopback; on the same port again when it is given one. */
export function startCollector(port = 0): Collector {
  const collector: Collector = {
    url: "",
    metrics: [],
    spans: [],
    headers: [],
    resource: {},
    complaints: [],
    answer: null,
    stop: () => server.stop(true),
  };
  const take = async (request: Request): Promise<Response> => {
    collector.headers.push(request.headers);
    if (collector.answer !== null) return collector.answer(request);
    const { pathname } = new URL(request.url);
    const body: unknown = await request.json();
    if (request.method !== "POST") collector.complaints.push(`${request.method} ${pathname}`);
    if (pathname === "/v1/metrics") {
      const { resourceMetrics } = v.parse(metricsRequest, body);
      collector.metrics.length = 0;
      for (const each of resourceMetrics) {
        collector.resource = plain(each.resource.attributes);
        collector.metrics.push(...each.scopeMetrics.flatMap(({ metrics }) => metrics));
      }
    } else if (pathname === "/v1/traces") {
      const { resourceSpans } = v.parse(tracesRequest, body);
      for (const each of resourceSpans)
        collector.spans.push(...each.scopeSpans.flatMap(({ spans }) => spans));
    } else collector.complaints.push(`POST ${pathname}`);
    return Response.json({});
  };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    fetch: (request) =>
      take(request).catch((cause: unknown) => {
        collector.complaints.push(String(cause));
        return Response.json({ message: "not OTLP" }, { status: 400 });
      }),
  });
  return Object.assign(collector, { url: server.url.origin });
}
