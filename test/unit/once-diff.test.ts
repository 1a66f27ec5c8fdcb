/**
 * Goal: the diff of a dry run names each field that changes, and no other, and foreign documents can't spoil it.
 * Method: stored documents and writes, by hand.
 */
import { expect, test } from "bun:test";
import { conditionsDiff } from "../../src/commands/once-diff.ts";
import type { Json, JsonObject } from "../../src/observer/conditions.ts";

const container = {
  workspace_id: "a",
  running: true,
  reason: "Running",
  message: "running, healthy",
  exit_code: null,
  last_transition_at: "2026-11-23T20:02:34.123456Z",
};
const diff = (stored: JsonObject, set: Record<string, Json>, drop: string[] = []): string[] =>
  conditionsDiff(stored, { set, drop }).map(({ sign, text }) => `${sign} ${text}`);

test("what stays is not told, nor is the time of the change", () => {
  const ended = {
    ...container,
    running: false,
    exit_code: 137,
    last_transition_at: "2026-11-24T00:00:00.000000Z",
  };
  const { running, ...rest } = container;
  // jsonb has an order of its own.
  expect(diff({ container: { ...rest, running }, volume: null }, { container: ended, volume: null })).toEqual(
    ["- container: running=true exit_code=null", "+ container: running=false exit_code=137"],
  );
  expect(diff({ container }, { container })).toEqual([]);
});

test("absent, present, never observed, no longer observed", () => {
  const whole = 'running=true reason=Running message="running, healthy" exit_code=null';
  expect(diff({ container }, { container: null })).toEqual([
    `- container: ${whole}`,
    "+ container: null (absent)",
  ]);
  expect(diff({ container: null }, { container })).toEqual([
    "- container: null (absent)",
    `+ container: ${whole}`,
  ]);
  expect(diff({}, { container: null })).toEqual([
    "- container: (not observed)",
    "+ container: null (absent)",
  ]);
  // `archives` is the stamp's name, and no condition.
  expect(diff({ archive: null }, {}, ["archive", "archives"])).toEqual([
    "- archive: null (absent)",
    "+ archive: (not observed)",
  ]);
});

test("what somebody else wrote: a field too many, another time, something else altogether", () => {
  expect(diff({ container: { ...container, "\u001b[31m": "\u001b" } }, { container })).toEqual([
    "- container: \ufffd[31m=\ufffd",
    "+ container: (no \ufffd[31m)",
  ]);
  expect(diff({ container: { ...container, last_transition_at: "soon" } }, { container })).toEqual([
    "- container: last_transition_at=soon",
    "+ container: last_transition_at=2026-11-23T20:02:34.123456Z",
  ]);
  const [minus = ""] = diff({ container: "x ".repeat(1_000) }, { container });
  expect(minus.length).toBeLessThan(150);
  expect(minus).toEndWith("…");
});
