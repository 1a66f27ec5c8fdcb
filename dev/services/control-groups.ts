// The control groups that a private dockerd keeps its containers in, named like its folder.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup";

/** Does this machine have control groups mounted that dockerd can use? Minimal containers and sandboxes don't. */
export function hasControlGroups(): boolean {
  if (existsSync(join(ROOT, "memory"))) return true;
  const controllers = join(ROOT, "cgroup.controllers");
  return existsSync(controllers) && readFileSync(controllers, "utf8").trim() !== "";
}

const MOUNT = `
set -e
mount -t cgroup2 none ${ROOT}
if [ ! -s ${ROOT}/cgroup.controllers ]; then
  umount ${ROOT}
  mount -t tmpfs none ${ROOT}
  for c in $(sed -n '/^#/d; s/^\\([a-z_]*\\).*1$/\\1/p' /proc/cgroups); do
    mkdir "${ROOT}/$c"
    mount -t cgroup -o "$c" none "${ROOT}/$c" || rmdir "${ROOT}/$c"
  done
fi
exec "$@"`;

/** Command prefix that gives a command control groups; where there are none, mounted for its eyes only. */
export function controlGroupPrefix(): string[] {
  return hasControlGroups() ? [] : ["unshare", "--mount", "sh", "-c", MOUNT, "sh"];
}

/** The control groups of that name, one per hierarchy on version 1. Empty where none are mounted. */
export function controlGroups(name: string): string[] {
  if (!existsSync(ROOT)) return [];
  const perController = readdirSync(ROOT).map((controller) => join(ROOT, controller, name));
  return [join(ROOT, name), ...perController].filter((path) => existsSync(path));
}

/** On version 1 a frozen process doesn't even die of SIGKILL. */
export function thawControlGroups(name: string): void {
  if (!hasControlGroups()) {
    runMounted(
      `for f in ${ROOT}/freezer/${name}/*/freezer.state; do [ ! -e "$f" ] || echo THAWED >"$f"; done`,
    );
  }
  for (const group of controlGroups(name)) {
    for (const child of readdirSync(group)) {
      const state = join(group, child, "freezer.state");
      if (existsSync(state)) writeFileSync(state, "THAWED");
    }
  }
}

export function removeControlGroups(name: string): void {
  if (!hasControlGroups()) {
    runMounted(
      `for d in ${ROOT}/${name} ${ROOT}/*/${name}; do [ ! -d "$d" ] || find "$d" -depth -type d -exec rmdir {} ';'; done`,
    );
  }
  for (const group of controlGroups(name)) removeControlGroup(group);
}

function removeControlGroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeControlGroup(join(path, entry.name));
  }
  rmdirSync(path);
}

function runMounted(script: string): void {
  const [program = "", ...args] = [...controlGroupPrefix(), "sh", "-c", script];
  spawnSync(program, args);
}
