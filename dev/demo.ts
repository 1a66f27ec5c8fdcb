/**
 * `npm start`: the Observer at work, at once. A private PostgreSQL, this machine's Docker Engine or a simulated one,
 * a small S3 store, and `observer run` on them, as a process of its own with its own log. Ctrl-C ends it all, and
 * nothing is left behind; so does SIGTERM, a closed terminal, or a reader of the output that goes away.
 */
import { say } from "./demo/banner.ts";
import { runDemo } from "./demo/run.ts";
import { handleSignalsManually, stopAllServices } from "./services/scope.ts";

const stop = new AbortController();
// A second signal is heard, and changes nothing: the end is under way, and quick.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
process.stdout.on("error", () => stop.abort());
process.stderr.on("error", () => {});
handleSignalsManually();

let code = 1;
try {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error("Cannot run the demo here: its PostgreSQL is for Linux on x86-64");
  }
  code = await runDemo(stop.signal);
} catch (error) {
  if (stop.signal.aborted) code = 0;
  else process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
}
await stopAllServices();
say("\nThe demo has ended, and nothing of it is left.");
process.exit(code);
