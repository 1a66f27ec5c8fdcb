/** OpenTelemetry's own names: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
import { type Setting, word } from "./setting.ts";

export const telemetrySettings = [
  {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    group: "telemetry",
    type: { kind: "url" },
    default: null,
    otherwise: "none: nothing is sent",
    description:
      "where metrics and a span per look are sent: `/v1/metrics` and `/v1/traces` below it, as JSON over HTTP",
    example: "http://127.0.0.1:4318",
  },
  {
    name: "OTEL_EXPORTER_OTLP_HEADERS",
    group: "telemetry",
    type: { kind: "pairs" },
    default: null,
    otherwise: "none",
    secret: true,
    description: "headers of each request: `name=value`, apart by commas, values percent-encoded",
    example: "authorization=Bearer%20a-long-random-text",
  },
  {
    name: "OTEL_EXPORTER_OTLP_TIMEOUT",
    group: "telemetry",
    type: { kind: "integer", min: 10, max: 60_000 },
    default: "10000",
    description: "deadline of one request, in milliseconds",
    example: "3000",
  },
  {
    name: "OTEL_METRIC_EXPORT_INTERVAL",
    group: "telemetry",
    type: { kind: "integer", min: 100, max: 3_600_000 },
    default: "60000",
    description: "time between two exports of the metrics, in milliseconds",
    example: "15000",
  },
  {
    name: "OTEL_SERVICE_NAME",
    group: "telemetry",
    type: word("1 to 128 visible ASCII characters without spaces", 128),
    default: null,
    otherwise: "`service.name` of `OTEL_RESOURCE_ATTRIBUTES`, else `observer`",
    description: "the attribute `service.name`",
    example: "observer-staging",
  },
  {
    name: "OTEL_RESOURCE_ATTRIBUTES",
    group: "telemetry",
    type: { kind: "pairs" },
    default: null,
    otherwise: "none",
    description: "attributes of all that is sent: `name=value`, apart by commas, values percent-encoded",
    example: "deployment.environment.name=staging",
  },
] as const satisfies readonly Setting[];
