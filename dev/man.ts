/** packaging/man/observer.1, made of the program and of the table of settings. Macros: man(7). */
import type { Surface, SurfaceArgument, SurfaceOption } from "../src/cli-surface.ts";
import { defaultOf, formOf } from "../src/config/help.ts";
import { settingGroups } from "../src/config/setting.ts";
import { fileSecretNames, settings } from "../src/config/settings.ts";
import { exitCode } from "../src/exit-codes.ts";

/** Of the page's form. What it says follows the program, and a date of its own would change with every run. */
const DATE = "2026-11-24";

/** A record, so that a new code can't be forgotten. */
const EXIT_CODES: Readonly<Record<keyof typeof exitCode, string>> = {
  ok: "Done, or stopped as asked.",
  failed:
    "`check` found something wrong, `once` could not look, nobody observes, there is no such workspace, or a stop took too long.",
  usage: "Unknown command, option or choice.",
  software: "A bug; the stack is on standard error.",
  config: "A configuration, schema or role that can never work; the message says why. Don't restart it.",
};

const EXAMPLES: readonly (readonly [what: string, command: string])[] = [
  [
    "Make the tables, and a role that can write two columns:",
    'observer schema --role observer | psql "$OWNER_URL"',
  ],
  ["Test every dependency and permission:", "observer check"],
  ["What would one look change?", "observer once --dry-run"],
  ["Who observes, and how? Again and again, until Ctrl-C:", "observer status --watch"],
  ["What happened to the workspace 7f3c?", "observer explain 7f3c"],
];

/** @returns the page, with a newline at its end */
export function renderManPage(surface: Surface): string {
  const { name, description, commands, options } = surface;
  const [title = ""] = description.split(":");
  return `${[
    '.\\" Made by bun dev/docs.ts --write: change the program or its settings, not this file.',
    `.TH ${name.toUpperCase()} 1 "${DATE}" "Observer" "User Commands"`,
    ".SH NAME",
    text(`${name} - ${title.charAt(0).toLowerCase()}${title.slice(1)}`),
    ".SH SYNOPSIS",
    `.B ${name}`,
    "\\fIcommand\\fR [\\fIoption\\fR ...]",
    ".SH DESCRIPTION",
    text(description.replaceAll("\n", " ")),
    "It reads its settings from the environment.",
    ".SH COMMANDS",
    ...commands.flatMap((command) => [
      ".TP",
      [
        `\\fB${text(command.name)}\\fR`,
        ...command.arguments.map(argumentText),
        ...command.options.filter(isOwn).map((option) => `[${optionText(option)}]`),
      ].join(" "),
      `${text(sentence(command.description))}`,
      ...[...command.arguments, ...command.options.filter(isOwn)].flatMap((part) =>
        part.description === ""
          ? []
          : [".RS", ".TP", partText(part), text(sentence(part.description)), ".RE"],
      ),
    ]),
    ".SH OPTIONS",
    ...options.flatMap((option) => [".TP", optionText(option), text(sentence(option.description))]),
    ".SH EXIT STATUS",
    ...Object.entries(exitCode).flatMap(([key, code]) => [
      ".TP",
      `.B ${code}`,
      text(EXIT_CODES[key as keyof typeof exitCode]),
    ]),
    ".SH ENVIRONMENT",
    ...settingGroups.flatMap(({ id, title: group }) => [
      `.SS ${text(group)}`,
      ...settings
        .filter((setting) => setting.group === id)
        .flatMap((setting) => [
          ".TP",
          `.B ${setting.name}`,
          text(sentence(setting.description)),
          ...(formOf(setting) === "" ? [] : [text(`Allowed: ${formOf(setting)}.`)]),
          text(`Default: ${defaultOf(setting)}.`),
        ]),
    ]),
    ".SS Secrets",
    text(
      "These may also come from a file, named by NAME`_FILE`, or from NAME in the folder `$CREDENTIALS_DIRECTORY`:",
    ),
    `${fileSecretNames
      .map((secret) => `.BR ${secret} ,`)
      .join("\n")
      .replace(/ ,$/, " .")}`,
    ".SH SIGNALS",
    text(
      "`SIGTERM` and `SIGINT` end it within five seconds, with nothing half-written; a second one ends it at once.",
    ),
    ".SH EXAMPLES",
    ...EXAMPLES.flatMap(([what, command], index) => [
      ...(index === 0 ? [] : [".PP"]),
      text(what),
      ".PP",
      ".RS 4",
      ".nf",
      text(command),
      ".fi",
      ".RE",
    ]),
    ".SH SEE ALSO",
    ".BR docker (1),",
    ".BR psql (1)",
  ].join("\n")}\n`;
}

/** `--help` is listed once, with the program's own options. */
const isOwn = ({ long }: SurfaceOption): boolean => long !== "--help";

function partText(part: SurfaceArgument | SurfaceOption): string {
  return "long" in part ? optionText(part) : argumentText(part);
}

function argumentText({ name, isRequired, choices }: SurfaceArgument): string {
  // The choices of `help` are the commands themselves.
  const words =
    choices.length > 0 && isRequired
      ? choices.map((choice) => `\\fB${text(choice)}\\fR`).join("|")
      : `\\fI${text(name)}\\fR`;
  return isRequired ? words : `[${words}]`;
}

function optionText({ short, long, value }: SurfaceOption): string {
  const names = [...(short === null ? [] : [short]), long].map((flag) => `\\fB${text(flag)}\\fR`).join(", ");
  return value === null ? names : `${names} \\fI${text(value)}\\fR`;
}

const sentence = (words: string): string =>
  `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.?!]$/.test(words) ? "" : "."}`;

/** Markdown of one line → roff: code becomes bold, links their texts, and nothing is taken for a macro or an escape. */
function text(markdown: string): string {
  return markdown
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(
      /[^\x20-\x7e]/g,
      (character) => `\\[u${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`,
    )
    .replace(/`([^`]*)`/g, "\\fB$1\\fR")
    .replace(/^(?=[.'])/, "\\&");
}
