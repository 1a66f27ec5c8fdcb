// Goal: the Debian package installs what it should with the rights it should, an upgrade keeps the edited settings, a
// removal stops the service, and a purge leaves nothing.
// Method: dpkg itself on a root folder of its own, where the package's scripts really run; the programs that they call
// there are a shell's and stubs. In a whole Debian: `bun run test:package`.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, lstatSync, mkdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeDeb } from "../../dev/package/deb.ts";
import { runTool } from "../../dev/package/tool.ts";
import { openScope } from "../../dev/services/scope.ts";
import { createPackageRoot, type PackageRoot } from "./package-root.ts";
import { executable, runCommand } from "./support-executable.ts";

const scope = openScope("package");
afterAll(() => scope.stop());
const EPOCH = 1_795_464_000;
const ENV = "etc/observer/observer.env";
const DROP_IN = "usr/lib/systemd/system/observer.service.d/backoff.conf";

let first: string;
let second: string;
let root: PackageRoot;
/** A link that leads nowhere from here counts: it is for that root. */
const exists = (path: string) => lstatSync(join(root.folder, path), { throwIfNoEntry: false }) !== undefined;

beforeAll(async () => {
  // Built, if it has to be.
  expect((await runCommand(["--version"])).code).toBe(0);
  const options = {
    executable,
    sbom: '{"bomFormat":"CycloneDX"}\n',
    architecture: "amd64",
    epoch: EPOCH,
    outFolder: join(scope.folder, "out"),
    compression: "none",
  } as const;
  first = makeDeb({ ...options, version: "0.1.0" });
  // The next version, with other examples in its settings.
  const tree = join(scope.folder, "next");
  runTool([
    "dpkg-deb",
    "--raw-extract",
    makeDeb({ ...options, executable: "/bin/true", version: "0.2.0" }),
    tree,
  ]);
  appendFileSync(join(tree, ENV), "#OBSERVER_GUARD=on\n");
  second = join(scope.folder, "next.deb");
  runTool(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, second]);
  mkdirSync(join(scope.folder, "root"));
  root = createPackageRoot(join(scope.folder, "root"));
}, 60_000);

describe("the package", () => {
  test("holds these files, with these rights, all of root", () => {
    const lines = runTool(["dpkg-deb", "--contents", first]).trimEnd().split("\n");
    const entries = lines.map((line) => line.trim().split(/\s+/));
    expect(entries.filter(([, owner]) => owner !== "root/root")).toEqual([]);
    const modes = Object.fromEntries(entries.map(([mode, , , , , path]) => [path, mode]));
    expect(modes).toMatchObject({
      "./": "drwxr-xr-x",
      "./etc/observer/observer.env": "-rw-r-----",
      "./usr/bin/observer": "-rwxr-xr-x",
      "./usr/lib/systemd/system/observer.service": "-rw-r--r--",
      "./usr/share/doc/observer/changelog.gz": "-rw-r--r--",
      "./usr/share/doc/observer/copyright": "-rw-r--r--",
      "./usr/share/lintian/overrides/observer": "-rw-r--r--",
      "./usr/share/doc/observer/operations.md": "-rw-r--r--",
      "./usr/share/bash-completion/completions/observer": "-rw-r--r--",
      "./usr/share/doc/observer/sbom.cdx.json": "-rw-r--r--",
      "./usr/share/fish/vendor_completions.d/observer.fish": "-rw-r--r--",
      "./usr/share/man/man1/observer.1.gz": "-rw-r--r--",
      "./usr/share/observer/grafana/observer.json": "-rw-r--r--",
      "./usr/share/observer/prometheus/alerts.yml": "-rw-r--r--",
      "./usr/share/zsh/vendor-completions/_observer": "-rw-r--r--",
      "./usr/share/observer/backoff.conf": "-rw-r--r--",
    });
    // Only these are for others than everybody to read, or to run.
    const odd = entries.filter(([mode]) => mode !== "drwxr-xr-x" && mode !== "-rw-r--r--");
    expect(odd.map((entry) => entry.at(-1)!).sort()).toEqual([
      "./etc/observer/observer.env",
      "./usr/bin/observer",
    ]);
  });

  test("says what it is and needs", () => {
    const field = (name: string) => runTool(["dpkg-deb", "--field", first, name]).trim();
    expect(field("Package")).toBe("observer");
    expect(field("Version")).toBe("0.1.0");
    expect(field("Architecture")).toBe("amd64");
    expect(field("Depends")).toBe("libc6 (>= 2.17), passwd");
    expect(Number(field("Installed-Size"))).toBeGreaterThan(statSync(executable).size / 1024);
  });

  test("no file in it is newer than the commit", () => {
    const dates = runTool(["dpkg-deb", "--contents", first], { env: { TZ: "UTC" } });
    const newest = dates
      .match(/\d{4}-\d\d-\d\d \d\d:\d\d/g)!
      .sort()
      .at(-1)!;
    expect(Date.parse(`${newest.replace(" ", "T")}Z`)).toBeLessThanOrEqual(EPOCH * 1000);
  });
});

test("installed: the executable works, the settings are readable by root and the group alone, nothing is started", async () => {
  const printed = root.dpkg("--install", first);
  expect(printed).toContain("edit /etc/observer/observer.env");
  const installed = await runCommand(
    ["--version"],
    {},
    {
      launch: () => [join(root.folder, "usr/bin/observer")],
    },
  );
  expect(installed.stdout).toStartWith("observer ");
  expect(root.text("etc/passwd")).toContain("observer:x:990:990::/nonexistent:/usr/sbin/nologin");
  const { uid, gid, mode } = statSync(join(root.folder, ENV));
  expect([uid, gid, mode & 0o777]).toEqual([0, 990, 0o640]);
  expect(statSync(join(root.folder, "etc/observer")).mode & 0o777).toBe(0o750);
  expect(root.systemctl()).toEqual(["daemon-reload", "try-restart --no-block observer.service"]);
  expect(exists(DROP_IN)).toBe(false);
  expect(root.dpkg("--verify", "observer")).toBe("");
});

test("upgraded: what was edited is kept, what runs is restarted, and a newer systemd gets growing pauses", () => {
  appendFileSync(join(root.folder, ENV), "OBSERVER_PREFIX=edited-\n");
  root.setSystemdVersion(257);
  const printed = root.dpkg("--install", second);
  expect(printed).not.toContain("edit /etc/observer/observer.env");
  expect(root.text(ENV)).toEndWith("OBSERVER_PREFIX=edited-\n");
  expect(root.text(`${ENV}.dpkg-dist`)).toEndWith("#OBSERVER_GUARD=on\n");
  const { gid, mode } = statSync(join(root.folder, ENV));
  expect([gid, mode & 0o777]).toEqual([990, 0o640]);
  expect(root.systemctl()).toEqual(["daemon-reload", "try-restart --no-block observer.service"]);
  expect(readlinkSync(join(root.folder, DROP_IN))).toBe("/usr/share/observer/backoff.conf");
});

test("removed: the service is stopped first and the settings stay; purged: nothing is left", () => {
  root.dpkg("--remove", "observer");
  expect(root.systemctl()).toEqual([
    "stop observer.service",
    "disable --quiet observer.service",
    "daemon-reload",
  ]);
  expect(root.text(ENV)).toContain("edited-");
  expect([exists("usr/bin/observer"), exists(DROP_IN)]).toEqual([false, false]);

  // A secret that was put beside the settings goes with them.
  writeFileSync(join(root.folder, "etc/observer/database-url"), "postgres://observer:pw@db/platform");
  root.dpkg("--purge", "observer");
  expect(root.text("etc/passwd")).not.toContain("observer");
  const left = runTool(["find", root.folder, "-name", "*observer*", "-o", "-name", "backoff.conf"]);
  expect(left).toBe("");
  expect(exists("etc/passwd")).toBe(true);
});
