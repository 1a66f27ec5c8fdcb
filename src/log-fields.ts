import type { Log } from "./observer/ports.ts";

/** The same log, with these fields in each line. */
export function withFields(log: Log, always: Readonly<Record<string, unknown>>): Log {
  const note =
    (level: keyof Log): Log["info"] =>
    (event, message, fields) =>
      log[level](event, message, { ...always, ...fields });
  return { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
}
