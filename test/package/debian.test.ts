// Goal: what `bun run package` made can be installed, upgraded, removed and purged on a Debian that has nothing else, and is
// what its checksums say.
// Method: a fresh minimal Debian, which takes a minute; so this is no part of `npm test`, but `bun run test:package`, which
// makes the packages before. dpkg and the scripts run inside, with the real programs of the system; once in a folder alone,
// as an image is made, and once with systemd running, against a real PostgreSQL and a simulated Engine.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type FakeEngine, startEngine } from "../../dev/fakes/engine.ts";
import { runTool } from "../../dev/package/tool.ts";
import { freePort } from "../../dev/services/ports.ts";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { openScope } from "../../dev/services/scope.ts";
import { waitFor } from "../../dev/services/wait.ts";
import manifest from "../../package.json";
import { type Booted, boot } from "./boot.ts";

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
  runTool(["debootstrap", "--variant=minbase", "--include=systemd,dbus", codename, root]);
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

describe("under systemd, from the installation to the end", () => {
  let debian: Booted;
  let postgres: Postgres;
  let engine: FakeEngine;
  let listen: string;
  const DROP_IN = "etc/systemd/system/observer.service.d/test.conf";
  const show = async (property: string) =>
    (await debian.inside("systemctl", "show", `--property=${property}`, "--value", "observer")).trim();
  /** As docs/systemd.md has it: with the rights and the secrets of the service. */
  const asService = (...command: string[]) =>
    debian.inside(
      ...[
        "systemd-run",
        "--pipe",
        "--wait",
        "--quiet",
        "--uid=observer",
        "--property=SupplementaryGroups=docker",
      ],
      ...[
        `--property=EnvironmentFile=/${ENV}`,
        "--property=LoadCredential=database-url:/etc/observer/database-url",
      ],
      ...command,
    );
  const leads = (reason: string) =>
    waitFor(
      `it to lead, ${reason}`,
      30_000,
      async () => (await show("StatusText")).startsWith("leading, "),
      200,
    );

  beforeAll(async () => {
    postgres = await startPostgres({ version: 15 });
    await postgres.createDatabase("platform");
    debian = await boot(root);
    await debian.inside("groupadd", "--system", "docker");
    engine = await startEngine({ listen: { unixPath: join(root, "srv/docker.sock") } });
    const gid = (await debian.inside("getent", "group", "docker")).split(":")[2]!;
    chownSync(join(root, "srv/docker.sock"), 0, Number(gid));
    chmodSync(join(root, "srv/docker.sock"), 0o660);
    engine.world.createContainer({ name: "ws-a", volume: "ws-a-home" });
    engine.world.start("ws-a");
    listen = `127.0.0.1:${await freePort()}`;
  }, 120_000);
  afterAll(async () => {
    await debian?.stop();
    await engine?.stop();
    await postgres?.stop();
  }, 60_000);

  test("installed: one file is edited, and it starts, leads and is told of by systemctl", async () => {
    await debian.inside("dpkg", "--install", "/observer.deb");
    await postgres.query(await debian.inside("observer", "schema", "--role", "observer"), "platform");
    await postgres.query(
      "alter role observer password 'secret'; insert into workspaces (id) values ('a')",
      "platform",
    );
    const settings = {
      DATABASE_URL: postgres.url("platform", "observer", "secret"),
      DOCKER_HOST: "unix:///srv/docker.sock",
      OBSERVER_LISTEN: listen,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    appendFileSync(join(root, ENV), lines.join(""));
    await debian.inside("systemctl", "enable", "--now", "observer");
    expect(await show("ActiveState")).toBe("active");
    await leads("after its start");
    expect(await debian.inside("systemctl", "status", "observer")).toMatch(
      /Status: "leading, .* 1 workspaces, as of /,
    );
    // Nothing but the name: the settings are found.
    expect(await debian.inside("observer", "status")).toMatch(
      /^All is well: \S+ leads, and everything is observed\.$/m,
    );
    expect(await debian.inside("observer", "explain", "a")).toMatch(/^Container .*Running/m);
    expect(await debian.inside("observer", "check")).toMatch(/^ok +status endpoint .* answers already$/m);
    expect(await debian.inside("observer", "health")).toBe('{"status":"ok","reasons":[]}\n');
  }, 60_000);

  test("its password as a credential, and in no environment", async () => {
    writeFileSync(join(root, "etc/observer/database-url"), postgres.url("platform", "observer", "secret"), {
      mode: 0o600,
    });
    await debian.inside("sed", "-i", "/^DATABASE_URL=/d", `/${ENV}`);
    mkdirSync(join(root, "etc/systemd/system/observer.service.d"), { recursive: true });
    writeFileSync(
      join(root, DROP_IN),
      "[Service]\nLoadCredential=database-url:/etc/observer/database-url\nWatchdogSec=3s\n",
    );
    await debian.inside("systemctl", "daemon-reload");
    await debian.inside("systemctl", "restart", "observer");
    await leads("with a credential");
    expect(await debian.inside("cat", `/proc/${await show("MainPID")}/environ`)).not.toContain("secret");
    expect(await asService("/usr/bin/observer", "check")).toContain("All is well.");
    // The database is not known here, but the instance is.
    expect(await debian.inside("observer", "status")).toContain("All is well: ");
  }, 60_000);

  test("a process that stands still is replaced; one that is killed too", async () => {
    const before = await show("MainPID");
    await debian.inside("systemctl", "kill", "--signal=STOP", "--kill-whom=main", "observer");
    await waitFor("another process", 30_000, async () => !["0", before].includes(await show("MainPID")), 200);
    await leads("after the watchdog");
    expect([await show("NRestarts"), await show("ActiveState")]).toEqual(["1", "active"]);
    await debian.inside("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "observer");
    await waitFor("another process", 30_000, async () => (await show("NRestarts")) === "2", 200);
    await leads("after a kill");
  }, 90_000);

  test("settings that can never work are not tried again, and the log names them", async () => {
    appendFileSync(join(root, ENV), "OBSERVER_PREFX=x\n");
    await expect(debian.inside("systemctl", "restart", "observer")).rejects.toThrow("failed");
    expect([await show("ActiveState"), await show("ExecMainStatus")]).toEqual(["failed", "78"]);
    expect(await debian.inside("journalctl", "--unit=observer", "--output=cat")).toContain(
      "did you mean OBSERVER_PREFIX?",
    );
    await debian.inside("sed", "-i", "/PREFX/d", `/${ENV}`);
    await debian.inside("systemctl", "start", "observer");
    await leads("once they are mended");
  }, 60_000);

  test("upgraded: what runs is restarted, and hands the lease over", async () => {
    const before = await show("MainPID");
    await debian.inside("dpkg", "--force-confold", "--install", "/next.deb");
    await waitFor("another process", 30_000, async () => !["0", before].includes(await show("MainPID")), 200);
    await leads("after the upgrade");
    expect(await debian.inside("journalctl", "--unit=observer", "--output=cat")).toContain("lease.released");
  }, 60_000);

  test("removed: it stops, and nothing of it is left after a purge", async () => {
    await debian.inside("dpkg", "--remove", "observer");
    expect(await show("ActiveState")).toBe("inactive");
    await debian.inside("dpkg", "--purge", "observer");
    await debian.inside("rm", "-r", "/etc/systemd/system/observer.service.d");
    expect(await debian.inside("find", "/etc", "/usr", "-xdev", "-name", "*observer*")).toBe("");
    expect(await debian.inside("getent", "passwd")).not.toContain("observer");
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
