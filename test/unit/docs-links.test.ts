// Goal: every relative link in the documentation leads to a file, and every anchor to a heading.
// Method: reads all Markdown files of the repository and resolves their links on disk.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "../..");
const pages = ["*.md", "docs/**/*.md"].flatMap((pattern) => [...new Glob(pattern).scanSync(root)]);

const slug = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .trim()
    .replaceAll(" ", "-");

const anchors = (path: string) =>
  [...readFileSync(path, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, heading]) => slug(heading!));

test("there are pages to check", () => {
  expect(pages.length).toBeGreaterThan(8);
});

test.each(pages)("links in %s resolve", (page) => {
  const text = readFileSync(join(root, page), "utf8").replace(/```[\s\S]*?```/g, "");
  const broken: string[] = [];
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue;
    const [file, anchor] = target!.split("#");
    const path = file === "" ? join(root, page) : join(root, dirname(page), file!);
    if (!existsSync(path) || (anchor !== undefined && !anchors(path).includes(anchor))) broken.push(target!);
  }
  expect(broken).toEqual([]);
});
