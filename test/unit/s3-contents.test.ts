// Goal: what is cut out of a page is what a parser would find there, and what can't be understood is left to the parser
// whole: never a key less, never one that is not there (P1).
// Method: pages as stores write them, with any keys; the same pages damaged in one place, compared with what they held.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { cutContents } from "../../src/adapters/s3-contents.ts";
import { atLeast } from "./fuzz-runs.ts";

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
const entry = (key: string, size = 42) =>
  `<Contents><Key>${escaped(key)}</Key><LastModified>2026-11-23T20:00:00.123Z</LastModified>` +
  `<ETag>&quot;d41d8&quot;</ETag><Size>${size}</Size><StorageClass>STANDARD</StorageClass>` +
  "<Owner><ID>me</ID><DisplayName>M &amp; E</DisplayName></Owner><Type>Normal</Type></Contents>";
const page = (...entries: readonly string[]) =>
  `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="x"><Name>b</Name>${entries.join("")}` +
  `<KeyCount>${entries.length}</KeyCount></ListBucketResult>`;
const keysOf = (text: string) => cutContents(text)?.entries.map(({ Key }) => Key);

describe("cutContents()", () => {
  test("takes key, time and size of each entry, and leaves the rest of the page", () => {
    expect(cutContents(page(entry("ws-a/1/home.tar.zst"), entry("ws-b/2 & 3", 0)))).toEqual({
      rest: page().replace("<KeyCount>0", "<KeyCount>2"),
      entries: [
        { Key: "ws-a/1/home.tar.zst", LastModified: new Date("2026-11-23T20:00:00.123Z"), Size: 42 },
        { Key: "ws-b/2 & 3", LastModified: new Date("2026-11-23T20:00:00.123Z"), Size: 0 },
      ],
    });
    expect(keysOf(page(entry("a"), "\n  ", entry("b")))).toEqual(["a", "b"]);
  });

  const whole = page(entry("a"), entry("b"));
  test.each([
    ["no entries", page()],
    ["no page", "<html>"],
    ["an entry that does not end", whole.replace("</Contents>", "")],
    ["the last one cut off", whole.slice(0, whole.lastIndexOf("</Contents>"))],
    ["text between entries", page(entry("a"), "x", entry("b"))],
    ["another element between entries", page(entry("a"), "<CommonPrefixes/>", entry("b"))],
    ["two keys", page(entry("a").replace("<Size>", "<Key>b</Key><Size>"))],
    ["no key", page(entry("a").replace("<Key>a</Key>", ""))],
    ["an element in a key", page(entry("a").replace("<Key>a", "<Key>a<b></b>"))],
    ["a key that does not end", page(entry("a").replace("</Key>", ""))],
    ["CDATA", page(entry("a").replace("<Key>a", "<Key><![CDATA[a]]>"))],
    ["a comment", page(entry("a").replace("<Key>a", "<Key><!-- x -->a"))],
    ["an attribute", page(entry("a").replace("<Key>", '<Key x="1">'))],
    ["a namespace", page(entry("a").replace("<Key>a</Key>", "<s:Key>a</s:Key>"))],
    ["a numeric reference", page(entry("a").replace("<Key>a", "<Key>&#97;"))],
    ["a reference without an end", page(entry("a").replace("<Key>a", "<Key>&amp"))],
    ["an unknown reference", page(entry("a").replace("<Key>a", "<Key>&nbsp;"))],
    ["a line end that a parser would change", page(entry("a").replace("<Key>a", "<Key>a\r\n"))],
    ["a time of another form", page(entry("a").replace("2026-11-23T20:00:00.123Z", "yesterday"))],
    ["a size that is none", page(entry("a").replace("<Size>42", "<Size>-1"))],
  ])("%s is left to the parser", (_, text) => {
    expect(cutContents(text)).toBeNull();
  });

  const key = fc
    .string({ unit: "binary", minLength: 1, maxLength: 30 })
    .filter((text) => !text.includes("\r"));
  test("any keys come out as they went in", () => {
    fc.assert(
      fc.property(fc.array(key, { minLength: 1, maxLength: 10 }), (keys) => {
        expect(keysOf(page(...keys.map((one) => entry(one))))).toEqual(keys);
      }),
      atLeast(300),
    );
  });

  test("P1: a page that is cut off or changed in one place yields no key that was not in it, or is left alone", () => {
    const keys = ["ws-a/1", "ws-b/2", "ws-c/3"];
    const text = page(...keys.map((one) => entry(one)));
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom("", "<", ">", "&", "/", "x", '"'), (at, put) => {
        const changed = cutContents(text.slice(0, at) + put + text.slice(at + 1));
        // One letter of one key may be another one; none is lost without a trace in the page's own count.
        if (changed !== null)
          expect(changed.entries.length + changed.rest.split("<Contents>").length - 1).toBe(3);
        const cut = cutContents(text.slice(0, at));
        if (cut !== null) expect(cut.rest).not.toEndWith("</ListBucketResult>");
      }),
      atLeast(500),
    );
  });
});
