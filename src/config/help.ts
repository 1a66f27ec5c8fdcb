/** The settings as `observer --help` prints them, from the table. */
import { type Setting, settingGroups } from "./setting.ts";
import { fileSecretNames, settings } from "./settings.ts";

/** Plain text, one paragraph per group; ends with a newline. */
export function settingsHelp(): string {
  const width = Math.max(...settings.map(({ name }) => name.length));
  const groups = settingGroups.map(({ id, title }) => {
    const lines = settings
      .filter(({ group }) => group === id)
      .map((setting) => `  ${setting.name.padEnd(width)}  ${plain(describe(setting))}`);
    return `${title}:\n${lines.join("\n")}\n`;
  });
  return `${groups.join("\n")}
Secrets may come from files: NAME_FILE, or NAME in $CREDENTIALS_DIRECTORY, for
${fileSecretNames.map((name) => `  ${name}`).join("\n")}
`;
}

/** Markdown: what it does, its form where that isn't plain, and its default. */
function describe(setting: Setting): string {
  const range = formOf(setting);
  return `${setting.description}${range === "" ? "" : `; ${range}`} (${setting.default === null ? "" : "default "}${defaultOf(setting)})`;
}

/** `100ms to 1h`, `debug, info, …`, or nothing. */
export function formOf({ type }: Setting): string {
  if (type.kind === "duration" || type.kind === "integer") return `${type.min} to ${type.max}`;
  if (type.kind === "ratio") return "above 0, below 1";
  return type.kind === "switch" ? "`on` or `off`" : "";
}

/** Markdown, as in the page: the value, or what happens without. */
export const defaultOf = (setting: Setting): string =>
  setting.default === null ? (setting.otherwise ?? "none") : `\`${setting.default}\``;

const plain = (markdown: string): string =>
  markdown.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "");
