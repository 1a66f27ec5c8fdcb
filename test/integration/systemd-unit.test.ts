// Goal: the unit is one that systemd understands, and leaves the Observer next to no rights; what stands in its
// environment file is what the program understands.
// Method: systemd's own checks, on a copy whose command is there; what the checks don't see is compared with the code.
import { afterAll, describe, expect, test } from "bun:test";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openScope } from "../../dev/services/scope.ts";
import { loadConfig } from "../../src/config.ts";
import { exitCode } from "../../src/exit-codes.ts";
import { limits } from "../../src/observer/limits.ts";

const packaging = join(import.meta.dir, "../../packaging");
const unit = readFileSync(join(packaging, "systemd/observer.service"), "utf8");
const values = (key: string) =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value]) => value);

const scope = openScope("unit");
afterAll(() => scope.stop());
const folder = join(scope.folder, "units");
const path = join(folder, "observer.service");
mkdirSync(folder);
// The executable is not installed here.
writeFileSync(path, unit.replace("ExecStart=/usr/bin/observer ", "ExecStart=/bin/true "));

function verify(): { status: number | null; output: string } {
  const args = ["verify", "--man=no", "--recursive-errors=no", path];
  const { status, stdout, stderr } = spawnSync("systemd-analyze", args, {
    encoding: "utf8",
    env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` },
  });
  // It loads what the unit comes after, and says of that what is none of ours.
  const lines = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("observer"));
  return { status, output: lines.join("\n") };
}

describe("observer.service", () => {
  test("systemd-analyze verify finds nothing", () => {
    expect(verify()).toEqual({ status: 0, output: "" });
  });

  test("systemd-analyze security rates it 1.5 or better", () => {
    const report = execFileSync("systemd-analyze", ["security", "--offline=true", "--no-pager", path], {
      encoding: "utf8",
    });
    const [, exposure] = /Overall exposure level for observer\.service: ([\d.]+)/.exec(report) ?? [];
    expect(Number(exposure)).toBeGreaterThan(0);
    expect(Number(exposure)).toBeLessThanOrEqual(1.5);
  });

  test("it lets the runtime compile, keeps its switches out, and doesn't repeat what can't work", () => {
    expect(values("MemoryDenyWriteExecute")).toEqual([]);
    expect(values("UnsetEnvironment")).toEqual(["BUN_OPTIONS BUN_BE_BUN"]);
    expect(values("RestartPreventExitStatus")).toEqual([`${exitCode.usage} ${exitCode.config}`]);
    expect(Number.parseInt(values("TimeoutStopSec")[0]!, 10)).toBeGreaterThan(limits.shutdownMs / 1000);
  });

  test("its pauses grow where systemd knows how", () => {
    const dropIn = join(folder, "observer.service.d");
    mkdirSync(dropIn);
    copyFileSync(join(packaging, "systemd/observer.service.d/backoff.conf"), join(dropIn, "backoff.conf"));
    const [, version] = /^systemd (\d+)/.exec(
      execFileSync("systemctl", ["--version"], { encoding: "utf8" }),
    )!;
    const unknown = [...verify().output.matchAll(/Unknown key( name)? '(\w+)'/g)].map(([, , key]) => key);
    expect([...new Set(unknown)]).toEqual(
      Number(version) >= 254 ? [] : ["RestartSteps", "RestartMaxDelaySec"],
    );
  });
});

const KUBECONFIG = `{
  "current-context": "a", "contexts": [{ "name": "a", "context": { "cluster": "b", "user": "c" } }],
  "clusters": [{ "name": "b", "cluster": { "server": "https://kubernetes.example" } }],
  "users": [{ "name": "c", "user": { "token": "d" } }]
}`;

test("observer.env: every example in it is accepted, all together", () => {
  const lines = readFileSync(join(packaging, "observer.env"), "utf8").split("\n");
  expect(lines.filter((line) => line !== "" && !line.startsWith("#"))).toEqual([]);
  const examples = lines.flatMap((line) => /^#([A-Z0-9_]+)=(.*)$/.exec(line)?.slice(1) ?? []);
  const env = Object.fromEntries(
    examples.flatMap((name, index) => (index % 2 === 0 ? [[name, examples[index + 1]!]] : [])),
  );
  expect(Object.keys(env)).toContain("DATABASE_URL");
  // Of one engine or of the other.
  for (const others of [/^DOCKER_/, /^OBSERVER_ENGINE$|KUBE/]) {
    const config = loadConfig(
      Object.fromEntries(Object.entries(env).filter(([name]) => !others.test(name))),
      (path) => {
        if (path === env.KUBECONFIG) return KUBECONFIG;
        throw new Error("no other file is needed");
      },
      { hostname: "host", pid: 1 },
    );
    expect(config.warnings).toEqual([]);
  }
});
