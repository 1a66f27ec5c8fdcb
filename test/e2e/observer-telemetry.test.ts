// Goal: with OTEL_EXPORTER_OTLP_ENDPOINT the executable sends what it measures and does; a collector that goes away costs one
// line in the log for each signal and no look, and never holds up the end.
// Method: a real HTTP collector that takes valid OTLP only; an observer on a real PostgreSQL, whose Engine is not there.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { waitFor } from "../../dev/services/wait.ts";
import { type Collector, plain, startCollector } from "../otlp-collector.ts";
import { checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { runCommand, type Settings, startObserver, workFolder } from "./support-executable.ts";
import { keepSecret } from "./support-output.ts";
import { createPlatform } from "./support-platform.ts";

const world = useWorld({ postgres: 18 });
const TOKEN = "otlp-Token-Wq7xPz31";

const telemetry = (collector: Collector): Settings => ({
  ...QUICK,
  DOCKER_HOST: `unix://${join(workFolder(), "none.sock")}`,
  OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${TOKEN}`,
  OTEL_METRIC_EXPORT_INTERVAL: "300",
  OTEL_EXPORTER_OTLP_TIMEOUT: "500",
  OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=e2e",
});

test("Metrics and spans arrive; a collector that is down is told once for each signal, and delays nothing", async () => {
  keepSecret("OTLP token", TOKEN);
  const platform = await createPlatform(world.postgres, "telemetry");
  await platform.insert("t1");
  let collector = startCollector();
  const observer = startObserver({ ...world.settings(platform), ...telemetry(collector) });
  await waitFor("a span of a look", 20_000, () =>
    collector.spans.some(({ name }) => name === "observer look"),
  );
  await waitFor("metrics of a leader", 20_000, () =>
    collector.metrics.some(
      (metric) =>
        metric.name === "observer_is_leader" &&
        "gauge" in metric &&
        metric.gauge.dataPoints[0]?.asDouble === 1,
    ),
  );
  expect(collector.complaints).toEqual([]);
  expect(collector.resource).toMatchObject({
    "service.name": "observer",
    "service.instance.id": observer.instance,
    "deployment.environment.name": "e2e",
  });
  expect(new Set(collector.headers.map((headers) => headers.get("authorization")))).toEqual(
    new Set([`Bearer ${TOKEN}`]),
  );
  const failures = collector.metrics.find(({ name }) => name === "observer_source_failures_total");
  expect(failures && "sum" in failures && plain(failures.sum.dataPoints[0]!.attributes)).toEqual({
    source: "engine",
  });

  const port = Number(new URL(collector.url).port);
  await collector.stop();
  const both = (event: string) => () => new Set(observer.log(event).map(({ signal }) => signal)).size === 2;
  await waitFor("both signals down", 20_000, both("telemetry.down"));
  await nextLooks(observer, 3);
  expect(observer.log("telemetry.down")).toHaveLength(2);
  // One that takes connections and never answers.
  collector = startCollector(port);
  collector.answer = () => new Promise<Response>(() => {});
  await nextLooks(observer);
  expect(observer.log("telemetry.up")).toEqual([]);
  collector.answer = null;
  await waitFor("both signals up", 20_000, both("telemetry.up"));
  expect(collector.complaints).toEqual([]);

  collector.spans.length = 0;
  await nextLooks(observer);
  const { code, durationMs } = await observer.stop();
  expect([code, durationMs < 5_000]).toEqual([0, true]);
  // The last looks are sent at the end.
  expect(collector.spans.length).toBeGreaterThan(0);
  await collector.stop();
});

test("Its end waits a second for a collector that hangs, and no longer", async () => {
  const platform = await createPlatform(world.postgres, "telemetry_hangs");
  const collector = startCollector();
  const asked = Promise.withResolvers<void>();
  collector.answer = () => {
    asked.resolve();
    return new Promise<Response>(() => {});
  };
  const settings = { ...telemetry(collector), OTEL_EXPORTER_OTLP_TIMEOUT: "60000" };
  const observer = startObserver({ ...world.settings(platform), ...settings });
  await asked.promise;
  const { code, durationMs } = await observer.stop();
  expect([code, durationMs < 5_000]).toEqual([0, true]);
  await collector.stop();
});

test("check asks the collector; one that does not take OTLP is a warning", async () => {
  const platform = await createPlatform(world.postgres, "telemetry_check");
  const collector = startCollector();
  const settings = { ...world.settings(platform), ...telemetry(collector) };
  const finding = async () => {
    const { stdout } = await runCommand(["check", "--json"], settings);
    const { findings } = JSON.parse(stdout) as {
      findings: { name: string; result: string; detail: string }[];
    };
    return findings.find(({ name }) => name === "collector");
  };
  expect(await finding()).toMatchObject({ result: "ok", detail: `${collector.url} takes OTLP` });
  expect(collector.complaints).toEqual([]);
  collector.answer = () => new Response("no such token", { status: 401 });
  expect(await finding()).toMatchObject({
    result: "warning",
    detail: `Cannot send metrics to ${collector.url}/v1/metrics: it answered 401 "no such token"`,
  });
  await collector.stop();
});

checksOfEverything({ documents: false });
