/**
 * `npm test`: everything, on real services. `--quick` runs what needs no service.
 *
 * Each suite is a `bun test` of its own; the counts come from its JUnit report, so that the last line is the truth.
 * Ends with 1 if anything failed, a suite that ran nothing included.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureServices } from "./install.ts";
import { ensureKubernetesPrograms, kubernetesPrograms } from "./services/kubernetes.ts";

const root = join(import.meta.dir, "..");
const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    /** Only these suites, by name. */
    only: { type: "string", multiple: true },
  },
});

/** No suite takes half of this; one that hangs must fail while somebody still looks. */
const SUITE_DEADLINE_MS = 10 * 60_000;

interface Suite {
  readonly name: string;
  readonly command: readonly string[];
  /** A folder of tests; without, the exit code is the one result. */
  readonly tests?: boolean;
  readonly quick?: boolean;
  /** Runs at the same time as that suite: two that only compute, or two that mostly wait, share two cores well. */
  readonly beside?: string;
}

const bin = (name: string) => join(root, "node_modules/.bin", name);
const tests = (...folders: string[]) => [
  process.execPath,
  "test",
  "--only-failures",
  "--timeout=60000",
  ...folders.map((folder) => `./test/${folder}`),
];

const suites: readonly Suite[] = [
  { name: "types", command: [bin("tsc"), "--noEmit"], quick: true },
  { name: "lint", command: [bin("biome"), "check", "--error-on-warnings", "."], quick: true },
  { name: "unit", command: tests("unit"), tests: true, quick: true },
  { name: "simulation", command: tests("simulation/simulation.test.ts"), tests: true, quick: true },
  { name: "mutants", command: tests("simulation/mutants.test.ts"), tests: true, beside: "simulation" },
  { name: "fleet", command: tests("simulation/fleet.test.ts"), tests: true, beside: "simulation" },
  { name: "contract", command: tests("contract"), tests: true, beside: "integration" },
  { name: "integration", command: tests("integration"), tests: true },
  // On a real kube-apiserver. Compiling one takes minutes, so that is done by `bun run test:kubernetes` alone.
  { name: "kubernetes", command: tests("kubernetes"), tests: true, beside: "e2e" },
  { name: "build", command: [process.execPath, "dev/build.ts"] },
  { name: "e2e", command: [...tests("e2e"), "--preload=./test/e2e/support-end.ts"], tests: true },
];

interface Result {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
}

async function runSuite(suite: Suite, reports: string): Promise<Result> {
  const report = join(reports, `${suite.name}.xml`);
  const startedMs = performance.now();
  const reporter = suite.tests ? ["--reporter=junit", `--reporter-outfile=${report}`] : [];
  const child = Bun.spawn([...suite.command, ...reporter], {
    cwd: root,
    stdin: "ignore",
    stdout: suite.beside ? "pipe" : "inherit",
    stderr: suite.beside ? "pipe" : "inherit",
  });
  running.add(child);
  const timer = setTimeout(() => {
    console.error(`${suite.name} did not end within ${SUITE_DEADLINE_MS / 60_000} minutes`);
    child.kill("SIGKILL");
  }, SUITE_DEADLINE_MS);
  // What runs beside another suite is printed when it has ended, so that the two don't mix.
  const output = suite.beside ? [new Response(child.stdout), new Response(child.stderr)] : [];
  const texts = await Promise.all(output.map((stream) => stream.text()));
  const code = await child.exited;
  clearTimeout(timer);
  running.delete(child);
  if (suite.beside) console.log(`\n── ${suite.name}\n${texts.join("")}`);
  const seconds = (performance.now() - startedMs) / 1000;
  const ok = code === 0;
  if (!suite.tests) return { name: suite.name, passed: ok ? 1 : 0, failed: ok ? 0 : 1, seconds };
  const { passed, failed } = readReport(report);
  // A crash outside any test, or a folder without tests, is a failure as well.
  const silent = (!ok && failed === 0) || passed + failed === 0;
  return { name: suite.name, passed, failed: failed + (silent ? 1 : 0), seconds };
}

function readReport(path: string): { passed: number; failed: number } {
  let head: string;
  try {
    head = /<testsuites [^>]*>/.exec(readFileSync(path, "utf8"))?.[0] ?? "";
  } catch {
    return { passed: 0, failed: 0 };
  }
  const count = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  // A test that was skipped did not pass: no test here may be.
  const failed = count("failures") + count("errors") + count("skipped");
  return { passed: count("tests") - failed, failed };
}

const running = new Set<Bun.Subprocess>();
let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
    interrupted = true;
    process.exitCode = 1;
  });
}

const wanted = suites.filter(
  ({ name, quick }) => (!values.quick || quick) && (values.only?.includes(name) ?? true),
);
const asked = values.only ?? [];
if (asked.includes("kubernetes")) await ensureKubernetesPrograms();
const kubernetes = wanted.findIndex(({ name }) => name === "kubernetes");
if (kubernetes >= 0 && kubernetesPrograms() === null) wanted.splice(kubernetes, 1);
const withoutKubernetes =
  kubernetes >= 0 && !wanted.some(({ name }) => name === "kubernetes")
    ? "kubernetes: not run, for there is no kube-apiserver; `bun run test:kubernetes` builds it once, or KUBEBUILDER_ASSETS names one"
    : null;
if (wanted.some(({ name, quick }) => !quick && name !== "kubernetes")) await ensureServices();

const reports = mkdtempSync(join(tmpdir(), "observer-test-"));
const results: Result[] = [];
try {
  for (const suite of wanted) {
    if (interrupted || wanted.some(({ name }) => name === suite.beside)) continue;
    console.log(`\n── ${suite.name}`);
    const beside = wanted.filter((other) => other.beside === suite.name);
    results.push(...(await Promise.all([suite, ...beside].map((each) => runSuite(each, reports)))));
  }
} finally {
  rmSync(reports, { recursive: true, force: true });
}

console.log("");
for (const { name, passed, failed, seconds } of results) {
  console.log(
    `${name.padEnd(12)} ${String(passed).padStart(5)} passed ${String(failed).padStart(4)} failed  ${seconds.toFixed(0).padStart(4)} s`,
  );
}
if (withoutKubernetes !== null) console.log(withoutKubernetes);
const passed = results.reduce((sum, result) => sum + result.passed, 0);
const failed = results.reduce((sum, result) => sum + result.failed, 0);
if (failed > 0 || passed === 0) process.exitCode = 1;
console.log(`\n${passed} passed, ${failed} failed`);
