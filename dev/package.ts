/**
 * `bun run package`: everything that is released, in `dist/`: a Debian package and a tarball for amd64 and arm64, the bill
 * of materials, and SHA256SUMS of them.
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import manifest from "../package.json";
import { makeDeb } from "./package/deb.ts";
import { readLock } from "./package/lock.ts";
import { arm64Runtime } from "./package/runtime.ts";
import { makeSbom } from "./package/sbom.ts";
import { runTool } from "./package/tool.ts";
import { fillTree } from "./package/tree.ts";

const root = join(import.meta.dir, "..");
const dist = join(root, "dist");
const { version } = manifest;
/** Of the commit: the same commit makes the same files. */
const epoch = Number(runTool(["git", "log", "-1", "--format=%ct"], { cwd: root }));
mkdirSync(dist, { recursive: true });
const work = mkdtempSync(join(dist, "package-"));

try {
  const sbom = sbomText();
  const sbomPath = join(dist, `observer-${version}.cdx.json`);
  writeFileSync(sbomPath, sbom);
  const made = [sbomPath];
  for (const architecture of ["amd64", "arm64"] as const) {
    const executable = join(work, `observer-${architecture}`);
    const runtime = architecture === "arm64" ? [`--runtime=${arm64Runtime()}`] : [];
    runTool([process.execPath, "dev/build.ts", `--outfile=${executable}`, ...runtime], { cwd: root });
    const tree = { executable, sbom };
    made.push(
      makeDeb({ ...tree, architecture, version, epoch, outFolder: dist, compression: "gzip" }),
      makeTarball(`observer-${version}-linux-${architecture}`, tree),
    );
  }
  const sums = made.map((path) => `${sha256(path)}  ${basename(path)}\n`).join("");
  writeFileSync(join(dist, "SHA256SUMS"), sums);
  process.stdout.write(sums);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function sbomText(): string {
  const sbom = makeSbom({
    lock: readLock(),
    version,
    runtimeVersion: manifest.devDependencies.bun,
    timestamp: new Date(epoch * 1000).toISOString(),
    licenseOf: (place) => {
      // In a hoisted install `parent/name` is `parent/node_modules/name`; only names of scopes have a slash.
      const folders = place.match(/@[^/]+\/[^/]+|[^/]+/g)?.map((name) => `node_modules/${name}`) ?? [];
      const text = readFileSync(join(root, ...folders, "package.json"), "utf8");
      const { license } = JSON.parse(text) as { license?: unknown };
      return typeof license === "string" ? license : undefined;
    },
  });
  return `${JSON.stringify(sbom, null, 2)}\n`;
}

function makeTarball(name: string, tree: Parameters<typeof fillTree>[1]): string {
  fillTree(join(work, name), tree);
  const path = join(dist, `${name}.tar.gz`);
  const plain = join(work, `${name}.tar`);
  const order = ["--sort=name", `--mtime=@${epoch}`, "--owner=0", "--group=0", "--numeric-owner"];
  runTool(["tar", "-C", work, ...order, "-cf", plain, name]);
  writeFileSync(path, Bun.gzipSync(readFileSync(plain), { level: 6 }));
  rmSync(plain);
  return path;
}

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
