/**
 * Keeps the tables of docs/configuration.md as the table of settings has them.
 *
 *     bun dev/docs.ts            says whether the page is up to date (exit code 1 if not)
 *     bun dev/docs.ts --write    brings it up to date
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultOf, formOf } from "../src/config/help.ts";
import { type Setting, settingGroups } from "../src/config/setting.ts";
import { fileSecretNames, settings } from "../src/config/settings.ts";

export const configurationPage = join(import.meta.dir, "../docs/configuration.md");

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
  const page = readFileSync(configurationPage, "utf8");
  const rendered = renderConfiguration(page);
  if (process.argv.includes("--write")) writeFileSync(configurationPage, rendered);
  else if (page !== rendered) {
    console.error("docs/configuration.md is not up to date: run bun dev/docs.ts --write");
    process.exitCode = 1;
  }
}
