/** Runs a program to its end. */
export function runTool(
  command: readonly string[],
  { cwd, env }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    ...(cwd !== undefined && { cwd }),
    env: { ...process.env, LC_ALL: "C.UTF-8", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (exitCode !== 0)
    throw new Error(`Cannot run ${command.join(" ")}: it ended with ${exitCode}: ${stderr}${stdout}`);
  return stdout.toString();
}
