// What the Engine is asked, and in which version of its API. P1: a filter may be too loose, never too tight.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { listPath, nameFilter } from "../../src/adapters/docker-filters.ts";
import { compareVersions, negotiate } from "../../src/adapters/docker-version.ts";
import { excerpt } from "../../src/adapters/foreign-text.ts";
import { limits } from "../../src/observer/limits.ts";

/** All that hurts, often. */
const anyText = fc.string({
  unit: fc.constantFrom(
    ...'aZ09 -+_:.()"\\/<>\t\n\r\u0000\u007f\u0085\u2028\ufeffü€😀'.split(""),
    "\ud800",
    "\udfff",
  ),
  maxLength: 1_000,
});

const wanted = (filter: string | null): string[] | null => (filter === null ? null : JSON.parse(filter).name);

describe("nameFilter()", () => {
  test("asks for the prefix, or for the names", () => {
    expect(nameFilter("ws-", undefined)).toBe('{"name":["ws-"]}');
    expect(nameFilter("ws-", ["ws-a", "ws-b"])).toBe('{"name":["ws-a","ws-b"]}');
  });

  test("asks for the prefix when the names are too many, too long, or no Engine's", () => {
    const many = Array.from({ length: limits.secondLookTargeted + 1 }, (_, index) => `ws-${index}`);
    expect(wanted(nameFilter("ws-", many.slice(1)))).toHaveLength(limits.secondLookTargeted);
    expect(wanted(nameFilter("ws-", many))).toEqual(["ws-"]);
    expect(wanted(nameFilter("ws-", ["ws-a", `ws-${"x".repeat(3_000)}`]))).toEqual(["ws-"]);
    for (const odd of ["ws-(", 'ws-"', "ws-ü", "ws-a b", "ws-^", "ws-\\", "ws-[", "ws-*", ""]) {
      expect(wanted(nameFilter("ws-", ["ws-a", odd]))).toEqual(["ws-"]);
    }
  });

  test("asks for everything when not even the prefix is an Engine's", () => {
    for (const prefix of ["^ws", "w*", "(", ""]) expect(nameFilter(prefix, undefined)).toBeNull();
  });

  test("P1: every name that is asked for passes, read as a regular expression or as plain text", () => {
    const part = fc.stringMatching(/^[a-zA-Z0-9_.-]{1,12}$/);
    fc.assert(
      fc.property(part, fc.array(fc.oneof(part, fc.string()), { maxLength: 60 }), (prefix, ends) => {
        const names = ends.map((end) => `${prefix}${end}`);
        for (const filter of [nameFilter(prefix, names), nameFilter(prefix, undefined)]) {
          const values = wanted(filter) ?? [""];
          for (const name of names) {
            expect(values.some((value) => name.includes(value))).toBe(true);
            expect(values.some((value) => new RegExp(value).test(name))).toBe(true);
            expect(values.some((value) => new RegExp(value).test(`/${name}`))).toBe(true);
          }
        }
      }),
    );
  });
});

test("listPath() encodes what it is given", () => {
  expect(listPath("1.41", "containers/json", { all: "1" }, '{"name":["a&b"]}')).toBe(
    "/v1.41/containers/json?all=1&filters=%7B%22name%22%3A%5B%22a%26b%22%5D%7D",
  );
  expect(listPath("1.41", "volumes", {}, null)).toBe("/v1.41/volumes");
});

describe("negotiate()", () => {
  const at = (ApiVersion: string, MinAPIVersion?: string | null) =>
    negotiate({ ApiVersion, MinAPIVersion, Version: "20.10.24" }).apiVersion;

  test("takes the newest that both speak", () => {
    expect(at("1.41", "1.12")).toBe("1.41");
    expect(at("1.47", "1.24")).toBe("1.47");
    expect(at("1.52", "1.44")).toBe("1.52");
    expect(at("1.99", "1.44")).toBe("1.52");
    expect(at("2.0", "1.44")).toBe("1.52");
    expect(at("1.41")).toBe("1.41");
    expect(at("1.41", "")).toBe("1.41");
    expect(at("1.41", null)).toBe("1.41");
  });

  test("names both versions where there is none", () => {
    expect(() => at("1.40", "1.12")).toThrow(
      /speaks API 1\.40, and at least 1\.41 is needed, which is Engine 20\.10/,
    );
    expect(() => at("1.9")).toThrow("too old");
    expect(() => at("1.60", "1.53")).toThrow(/speaks API 1\.53 to 1\.60, and 1\.52 is the newest known here/);
  });

  test("compareVersions() counts, it doesn't spell", () => {
    expect(compareVersions("1.9", "1.41")).toBeLessThan(0);
    expect(compareVersions("1.100", "1.52")).toBeGreaterThan(0);
    expect(compareVersions("2.0", "1.52")).toBeGreaterThan(0);
    expect(compareVersions("1.52", "1.52")).toBe(0);
  });
});

test("excerpt() makes one short, storable line of any text", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const line = excerpt(text);
      expect(line.length).toBeLessThanOrEqual(201);
      expect(line).not.toMatch(/[\u0000-\u001f\u007f]/);
      expect(line.isWellFormed()).toBe(true);
    }),
  );
  expect(excerpt(`\n a \t\r\n b\u0000 `)).toBe("a b\ufffd");
});
