// packaging/prometheus. Goal: Prometheus takes the rules, the example of a scrape and the program's metrics, and each alert
// fires when it should. Method: Debian's promtool on the files, and on the exposition of a view.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { runCommand } from "../../dev/services/process.ts";
import { complaintsAbout } from "../../dev/services/prometheus.ts";
import { openScope, type Scope } from "../../dev/services/scope.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { build, health, leaderView, report } from "../unit/status-fixtures.ts";

const folder = join(import.meta.dir, "../../packaging/prometheus");
// A test that fails in the middle of promtool's leaves its storage in the temporary folder.
let scope: Scope;
beforeAll(() => {
  scope = openScope("promtool");
});
afterAll(() => scope.stop());
const promtool = (...args: string[]) =>
  runCommand(["promtool", ...args], { cwd: folder, env: { TMPDIR: scope.folder } });

test("the rules are valid", async () => {
  expect(await promtool("check", "rules", "alerts.yml")).toContain("SUCCESS");
});

test.each(["alerts.test.yml", "alerts.days.test.yml"])(
  "each alert of %s fires when it should, and no other",
  async (file) => {
    expect(await promtool("test", "rules", file)).toContain("SUCCESS");
  },
);

test("the example of a scrape is valid", async () => {
  // The token's file is the reader's own.
  expect(await promtool("check", "config", "--syntax-only", "scrape.yml")).toContain("SUCCESS");
});

test("the exposition follows the conventions of names and units", async () => {
  const metrics = createMetrics({ view: () => leaderView(), build, health });
  metrics.onReport(report());
  expect(await complaintsAbout(await metrics.text())).toBe("");
});
