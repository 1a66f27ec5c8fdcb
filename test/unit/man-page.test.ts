/**
 * Goal: the man page tells of every command, option, setting and exit code, and foreign-looking text is no markup in it.
 * Method: the page is made anew and compared; mandoc reads it in test/integration/man-page.test.ts.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { manPage } from "../../dev/docs.ts";
import { renderManPage } from "../../dev/man.ts";
import { observerSurface } from "../../dev/surface.ts";
import { settings } from "../../src/config/settings.ts";
import { exitCode } from "../../src/exit-codes.ts";

const page = readFileSync(manPage, "utf8");
const surface = observerSurface();

test("packaging/man/observer.1 is up to date (else: bun dev/docs.ts --write)", () => {
  expect(page).toBe(renderManPage(surface));
});

test("has every command, option, setting and exit code", () => {
  for (const { name, options } of surface.commands) {
    expect(page).toContain(`\n\\fB${name}\\fR`);
    for (const { long } of options) expect(page).toContain(long.replaceAll("-", "\\-"));
  }
  for (const { name } of settings) expect(page).toContain(`\n.B ${name}\n`);
  for (const code of Object.values(exitCode)) expect(page).toContain(`\n.B ${code}\n`);
});

test("no text is taken for a macro or an escape", () => {
  const odd = { ...surface, description: ".so /etc/passwd: \\fBbold\\fR – it's" };
  const text = renderManPage(odd);
  expect(text).toContain("\n\\&.so /etc/passwd: \\efBbold\\efR \\[u2013] it's\n");
});
