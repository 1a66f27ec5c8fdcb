// Cleans up after a parent that could not: it was killed, it crashed, or it simply exited.
// Reads "+FOLDER" and "-FOLDER" lines; at the end of its input the folders that are left are swept.
import { sweepFolder } from "./sweep.ts";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const folders = new Set<string>();
for await (const line of console) {
  if (line.startsWith("+")) folders.add(line.slice(1));
  if (line.startsWith("-")) folders.delete(line.slice(1));
}
const results = await Promise.allSettled([...folders].map(sweepFolder));
process.exit(results.some((result) => result.status === "rejected") ? 1 : 0);
