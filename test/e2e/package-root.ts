// A root folder that dpkg installs into: a shell, the programs that the package's scripts call, and dpkg's own database.
// The programs that would need a whole system note how they were called, and do as much as the scripts look at.
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runTool } from "../../dev/package/tool.ts";
import { BUSYBOX_PATH } from "../../dev/services/busybox-image.ts";

export interface PackageRoot {
  readonly folder: string;
  /** Ends with an error where dpkg does. Returns what it and the scripts printed. */
  dpkg(...args: string[]): string;
  text(path: string): string;
  /** How systemctl was called since the last question, but for its version. */
  systemctl(): string[];
  /** What `systemctl --version` answers from now on. */
  setSystemdVersion(version: number): void;
}

const installed = (name: string, version: string) =>
  `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: x\nVersion: ${version}\nDescription: x\n\n`;

const PROGRAMS: Readonly<Record<string, string>> = {
  "usr/bin/systemctl":
    'if [ "$1" = --version ]; then echo "systemd $(cat /systemd-version) (x)"; else echo "$@" >> /systemctl.log; fi',
  "usr/sbin/useradd":
    "echo observer:x:990:990::/nonexistent:/usr/sbin/nologin >> /etc/passwd; echo observer:x:990: >> /etc/group",
  "usr/sbin/userdel": "sed -i '/^observer:/d' /etc/passwd /etc/group",
};

export function createPackageRoot(folder: string): PackageRoot {
  for (const path of ["bin", "usr/bin", "usr/sbin", "etc", "dev", "tmp", "run/systemd/system"])
    mkdirSync(join(folder, path), { recursive: true });
  for (const path of ["info", "updates", "triggers"])
    mkdirSync(join(folder, "var/lib/dpkg", path), { recursive: true });
  cpSync(BUSYBOX_PATH, join(folder, "bin/busybox"));
  for (const name of ["sh", "id", "chown", "chmod", "sed", "cat", "ln", "mkdir", "rm", "rmdir"])
    symlinkSync("busybox", join(folder, "bin", name));
  for (const [path, body] of Object.entries(PROGRAMS)) {
    writeFileSync(join(folder, path), `#!/bin/sh\n${body}\n`);
    chmodSync(join(folder, path), 0o755);
  }
  const write = (path: string, text: string) => writeFileSync(join(folder, path), text);
  write("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
  write("etc/group", "root:x:0:\n");
  write("dev/null", "");
  write("systemctl.log", "");
  write("var/lib/dpkg/status", installed("libc6", "2.36") + installed("passwd", "1:4.13"));
  const root: PackageRoot = {
    folder,
    dpkg: (...args) =>
      runTool(
        // No helper of dpkg's own is needed in there, and nothing of it has to survive a power cut.
        ["dpkg", `--root=${folder}`, "--force-bad-path", "--force-unsafe-io", "--force-confold", ...args],
        { env: { DEBIAN_FRONTEND: "noninteractive" } },
      ),
    text: (path) => readFileSync(join(folder, path), "utf8"),
    systemctl() {
      const calls = root.text("systemctl.log").split("\n").slice(0, -1);
      write("systemctl.log", "");
      return calls;
    },
    setSystemdVersion: (version) => write("systemd-version", String(version)),
  };
  root.setSystemdVersion(252);
  return root;
}
