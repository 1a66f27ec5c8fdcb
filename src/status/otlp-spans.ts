/** One span per look, delivery and glance. */
import { randomBytes } from "node:crypto";
import type { CycleReport } from "../observer/report.ts";
import { errorText } from "./error-text.ts";
import { attributes, type KeyValue, nanoseconds } from "./otlp-values.ts";

export interface OtlpSpan {
  /** 16 and 8 bytes in hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly name: string;
  readonly kind: typeof INTERNAL;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly KeyValue[];
  readonly status:
    | { readonly code: typeof UNSET }
    | { readonly code: typeof ERROR; readonly message: string };
}
const INTERNAL = 1;
const UNSET = 0;
const ERROR = 2;

/** @param endedMs milliseconds since 1970 */
export function spanOf(report: CycleReport, endedMs: number, host: string | null = null): OtlpSpan {
  const { kind, durationMs, counts, failures, stagesMs } = report;
  const stages = Object.entries(stagesMs).map(([stage, ms]) => [`observer.stage.${stage}.duration_ms`, ms]);
  const numbers = Object.entries(counts).map(([name, count]) => [`observer.count.${name}`, count]);
  const [failure] = failures;
  return {
    traceId: randomBytes(16).toString("hex"),
    spanId: randomBytes(8).toString("hex"),
    name: `observer ${kind}`,
    kind: INTERNAL,
    startTimeUnixNano: nanoseconds(endedMs - durationMs),
    endTimeUnixNano: nanoseconds(endedMs),
    attributes: attributes({
      "observer.kind": kind,
      ...(host !== null && { "observer.host": host }),
      "observer.sources": report.sources.join(","),
      "observer.lease_lost": report.leaseLost,
      "observer.woke": report.woke,
      ...Object.fromEntries(numbers),
      ...Object.fromEntries(stages),
    }),
    status:
      failure === undefined
        ? { code: UNSET }
        : { code: ERROR, message: `${failure.stage}: ${errorText(failure.cause)}` },
  };
}
