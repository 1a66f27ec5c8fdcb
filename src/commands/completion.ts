/** `observer completion`: what makes a shell complete our commands, options and choices. */
import type { Surface, SurfaceCommand, SurfaceOption } from "../cli-surface.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

export const completionScript = (shell: Shell, surface: Surface): string =>
  ({ bash, zsh, fish })[shell](surface);

/** Options where a dash was typed, otherwise what may stand there; after an option with a value, its choices. */
function bash({ name, commands, options }: Surface): string {
  const flags = (of: readonly SurfaceOption[]) =>
    of.flatMap(({ long, short }) => (short === null ? [long] : [long, short])).join(" ");
  const values = commands.flatMap((command) =>
    command.options.flatMap((option) =>
      option.value === null
        ? []
        : [`    '${command.name} ${option.long}') words='${option.choices.join(" ")}' ;;`],
    ),
  );
  const names = commands.map((command) => command.name);
  return `# Completion of ${name} for bash: source <(${name} completion bash)
_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= words= index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      ${names.join("|")}) command=\${COMP_WORDS[index]}; break ;;
    esac
  done
  case "$command $previous" in
${values.join("\n")}
    *)
      if [[ $current == -* ]]; then
        case $command in
          '') words='${flags(options)}' ;;
${commands.map((command) => `          ${command.name}) words='${flags(command.options)}' ;;`).join("\n")}
        esac
      else
        case $command in
          '') words='${names.join(" ")}' ;;
${commands
  .filter((command) => choicesOf(command).length > 0)
  .map((command) => `          ${command.name}) words='${choicesOf(command).join(" ")}' ;;`)
  .join("\n")}
        esac
      fi ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _${name} ${name}
`;
}

function zsh({ name, commands, options }: Surface): string {
  const option = ({ short, long, description, value, choices }: SurfaceOption) => {
    const takes = value === null ? "" : `:${zshText(value)}:${zshChoices(choices)}`;
    const text = `[${zshText(description)}]${takes}`;
    return short === null
      ? quoted(`${long}${text}`)
      : `${quoted(`(${short} ${long})`)}{${short},${long}}${quoted(text)}`;
  };
  const rest = commands.map((command) => {
    const words = [
      ...command.options.map(option),
      ...command.arguments.map(({ name: what, choices, description }, index) =>
        quoted(`${index + 1}:${zshText(description || what)}:${zshChoices(choices)}`),
      ),
    ];
    return `        ${command.name}) _arguments ${words.join(" \\\n          ")} ;;`;
  });
  return `#compdef ${name}
# Completion of ${name} for zsh: source <(${name} completion zsh), or as _${name} in a folder of $fpath
compdef _${name} ${name}

_${name}() {
  local context state line
  typeset -A opt_args
  _arguments -C ${[...options.map(option), quoted("1:command:->command"), quoted("*::rest:->rest")].join(" \\\n    ")}
  case $state in
    command)
      local -a commands=(
${commands.map((command) => `        ${quoted(`${command.name}:${command.description}`)}`).join("\n")}
      )
      _describe command commands ;;
    rest)
      case $line[1] in
${rest.join("\n")}
      esac ;;
  esac
}

# As a file of $fpath it is the body of the function, called for the first time.
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; fi
`;
}

function fish({ name, commands, options }: Surface): string {
  const line = (condition: string, words: string) =>
    `complete -c ${name} -n ${fishQuoted(condition)} ${words}`;
  const option = (condition: string, { short, long, description, value, choices }: SurfaceOption) =>
    line(
      condition,
      [
        ...(short === null ? [] : [`-s ${short.slice(1)}`]),
        `-l ${long.slice(2)}`,
        // -x: with a value, and that is no file.
        ...(value === null ? [] : ["-x"]),
        ...(choices.length === 0 ? [] : [`-a ${fishQuoted(choices.join(" "))}`]),
        `-d ${fishQuoted(description)}`,
      ].join(" "),
    );
  return `${[
    `# Completion of ${name} for fish: ${name} completion fish | source`,
    `complete -c ${name} -f`,
    ...options.map((each) => option("__fish_use_subcommand", each)),
    ...commands.map((command) =>
      line("__fish_use_subcommand", `-a ${command.name} -d ${fishQuoted(command.description)}`),
    ),
    ...commands.flatMap((command) => {
      const condition = `__fish_seen_subcommand_from ${command.name}`;
      return [
        ...command.options.map((each) => option(condition, each)),
        ...(choicesOf(command).length === 0
          ? []
          : [line(condition, `-a ${fishQuoted(choicesOf(command).join(" "))}`)]),
      ];
    }),
  ].join("\n")}\n`;
}

const choicesOf = (command: SurfaceCommand): readonly string[] =>
  command.arguments.flatMap(({ choices }) => choices);

/** For a shell that knows no escapes inside. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const fishQuoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
/** Colons and brackets have a meaning in what `_arguments` reads. */
const zshText = (text: string): string => text.replace(/[\\:[\]]/g, "\\$&");
const zshChoices = (choices: readonly string[]): string =>
  choices.length === 0 ? " " : `(${choices.join(" ")})`;
