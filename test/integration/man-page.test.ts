// Goal: a reader of man pages can read ours, without a warning.
// Method: mandoc checks it, and shows it.
import { expect, test } from "bun:test";
import { manPage } from "../../dev/docs.ts";
import { settings } from "../../src/config/settings.ts";

const mandoc = (...args: readonly string[]) => {
  const { stdout, stderr, exitCode } = Bun.spawnSync(["mandoc", ...args, manPage], { stderr: "pipe" });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
};

test("mandoc finds nothing wrong", () => {
  expect(mandoc("-T", "lint", "-W", "warning")).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("what is shown is what is meant", () => {
  const { code, stdout } = mandoc("-T", "utf8", "-O", "width=100");
  // Without the overstrikes that make it bold.
  const text = stdout.replace(/.\u0008/g, "");
  expect(code).toBe(0);
  expect(text).toMatch(/^NAME\n +observer . writes down what really exists$/m);
  expect(text).toMatch(/^ +accept engine\|archives \[--host name\]$/m);
  expect(text).toMatch(/^ +once \[--dry-run\] \[--json\] \[--host name\]$/m);
  for (const { name } of settings) expect(text).toMatch(new RegExp(`^ +${name}\\b`, "m"));
  expect(text).not.toContain("\\f");
});
