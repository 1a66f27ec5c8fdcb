// A Debian in a folder, with a systemd of its own as its first process: what `systemctl` says there is what it says on a machine.
import { basename } from "node:path";
import { runTool } from "../../dev/package/tool.ts";
import { waitFor } from "../../dev/services/wait.ts";

export interface Booted {
  /** Runs it to its end, there. Rejects where that is a bad one. Not in step: what it waits for may be in this process. */
  inside(...command: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** A control group of its own, so that it takes the machine's for nobody's but its own. */
const OUTER = `
set -e
mount --make-rprivate /
mount -t cgroup2 none "$1/sys/fs/cgroup" 2>/dev/null || { mount -t sysfs none "$1/sys"; mount -t cgroup2 none "$1/sys/fs/cgroup"; }
mkdir "$1/sys/fs/cgroup/$2"
echo $$ >"$1/sys/fs/cgroup/$2/cgroup.procs"
umount "$1/sys/fs/cgroup"
exec unshare --pid --fork --kill-child --mount --uts --ipc --cgroup sh -c "$3" sh "$1"`;

/** The network stays the machine's: the services that it talks to are on loopback. */
const INNER = `
set -e
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
for at in run tmp; do mount -t tmpfs tmpfs "$1/$at"; done
mount --rbind /dev "$1/dev"
mkdir -p "$1/.before"
cd "$1"
pivot_root . .before
umount -l /.before
# As at the start of a machine: credentials of units are mounts that have to be seen outside of what makes them.
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=null`;

const CLEAN = `
set -e
mount -t cgroup2 none "$1"
cd "$1"
[ ! -d "$2" ] || find "$2" -depth -type d -exec rmdir {} ';'
# Not while a process of it is still ending.
[ ! -d "$2" ]`;

export async function boot(root: string): Promise<Booted> {
  const group = `boot-${basename(root)}-${process.pid}`;
  const launcher = Bun.spawn(["unshare", "--mount", "sh", "-c", OUTER, "sh", root, group, INNER], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const first = (): number =>
    Number(
      runTool(["cat", `/proc/${launcher.pid}/task/${launcher.pid}/children`])
        .trim()
        .split(" ")[0],
    );
  const inside = async (...command: readonly string[]): Promise<string> => {
    const child = Bun.spawn(
      [
        ...[
          "nsenter",
          `--target=${first()}`,
          "--mount",
          "--pid",
          "--uts",
          "--ipc",
          "--cgroup",
          "--root",
          "--wd",
        ],
        ...command,
      ],
      {
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [stdout, stderr, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    if (code !== 0)
      throw new Error(`Cannot run ${command.join(" ")}: it ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  };
  const stop = async (): Promise<void> => {
    launcher.kill("SIGKILL");
    await launcher.exited;
    await waitFor("its control group to be empty", 20_000, () => {
      runTool(["unshare", "--mount", "sh", "-c", CLEAN, "sh", `${root}/mnt`, group]);
      return true;
    });
  };
  try {
    await waitFor("systemd to have started", 60_000, async () => {
      if (launcher.exitCode !== null) throw new Error(`it ended with ${launcher.exitCode}`);
      return (await inside("systemctl", "show", "--property=SystemState", "--value")).trim() === "running";
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { inside, stop };
}
