/**
 * Keeps the tables of docs/configuration.md as the table of settings has them, and the man page as the program is.
 *
 *     bun dev/docs.ts            says whether both are up to date (exit code 1 if not)
 *     bun dev/docs.ts --write    brings them up to date
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultOf, formOf } from "../src/config/help.ts";
import { type Setting, settingGroups } from "../src/config/setting.ts";
import { fileSecretNames, settings } from "../src/config/settings.ts";
import { renderManPage } from "./man.ts";
import { observerSurface } from "./surface.ts";

export const configurationPage = join(import.meta.dir, "../docs/configuration.md");
export const manPage = join(import.meta.dir, "../packaging/man/observer.1");

const cell = (text: string): string => text.replaceAll("|", "\\|");

function row(setting: Setting): string {
  const form = formOf(setting);
  const secret = fileSecretNames.some((name) => name === setting.name) ? ". Secret" : "";
  const what = `${setting.description}${form === "" ? "" : ` (${form})`}${secret}`;
  return `| \`${setting.name}\` | ${[defaultOf(setting), what, `\`${setting.example}\``].map(cell).join(" | ")} |`;
}

/** The page with every `<!-- settings: GROUP -->` table made anew. Throws if the page lacks a group. */
export function renderConfiguration(page: string): string {
  return settingGroups.reduce((text, { id }) => {
    const [start, end] = [`<!-- settings: ${id} -->`, `<!-- end: ${id} -->`];
    const [before, rest] = text.split(start);
    const after = rest?.split(end)[1];
    if (before === undefined || after === undefined)
      throw new Error(`Cannot write the settings: the page has no ${start} … ${end}`);
    const rows = settings.filter(({ group }) => group === id).map(row);
    const table = ["| name | default | what it does | example |", "|---|---|---|---|", ...rows].join("\n");
    return `${before}${start}\n${table}\n${end}${after}`;
  }, page);
}

if (import.meta.main) {
  const pages: readonly (readonly [path: string, rendered: string])[] = [
    [configurationPage, renderConfiguration(readFileSync(configurationPage, "utf8"))],
    [manPage, renderManPage(observerSurface())],
  ];
  for (const [path, rendered] of pages) {
    if (process.argv.includes("--write")) writeFileSync(path, rendered);
    else if (readFileSync(path, "utf8") !== rendered) {
      console.error(`${path} is not up to date: run bun dev/docs.ts --write`);
      process.exitCode = 1;
    }
  }
}
