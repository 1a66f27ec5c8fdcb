/** argv → a command to run. Parses, and decides nothing. */
import { Argument, Command, CommanderError, InvalidArgumentError } from "commander";
import type { BuildInfo } from "./build-info.ts";
import { type Surface, surfaceOf } from "./cli-surface.ts";
import { type Shell, shells } from "./commands/completion.ts";
import { settingsHelp } from "./config/help.ts";
import { exitCode } from "./exit-codes.ts";

export interface Commands {
  run(): Promise<number>;
  /** @param options with the `host` whose Engine is meant, where there are several; null: not said */
  once(options: {
    readonly dryRun: boolean;
    readonly json: boolean;
    readonly host: string | null;
  }): Promise<number>;
  check(options: { readonly json: boolean }): Promise<number>;
  schema(options: { readonly role: string | null; readonly schema: string | null }): Promise<number>;
  status(options: {
    readonly json: boolean;
    readonly watch: boolean;
    readonly url: string | null;
  }): Promise<number>;
  accept(source: "engine" | "archives", options: { readonly host: string | null }): Promise<number>;
  /** Only with `isSure` is anything changed. */
  forget(host: string, options: { readonly isSure: boolean }): Promise<number>;
  explain(workspace: string, options: { readonly json: boolean; readonly limit: number }): Promise<number>;
  completion(shell: Shell, surface: Surface): Promise<number>;
  /** Asks a running instance whether it is live; for HEALTHCHECK in an image that has nothing else. */
  health(): Promise<number>;
}

const HOST = "whose Engine is meant, where OBSERVER_ENGINES names several";

/** @returns the exit code */
export async function runCli(argv: readonly string[], commands: Commands, build: BuildInfo): Promise<number> {
  let code: number = exitCode.ok;
  const program = createProgram(commands, build, (answer) => {
    code = answer;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version end in an exception too, with code 0. No command at all prints the help as an error.
    return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
  }
}

/** @param onDone hears the exit code of the command that ran */
export function createProgram(commands: Commands, build: BuildInfo, onDone: (code: number) => void): Command {
  const program = new Command("observer")
    .description(
      "Writes down what really exists: lists the containers, volumes and archives of all workspaces in bulk,\n" +
        "and keeps workspaces.conditions and observed_at in PostgreSQL true.",
    )
    .version(
      `observer ${build.version} (${build.commit}, ${build.runtime})`,
      "-V, --version",
      "print version and commit",
    )
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .showSuggestionAfterError()
    .showHelpAfterError("Run observer --help to see commands and settings.")
    .exitOverride()
    .addHelpText(
      "after",
      () =>
        `\n${settingsHelp()}\nExit codes: 0 done, 1 failed, 64 usage, 70 a bug, 78 a configuration that can never work.`,
    );

  program
    .command("run")
    .description("observe until told to stop (SIGTERM, SIGINT)")
    .action(async () => {
      onDone(await commands.run());
    });
  program
    .command("once")
    .description("look once, write, and print what was seen and what changed")
    .option("--dry-run", "write nothing: print what would change", false)
    .option("--json", "print JSON", false)
    .option("--host <name>", HOST)
    .action(async (options: { dryRun: boolean; json: boolean; host?: string }) => {
      onDone(await commands.once({ ...options, host: options.host ?? null }));
    });
  program
    .command("check")
    .description("test every dependency and permission, and say how to mend what is wrong")
    .option("--json", "print JSON", false)
    .action(async (options: { json: boolean }) => {
      onDone(await commands.check(options));
    });
  program
    .command("explain")
    .argument("<workspace>", "its id, as in the table")
    .description("tell what one workspace is, since when, why, how fresh that is, and what happened before")
    .option("--json", "print JSON", false)
    .option("--limit <count>", "tell so many changes, 1 to 1000", parseLimit, 10)
    .action(async (workspace: string, options: { json: boolean; limit: number }) => {
      onDone(await commands.explain(workspace, options));
    });
  program
    .command("schema")
    .description("print the SQL of the tables, and of a restricted role")
    .option("--role <name>", "with the role of that name and its column-level grants")
    .option("--schema <name>", "with the schema of that name")
    .action(async (options: { role?: string; schema?: string }) => {
      onDone(await commands.schema({ role: options.role ?? null, schema: options.schema ?? null }));
    });
  program
    .command("status")
    .description("what the instances say of themselves: 0 if one observes")
    .option("--json", "print JSON", false)
    .option("--watch", "look again every two seconds, until Ctrl-C", false)
    .option("--url <url>", "ask the instance there instead of the database: http://127.0.0.1:9464", parseUrl)
    .action(async (options: { json: boolean; watch: boolean; url?: string }) => {
      onDone(await commands.status({ ...options, url: options.url ?? null }));
    });
  program
    .command("accept")
    .description("take another Engine, bucket or prefix than the table was written from for the right one")
    .addArgument(new Argument("<source>", "whose absences to believe").choices(["engine", "archives"]))
    .option("--host <name>", HOST)
    .action(async (source: "engine" | "archives", options: { host?: string }) => {
      onDone(await commands.accept(source, { host: options.host ?? null }));
    });
  program
    .command("forget")
    .addArgument(new Argument("<what>", "what to let go for good").choices(["host"]))
    .argument("<name>", "its name, as in OBSERVER_HOST")
    .description(
      "let a host of a fleet go: what it reported is then for the others to prove; tells first what that changes",
    )
    .option("--yes", "do it", false)
    .action(async (_: string, host: string, options: { yes: boolean }) => {
      onDone(await commands.forget(host, { isSure: options.yes }));
    });
  program
    .command("health")
    .description("ask the running instance whether it is live: 0 if it is")
    .action(async () => {
      onDone(await commands.health());
    });
  program
    .command("completion")
    .description("print what makes a shell complete commands and options")
    .addArgument(new Argument("<shell>", "for which shell").choices(shells))
    .action(async (shell: Shell) => {
      onDone(await commands.completion(shell, surfaceOf(program)));
    });
  return program;
}

function parseUrl(text: string): string {
  if (!/^https?:\/\/[^\s/]/.test(text) || !URL.canParse(text))
    throw new InvalidArgumentError("It has to be a URL such as http://127.0.0.1:9464.");
  return text;
}

function parseLimit(text: string): number {
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > 1000)
    throw new InvalidArgumentError("It has to be a whole number from 1 to 1000.");
  return limit;
}
