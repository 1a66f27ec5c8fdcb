/** `observer status`: what the instances say of themselves, once or over and over. */
import { systemClock } from "../adapters/clock.ts";
import { PostgresClient } from "../adapters/postgres-client.ts";
import { isLoopback } from "../config/status.ts";
import {
  type Config,
  ConfigError,
  configBesideService,
  statusFromProcess,
  statusTokenFromProcess,
} from "../config.ts";
import { exitCode } from "../exit-codes.ts";
import { withDeadline } from "../observer/deadline.ts";
import { errorText } from "../status/error-text.ts";
import { postgresOptions } from "../wire.ts";
import { askEndpoint, endpointOf, type Reading, readStatusTable } from "./status-source.ts";
import { statusLines, verdictOf } from "./status-text.ts";
import { print, printable, red } from "./terminal.ts";
import { watch } from "./watch.ts";

export interface StatusOptions {
  readonly json: boolean;
  readonly watch: boolean;
  /** Ask the instance there, and no database. */
  readonly url: string | null;
}

const WATCH_EVERY_MS = 2_000;
const ENDPOINT_TIMEOUT_MS = 3_000;
const NO_DATABASE = "DATABASE_URL is missing";

interface Reader {
  read(stop: AbortSignal): Promise<Reading>;
  close(): Promise<void>;
}

/** 0 if somebody observes; when watched, as of the last look. Throws `Cannot …` where nothing answers. */
export async function status(options: StatusOptions, stop: AbortSignal): Promise<number> {
  const reader = options.url === null ? fromSettings() : fromUrl(options.url);
  try {
    if (!options.watch) {
      const reading = await reader.read(stop);
      await print(options.json ? JSON.stringify(asJson(reading), null, 2) : statusLines(reading).join("\n"));
      return codeOf(reading);
    }
    let code: number = exitCode.failed;
    await watch(WATCH_EVERY_MS, stop, async () => {
      try {
        const reading = await reader.read(stop);
        code = codeOf(reading);
        if (options.json) return [JSON.stringify(asJson(reading))];
        return [`${reading.from}, ${new Date().toISOString()}`, "", ...statusLines(reading)];
      } catch (cause) {
        // What can't be reached now may be back at the next look.
        if (!stop.aborted) code = exitCode.failed;
        const error = errorText(cause);
        return options.json ? [JSON.stringify({ error })] : [red(printable(error))];
      }
    });
    return code;
  } finally {
    await reader.close();
  }
}

const codeOf = (reading: Reading): number => (verdictOf(reading).observed ? exitCode.ok : exitCode.failed);

/** `observed` and `instances` are older than the rest, and stay. */
function asJson(reading: Reading) {
  const { observed, reasons, text } = verdictOf(reading);
  return { observed, reasons, verdict: text, from: reading.from, instances: reading.instances };
}

function fromUrl(url: string): Reader {
  // The token of the service on this machine is for nobody elsewhere.
  const isHere = isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ""));
  const token = isHere ? statusFromProcess().token : statusTokenFromProcess();
  return { read: (stop) => ask(url, token, stop), close: async () => {} };
}

/** A service whose database is a credential of its unit can still be asked itself. */
function fromSettings(): Reader {
  try {
    return fromConfig(configBesideService());
  } catch (error) {
    if (!(error instanceof ConfigError) || !error.problems.some((it) => it.startsWith(NO_DATABASE)))
      throw error;
    const { listen, token } = statusFromProcess();
    if (listen === null) throw error;
    const read = (stop: AbortSignal) =>
      ask(endpointOf(listen), token, stop).catch((cause) => {
        throw stop.aborted ? cause : error;
      });
    return { read, close: async () => {} };
  }
}

/**
 * The table knows of all instances. What the one on this machine says itself is newer, and can be heard where the table
 * can't be read, or can't be written.
 */
function fromConfig(config: Config): Reader {
  const database = new PostgresClient(postgresOptions(config));
  const { listen, token } = config.status;
  return {
    async read(stop) {
      const here =
        listen === null || listen.port === 0
          ? Promise.reject(new Error("Cannot ask the instance on this machine: it has no address"))
          : ask(endpointOf(listen), token, stop);
      const [asked, table] = await Promise.allSettled([
        here,
        withDeadline(
          systemClock,
          config.writeTimeoutMs,
          "Cannot read observer_status",
          (signal) => readStatusTable(database, signal),
          stop,
        ),
      ]);
      if (table.status === "fulfilled")
        return asked.status === "fulfilled" ? withAnswer(table.value, asked.value) : table.value;
      if (asked.status === "fulfilled") return asked.value;
      if (stop.aborted || listen === null || listen.port === 0) throw table.reason;
      throw new Error(`${errorText(table.reason).replace(/(?<![.?])$/, ".")} ${errorText(asked.reason)}`, {
        cause: table.reason,
      });
    },
    close: () => database.close(),
  };
}

/** In place of its row. Who has none writes into another table. */
function withAnswer(table: Reading, { instances: [answer] }: Reading): Reading {
  const others = table.instances.filter(({ instance }) => instance !== answer?.instance);
  return answer === undefined || others.length === table.instances.length
    ? table
    : { from: table.from, instances: [answer, ...others] };
}

const ask = (url: string, token: string | null, stop: AbortSignal): Promise<Reading> =>
  withDeadline(
    systemClock,
    ENDPOINT_TIMEOUT_MS,
    `Cannot ask ${errorText(url)}`,
    (signal) => askEndpoint(url, token, signal),
    stop,
  );
