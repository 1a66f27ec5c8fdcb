/** The Debian package, made by dpkg-deb alone: there is nothing to compile in it. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { runTool } from "./tool.ts";
import { fillTree, type TreeOptions } from "./tree.ts";

const scripts = join(import.meta.dir, "../../packaging/debian");
const SCRIPTS = ["postinst", "prerm", "postrm"] as const;
/** Its edited form survives an upgrade. */
const CONFFILES = ["etc/observer/observer.env"];

export interface DebOptions extends TreeOptions {
  readonly architecture: "amd64" | "arm64";
  readonly version: string;
  /** Seconds since 1970: no file in it is newer, so the same commit makes the same package. */
  readonly epoch: number;
  readonly outFolder: string;
  /** Every dpkg reads gzip, and takes seconds for it; xz would take minutes. `none` is for tests. */
  readonly compression: "gzip" | "none";
}

/** @returns the path of the package */
export function makeDeb(options: DebOptions): string {
  const { architecture, version, epoch, outFolder, compression } = options;
  mkdirSync(outFolder, { recursive: true });
  const tree = mkdtempSync(join(outFolder, "deb-"));
  try {
    // mkdtemp keeps others out, and this becomes `/`.
    chmodSync(tree, 0o755);
    fillTree(tree, options);
    copyFileSync(join(scripts, "copyright"), join(tree, "usr/share/doc/observer/copyright"));
    mkdirSync(join(tree, "usr/share/lintian/overrides"), { recursive: true, mode: 0o755 });
    copyFileSync(join(scripts, "lintian-overrides"), join(tree, "usr/share/lintian/overrides/observer"));
    const changes = Bun.gzipSync(changelogOf(version, epoch), { level: 9 });
    writeFileSync(join(tree, "usr/share/doc/observer/changelog.gz"), changes, { mode: 0o644 });
    const files = filesOf(tree);
    const sizeKib = Math.ceil(files.reduce((sum, path) => sum + statSync(path).size, 0) / 1024);
    const control = join(tree, "DEBIAN");
    mkdirSync(control, { mode: 0o755 });
    writeFileSync(join(control, "control"), controlOf(version, architecture, sizeKib));
    writeFileSync(join(control, "conffiles"), CONFFILES.map((path) => `/${path}\n`).join(""));
    writeFileSync(join(control, "md5sums"), md5sumsOf(tree, files));
    for (const name of SCRIPTS) {
      copyFileSync(join(scripts, name), join(control, name));
      chmodSync(join(control, name), 0o755);
    }
    for (const name of ["control", "conffiles", "md5sums"]) chmodSync(join(control, name), 0o644);
    const path = join(outFolder, `observer_${version}_${architecture}.deb`);
    runTool(["dpkg-deb", "--root-owner-group", `-Z${compression}`, "--build", tree, path], {
      env: { SOURCE_DATE_EPOCH: String(epoch) },
    });
    return path;
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** For `dpkg --verify`; configuration files are dpkg's own business. */
const md5sumsOf = (tree: string, files: readonly string[]): string =>
  files
    .map((path) => ({ path, name: relative(tree, path) }))
    .filter(({ name }) => !CONFFILES.includes(name))
    .map(({ path, name }) => `${createHash("md5").update(readFileSync(path)).digest("hex")}  ${name}\n`)
    .join("");

const MAINTAINER = "The Observer maintainers <observer@localhost>";

/** In Debian's own form, for its tools; people have CHANGELOG.md beside it. */
const changelogOf = (
  version: string,
  epoch: number,
): string => `observer (${version}) unstable; urgency=medium

  * See CHANGELOG.md.

 -- ${MAINTAINER}  ${new Date(epoch * 1000).toUTCString().replace("GMT", "+0000")}
`;

const controlOf = (version: string, architecture: string, sizeKib: number): string => `Package: observer
Version: ${version}
Architecture: ${architecture}
Maintainer: ${MAINTAINER}
Installed-Size: ${sizeKib}
Depends: libc6 (>= 2.17), passwd
Recommends: ca-certificates, systemd
Section: admin
Priority: optional
Description: writes down what really exists of every workspace
 Lists the containers, volumes and archives of all workspaces of a platform in
 bulk, every few seconds, and keeps their conditions in the PostgreSQL table
 workspaces true. A controller decides by that table what to do.
`;
