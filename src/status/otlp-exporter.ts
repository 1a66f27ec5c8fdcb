/**
 * Sends metrics and spans to a collector, beside the loop: what the loop gives is put into a bounded queue, and one export
 * at a time goes out under a deadline. What cannot be sent is told in the log as any outage is, each signal for itself: there
 * are collectors that take one of them only.
 */
import { withDeadline } from "../observer/deadline.ts";
import { type Outage, onFailure, outageFields } from "../observer/outage.ts";
import type { Clock, Log } from "../observer/ports.ts";
import type { CycleReport } from "../observer/report.ts";
import type { BuildInfo } from "./describe.ts";
import type { Metrics } from "./metrics.ts";
import { otlpMetrics } from "./otlp-metrics.ts";
import { type OtlpSpan, spanOf } from "./otlp-spans.ts";
import { attributes } from "./otlp-values.ts";

type Signal = "metrics" | "traces";

export interface OtlpExporterParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Rejects with an error whose `isPassing` says whether the same may be taken another time. */
  readonly send: (signal: Signal, body: unknown, abort: AbortSignal) => Promise<void>;
  readonly metrics: Pick<Metrics, "snapshot">;
  readonly build: BuildInfo;
  readonly instance: string;
  readonly resource: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly metricIntervalMs: number;
}

export interface OtlpExporter {
  /**
   * Called after every cycle; costs the making of a span, and waits for nobody.
   *
   * @param host whose it was, where there are several
   */
  onReport(report: CycleReport, host?: string | null): void;
  /** Exports until the signal fires, and what is left then once more. Never rejects. */
  run(stop: AbortSignal): Promise<void>;
}

/** While a collector is down the newest wait for it; an hour of quiet looks is some 400. */
const MOST_SPANS = 1_024;
const SPANS_PER_EXPORT = 256;
/** How long a span waits for others to go with it. */
const SPANS_EVERY_MS = 5_000;
/** The end of the process waits no longer for the last export, however many batches that is. */
const LAST_EXPORT_MS = 1_000;

export function createOtlpExporter(parts: OtlpExporterParts): OtlpExporter {
  const { clock, log, metrics, build, wallMs } = parts;
  const resource = {
    attributes: attributes({
      "service.version": build.version,
      "service.instance.id": parts.instance,
      ...parts.resource,
    }),
  };
  const scope = { name: "observer", version: build.version };
  const startedMs = wallMs();
  const spans: OtlpSpan[] = [];
  let dropped = 0;
  const outages: Record<Signal, Outage | null> = { metrics: null, traces: null };

  const fieldsOf = (signal: Signal, outage: Outage) => ({
    signal,
    ...outageFields(outage, clock.monotonicMs()),
    ...(signal === "traces" && { droppedSpans: dropped }),
  });

  /** A failure is for the log alone; what the end of the process cuts off is none. */
  const attempt = async (
    signal: Signal,
    compose: () => unknown,
    timeoutMs: number,
    stop?: AbortSignal,
  ): Promise<"taken" | "refused" | "unreached"> => {
    const send = async (abort: AbortSignal) => parts.send(signal, await compose(), abort);
    try {
      await withDeadline(clock, timeoutMs, `Cannot send ${signal}`, send, stop);
      const outage = outages[signal];
      if (outage !== null) log.info("telemetry.up", "Telemetry is taken again", fieldsOf(signal, outage));
      outages[signal] = null;
      if (signal === "traces") dropped = 0;
      return "taken";
    } catch (error) {
      if (stop?.aborted) return "unreached";
      const { outage, isWorthSaying } = onFailure(outages[signal], clock.monotonicMs());
      outages[signal] = outage;
      if (isWorthSaying)
        log.warn("telemetry.down", "Telemetry cannot be sent; it goes on without", {
          error,
          ...fieldsOf(signal, outage),
        });
      return error instanceof Error && "isPassing" in error && error.isPassing === false
        ? "refused"
        : "unreached";
    }
  };

  const exportMetrics = async (timeoutMs: number, stop?: AbortSignal) => {
    const compose = async () => {
      const all = otlpMetrics(await metrics.snapshot(), startedMs, wallMs());
      return { resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics: all }] }] };
    };
    await attempt("metrics", compose, timeoutMs, stop);
  };

  /** Until all are sent, or a batch finds nobody: that one waits for the next time. */
  const exportSpans = async (timeoutMs: number, stop?: AbortSignal) => {
    let outcome = "taken";
    while (spans.length > 0 && outcome !== "unreached") {
      const batch = spans.splice(0, SPANS_PER_EXPORT);
      const body = { resourceSpans: [{ resource, scopeSpans: [{ scope, spans: batch }] }] };
      outcome = await attempt("traces", () => body, timeoutMs, stop);
      if (outcome === "unreached") spans.unshift(...batch);
      if (outcome === "refused") dropped += batch.length;
      forgetOldest();
    }
  };

  const forgetOldest = () => {
    const tooMany = Math.max(0, spans.length - MOST_SPANS);
    spans.splice(0, tooMany);
    dropped += tooMany;
  };

  return {
    onReport(report, host = null) {
      spans.push(spanOf(report, wallMs(), host));
      forgetOldest();
    },
    async run(stop) {
      const tickMs = Math.min(SPANS_EVERY_MS, parts.metricIntervalMs);
      let metricsDueMs = clock.monotonicMs() + parts.metricIntervalMs;
      while (!stop.aborted) {
        await clock.sleep(tickMs, stop);
        if (stop.aborted) break;
        await exportSpans(parts.timeoutMs, stop);
        if (clock.monotonicMs() < metricsDueMs) continue;
        metricsDueMs = clock.monotonicMs() + parts.metricIntervalMs;
        await exportMetrics(parts.timeoutMs, stop);
      }
      const last = (end: AbortSignal) =>
        Promise.all([exportSpans(parts.timeoutMs, end), exportMetrics(parts.timeoutMs, end)]);
      // What is cut off is lost, and nobody's fault.
      await withDeadline(clock, LAST_EXPORT_MS, "Cannot send the rest", last).catch(() => {});
    },
  };
}
