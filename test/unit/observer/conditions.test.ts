/**
 * Goal: conditions say what was seen in the contract's words, and transitions move only with the meaning.
 * Method: tables for the words, properties for equality and for the stability of what didn't change.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  composeArchive,
  composeContainer,
  composeVolume,
  describeContainer,
  type Json,
  jsonEqual,
  reasonOf,
} from "../../../src/observer/conditions.ts";
import type { ContainerSeen } from "../../../src/observer/ports.ts";
import { archive, container, id, stampOf, volume } from "./support.ts";

const T1 = stampOf(1);
const T2 = stampOf(2);

describe("describeContainer()", () => {
  for (const [seen, text] of [
    [container(), "running"],
    [container({ health: "healthy" }), "running, healthy"],
    [container({ health: "starting" }), "running, health check starting"],
    [container({ state: "exited", exitCode: 137 }), "exited with code 137"],
    [container({ state: "exited", exitCode: 0 }), "exited with code 0"],
    [container({ state: "restarting", exitCode: 1 }), "restarting after exit with code 1"],
    [container({ state: "created" }), "created"],
  ] as const) {
    test(text, () => expect(describeContainer(seen)).toBe(text));
  }
});

test("reasonOf() capitalises every state, an unknown one too", () => {
  expect(["created", "running", "paused", "hibernated", "to be 2nd", "!"].map(reasonOf)).toEqual([
    "Created",
    "Running",
    "Paused",
    "Hibernated",
    "ToBeNd",
    "Unknown",
  ]);
});

describe("composeContainer()", () => {
  test("has every field of the contract", () => {
    expect(composeContainer(id("a"), container({ health: "healthy" }), undefined, T1)).toEqual({
      workspace_id: "a",
      running: true,
      reason: "Running",
      message: "running, healthy",
      container_id: "98781810ea4c",
      image: "code:1",
      health: "healthy",
      exit_code: null,
      last_transition_at: T1,
    });
  });

  test("an engine's own reason and message are taken as they are, and leave nothing to be explained", () => {
    const seen = container({ state: "exited", exitCode: 137, reason: "Evicted", message: "exited, Evicted" });
    const death = { oomKilled: true, exitCode: 137, error: "e", finishedAt: null, restartCount: 2 };
    const composed = composeContainer(id("a"), seen, undefined, T1, death);
    expect(composed).toMatchObject({ running: false, reason: "Evicted", message: "exited, Evicted" });
    // The same again is the same; another reason is another meaning, other restarts are none.
    expect(composeContainer(id("a"), { ...seen, restarts: 7 }, composed, T2)).toEqual(composed);
    const other = composeContainer(id("a"), { ...seen, reason: "Preempted" }, composed, T2);
    expect(other?.last_transition_at).toBe(T2);
    const told = composeVolume(
      id("a"),
      { ...volume(), reason: "VolumeLost", message: "lost" },
      undefined,
      T1,
    );
    expect(told).toMatchObject({ exists: true, reason: "VolumeLost", message: "lost" });
  });

  test("only running is running", () => {
    for (const state of ["created", "paused", "restarting", "removing", "exited", "dead"])
      expect(composeContainer(id("a"), container({ state }), undefined, T1)?.running).toBe(false);
  });

  for (const [what, change, moves] of [
    ["state", { state: "paused" }, true],
    ["health", { health: "unhealthy" }, true],
    ["exit code", { exitCode: 3 }, true],
    ["identity", { containerId: "000000000000" }, true],
    ["image", { image: "code:2" }, false],
  ] as const) {
    test(`a change of ${what} ${moves ? "moves" : "does not move"} last_transition_at`, () => {
      const before = composeContainer(id("a"), container(), undefined, T1)!;
      const after = composeContainer(id("a"), container(change as Partial<ContainerSeen>), before, T2);
      expect(after?.last_transition_at).toBe(moves ? T2 : T1);
    });
  }

  test("P10: the same seen again gives the same document, whatever the time", () => {
    const seen = fc.record({
      state: fc.constantFrom("running", "exited", "paused", "created"),
      health: fc.constantFrom("healthy" as const, "unhealthy" as const, "starting" as const, "none" as const),
      exitCode: fc.option(fc.integer({ min: 0, max: 255 })),
      containerId: fc.string(),
      image: fc.string(),
    });
    fc.assert(
      fc.property(seen, (value) => {
        const first = composeContainer(id("a"), value, undefined, T1);
        expect(jsonEqual(composeContainer(id("a"), value, first, T2), first)).toBe(true);
      }),
    );
  });
});

test("composeVolume() and composeArchive() have every field of the contract", () => {
  expect(composeVolume(id("a"), volume(), null, T1)).toEqual({
    workspace_id: "a",
    exists: true,
    reason: "VolumeExists",
    message: "volume ws-a-home exists",
    volume_name: "ws-a-home",
    driver: "local",
    last_transition_at: T1,
  });
  expect(composeArchive(id("a"), archive(), undefined, T1)).toEqual({
    workspace_id: "a",
    exists: true,
    reason: "ArchiveUploaded",
    message: "archive of 42 bytes uploaded",
    archive_key: "ws-a/op/home.tar.zst",
    size_bytes: 42,
    uploaded_at: "2026-11-23T20:00:00.000Z",
    last_transition_at: T1,
  });
});

test("what isn't seen is null, and nothing stored makes a composer throw", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const stored = value as Json;
      expect(composeContainer(id("a"), undefined, stored, T1)).toBeNull();
      expect(composeVolume(id("a"), undefined, stored, T1)).toBeNull();
      expect(composeArchive(id("a"), undefined, stored, T1)).toBeNull();
      expect(composeContainer(id("a"), container(), stored, T1)?.running).toBe(true);
    }),
  );
});

describe("jsonEqual()", () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, inner]) => [key, shuffled(inner)]),
    );
  };

  test("the order of keys doesn't count", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false } as never), (value) => {
        expect(jsonEqual(value as Json, shuffled(value) as Json)).toBe(true);
      }),
    );
  });

  test("agrees with a canonical text", () => {
    const canonical = (value: unknown): string =>
      JSON.stringify(value, (_, inner) =>
        typeof inner === "object" && inner !== null && !Array.isArray(inner)
          ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
          : inner,
      );
    const small = fc.jsonValue({ maxDepth: 2 });
    fc.assert(
      fc.property(small, small, (left, right) => {
        expect(jsonEqual(left as Json, right as Json)).toBe(canonical(left) === canonical(right));
      }),
    );
  });

  test("absent is not null, and an array is no object", () => {
    expect(jsonEqual(undefined, null)).toBe(false);
    expect(jsonEqual({ a: null }, {})).toBe(false);
    expect(jsonEqual([], {})).toBe(false);
    expect(jsonEqual({ toString: 1 }, { valueOf: 1 })).toBe(false);
  });
});
