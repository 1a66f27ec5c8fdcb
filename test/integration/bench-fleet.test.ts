// Goal: the benchmark of a fleet runs, and its table says all that docs/scaling.md shows.
// Method: three hosts of twenty workspaces, on a partitioned table, for a moment; what it prints is read as text.
import { expect, test } from "bun:test";
import { join } from "node:path";

test("a fleet of three hosts is measured, on a table in parts", async () => {
  const script = join(import.meta.dir, "../../dev/bench-fleet.ts");
  const size = ["--hosts", "3", "--rows", "20", "--seconds", "0.5", "--partitions", "4"];
  const child = Bun.spawn([process.execPath, script, "--quick", ...size], {
    stdout: "pipe",
    stderr: "pipe",
    timeout: 60_000,
    killSignal: "SIGTERM",
  });
  const [table, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect({ code: await child.exited, errors }).toMatchObject({ code: 0 });
  expect(table).toMatch(/connections of a host +2 +≤ 2\n/);
  expect(table).toMatch(/1 hosts? restart at once: until all have committed all they see +\d/);
  expect(table).toMatch(
    /through PgBouncer \(transaction mode, at most 2\): connections to the server +[12]\n/,
  );
  expect(table).toMatch(/warnings and errors logged +0\n/);
}, 90_000);
