// What the tests' services need: looked for, and on Debian installed when run as root.
//   bun dev/install.ts
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BUSYBOX_PATH, hasStaticBusybox } from "./services/busybox-image.ts";
import { POSTGRES_FOLDERS } from "./services/postgres.ts";
import { isRoot } from "./services/privileges.ts";
import { searchPath } from "./services/process.ts";
import { cephPackageFolder, runCephScript } from "./services/s3.ts";

interface Requirement {
  /** What a person reads when it is missing. */
  readonly what: string;
  readonly debianPackage: string;
  readonly isThere: () => boolean;
}

const program = (name: string, debianPackage: string): Requirement => ({
  what: `the program ${name}`,
  debianPackage,
  isThere: () => findProgram(name) !== undefined,
});

/** For the examples of docs/integrating.md: of Debian's own Python, whatever other one is on the path. */
const pythonModule = (name: string): Requirement => ({
  what: `Python's module ${name}`,
  debianPackage: `python3-${name}`,
  isThere: () => existsSync(join("/usr/lib/python3/dist-packages", name)),
});

const REQUIREMENTS: readonly Requirement[] = [
  program("dockerd", "docker.io"),
  program("containerd", "containerd"),
  program("runc", "runc"),
  program("podman", "podman"),
  // It is Sentinel too, with --sentinel.
  program("redis-server", "redis-server"),
  program("pgbouncer", "pgbouncer"),
  program("openssl", "openssl"),
  program("prometheus", "prometheus"),
  program("promtool", "prometheus"),
  program("chromium", "chromium"),
  program("zsh", "zsh"),
  program("mandoc", "mandoc"),
  program("setpriv", "util-linux"),
  program("flock", "util-linux"),
  program("umount", "mount"),
  program("systemd-analyze", "systemd"),
  {
    what: `a statically linked ${BUSYBOX_PATH}`,
    debianPackage: "busybox-static",
    isThere: hasStaticBusybox,
  },
  pythonModule("psycopg2"),
  pythonModule("redis"),
  {
    what: "the server of PostgreSQL 15",
    debianPackage: "postgresql-15",
    isThere: () => hasPostgres(15),
  },
  {
    // With AppArmor in the kernel the Engine starts no container without it.
    what: "AppArmor's parser",
    debianPackage: "apparmor",
    isThere: () => !kernelHasAppArmor() || findProgram("apparmor_parser") !== undefined,
  },
];

/**
 * Makes sure that everything the tests' services need is on this machine; quick when it is.
 * As root on Debian it installs what is missing. Otherwise it throws one error that names all of it.
 */
export async function ensureServices(): Promise<void> {
  const problems: string[] = [];
  if (!isRoot())
    problems.push("root: the private Docker Engine runs as root only. Run the same command as root");
  if (!hasPostgres(18)) {
    problems.push(
      `the server of PostgreSQL 18 in ${POSTGRES_FOLDERS[18]}. ` +
        "Run `bun install --frozen-lockfile` on Linux, x86-64",
    );
  }
  const missing = REQUIREMENTS.filter((requirement) => !requirement.isThere());
  const packages = [...new Set(missing.map((requirement) => requirement.debianPackage))];
  const canInstall = isRoot() && findProgram("apt-get") !== undefined;
  if (missing.length > 0 && canInstall && problems.length === 0) {
    installPackages(packages);
    const still = missing.filter((requirement) => !requirement.isThere());
    problems.push(
      ...still.map(({ what, debianPackage }) => `${what}, though ${debianPackage} was installed`),
    );
  } else if (missing.length > 0) {
    problems.push(
      ...missing.map(({ what }) => what),
      `(on Debian 12, as root: \`apt-get update && apt-get install --no-install-recommends ${packages.join(" ")}\`)`,
    );
  }
  const hasCeph = existsSync(join(cephPackageFolder(), "ok"));
  if (problems.length > 0) {
    if (!hasCeph)
      problems.push("Ceph's S3 gateway: `dev/services/ceph-rgw.sh install` fetches it (Debian 12)");
    throw new Error(
      `Cannot run the services for the tests. Missing:\n${problems.map((p) => `  - ${p}`).join("\n")}`,
    );
  }
  // Unpacked below the user's cache folder, not installed; last, since it fetches only what the machine lacks.
  if (!hasCeph) {
    console.error(`Fetching the S3 gateway into ${cephPackageFolder()} …`);
    await runCephScript(["install"]);
  }
}

function installPackages(packages: readonly string[]): void {
  console.error(`Installing ${packages.join(" ")} …`);
  const update = aptGet(["update"]);
  const install = withoutStartingDaemons(() =>
    aptGet(["install", "--yes", "--no-install-recommends", ...packages]),
  );
  if (install.status === 0) return;
  const output = [update, install]
    .filter(({ status }) => status !== 0)
    .map(({ output }) => output.trim().split("\n").slice(-15).join("\n"));
  throw new Error(
    `Cannot install ${packages.join(" ")}: apt-get ended with ${install.status}. ` +
      `Run \`apt-get update && apt-get install --no-install-recommends ${packages.join(" ")}\` yourself.\n${output.join("\n")}`,
  );
}

function aptGet(args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300", ...args], {
    env: { ...process.env, PATH: searchPath(), DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" },
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 64 * 2 ** 20,
  });
  return { status, output: `${stdout}${stderr}` };
}

const POLICY_PATH = "/usr/sbin/policy-rc.d";
const SAVED_POLICY_PATH = `${POLICY_PATH}.saved-by-observer`;
const POLICY =
  "#!/bin/sh\n# Written by Observer's dev/install.ts while it installs packages; safe to delete.\nexit 101\n";

/** Packages of servers start them at once, with or without systemd, unless this policy says no (exit code 101). */
function withoutStartingDaemons<T>(work: () => T): T {
  // A Ctrl-C in between stops apt-get; we go on for the moment that it takes to put things back.
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const goOn = () => {};
  for (const signal of signals) process.on(signal, goOn);
  restorePolicy();
  try {
    if (existsSync(POLICY_PATH)) renameSync(POLICY_PATH, SAVED_POLICY_PATH);
    writeFileSync(POLICY_PATH, POLICY, { mode: 0o755 });
    return work();
  } finally {
    restorePolicy();
    for (const signal of signals) process.off(signal, goOn);
  }
}

/** Also mends what an installation left behind that was killed. */
function restorePolicy(): void {
  if (existsSync(POLICY_PATH) && readFileSync(POLICY_PATH, "utf8") === POLICY) rmSync(POLICY_PATH);
  if (existsSync(SAVED_POLICY_PATH)) renameSync(SAVED_POLICY_PATH, POLICY_PATH);
}

function findProgram(name: string): string | undefined {
  return searchPath()
    .split(":")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const hasPostgres = (version: 15 | 18): boolean =>
  ["initdb", "postgres"].every((name) => isExecutable(join(POSTGRES_FOLDERS[version], "bin", name)));

function kernelHasAppArmor(): boolean {
  const flag = "/sys/module/apparmor/parameters/enabled";
  return (
    existsSync(flag) &&
    readFileSync(flag, "utf8").startsWith("Y") &&
    existsSync("/sys/kernel/security/apparmor")
  );
}

if (import.meta.main) {
  try {
    await ensureServices();
    console.log("Everything that the tests' services need is there.");
  } catch (error) {
    console.error((error as Error).message);
    process.exit(1);
  }
}
