// describeView(): the JSON of `/status` and of `observer_status`. Goal: stable keys, bounded size, no secrets, and
// storable as jsonb. Method: views as the loop gives them, and hostile ones.
import { describe, expect, test } from "bun:test";
import { describeView } from "../../src/status/describe.ts";
import { publicText } from "../../src/status/error-text.ts";
import {
  build,
  disconnectedView,
  health,
  leaderView,
  linkDown,
  linkUp,
  nowMs,
  report,
  source,
  standbyView,
} from "./status-fixtures.ts";

describe("describeView()", () => {
  test("describes a leader with ages in milliseconds", () => {
    expect(
      describeView(leaderView({ orphans: { container: ["x"], volume: [], archive: [] } }), build, health),
    ).toEqual({
      instance: "host-1",
      version: "1.2.3",
      commit: "abc1234",
      role: "leader",
      leader: "host-1",
      epoch: "17",
      uptime_ms: 3_600_000,
      progress_age_ms: 1_200,
      last_commit_age_ms: 1_200,
      cadence: { mode: "idle", next_in_ms: 8_750 },
      sources: { engine: describedSource, archives: describedSource },
      links: {
        database: describedLink,
        channel: describedLink,
        events: describedLink,
        wake: describedLink,
        transitions: describedLink,
      },
      last_cycle: {
        kind: "look",
        stamp: "2026-11-23T20:02:34.123456Z",
        duration_ms: 61.2,
        stages_ms: { stamp: 1.5, list: 45, load: 12.3, save: 3, wake: 0.3 },
        sources: ["engine", "archives"],
        counts: {
          rows: 100,
          containers: 90,
          volumes: 95,
          archives: 20,
          written: 7,
          changed: 3,
          stamped: 4,
          skipped: 1,
          fenced: 0,
          held: 0,
          moving: 0,
        },
        contested: { count: 0, workspaces: [] },
        operation_in_flight: false,
        lease_lost: false,
        woke: true,
        wake_owed: false,
        failures: [],
      },
      totals: {
        looks: 300,
        deliveries: 3,
        glances: 40,
        changed: 11,
        stamped: 400,
        skipped: 5,
        fenced: 2,
        hints: 40,
        events: 50,
        coalesced: 13,
        drift_repaired: 6,
        wake_ups: 9,
        takeovers: 1,
      },
      orphans: { container: { count: 1, workspaces: ["x"] }, volume: none, archive: none },
      held: { container: none, volume: none, archive: none },
      foreign: { engine: null, archives: null },
      deaths: { count: 0, latest: [] },
      verdict: {
        state: "doubtful",
        headline: "It works, but there are resources without a row.",
        findings: [
          {
            what: "there are resources without a row",
            since_ms: null,
            detail: "1 workspace of which a container, a volume or an archive is left",
            advice: "Remove them, or restore their rows: `observer status` and the page name them.",
          },
        ],
      },
    });
  });

  test("says null for what is unknown, never happened or is not configured", () => {
    const described = describeView(standbyView(), build, health);
    expect(described).toMatchObject({
      role: "standby",
      leader: "host-2",
      epoch: null,
      last_commit_age_ms: null,
      last_cycle: null,
      cadence: { next_in_ms: null },
      sources: {
        engine: { last_success_age_ms: null, last_success_stamp: null, last_duration_ms: null },
        archives: null,
      },
      links: { wake: { up: null, since_ms: null }, transitions: { up: null, since_ms: null } },
    });
  });

  test("names a hundred and counts the rest", () => {
    const ids = Array.from({ length: 20_000 }, (_, index) => `workspace-${index}`);
    const described = describeView(
      leaderView({
        orphans: { container: ids, volume: ids, archive: ids },
        held: { container: ids, volume: ids, archive: ids },
        lastCycle: report({ contested: ids as unknown as ReturnType<typeof report>["contested"] }),
      }),
      build,
      health,
    );
    expect(described.orphans).toMatchObject({ volume: { count: 20_000, workspaces: ids.slice(0, 100) } });
    expect(described.held).toMatchObject({ archive: { count: 20_000, workspaces: ids.slice(0, 100) } });
    expect(described.last_cycle).toMatchObject({ contested: { count: 20_000 } });
    expect(JSON.stringify(described).length).toBeLessThan(20_000);
  });

  test("cuts, masks and mends every error text", () => {
    const nasty = `Cannot reach redis://:s3cret@cache/0: \u0000\ud800 ${"x".repeat(10_000)}`;
    const described = describeView(
      leaderView({
        sources: { engine: source({ lastError: nasty }), archives: source({ lastError: nasty }) },
        links: { ...leaderView().links, database: linkDown(nasty), channel: linkDown(nasty) },
        lastCycle: report({
          failures: [
            { stage: "save", cause: new Error(nasty) },
            { stage: "wake", cause: nasty },
          ],
        }),
      }),
      build,
      health,
    );
    const text = JSON.stringify(described);
    expect(text).not.toContain("s3cret");
    expect(text).not.toContain("\\u0000");
    expect(text).not.toContain("\\ud800");
    expect(text.length).toBeLessThan(12_000);
    expect(described.last_cycle).toMatchObject({
      failures: [
        { stage: "save", error: expect.stringContaining("redis://***@cache/0") },
        { stage: "wake", error: expect.stringContaining("redis://***@cache/0") },
      ],
    });
    expect(JSON.stringify(describeView(disconnectedView(), build, health))).not.toContain("hunter2");
  });

  test("knows how long a link has been down", () => {
    const described = describeView(disconnectedView(), build, health);
    expect(described.links).toMatchObject({ database: { up: false, since_ms: 7_500, failures: 15 } });
  });
});

describe("publicText()", () => {
  const masked: [string, string][] = [
    ["postgres://u:p@db/app", "postgres://***@db/app"],
    ["(POSTGRESQL://u:p@db/app)", "(POSTGRESQL://***@db/app)"],
    ["rediss://:only-a-password@cache:6380", "rediss://***@cache:6380"],
    ["postgres://u:p@ss/w@rd?#@db:5432/app", "postgres://***@db:5432/app"],
    ['two: "http://a:b@c/d" and s3+https://e:f@g', 'two: "http://***@c/d" and s3+https://***@g'],
  ];
  for (const [text, expected] of masked) {
    test(`masks ${text}`, () => expect(publicText(text)).toBe(expected));
  }

  test("leaves addresses without credentials alone", () => {
    const text = "GET http://localhost:2375/v1.41/containers/json: mail admin@example.org";
    expect(publicText(text)).toBe(text);
  });

  test("masks before it cuts, so that a cut leaves no half of a password", () => {
    const text = publicText(`${"x".repeat(470)} postgres://user:${"p".repeat(100)}@db/app`);
    expect(text.length).toBeLessThanOrEqual(500);
    expect(text).not.toContain("user:p");
  });

  test("is quick on hostile input", () => {
    // Seconds would show; what is measured here is only that this returns at all within the test's time-out.
    for (const text of ["a".repeat(1e6), "a://".repeat(250_000), "a://@".repeat(200_000)]) {
      expect(publicText(text).length).toBeLessThanOrEqual(500);
    }
  });
});

const none = { count: 0, workspaces: [] };
const describedSource = {
  in_flight: false,
  last_success_age_ms: 1_250,
  last_success_stamp: "2026-11-23T20:02:34.123456Z",
  last_duration_ms: 42,
  last_error: null,
  consecutive_failures: 0,
  successes: 30,
  failures: 2,
};
const describedLink = { up: true, since_ms: nowMs - linkUp.sinceMs, last_error: null, failures: 0 };
