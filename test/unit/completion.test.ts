/**
 * Goal: every command, option and choice is completed, in each shell, whatever their texts hold.
 * Method: the generated text; a real bash and zsh complete in test/integration/completion.test.ts.
 */
import { describe, expect, test } from "bun:test";
import { observerSurface } from "../../dev/surface.ts";
import type { Surface } from "../../src/cli-surface.ts";
import { completionScript, shells } from "../../src/commands/completion.ts";

const surface = observerSurface();

test("the surface has the program's commands, options, values and choices", () => {
  expect(surface.commands.map(({ name }) => name)).toContain("explain");
  const command = (name: string) => surface.commands.find((one) => one.name === name);
  expect(command("accept")?.arguments).toEqual([
    { name: "source", description: expect.any(String), isRequired: true, choices: ["engine", "archives"] },
  ]);
  expect(command("explain")?.options.map(({ long, value }) => [long, value])).toEqual([
    ["--json", null],
    ["--limit", "count"],
    ["--help", null],
  ]);
  expect(command("help")?.arguments[0]?.isRequired).toBe(false);
  expect(command("help")?.arguments[0]?.choices).toEqual(surface.commands.map(({ name }) => name));
});

describe.each(shells.map((shell) => [shell]))("%s", (shell) => {
  const script = completionScript(shell, surface);

  test.each(surface.commands.map((command) => [command.name, command] as const))(
    "knows %s",
    (name, command) => {
      expect(script).toContain(shell === "fish" ? `-a ${name} ` : name);
      for (const { long } of command.options)
        expect(script).toContain(shell === "fish" ? ` -l ${long.slice(2)} ` : long);
      for (const { choices } of command.arguments) expect(script).toContain(choices.join(" "));
    },
  );

  test("texts can't break out of their quotes", () => {
    const odd: Surface = {
      ...surface,
      commands: [
        {
          name: "odd",
          description: "it's \\ [a]: $(b)",
          arguments: [],
          options: [
            { short: null, long: "--odd", description: "it's \\ [a]: $(b)", value: null, choices: [] },
          ],
        },
      ],
    };
    const text = completionScript(shell, odd);
    if (shell === "bash") expect(text).not.toContain("it's");
    if (shell === "zsh") expect(text).toContain(`'--odd[it'\\''s \\\\ \\[a\\]\\: $(b)]'`);
    if (shell === "fish") expect(text).toContain(`-d 'it\\'s \\\\ [a]: $(b)'`);
  });
});
