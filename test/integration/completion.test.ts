// Goal: a real shell completes what was begun.
// Method: bash is asked through its own variables; zsh, which has no such door, gets a Tab on a terminal of its own.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "../../dev/services/wait.ts";
import { observerSurface } from "../../dev/surface.ts";
import { completionScript } from "../../src/commands/completion.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "observer-completion-"));
  for (const shell of ["bash", "zsh"] as const)
    writeFileSync(join(folder, shell), completionScript(shell, observerSurface()));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const commands = observerSurface().commands.map(({ name }) => name);

/** What bash offers for the last of these words. */
function bash(...words: readonly string[]): string[] {
  const script = `set -u; source "$1"; shift; complete -p observer | grep -q -- '-F _observer' || exit 3
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _observer; printf '%s\\n' "\${COMPREPLY[@]:-}"`;
  const { stdout, stderr, exitCode } = Bun.spawnSync(
    ["bash", "--norc", "-c", script, "bash", join(folder, "bash"), "observer", ...words],
    { stderr: "pipe" },
  );
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  return stdout.toString().split("\n").filter(Boolean);
}

test.each([
  [[""], commands],
  [["ac"], ["accept"]],
  [["--v"], ["--version"]],
  [
    ["once", "--"],
    ["--dry-run", "--json", "--host", "--help"],
  ],
  [
    ["accept", ""],
    ["engine", "archives"],
  ],
  [["accept", "a"], ["archives"]],
  [["completion", "z"], ["zsh"]],
  [["help", "hea"], ["health"]],
  // The value of an option is the caller's.
  [["explain", "--limit", ""], []],
  [["run", ""], []],
])("bash: %p", (words, expected) => {
  expect(bash(...words)).toEqual(expected);
});

test("zsh completes commands, options and choices at a Tab", async () => {
  let text = "";
  const decoder = new TextDecoder();
  const zsh = Bun.spawn(["zsh", "-f", "-i"], {
    cwd: folder,
    env: { TERM: "dumb", HOME: folder, PATH: process.env.PATH ?? "" },
    terminal: {
      cols: 200,
      rows: 50,
      data: (_, bytes) => {
        text += decoder.decode(bytes, { stream: true });
      },
    },
  });
  const run = async (keys: string, pattern: RegExp) => {
    const before = text.length;
    zsh.terminal?.write(keys);
    await waitFor(`zsh to show ${pattern} after ${keys}`, 20_000, () => pattern.test(text.slice(before)), 25);
  };
  try {
    await run(
      "observer() { print -r -- \"<$*>\" }; autoload -U compinit; compinit -D -u; source ./zsh; print rea'dy'\n",
      /ready\r/,
    );
    await run("observer acc\tar\t\n", /<accept archives>/);
    await run("observer once --dry\t\n", /<once --dry-run>/);
    await run("observer completion f\t\n", /<completion fish>/);
  } finally {
    zsh.kill("SIGKILL");
    await zsh.exited;
    zsh.terminal?.close();
  }
});
