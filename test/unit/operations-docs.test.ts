// Goal: docs/operations.md names every log event that the program can write, with its level, and no other.
// Method: collects the event names from the source text of src/, and compares them with the page's table both ways.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "../..");
const links = ["database", "channel", "events", "wake", "transitions"];

function eventsInSource(): Map<string, string> {
  const events = new Map<string, string>();
  for (const file of new Glob("**/*.ts").scanSync(join(root, "src"))) {
    const text = readFileSync(join(root, "src", file), "utf8");
    for (const [, level, event] of text.matchAll(/\blog\.(debug|info|warn|error)\(\s*["`]([^"`]+)["`]/g)) {
      const names = event!.includes("${")
        ? links.map((link) => event!.replace(/\$\{[^}]*\}/, link))
        : [event!];
      for (const name of names) events.set(name, level!);
    }
  }
  return events;
}

function eventsInDocs(): Map<string, string> {
  const events = new Map<string, string>();
  const page = readFileSync(join(root, "docs/operations.md"), "utf8");
  const table = page.slice(page.indexOf("| event | level |"));
  for (const row of table.split("\n").slice(2)) {
    if (!row.startsWith("|")) break;
    const [, names, levels] = row.split("|");
    const level = levels!.split(",").map((word) => word.trim());
    [...names!.matchAll(/`([^`]+)`/g)].forEach(([, name], index) => {
      events.set(name!, level[index] ?? level[0]!);
    });
  }
  return events;
}

test("docs/operations.md names the log events and their levels, and no others", () => {
  const sorted = (events: Map<string, string>) =>
    [...events].sort(([left], [right]) => (left < right ? -1 : 1));
  expect(eventsInSource().size).toBeGreaterThan(20);
  expect(sorted(eventsInDocs())).toEqual(sorted(eventsInSource()));
});
