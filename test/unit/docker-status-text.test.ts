// Health and exit code out of the Engine's `Status` text: examples as real Engines write them, and any text at all.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseExitCode, parseHealth } from "../../src/adapters/docker-status-text.ts";
import type { Health } from "../../src/observer/ports.ts";

/** All that hurts, often. */
const anyText = fc.string({
  unit: fc.constantFrom(
    ...'aZ09 -+_:.()"\\/<>\t\n\r\u0000\u007f\u0085\u2028\ufeffü€😀'.split(""),
    "\ud800",
    "\udfff",
  ),
  maxLength: 1_000,
});

const AGES = [
  "Less than a second",
  "1 second",
  "About a minute",
  "5 minutes",
  "2 hours",
  "3 weeks",
  "4 years",
];

describe("parseHealth()", () => {
  test.each([
    ["Up 5 minutes", "none"],
    ["Up 5 minutes (healthy)", "healthy"],
    ["Up 5 minutes (unhealthy)", "unhealthy"],
    ["Up 5 minutes (health: starting)", "starting"],
    ["Up 5 minutes (starting)", "starting"],
    ["Up 5 minutes (something new)", "none"],
    ["Up 5 minutes (healthy) (unhealthy)", "unhealthy"],
    ["Up 5 minutes (constructor)", "none"],
    ["healthy", "none"],
    ["", "none"],
  ] as [string, Health][])("a running container, %p: %s", (text, expected) => {
    expect(parseHealth("running", text, undefined)).toBe(expected);
  });

  test("the field counts where there is one", () => {
    expect(parseHealth("running", "Up 5 minutes (healthy)", "unhealthy")).toBe("unhealthy");
    expect(parseHealth("running", "Up 5 minutes (healthy)", "none")).toBe("none");
    expect(parseHealth("running", "Up 5 minutes", "starting")).toBe("starting");
    expect(parseHealth("running", "Up 5 minutes", "of a new kind")).toBe("none");
  });

  test("only a running container has one, so an upgrade of the Engine is no transition", () => {
    for (const state of ["created", "paused", "restarting", "removing", "exited", "dead", "stopping"]) {
      expect(parseHealth(state, "Up 5 minutes (healthy)", undefined)).toBe("none");
      expect(parseHealth(state, "Exited (1) 5 minutes ago", "unhealthy")).toBe("none");
    }
  });

  test("P10: an age changes nothing", () => {
    for (const age of AGES) expect(parseHealth("running", `Up ${age} (healthy)`, undefined)).toBe("healthy");
  });

  test("any text has a health", () => {
    fc.assert(
      fc.property(anyText, fc.option(fc.string(), { nil: undefined }), (text, field) => {
        expect(["healthy", "unhealthy", "starting", "none"]).toContain(parseHealth("running", text, field));
      }),
    );
  });
});

describe("parseExitCode()", () => {
  test.each([
    ["exited", "Exited (0) 2 hours ago", 0],
    ["exited", "Exited (137) Less than a second ago", 137],
    ["exited", "Exited (-1) 2 hours ago", -1],
    ["exited", "Exited (3221225786) 2 hours ago", 3_221_225_786],
    ["restarting", "Restarting (1) 5 seconds ago", 1],
    ["dead", "Dead (143) 5 seconds ago", 143],
    ["dead", "Dead", null],
    ["stopped", "Stopped (2) 5 seconds ago", 2],
    ["exited", "", null],
    ["exited", "Exited (x) 2 hours ago", null],
    ["exited", "Exited (99999999999) 2 hours ago", null],
    ["removing", "Removal In Progress", null],
    ["created", "Created", null],
    ["running", "Up 5 minutes (healthy)", null],
    ["running", "Up 5 minutes (0)", null],
    ["paused", "Up 5 minutes (Paused)", null],
    ["running", "Exited (1) 2 hours ago", null],
    ["created", "Exited (1) 2 hours ago", null],
  ] as [string, string, number | null][])("%s, %p: %p", (state, text, expected) => {
    expect(parseExitCode(state, text)).toBe(expected);
  });

  test("P10: an age changes nothing", () => {
    for (const age of AGES) expect(parseExitCode("exited", `Exited (7) ${age} ago`)).toBe(7);
  });

  test("any text has a code that JSON can hold, or none", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          fc.integer().map((code) => `Exited (${code}) now`),
        ),
        (text) => {
          const code = parseExitCode("exited", text);
          expect(code === null || Number.isSafeInteger(code)).toBe(true);
          expect(Object.is(code, -0)).toBe(false);
        },
      ),
    );
  });
});
