/** `OTEL_EXPORTER_OTLP_ENDPOINT` and what belongs to it. Without it the others may be there for somebody else. */
import type { ConfigSource } from "./source.ts";
import type { TelemetryConfig } from "./types.ts";
import { percentDecode, splitUrl } from "./url.ts";

const GRPC_PORT = ":4317";

/** Null: nothing is sent. What is wrong is in `source`. */
export function readTelemetry(source: ConfigSource): TelemetryConfig | null {
  const endpoint = readEndpoint(source);
  if (endpoint === null) return null;
  const attributes = readPairs(source, "OTEL_RESOURCE_ATTRIBUTES", /^[!-~]{1,255}$/);
  const serviceName = source.word("OTEL_SERVICE_NAME") ?? attributes["service.name"] ?? "observer";
  return {
    endpoint,
    headers: readPairs(source, "OTEL_EXPORTER_OTLP_HEADERS", /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/),
    timeoutMs: source.integer("OTEL_EXPORTER_OTLP_TIMEOUT"),
    metricIntervalMs: source.integer("OTEL_METRIC_EXPORT_INTERVAL"),
    resource: { ...attributes, "service.name": serviceName },
  };
}

function readEndpoint(source: ConfigSource): string | null {
  const name = "OTEL_EXPORTER_OTLP_ENDPOINT";
  const text = source.text(name);
  if (text === null) return null;
  const problem = (what: string): void => source.problem(name, `${what} (got ${source.shown(name, text)})`);
  const url = splitUrl(text, "http://", problem);
  if (url === null) return null;
  if (!["http", "https"].includes(url.scheme) || !URL.canParse(text)) {
    source.problem(name, `must be a URL such as http://127.0.0.1:4318, not ${source.shown(name, text)}`);
    return null;
  }
  if (url.user !== null || url.password !== null) {
    problem("must not have a user or password; those go into OTEL_EXPORTER_OTLP_HEADERS");
    return null;
  }
  if (url.parameters.size > 0) {
    problem("must not have parameters");
    return null;
  }
  if (url.authority.endsWith(GRPC_PORT))
    source.warn(
      name,
      "has the port that collectors use for gRPC; what is sent is HTTP, usually to port 4318",
    );
  return text.replace(/\/+$/, "");
}

/** `a=1,b=two%20words`: values percent-encoded, spaces around names and values are none of them. */
function readPairs(
  source: ConfigSource,
  name: "OTEL_EXPORTER_OTLP_HEADERS" | "OTEL_RESOURCE_ATTRIBUTES",
  key: RegExp,
): Record<string, string> {
  const pairs: Record<string, string> = {};
  const wrong = () =>
    source.problem(
      name,
      `must be pairs such as name=value, apart by commas, values percent-encoded, not ${source.shown(name, source.text(name) ?? "")}`,
    );
  for (const pair of (source.text(name) ?? "").split(",")) {
    if (pair.trim() === "") continue;
    const equals = pair.indexOf("=");
    const value = percentDecode(pair.slice(equals + 1).trim());
    const word = pair.slice(0, Math.max(equals, 0)).trim();
    if (!key.test(word) || value === null || /[\r\n]/.test(value)) {
      wrong();
      return {};
    }
    pairs[word] = value;
  }
  return pairs;
}
