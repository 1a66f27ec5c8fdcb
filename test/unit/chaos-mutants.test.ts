// Goal: the bugs that `bun run chaos --mutants` plants can still be planted; it takes too long to be run each time.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { faults } from "../../dev/chaos/faults.ts";
import { mutants } from "../../dev/chaos/mutants.ts";

const root = join(import.meta.dir, "../..");

test.each(mutants.map((mutant) => [mutant.name, mutant] as const))("%s", (_, { changes, fault }) => {
  for (const { file, from, to } of changes) {
    expect(readFileSync(join(root, file), "utf8").split(from)).toHaveLength(2);
    expect(to).not.toBe(from);
  }
  expect(faults.map(({ name }) => name)).toContain(fault);
});
