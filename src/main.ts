/** The composition root: the only place for signals and exit codes. */
import { build } from "./build-info.ts";
import { runCli } from "./cli.ts";
import { ConfigError, configBesideService, configFromProcess, statusFromProcess } from "./config.ts";
import { exitCode } from "./exit-codes.ts";
import { limits } from "./observer/limits.ts";
import { UnworkableError } from "./observer/ports.ts";
import { errorText } from "./status/error-text.ts";

const stop = new AbortController();

// PID 1 of a container ignores signals that it has no handler for. A second signal ends it at once.
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(exitCode.failed);
    stop.abort(new Error(`stopped by ${signal}`));
    // P12: whatever hangs, it ends. Nothing is half-written: every write is one statement.
    setTimeout(() => process.exit(exitCode.failed), limits.shutdownMs - 250).unref();
  });
}
// Not the end of it, as it is by default, even before there is a log to change.
let toggleVerbosity = () => {};
process.on("SIGUSR2", () => toggleVerbosity());
// A reader that left a pipe must not end a daemon.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

// The pieces of a command are loaded when it is called: `observer schema` needs no Redis, and starts at once.
const code = await runCli(
  process.argv.slice(2),
  {
    run: async () =>
      (await import("./commands/run.ts")).run(configFromProcess(), stop.signal, (toggle) => {
        toggleVerbosity = toggle;
      }),
    once: async (options) =>
      (await import("./commands/once.ts")).once(configBesideService(), options, stop.signal),
    check: async (options) =>
      (await import("./commands/check.ts")).check(configBesideService(), options, stop.signal),
    status: async (options) => (await import("./commands/status.ts")).status(options, stop.signal),
    accept: async (source, { host }) =>
      (await import("./commands/accept.ts")).accept(configBesideService(), source, host, stop.signal),
    forget: async (host, options) =>
      (await import("./commands/forget.ts")).forget(configBesideService(), host, options, stop.signal),
    explain: async (workspace, options) =>
      (await import("./commands/explain.ts")).explain(configBesideService(), workspace, options, stop.signal),
    health: async () => (await import("./commands/health.ts")).health(statusFromProcess()),
    completion: async (shell, surface) => {
      const { completionScript } = await import("./commands/completion.ts");
      const { print } = await import("./commands/terminal.ts");
      await print(completionScript(shell, surface));
      return exitCode.ok;
    },
    schema: async (options) => {
      const { schemaDdl } = await import("./adapters/postgres-schema.ts");
      const { print } = await import("./commands/terminal.ts");
      await print(schemaDdl(options));
      return exitCode.ok;
    },
  },
  build,
).catch((error: unknown) => {
  if (error instanceof ConfigError || error instanceof UnworkableError) {
    process.stderr.write(`${error.message}\n`);
    return exitCode.config;
  }
  // The world's faults were outcomes long before this; of a bug of ours the whole story is wanted.
  const expected = error instanceof Error && /^Cannot /.test(error.message);
  process.stderr.write(
    `${expected || !(error instanceof Error) ? errorText(error) : (error.stack ?? error.message)}\n`,
  );
  return expected ? exitCode.failed : exitCode.software;
});
process.exit(code);
