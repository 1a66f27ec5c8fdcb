// Goal: what `bun run package` made can be installed, upgraded, removed and purged on a Debian that has nothing else, and is
// what its checksums say.
// Method: a fresh minimal Debian, which takes a minute; so this is no part of `npm test`, but `bun run test:package`, which
// makes the packages before. dpkg and the scripts run inside, with the real programs of the system.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { runTool } from "../../dev/package/tool.ts";
import { openScope } from "../../dev/services/scope.ts";
import manifest from "../../package.json";

const dist = join(import.meta.dir, "../../dist");
const { version } = manifest;
const scope = openScope("debian");
const root = join(scope.folder, "root");
const inside = (...command: string[]) =>
  runTool(["chroot", root, ...command], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive" },
  });
const exists = (path: string) => existsSync(join(root, path));
const ENV = "etc/observer/observer.env";
const WANTS = "etc/systemd/system/multi-user.target.wants/observer.service";

beforeAll(() => {
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (codename === undefined || Bun.which("debootstrap") === null)
    throw new Error("Cannot make a Debian: run this as root on one, with debootstrap installed");
  runTool(["debootstrap", "--variant=minbase", "--include=systemd", codename, root]);
  // The runtime looks at itself there.
  runTool(["mount", "-t", "proc", "proc", join(root, "proc")]);
  copyFileSync(join(dist, `observer_${version}_amd64.deb`), join(root, "observer.deb"));
  // The next version, with other examples in its settings.
  const tree = join(scope.folder, "next");
  runTool(["dpkg-deb", "--raw-extract", join(root, "observer.deb"), tree]);
  runTool(["sed", "-i", `s/^Version: .*/Version: ${version}+next/`, join(tree, "DEBIAN/control")]);
  runTool(["sed", "-i", "$ a #OBSERVER_GUARD=on", join(tree, ENV)]);
  runTool(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, join(root, "next.deb")]);
}, 600_000);
afterAll(async () => {
  if (exists("proc/self")) runTool(["umount", join(root, "proc")]);
  await scope.stop();
}, 60_000);

describe("in a minimal Debian", () => {
  test("installed: it runs, as does the check of its files", () => {
    inside("dpkg", "--install", "/observer.deb");
    expect(inside("observer", "--version")).toStartWith(`observer ${version} `);
    expect(inside("stat", "-c", "%U:%G %a", `/${ENV}`)).toBe("root:observer 640\n");
    expect(inside("dpkg", "--verify", "observer")).toBe("");
    expect(exists(WANTS)).toBe(false);
    inside("systemctl", "enable", "observer");
  });

  test("upgraded: the edited settings are kept, and so is what was enabled", () => {
    inside("sh", "-c", `echo OBSERVER_PREFIX=edited- >> /${ENV}`);
    inside("dpkg", "--force-confold", "--install", "/next.deb");
    expect(readFileSync(join(root, ENV), "utf8")).toEndWith("OBSERVER_PREFIX=edited-\n");
    expect(inside("stat", "-c", "%U:%G %a", `/${ENV}`)).toBe("root:observer 640\n");
    expect(inside("systemctl", "is-enabled", "observer")).toBe("enabled\n");
  });

  test("removed, and purged: nothing is left", () => {
    inside("dpkg", "--remove", "observer");
    expect([exists(ENV), exists(WANTS), exists("usr/bin/observer")]).toEqual([true, false, false]);
    inside("dpkg", "--purge", "observer");
    expect(inside("getent", "passwd").includes("observer")).toBe(false);
    expect(inside("find", "/", "-xdev", "-name", "*observer*", "-not", "-name", "*.deb")).toBe("");
  });
});

test("SHA256SUMS names every file that is released", () => {
  runTool(["sha256sum", "--check", "--strict", "SHA256SUMS"], { cwd: dist });
  const names = [...readFileSync(join(dist, "SHA256SUMS"), "utf8").matchAll(/\S+$/gm)].map(([name]) => name);
  expect(names.sort()).toEqual(
    [
      `observer-${version}.cdx.json`,
      `observer-${version}-linux-amd64.tar.gz`,
      `observer-${version}-linux-arm64.tar.gz`,
      `observer_${version}_amd64.deb`,
      `observer_${version}_arm64.deb`,
    ].sort(),
  );
});

test.each([
  ["amd64", 62],
  ["arm64", 183],
])("the tarball for %s holds an executable for that machine", (architecture, machine) => {
  const folder = join(scope.folder, architecture);
  mkdirSync(folder);
  const name = `observer-${version}-linux-${architecture}`;
  runTool(["tar", "-xzf", join(dist, `${name}.tar.gz`), "-C", folder]);
  const executable = join(folder, name, "usr/bin/observer");
  expect(statSync(executable).mode & 0o777).toBe(0o755);
  // e_machine of the ELF header.
  expect(readFileSync(executable).readUInt16LE(18)).toBe(machine);
});
