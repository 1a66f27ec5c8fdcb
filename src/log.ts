/**
 * The log: JSON lines on standard output, pretty on a terminal, each with its priority in front for the journal. A
 * constant message and a stable `event` per fact, everything that varies in fields.
 */
import pino from "pino";
import pretty from "pino-pretty";
import { isColourful } from "./colour.ts";
import { leadsToJournal, withPriority } from "./log-journal.ts";
import type { Log } from "./observer/ports.ts";

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly format: "json" | "pretty" | "auto";
  /** `$JOURNAL_STREAM`. */
  readonly journalStream: string | null;
  readonly instance: string;
}

export interface ProcessLog extends Log {
  setLevel(level: LogOptions["level"]): void;
  /**
   * Resolves when all that was logged is written, or after half a second with a reader that is stuck. For the very end:
   * writes run beside the process, and the last lines say why it ends.
   */
  flush(): Promise<void>;
}

/** Lines that wait for a reader that is slow are dropped beyond this: a stuck log pipe must not stop the daemon. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const FLUSH_TIMEOUT_MS = 500;

export function createLog({ level, format, journalStream, instance }: LogOptions): ProcessLog {
  const isPretty = format === "pretty" || (format === "auto" && process.stdout.isTTY === true);
  // Every line is longer than one byte, so each is written at once; with 0 flush() would wait for nothing.
  const destination = pino.destination({ dest: 1, sync: false, minLength: 1, maxLength: MAX_BUFFERED_BYTES });
  // A reader that went away is no reason to stop observing.
  destination.on("error", () => {});
  const logger = pino(
    {
      level,
      base: { instance },
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: "message",
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError },
    },
    isPretty
      ? pretty({
          destination,
          colorize: isColourful(),
          messageKey: "message",
          ignore: "instance,event",
          translateTime: "SYS:HH:MM:ss.l",
          singleLine: true,
        })
      : leadsToJournal(journalStream, 1)
        ? withPriority(destination)
        : destination,
  );
  const write =
    (name: "debug" | "info" | "warn" | "error") =>
    (event: string, message: string, fields: Record<string, unknown> = {}) =>
      logger[name]({ event, ...fields }, message);
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    setLevel(next) {
      logger.level = next;
    },
    flush: () =>
      new Promise((resolve) => {
        setTimeout(resolve, FLUSH_TIMEOUT_MS);
        try {
          destination.flush(() => resolve());
        } catch {
          // Nobody reads any more.
          resolve();
        }
      }),
  };
}

/** One line: the message and its causes. A stack only for what is a bug of ours. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error && causes.length < 5; cause = cause.cause) {
    if (!error.message.includes(cause.message)) causes.push(cause.message);
  }
  const { code } = error as { code?: unknown };
  return {
    message: error.message,
    ...(typeof code === "string" ? { code } : {}),
    ...(causes.length > 0 ? { causes } : {}),
    ...(error instanceof TypeError || error instanceof ReferenceError ? { stack: error.stack } : {}),
  };
}
