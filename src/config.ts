/**
 * Environment → frozen Config, or every problem at once. The only reader of process.env.
 *
 * The settings themselves are listed in config/settings.ts; each kind of connection has a file of its own.
 */
import { readFileSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { readArchives } from "./config/archives.ts";
import { readDatabase } from "./config/database-url.ts";
import { readEngines } from "./config/engines.ts";
import { formatDuration } from "./config/parse.ts";
import { readRedis } from "./config/redis-url.ts";
import { SERVICE_FILE, withServiceFile } from "./config/service-file.ts";
import type { SettingName } from "./config/settings.ts";
import { ConfigSource, type Environment, type ReadFile } from "./config/source.ts";
import { readStatus } from "./config/status.ts";
import { readSupervisor } from "./config/supervisor.ts";
import { readTelemetry } from "./config/telemetry.ts";
import type {
  CadenceConfig,
  Config,
  FleetConfig,
  HostEngine,
  LogFormat,
  LogLevel,
  StatusConfig,
} from "./config/types.ts";
import { checkNames } from "./config/unknown-names.ts";
import { limits } from "./observer/limits.ts";

export type { Environment, ReadFile } from "./config/source.ts";
export type * from "./config/types.ts";

/** What is known of the process itself. `user` is the system's user, null where it has no name. */
export interface Host {
  readonly hostname: string;
  readonly pid: number;
  readonly user?: string | null;
}

/** The configuration can never work as it is. The message names every problem and no secret. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** A sentence each that starts with the setting's name. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super(`Cannot use the configuration, ${count}:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

export function configFromProcess(): Config {
  return loadConfig(process.env, readText, thisHost());
}

/** For a command beside the service: what its environment doesn't say, `/etc/observer/observer.env` does. */
export function configBesideService(): Config {
  const { env, refused } = withServiceFile(process.env, readText);
  // The AWS SDK looks for a profile and the like itself.
  for (const [name, value] of Object.entries(env)) process.env[name] ??= value;
  try {
    return loadConfig(env, readText, thisHost());
  } catch (error) {
    if (!refused || !(error instanceof ConfigError)) throw error;
    throw new ConfigError([
      `${SERVICE_FILE} holds the settings of the service, and may not be read by this user: try it with sudo`,
      ...error.problems,
    ]);
  }
}

/** The settings of the endpoint alone, for who asks the instance on this machine and no database. Throws ConfigError. */
export function statusFromProcess(): StatusConfig {
  const source = new ConfigSource(withServiceFile(process.env, readText).env, readText);
  const status = readStatus(source);
  if (source.problems.length > 0) throw new ConfigError(source.problems);
  return status;
}

/** `OBSERVER_STATUS_TOKEN` alone, for who asks an instance elsewhere and has no other setting. Throws ConfigError. */
export function statusTokenFromProcess(): string | null {
  const source = new ConfigSource(process.env, readText);
  const token = source.word("OBSERVER_STATUS_TOKEN");
  if (source.problems.length > 0) throw new ConfigError(source.problems);
  return token;
}

const readText: ReadFile = (path) => readFileSync(path, "utf8");

const thisHost = (): Host => ({ hostname: hostname(), pid: process.pid, user: systemUser() });

/** Throws ConfigError. `readFile` throws for what can't be read. */
export function loadConfig(env: Environment, readFile: ReadFile, host: Host): Config {
  const source = new ConfigSource(env, readFile);
  const database = readDatabase(source, host.user ?? null);
  const redis = readRedis(source);
  const engines = readEngines(source);
  const archives = readArchives(source);
  const prefix = source.word("OBSERVER_PREFIX") ?? "";
  const instance = source.word("OBSERVER_INSTANCE") ?? defaultInstance(host);
  const hintChannel = source.word("OBSERVER_HINT_CHANNEL") ?? "";
  const wakeChannel = source.word("OBSERVER_WAKE_CHANNEL") ?? "";
  const cadence = readCadence(source);
  const maxAgeMs = source.durationMs("OBSERVER_MAX_AGE", cadence.idleIntervalMs);
  const listTimeoutMs = source.durationMs("OBSERVER_LIST_TIMEOUT");
  const writeTimeoutMs = source.durationMs("OBSERVER_WRITE_TIMEOUT");
  const guard = {
    enabled: source.on("OBSERVER_GUARD"),
    min: source.integer("OBSERVER_GUARD_MIN"),
    ratio: source.ratio("OBSERVER_GUARD_RATIO"),
    confirm: source.integer("OBSERVER_GUARD_CONFIRM"),
  };
  const fleet = readFleet(source, cadence, engines);
  const transitionsMaxAgeMs = source.durationMs("OBSERVER_TRANSITIONS_MAX_AGE");
  const status = readStatus(source);
  const telemetry = readTelemetry(source);
  const log = {
    level: source.choice("OBSERVER_LOG_LEVEL") as LogLevel,
    format: source.choice("OBSERVER_LOG_FORMAT") as LogFormat,
    journalStream: source.text("JOURNAL_STREAM"),
  };
  const supervisor = readSupervisor(source, host.pid);
  checkOrder(
    source,
    "OBSERVER_MIN_INTERVAL",
    "OBSERVER_ACTIVE_INTERVAL",
    cadence.minIntervalMs,
    cadence.activeIntervalMs,
  );
  checkOrder(
    source,
    "OBSERVER_ACTIVE_INTERVAL",
    "OBSERVER_IDLE_INTERVAL",
    cadence.activeIntervalMs,
    cadence.idleIntervalMs,
  );
  // Rows are looked at once per idle interval, so a stamp can't be kept younger than that.
  checkOrder(source, "OBSERVER_IDLE_INTERVAL", "OBSERVER_MAX_AGE", cadence.idleIntervalMs, maxAgeMs);
  if (!source.isWrong("OBSERVER_WRITE_TIMEOUT") && writeTimeoutMs >= limits.leaseMs)
    source.problem(
      "OBSERVER_WRITE_TIMEOUT",
      `must be shorter than the lease lives, ${formatDuration(limits.leaseMs)}, not ${given(source, "OBSERVER_WRITE_TIMEOUT", writeTimeoutMs)}`,
    );
  // One's own announcements would be hints: a look every minimal interval, for ever.
  if (hintChannel !== "" && hintChannel === wakeChannel)
    source.problem(
      "OBSERVER_WAKE_CHANNEL",
      `must not be the same as OBSERVER_HINT_CHANNEL, "${hintChannel}"`,
    );
  checkNames(source, env);

  if (source.problems.length > 0) throw new ConfigError(deepFreeze([...source.problems]));
  if (database === null || engines.length === 0)
    throw new Error("Bug: a connection is missing without a problem");
  return deepFreeze({
    prefix,
    instance,
    database,
    redis,
    engines,
    archives,
    cadence,
    maxAgeMs,
    listTimeoutMs,
    writeTimeoutMs,
    hintChannel,
    wakeChannel,
    guard,
    fleet,
    transitionsMaxAgeMs,
    status,
    telemetry,
    log,
    supervisor,
    warnings: [...source.warnings],
  });
}

function readCadence(source: ConfigSource): CadenceConfig {
  return {
    idleIntervalMs: source.durationMs("OBSERVER_IDLE_INTERVAL"),
    activeIntervalMs: source.durationMs("OBSERVER_ACTIVE_INTERVAL"),
    minIntervalMs: source.durationMs("OBSERVER_MIN_INTERVAL"),
    activeForMs: source.durationMs("OBSERVER_ACTIVE_DURATION"),
  };
}

function readFleet(
  source: ConfigSource,
  { idleIntervalMs }: CadenceConfig,
  engines: readonly HostEngine[],
): FleetConfig | null {
  const lostAfterMs = source.durationMs("OBSERVER_HOST_LOST_AFTER");
  if (engines.every(({ host }) => host === null)) return null;
  // A host gives a sign once per look.
  if (!source.isWrong("OBSERVER_HOST_LOST_AFTER") && lostAfterMs < 2 * idleIntervalMs)
    source.problem(
      "OBSERVER_HOST_LOST_AFTER",
      `must be at least twice OBSERVER_IDLE_INTERVAL, which is ${given(source, "OBSERVER_IDLE_INTERVAL", idleIntervalMs)}, not ${given(source, "OBSERVER_HOST_LOST_AFTER", lostAfterMs)}`,
    );
  return { lostAfterMs };
}

/** The first must not be longer than the second. Whichever is not a default is blamed, the second before the first. */
function checkOrder(
  source: ConfigSource,
  less: SettingName,
  more: SettingName,
  lessMs: number,
  moreMs: number,
): void {
  if (source.isWrong(less) || source.isWrong(more) || lessMs <= moreMs) return;
  if (source.text(more) !== null)
    source.problem(
      more,
      `must be at least ${less}, which is ${given(source, less, lessMs)}, not "${source.text(more)}"`,
    );
  else
    source.problem(
      less,
      `must be at most ${more}, which is ${given(source, more, moreMs)}, not "${source.text(less)}"`,
    );
}

const given = (source: ConfigSource, name: SettingName, ms: number): string =>
  source.text(name) === null ? `${formatDuration(ms)} by default` : `"${source.text(name)}"`;

/** A host's name can hold anything; the instance's name is one word. */
function defaultInstance({ hostname, pid }: Host): string {
  return `${hostname.replace(/[^\x21-\x7e]/g, "_").slice(0, 100) || "observer"}-${pid}`;
}

/** A container's user often has a number and no name; userInfo() then throws. */
function systemUser(): string | null {
  try {
    return userInfo().username || null;
  } catch {
    return null;
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
