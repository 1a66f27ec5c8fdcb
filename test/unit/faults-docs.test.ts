// docs/reliability.md, "What an operator sees of them". Goal: each fault of the chaos runner has its row, with reasons,
// events and alerts that there are. Method: compares the table with the faults, the sources and the alerts.
import { expect, test } from "bun:test";
import { faults } from "../../dev/chaos/faults.ts";
import { readAlerts, textOf } from "../packaging.ts";

const [, section = ""] = textOf("docs/reliability.md").split("\n## What an operator sees of them\n");
const rows = section
  .split(/\n## /)[0]!
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  .map(([names = "", ready = "", log = "", alert = ""]) => ({ names: quoted(names), ready, log, alert }));

function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!);
}

test("each fault has one row", () => {
  const named = rows.flatMap(({ names }) => names);
  expect(named.toSorted()).toEqual(faults.map(({ name }) => name).toSorted());
});

test.each(rows.map((row) => [row.names[0]!, row] as const))(
  "%s: what is told of it can be seen",
  (_, row) => {
    // The texts of reasons, up to where they vary.
    const reasons = textOf("src/observer/health.ts");
    for (const reason of quoted(row.ready)) {
      for (const part of reason.split("…").map((text) => text.replace(/^[\s,:]+|[\s:]+$/g, ""))) {
        const fixed = part.replace(/^(engine|archives|database) ?/, "");
        if (fixed !== "") expect(reasons).toContain(fixed);
      }
    }
    const events = textOf("docs/operations.md");
    for (const event of quoted(row.log)) expect(events).toContain(`\`${event}\``);
    const alerts = new Set(readAlerts().map(({ alert }) => alert));
    const named = row.alert.match(/Observer[A-Z]\w+/g) ?? [];
    for (const alert of named) expect([alert, alerts.has(alert)]).toEqual([alert, true]);
    // A fault that raises none says why, or there is none.
    if (named.length === 0) expect(row.alert).toStartWith("none");
  },
);

test("each alert is raised by some fault, or by what no fault here does", () => {
  const raised = new Set(rows.flatMap(({ alert }) => alert.match(/Observer[A-Z]\w+/g) ?? []));
  const others = readAlerts()
    .map(({ alert }) => alert)
    .filter((alert) => !raised.has(alert));
  // Two databases, a bug of ours, a leak, another writer, a fleet, and what a platform leaves behind.
  expect(others.toSorted()).toEqual([
    "ObserverFilesGrowing",
    "ObserverHostLost",
    "ObserverMemoryGrowing",
    "ObserverOrphans",
    "ObserverRowsFenced",
    "ObserverStuck",
    "ObserverTwoLeaders",
  ]);
});
