/**
 * The parts of prom-client that are used, each by its own file: its index brings OpenTelemetry, a push gateway and a
 * cluster's registry along, which are 0.4 MB of the executable.
 */
export { default as Counter } from "prom-client/lib/counter.js";
export { default as Gauge } from "prom-client/lib/gauge.js";
export { default as Histogram } from "prom-client/lib/histogram.js";
export { default as Registry } from "prom-client/lib/registry.js";
