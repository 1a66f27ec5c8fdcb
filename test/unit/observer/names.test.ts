/**
 * Goal: a name is a workspace's only if all of it is, and every id comes back out of the names made from it.
 * Method: tables of names as engines and stores write them, and properties over arbitrary ids and texts.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  containerName,
  parseArchiveKey,
  parseContainerName,
  parseVolumeName,
  parseWorkspaceId,
  storableText,
  volumeName,
} from "../../../src/observer/names.ts";

const SUFFIX = "/home.tar.zst";
const idText = fc
  .string({ unit: "binary", minLength: 1, maxLength: 60 })
  .filter((text) => parseWorkspaceId(text) !== null);
const prefixText = fc.constantFrom("ws-", "", "a", "-home", "ws-ws-", "é");

describe("parseWorkspaceId()", () => {
  for (const [text, valid] of [
    ["7f3c", true],
    ["a-home", true],
    ['o\'hara "x"', true],
    ["x".repeat(500), true],
    ["", false],
    ["a/b", false],
    ["a\u0000", false],
    ["a\n", false],
    ["\u007f", false],
    ["\ud800", false],
  ] as const) {
    test(`${JSON.stringify(text.slice(0, 20))} is ${valid ? "an id" : "none"}`, () => {
      expect(parseWorkspaceId(text)).toBe((valid ? text : null) as never);
    });
  }
});

describe("parseContainerName()", () => {
  for (const [name, id] of [
    ["/ws-7f3c", "7f3c"],
    ["/ws-a-home", "a-home"],
    ["/other/ws-x", null],
    ["/ws-x/alias", null],
    ["/ows-x", null],
    ["ws-x", null],
    ["//ws-x", null],
    ["/ws-", null],
    ["/WS-x", null],
    ["", null],
  ] as const) {
    test(`${JSON.stringify(name)} → ${id}`, () => {
      expect(parseContainerName(name, "ws-")).toBe(id as never);
    });
  }

  test("finds every id in the name made of it", () => {
    fc.assert(
      fc.property(idText, prefixText, (id, prefix) => {
        expect(parseContainerName(`/${containerName(id, prefix)}`, prefix)).toBe(id as never);
      }),
    );
  });
});

describe("parseVolumeName()", () => {
  for (const [name, id] of [
    ["ws-7f3c-home", "7f3c"],
    ["ws-a-home-home", "a-home"],
    ["ws-home", null],
    ["ws--home", null],
    ["ws-7f3c", null],
    ["ws-7f3c-home2", null],
    ["xws-7f3c-home", null],
    ["-home", null],
    ["", null],
  ] as const) {
    test(`${JSON.stringify(name)} → ${id}`, () => {
      expect(parseVolumeName(name, "ws-")).toBe(id as never);
    });
  }

  test("finds every id in the name made of it, and nothing in what is shorter", () => {
    fc.assert(
      fc.property(idText, prefixText, (id, prefix) => {
        expect(parseVolumeName(volumeName(id, prefix), prefix)).toBe(id as never);
      }),
    );
  });
});

describe("parseArchiveKey()", () => {
  for (const [key, id] of [
    ["ws-7f3c/op1/home.tar.zst", "7f3c"],
    ["ws-7f3c/home.tar.zst", null],
    ["ws-7f3c//home.tar.zst", null],
    ["ws-/op/home.tar.zst", null],
    ["ws-a/b/c/home.tar.zst", null],
    ["ws-a/b/home.tar.zst.meta", null],
    ["xws-a/b/home.tar.zst", null],
    ["ws-/home.tar.zst", null],
    ["", null],
  ] as const) {
    test(`${JSON.stringify(key)} → ${id}`, () => {
      expect(parseArchiveKey(key, "ws-", SUFFIX)).toBe(id as never);
    });
  }

  test("finds every id in the key made of it", () => {
    const operation = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !text.includes("/"));
    fc.assert(
      fc.property(idText, operation, prefixText, (id, op, prefix) => {
        expect(parseArchiveKey(`${prefix}${id}/${op}${SUFFIX}`, prefix, SUFFIX)).toBe(id as never);
      }),
    );
  });
});

test("no parser throws, and what parses holds no slash (any text)", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), prefixText, (text, prefix) => {
      for (const id of [
        parseContainerName(text, prefix),
        parseVolumeName(text, prefix),
        parseArchiveKey(text, prefix, SUFFIX),
      ]) {
        if (id !== null) expect(parseWorkspaceId(id)).toBe(id);
      }
    }),
  );
});

test("storableText() leaves nothing that PostgreSQL's jsonb refuses", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.constantFrom("", "\u0000", "\ud800", "\udc00x"),
      (text, bad) => {
        const stored = storableText(text + bad);
        expect(stored.includes("\u0000")).toBe(false);
        expect(stored.isWellFormed()).toBe(true);
        expect(storableText(stored)).toBe(stored);
      },
    ),
  );
});
