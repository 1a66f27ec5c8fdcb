/** What the command line offers, as plain values: shell completion and the man page are made of it, so neither can drift. */
import type { Command } from "commander";

export interface Surface {
  readonly name: string;
  readonly description: string;
  readonly options: readonly SurfaceOption[];
  readonly commands: readonly SurfaceCommand[];
}

export interface SurfaceCommand {
  readonly name: string;
  readonly description: string;
  readonly arguments: readonly SurfaceArgument[];
  readonly options: readonly SurfaceOption[];
}

export interface SurfaceArgument {
  readonly name: string;
  readonly description: string;
  readonly isRequired: boolean;
  /** Empty: anything. */
  readonly choices: readonly string[];
}

export interface SurfaceOption {
  /** `-h`; null where there is none. */
  readonly short: string | null;
  /** `--help` */
  readonly long: string;
  readonly description: string;
  /** What its value is called; null where it takes none. */
  readonly value: string | null;
  /** Of the value. Empty: anything. */
  readonly choices: readonly string[];
}

/** As `--help` lists it: hidden commands and options are left out. */
export function surfaceOf(program: Command): Surface {
  const help = program.createHelp();
  const options = (command: Command): SurfaceOption[] =>
    help.visibleOptions(command).map((option) => ({
      short: option.short ?? null,
      long: option.long ?? `--${option.name()}`,
      description: option.description,
      value: /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1] ?? null,
      choices: option.argChoices ?? [],
    }));
  const commands = help.visibleCommands(program);
  const names = commands.map((command) => command.name());
  return {
    name: program.name(),
    description: program.description(),
    options: options(program),
    commands: commands.map((command) => ({
      name: command.name(),
      description: command.description(),
      arguments: command.registeredArguments.map((argument) => ({
        name: argument.name(),
        description: argument.description,
        isRequired: argument.required,
        // The argument of `help` is a command.
        choices: argument.argChoices ?? (argument.name() === "command" ? names : []),
      })),
      options: options(command),
    })),
  };
}
