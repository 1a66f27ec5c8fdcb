// Goal: every command in the documentation works, or somebody has said why it can't be tried.
// Method: each line of each block of `sh` is settings, which must be good ones; or is run by test/e2e/docs-commands.test.ts;
// or is on the list of those that are not. Neither list may hold what no page has.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json";
import { documentedCommands, NOT_RUN, RUN_BY_E2E, root, settingsOf } from "../docs-commands.ts";
import { problemsOf } from "./config-support.ts";

const commands = documentedCommands();
const PEM = (what: string) => `-----BEGIN ${what}-----\nAAAA\n-----END ${what}-----\n`;
const FILES = {
  "/run/secrets/s3": "secret",
  "/etc/observer/docker/ca.pem": PEM("CERTIFICATE"),
  "/etc/observer/docker/cert.pem": PEM("CERTIFICATE"),
  "/etc/observer/docker/key.pem": PEM("PRIVATE KEY"),
};

test("each command is run by a test, or is on the list of those that are not", () => {
  const unknown = commands.filter(
    ({ text }) =>
      settingsOf(text) === null &&
      !RUN_BY_E2E.includes(text) &&
      !NOT_RUN.some(({ command }) => command.test(text)),
  );
  // What stands here belongs into one of the lists of test/docs-commands.ts.
  expect(unknown).toEqual([]);
});

test("the lists hold nothing that no page has, and name files that exist", () => {
  const texts = commands.map(({ text }) => text);
  expect(RUN_BY_E2E.filter((text) => !texts.includes(text))).toEqual([]);
  expect(NOT_RUN.filter(({ command }) => !texts.some((text) => command.test(text)))).toEqual([]);
  expect(NOT_RUN.filter(({ see }) => !existsSync(join(root, see)))).toEqual([]);
});

test("scripts and versions that are named are those of package.json", () => {
  const named = commands.flatMap(({ text }) => [...text.matchAll(/\bbun(?:@\S+)? run (\S+)|\bnpm (\S+)/g)]);
  expect(named.length).toBeGreaterThan(5);
  const scripts = named.map(([, run, npm]) => run ?? npm!);
  expect(scripts.filter((script) => !Object.hasOwn(manifest.scripts, script))).toEqual([]);
  const versions = commands.flatMap(({ text }) => [...text.matchAll(/\bbun@(\S+)/g)]).map(([, it]) => it);
  expect(new Set(versions)).toEqual(new Set([manifest.devDependencies.bun]));
});

/** Lines of a block that set the same name are alternatives; else they belong together. */
function settingsByBlock(): [string, Record<string, string>][] {
  const found = new Map<string, Record<string, string>>();
  for (const { page, block, text } of commands) {
    const settings = settingsOf(text);
    if (settings === null) continue;
    const where = `${page}, block ${block + 1}`;
    const before = found.get(where) ?? {};
    if (Object.keys(settings).some((name) => Object.hasOwn(before, name)))
      found.set(`${where}, ${text}`, settings);
    else found.set(where, { ...before, ...settings });
  }
  return [...found];
}

test.each(settingsByBlock())("the settings in %s are good", (_, settings) => {
  expect(problemsOf(settings, FILES)).toEqual([]);
});
