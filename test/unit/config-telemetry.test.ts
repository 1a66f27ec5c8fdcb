/**
 * Goal: OpenTelemetry's variables mean what its specification says, and without an endpoint nothing at all.
 * Method: tables of environments.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { load, problemsOf } from "./config-support.ts";
import { atLeast } from "./fuzz-runs.ts";

const on = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/" };
const telemetry = (env: Record<string, string>) => load({ ...on, ...env }).telemetry;

describe("OTEL_ variables", () => {
  test("an endpoint is enough", () => {
    expect(telemetry({})).toEqual({
      endpoint: "http://collector:4318",
      headers: {},
      timeoutMs: 10_000,
      metricIntervalMs: 60_000,
      resource: { "service.name": "observer" },
    });
  });

  test("without one the others may be somebody else's, whatever they say", () => {
    const others = {
      OTEL_EXPORTER_OTLP_HEADERS: "?",
      OTEL_RESOURCE_ATTRIBUTES: "=,",
      OTEL_METRIC_EXPORT_INTERVAL: "x",
    };
    expect(load(others)).toEqual(load());
  });

  test("headers and attributes are pairs, percent-encoded", () => {
    expect(
      telemetry({
        OTEL_EXPORTER_OTLP_HEADERS: " authorization = Bearer%20a%3Db , x-scope=1,",
        OTEL_RESOURCE_ATTRIBUTES: "service.name=other,deployment.environment.name=st%C3%A4ging,empty=",
        OTEL_METRIC_EXPORT_INTERVAL: "15000",
        OTEL_EXPORTER_OTLP_TIMEOUT: "250",
      }),
    ).toEqual({
      endpoint: "http://collector:4318",
      headers: { authorization: "Bearer a=b", "x-scope": "1" },
      timeoutMs: 250,
      metricIntervalMs: 15_000,
      resource: { "service.name": "other", "deployment.environment.name": "stäging", empty: "" },
    });
    const both = { OTEL_SERVICE_NAME: "mine", OTEL_RESOURCE_ATTRIBUTES: "service.name=other" };
    expect(telemetry(both)?.resource).toEqual({ "service.name": "mine" });
  });

  test("headers may come from a file", () => {
    const env = { ...on, OTEL_EXPORTER_OTLP_HEADERS_FILE: "/h" };
    expect(load(env, { "/h": "authorization=x\n" }).telemetry?.headers).toEqual({ authorization: "x" });
  });

  test.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" }, "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL"],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "grpc://c:1" }, "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http"],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://me:hush@c" }, "OTEL_EXPORTER_OTLP_ENDPOINT must not have a user"],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c?key=hush" },
      "OTEL_EXPORTER_OTLP_ENDPOINT must not have parameters",
    ],
    [{ ...on, OTEL_EXPORTER_OTLP_HEADERS: "hush" }, "OTEL_EXPORTER_OTLP_HEADERS must be pairs"],
    [{ ...on, OTEL_EXPORTER_OTLP_HEADERS: "a b=hush" }, "OTEL_EXPORTER_OTLP_HEADERS must be pairs"],
    [{ ...on, OTEL_EXPORTER_OTLP_HEADERS: "a=hush%0d%0ax: y" }, "OTEL_EXPORTER_OTLP_HEADERS must be pairs"],
    [{ ...on, OTEL_RESOURCE_ATTRIBUTES: "a=%zz" }, "OTEL_RESOURCE_ATTRIBUTES must be pairs"],
    [{ ...on, OTEL_METRIC_EXPORT_INTERVAL: "10s" }, "OTEL_METRIC_EXPORT_INTERVAL must be a whole number"],
  ])("%j: %s", (env, problem) => {
    const [said, ...more] = problemsOf(env);
    expect([said, more]).toEqual([expect.stringMatching(new RegExp(`^${problem}`)), []]);
    expect(said).not.toContain("hush");
  });

  test("whatever stands in the headers, no message repeats it", () => {
    const piece = fc.string({ unit: fc.constantFrom(..."a=,%;: \n\u0000é"), maxLength: 6 });
    fc.assert(
      fc.property(piece, piece, (before, after) => {
        const headers = `${before}hush${after}`;
        expect(problemsOf({ ...on, OTEL_EXPORTER_OTLP_HEADERS: headers }).join()).not.toContain("hush");
      }),
      atLeast(300),
    );
  });

  test("gRPC's port is worth a warning", () => {
    expect(load({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4317" }).warnings).toEqual([
      expect.stringContaining("gRPC"),
    ]);
    expect(load(on).warnings).toEqual([]);
  });
});
