/** `observer run`: the daemon. */
import { systemClock } from "../adapters/clock.ts";
import { build } from "../build-info.ts";
import type { Config } from "../config.ts";
import { exitCode } from "../exit-codes.ts";
import { createLog } from "../log.ts";
import { levelSwitch } from "../log-level.ts";
import { limits } from "../observer/limits.ts";
import { type Outage, onFailure, outageFields } from "../observer/outage.ts";
import { type Clock, type Log, UnworkableError } from "../observer/ports.ts";
import { createStatusApp } from "../status/app.ts";
import { describeView } from "../status/describe.ts";
import { createMetrics, type Metrics } from "../status/metrics.ts";
import type { OtlpExporter } from "../status/otlp-exporter.ts";
import { createPage } from "../status/page/page.ts";
import { MOST_FOLDED } from "../status/repetitions.ts";
import { type StatusServer, startStatusServer } from "../status/server.ts";
import { wire } from "../wire.ts";
import { readExplanation } from "./explain.ts";
import { openUnits } from "./run-units.ts";
import { openSupervision } from "./supervision.ts";

/** How often a taken address is tried again: in a rolling upgrade the old instance leaves it soon. */
const LISTEN_RETRY_MS = 2_000;
/** How long answers under way may take at the end. */
const SERVER_STOP_MS = 500;

/**
 * @param onVerbosity takes what SIGUSR2 does
 * @returns the exit code; resolves soon after `stop` fires, or when the configuration can never work
 */
export async function run(
  config: Config,
  stop: AbortSignal,
  onVerbosity: (toggle: () => void) => void,
): Promise<number> {
  const log = createLog({ ...config.log, instance: config.instance });
  onVerbosity(levelSwitch(log, config.log.level));
  log.info("observer.starting", "Starting", {
    version: build.version,
    commit: build.commit,
    prefix: config.prefix,
    hints: config.redis === null ? "postgresql" : "redis",
    archives: config.archives?.bucket ?? null,
  });
  for (const warning of config.warnings)
    log.warn("config.warning", "A setting can hardly be meant", { warning });

  const world = await wire(config, log, { sourcePatienceMs: limits.sourcePatienceMs });
  const health = { ...config.cadence, ...config };
  const view = () => units.view();
  const hosts = world.units.length > 1 ? world.units.flatMap(({ host }) => host ?? []) : [];
  const metrics = createMetrics({ view, build, health, isMember: config.fleet !== null, hosts });
  const telemetry = await openTelemetry(config, metrics, log);
  const supervision = await openSupervision(config, log, { view, health });
  const units = openUnits(config, world, log, {
    onReport: (host) => (report) => {
      metrics.onReport(report, host);
      telemetry?.onReport(report, host);
      page.onReport(report);
    },
    onProgress: supervision.onProgress,
    describe: (own, sign) => describeView(own, build, health, sign),
  });
  let isBroken = false;
  const onError = (cause: unknown) => {
    // An open page asks every few seconds: once is enough.
    if (!isBroken) log.warn("status.broken", "The status endpoint failed inside", { error: cause });
    isBroken = true;
  };
  const page = createPage({
    view,
    health,
    build,
    rows: () => units.rows(),
    explain: (id, signal) => readExplanation(config, id, MOST_FOLDED, signal),
    staleAfterMs: config.maxAgeMs + 3 * config.cadence.idleIntervalMs + config.listTimeoutMs,
    onError,
  });
  const app = createStatusApp({
    view,
    health,
    build,
    metrics,
    page,
    onError,
    token: config.status.token,
  });
  // Ends with the loop too, not only with the signal: an unworkable configuration ends the loop by itself.
  const ended = new AbortController();
  const end = AbortSignal.any([stop, ended.signal]);
  // Answers without an end would hold up the server's stop.
  end.addEventListener("abort", () => page.close(), { once: true });
  const beside = [
    serve(config, app, log, systemClock, end),
    supervision.keep(end),
    // What the last looks did is worth an export too.
    telemetry?.run(ended.signal),
  ];
  try {
    const runs = units.runs.map((run) => run(end).finally(() => ended.abort()));
    for (const unit of await Promise.allSettled(runs)) if (unit.status === "rejected") throw unit.reason;
    log.info("observer.stopped", "Stopped");
    return exitCode.ok;
  } catch (cause) {
    if (!(cause instanceof UnworkableError)) throw cause;
    log.error("observer.unworkable", "This configuration can never work", { error: cause });
    return exitCode.config;
  } finally {
    ended.abort();
    await Promise.all([...beside, world.close()]);
    await log.flush();
  }
}

/** Serves until the signal fires. An address that is taken costs the endpoint, not the observing. */
async function serve(
  config: Config,
  app: Parameters<typeof startStatusServer>[0]["app"],
  log: Log,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const { listen } = config.status;
  if (listen === null) return;
  let server: StatusServer | null = null;
  let outage: Outage | null = null;
  while (server === null && !signal.aborted) {
    try {
      server = startStatusServer({ app, ...listen });
      log.info("status.listening", "The status endpoint listens", { url: server.url });
    } catch (cause) {
      const nowMs = clock.monotonicMs();
      const heard = onFailure(outage, nowMs);
      outage = heard.outage;
      if (heard.isWorthSaying)
        log.error("status.unavailable", "Goes on without the status endpoint, and tries again", {
          error: cause,
          ...outageFields(outage, nowMs),
        });
      await clock.sleep(LISTEN_RETRY_MS, signal);
    }
  }
  while (!signal.aborted) await clock.sleep(Number.MAX_SAFE_INTEGER, signal);
  await server?.stop(SERVER_STOP_MS);
}

/** Loaded only where it is configured: who sends nothing pays nothing. */
async function openTelemetry(config: Config, metrics: Metrics, log: Log): Promise<OtlpExporter | null> {
  const { telemetry, instance } = config;
  if (telemetry === null) return null;
  const [{ createOtlpExporter }, { createOtlpSender }] = await Promise.all([
    import("../status/otlp-exporter.ts"),
    import("../adapters/otlp.ts"),
  ]);
  return createOtlpExporter({
    ...telemetry,
    clock: systemClock,
    log,
    wallMs: Date.now,
    send: createOtlpSender(telemetry),
    metrics,
    build,
    instance,
  });
}
