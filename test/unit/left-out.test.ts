/**
 * Goal: what dev/left-out keeps out of the executable is run by nobody in it.
 * Method: the bundler's own list of who takes in whom, and the texts of those that could ask.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

test("CBOR and browsers' names are asked for by the SDK's core alone, and by no client that is in the executable", async () => {
  const built = await Bun.build({ entrypoints: [join(root, "src/main.ts")], target: "bun", metafile: true });
  const inputs = Object.entries(built.metafile!.inputs);
  const whoTakes = (wanted: RegExp) =>
    inputs
      .filter(([path, { imports }]) => !wanted.test(path) && imports.some((one) => wanted.test(one.path)))
      .map(([path]) => /node_modules\/(@aws-sdk\/core\/dist-\w+\/submodules\/\w+)/.exec(path)?.[1] ?? path);
  expect(whoTakes(/@smithy\/core\/dist-\w+\/submodules\/cbor\//)).toEqual([
    expect.stringMatching(/^@aws-sdk\/core\/dist-\w+\/submodules\/protocols$/),
  ]);
  expect(whoTakes(/node_modules\/bowser\//)).toEqual([
    expect.stringMatching(/^@aws-sdk\/core\/dist-\w+\/submodules\/client$/),
  ]);
  const askers = inputs
    .map(([path]) => path)
    .filter((path) => /@aws-sdk\/(?!core\/)/.test(path))
    .filter((path) =>
      /RpcV2Cbor|createUserAgentStringParsingProvider/.test(readFileSync(join(root, path), "utf8")),
    );
  expect(inputs.filter(([path]) => path.includes("@aws-sdk/client-s3/")).length).toBeGreaterThan(5);
  expect(askers).toEqual([]);
});
