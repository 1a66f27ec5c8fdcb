/**
 * `bun run fuzz`: the property tests of everything foreign, with many more inputs than `npm test` gives them: what an
 * Engine, a store and a database answer, rows, hints, names and the environment.
 *
 *     bun dev/fuzz.ts                     100,000 inputs or more, some minutes
 *     bun dev/fuzz.ts --inputs 1000000
 *     bun dev/fuzz.ts --seed 171356343    again, the inputs of a run that failed
 *
 * A failure prints the smallest input that it found. Exit code 1.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dir, "..");
const FILES = [
  "test/unit/config-secrets.test.ts",
  "test/unit/docker-event-lines.test.ts",
  "test/unit/docker-listings.test.ts",
  "test/unit/docker-request.test.ts",
  "test/unit/docker-status-text.test.ts",
  "test/unit/foreign-archives.test.ts",
  "test/unit/foreign-documents.test.ts",
  "test/unit/foreign-engine.test.ts",
  "test/unit/s3-contents.test.ts",
  "test/unit/s3-newest.test.ts",
  "test/unit/s3-page.test.ts",
  "test/unit/observer/compose.test.ts",
  "test/unit/observer/conditions.test.ts",
  "test/unit/observer/instant.test.ts",
  "test/unit/observer/names.test.ts",
  "test/integration/hint-payloads.test.ts",
  "test/integration/postgres-literals.test.ts",
];
/** There are somewhat more; some of them cap their inputs, for each costs milliseconds. */
const PROPERTIES = 60;
const TIMEOUT_MS = 30 * 60_000;

const { values } = parseArgs({
  options: { inputs: { type: "string", default: "100000" }, seed: { type: "string" } },
});
const wanted = Number(values.inputs);
if (!Number.isSafeInteger(wanted) || wanted < 1)
  throw new Error(`--inputs must be a whole number, not ${values.inputs}`);
const seed = values.seed ?? String(Math.trunc(Math.random() * 2 ** 31));

const folder = mkdtempSync(join(tmpdir(), "obs-fuzz-"));
const counts = join(folder, "counts");
const child = Bun.spawn(
  [
    process.execPath,
    "test",
    `--timeout=${TIMEOUT_MS}`,
    `--preload=${join(import.meta.dir, "fuzz/preload.ts")}`,
  ].concat(FILES.map((file) => `./${file}`)),
  {
    cwd: root,
    env: {
      ...process.env,
      FUZZ_RUNS: String(Math.ceil(wanted / PROPERTIES)),
      FUZZ_SEED: seed,
      FUZZ_COUNTS: counts,
    },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  },
);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
const startedMs = performance.now();
const code = await child.exited;
const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
const total = { properties: 0, inputs: 0 };
try {
  for (const line of readFileSync(counts, "utf8").trim().split("\n")) {
    const { properties, inputs } = JSON.parse(line) as typeof total;
    total.properties += properties;
    total.inputs += inputs;
  }
} catch {
  // It ended before the first file did; its exit code says so.
}
rmSync(folder, { recursive: true });
console.log(`\n${total.inputs} inputs for ${total.properties} properties in ${seconds} s, seed ${seed}`);
const isEnough = total.inputs >= wanted;
if (!isEnough && code === 0) console.error(`Fewer inputs than the ${wanted} that were asked for`);
process.exit(code === 0 && isEnough ? 0 : 1);
