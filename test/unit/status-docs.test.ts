// docs/status-endpoint.md against the code. Goal: every path, key and metric that the page names exists, and every one
// that exists is named, with its type and labels. Method: the page's tables are parsed and compared both ways.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createStatusApp } from "../../src/status/app.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { parseExposition } from "./status-exposition.ts";
import { build, health, memberView, report } from "./status-fixtures.ts";

const page = readFileSync(new URL("../../docs/status-endpoint.md", import.meta.url), "utf8");

/** The cells of the table whose header begins so, without the back quotes of the first one. */
function table(header: string): string[][] {
  const lines = page.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${header} |`));
  if (start < 0) throw new Error(`docs/status-endpoint.md has no table "${header}"`);
  const rows: string[][] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith("|")) break;
    const [first = "", ...rest] = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    rows.push([first.replaceAll("`", ""), ...rest]);
  }
  return rows;
}

const view = () => memberView();
const metrics = createMetrics({ view, build, health, isMember: true });
metrics.onReport(report());
const app = createStatusApp({ view, health, build, metrics, token: null });

test("docs/status-endpoint.md names the metrics, their types and labels, and no others", async () => {
  const documented = table("metric").map(([name, type, labels]) => [
    name!,
    type!,
    [...labels!.matchAll(/`([a-z]+)`/g)].map((match) => match[1]!).join(" "),
  ]);
  const real = [...parseExposition(await metrics.text())].map(([name, { type, samples }]) => [
    name,
    type,
    Object.keys(samples[0]?.labels ?? {})
      .filter((label) => label !== "le")
      .join(" "),
  ]);
  expect(documented.toSorted()).toEqual(real.toSorted());
});

test("docs/status-endpoint.md names the values of the labels", async () => {
  const meanings = new Map(table("metric").map(([name, , , meaning]) => [name!, meaning!]));
  for (const [name, { samples }] of parseExposition(await metrics.text())) {
    for (const { labels } of samples) {
      for (const [label, value] of Object.entries(labels)) {
        if (["le", "version", "commit"].includes(label)) continue;
        // A label's values are named once, at the first metric that has them.
        const named = [...meanings].some(
          ([other, text]) => other.startsWith("observer_") && text.includes(`\`${value}\``),
        );
        expect(`${name}{${label}="${value}"} ${named ? "is" : "isn't"} documented`).toEndWith(
          " is documented",
        );
      }
    }
  }
});

test("docs/status-endpoint.md names the keys of /status, and no others", async () => {
  const body = (await (await app.request("/status")).json()) as Record<string, unknown>;
  expect(table("key").map(([key]) => key!)).toEqual(Object.keys(body));
});

test("docs/status-endpoint.md names the paths, and no others", () => {
  const paths = app.routes
    .filter(({ method, path }) => method === "GET" && path !== "*")
    .map(({ path }) => path);
  expect(
    table("path")
      .flatMap(([path]) => path!.split(" "))
      .toSorted(),
  ).toEqual(paths.toSorted());
});
