// src/config/service-file.ts. Goal: whoever calls a command beside the service gets the service's settings, read as systemd
// reads them, and never in place of what the environment says. Method: texts whose meaning was tried with systemd 252.
import { describe, expect, test } from "bun:test";
import { parseServiceFile, SERVICE_FILE, withServiceFile } from "../../src/config/service-file.ts";
import { textOf } from "../packaging.ts";
import { readFrom } from "./config-support.ts";

describe("parseServiceFile()", () => {
  test.each([
    ["A=plain", { A: "plain" }],
    ["  A = spaces around \t", { A: "spaces around" }],
    ["A=", { A: "" }],
    ["# A=1\n; B=2\n\nno assignment\nC=3", { C: "3" }],
    ["A='single \"quoted\" \\n'", { A: 'single "quoted" \\n' }],
    [`A="double 'quoted' \\"x\\" \\$HOME \\n"`, { A: `double 'quoted' "x" $HOME \\n` }],
    ["A=$HOME #no comment", { A: "$HOME #no comment" }],
    ["A=back\\\\slash\\ and\\\n more", { A: "back\\slash and more" }],
    [`A="two\nlines"\nB=it's`, { A: "two\nlines", B: "it's" }],
    [`A='one' "two"`, { A: "onetwo" }],
    ["A=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["A=1\nA=2", { A: "2" }],
    ["URL=postgres://o:p%40ss@h/d?a=b&c=d", { URL: "postgres://o:p%40ss@h/d?a=b&c=d" }],
  ])("%j", (text, env) => {
    expect(parseServiceFile(text)).toEqual(env);
  });

  test("the file that is shipped sets nothing", () => {
    expect(parseServiceFile(textOf("packaging/observer.env"))).toEqual({});
  });
});

describe("withServiceFile()", () => {
  const files = readFrom({ [SERVICE_FILE]: "DATABASE_URL=theirs\nOBSERVER_PREFIX=theirs-\n" });
  test.each([
    [{}, { DATABASE_URL: "theirs", OBSERVER_PREFIX: "theirs-" }],
    [{ OBSERVER_PREFIX: "mine-" }, { DATABASE_URL: "theirs", OBSERVER_PREFIX: "mine-" }],
    [{ DATABASE_URL: "mine" }, { DATABASE_URL: "mine" }],
    [{ DATABASE_URL_FILE: "/mine" }, { DATABASE_URL_FILE: "/mine" }],
    [{ CREDENTIALS_DIRECTORY: "/run/mine" }, { CREDENTIALS_DIRECTORY: "/run/mine" }],
  ])("beside %j: %j", (env, whole) => {
    expect(withServiceFile(env, files)).toEqual({ env: whole, refused: false });
  });

  test.each([
    ["!ENOENT", false],
    ["!EACCES", true],
  ])("a file that can't be read, %s: refused %p", (text, refused) => {
    expect(withServiceFile({}, readFrom({ [SERVICE_FILE]: text }))).toEqual({ env: {}, refused });
  });

  test("it is the unit's", () => {
    expect(textOf("packaging/systemd/observer.service")).toContain(`EnvironmentFile=-${SERVICE_FILE}`);
  });
});
