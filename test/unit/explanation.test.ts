// Goal: an explanation is true to the rows that it is made of, whatever somebody wrote into them, and its JSON is stable.
// Method: rows by hand, and any JSON in their place; the text is looked at for what must and must not be in it.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { KnownWorkspace } from "../../src/adapters/postgres-explain.ts";
import { explanationText } from "../../src/commands/explain-text.ts";
import { explain, nearest } from "../../src/commands/explanation.ts";
import { ago } from "../../src/status/wording.ts";

const at = (second: number) => `2026-11-23T20:02:${String(second).padStart(2, "0")}.000000Z`;

const exited = {
  running: false,
  reason: "Exited",
  message: "exited with code 1",
  container_id: "98781810ea4c",
  image: "code:1",
  health: "none",
  exit_code: 1,
  last_transition_at: at(10),
};
const end = { exit_code: 1, oom_killed: false, error: "no space", finished_at: at(9), restart_count: 3 };

const known = (changes: Partial<KnownWorkspace> = {}): KnownWorkspace => ({
  now: at(30),
  row: {
    operation: "NONE",
    in_flight: false,
    deleted_at: null,
    conditions: {
      container: exited,
      volume: null,
      observed: { containers: at(28), volumes: at(28), archives: at(20) },
    },
    observed_at: at(20),
  },
  lease: { holder: "one", epoch: "17", expires_at: at(35), is_held: true },
  instances: [
    {
      instance: "one",
      updated_at: at(29),
      status: {
        sources: {
          engine: { consecutive_failures: 0, last_error: null },
          archives: { consecutive_failures: 4, last_error: "Cannot list archives: 503" },
        },
        held: { container: { count: 1, workspaces: ["other"] }, volume: { count: 1, workspaces: ["w"] } },
        orphans: { archive: { count: 1, workspaces: ["w"] } },
        foreign: { engine: null, archives: { known: "a", seen: "b" } },
        deaths: { latest: [{ workspace: "w", container_id: "98781810ea4c", ...end, learnt_age_ms: 5 }] },
      },
    },
  ],
  transitions: [
    {
      at: at(10),
      condition: "container",
      from_reason: "Running",
      to_reason: "Exited",
      message: "exited with code 1",
      details: { container_id: "98781810ea4c", ...end },
      instance: "one",
    },
  ],
  otherIds: [],
  ...changes,
});

describe("explain()", () => {
  test("its keys are stable: docs/contract.md", () => {
    expect(explain("w", known())).toEqual({
      workspace: "w",
      found: true,
      now: at(30),
      operation: "NONE",
      operation_in_flight: false,
      deleted_at: null,
      observed_at: at(20),
      observed_age_ms: 10_000,
      observed: {
        containers: { at: at(28), age_ms: 2_000 },
        volumes: { at: at(28), age_ms: 2_000 },
        archives: { at: at(20), age_ms: 10_000 },
      },
      conditions: known().row!.conditions as never,
      since: { container: { at: at(10), age_ms: 20_000 } },
      death: { container_id: "98781810ea4c", ...end },
      held: ["volume"],
      foreign: ["archives"],
      orphan: ["archive"],
      leader: {
        instance: "one",
        epoch: "17",
        leads: true,
        lease_ends_at: at(35),
        reported_at: at(29),
        reported_age_ms: 1_000,
      },
      sources: {
        engine: { consecutive_failures: 0, last_error: null },
        archives: { consecutive_failures: 4, last_error: "Cannot list archives: 503" },
      },
      transitions: [{ ...known().transitions![0]!, age_ms: 20_000 }],
      near: [],
    });
  });

  test("why it ended is what was noted then, when the leader has forgotten it; never that of another end", () => {
    const { death } = explain("w", known({ instances: [] }));
    expect(death).toEqual({ container_id: "98781810ea4c", ...end });
    const other = known().transitions!.map((one) => ({ ...one, details: { ...end, container_id: "0000" } }));
    expect(explain("w", known({ instances: null, transitions: other })).death).toBeNull();
    expect(explain("w", known({ instances: null, transitions: null })).death).toBeNull();
  });

  test("what another instance than the leader says doesn't count", () => {
    const lease = { ...known().lease!, holder: "two" };
    expect(explain("w", known({ lease }))).toMatchObject({
      held: [],
      orphan: [],
      foreign: [],
      sources: null,
      leader: { instance: "two", reported_at: null },
    });
  });

  test("anything in jsonb: no crash, no escape sequence in the text", () => {
    const rows = fc.record({
      conditions: fc.jsonValue(),
      status: fc.jsonValue(),
      details: fc.jsonValue(),
      text: fc.string({ unit: "binary" }),
    });
    fc.assert(
      fc.property(rows, ({ conditions, status, details, text }) => {
        const odd = known({
          row: { ...known().row!, operation: text, conditions },
          instances: [{ instance: "one", updated_at: text, status }],
          transitions: [{ ...known().transitions![0]!, message: text, from_reason: text, details }],
        });
        const explanation = explain(text, odd);
        expect(JSON.parse(JSON.stringify(explanation)).found).toBe(true);
        expect(explanationText(explanation, 10)).not.toMatch(
          /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/,
        );
      }),
    );
  });

  test("a long text is cut", () => {
    const conditions = { container: { ...exited, message: "x".repeat(5_000) } };
    const text = explanationText(explain("w", known({ row: { ...known().row!, conditions } })), 10);
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThan(400);
  });
});

describe("explanationText()", () => {
  test("says all of it", () => {
    const text = explanationText(explain("w", known()), 10);
    for (const line of [
      /^Workspace +w$/m,
      /^Operation +NONE$/m,
      /^Observed +\S+Z, 10 s ago$/m,
      /^ {2}archives +\S+Z, 10 s ago$/m,
      /^Leader +one, epoch 17, last heard of 1\.0 s ago$/m,
      /^ {2}archives +failed 4 times in a row: Cannot list archives: 503$/m,
      /^Held back +volume: /m,
      /^Other archives +another world/m,
      /^Container +Exited: exited with code 1; since \S+Z, 20 s ago$/m,
      /^ {2}error +no space$/m,
      /^ {2}restarts +3$/m,
      /^Volume +absent, which is proven$/m,
      /^Archive +not observed$/m,
    ])
      expect(text).toMatch(line);
  });

  test("what repeats itself is told once, and the limit is one of lines", () => {
    const [change] = known().transitions!;
    const before = { ...change!, at: at(5), condition: "volume" };
    const transitions = [change!, { ...change!, at: at(8) }, before, { ...before, condition: "archive" }];
    const text = explanationText(explain("w", known({ transitions })), 2);
    expect(text).toMatch(/20 s ago \(×2 in 2\.0 s\) +container +Running → Exited/);
    expect(text).toMatch(/25 s ago +volume/);
    expect(text).not.toMatch(/25 s ago +archive/);
  });

  test("nobody looks: no lease at all, one that ran out, a leader that is silent", () => {
    expect(explanationText(explain("w", known({ lease: null })), 10)).toMatch(
      /^Leader +none: nobody has ever/m,
    );
    const over = { ...known().lease!, is_held: false };
    expect(explanationText(explain("w", known({ lease: over })), 10)).toMatch(
      /^Leader +none: the lease of one/m,
    );
  });

  test.each([
    [0, "0.0 s ago"],
    [9_940, "9.9 s ago"],
    [119_000, "119 s ago"],
    [3_600_000, "60 min ago"],
    [86_400_000, "24 h ago"],
    [30 * 86_400_000, "30 days ago"],
    [-1, "in the database's future"],
  ])("ago(%d) is %s", (ms, text) => expect(ago(ms)).toBe(text));
});

test("nearest(): what holds the id or is held by it, then slips of a finger; five at most, and none that is far", () => {
  const ids = ["7f3c", "7f3d", "alpha", "alpine", "beta", "x"];
  expect(nearest("ws-7f3c", ids)).toEqual(["7f3c"]);
  expect(nearest("7f3x", ids)).toEqual(["7f3c", "7f3d"]);
  expect(nearest("alp", ids)).toEqual(["alpha", "alpine"]);
  expect(nearest("gamma-delta", ids)).toEqual([]);
  expect(nearest("", ids)).toEqual(["x"]);
  expect(
    nearest(
      "w",
      Array.from({ length: 50 }, (_, n) => `w${n}`),
    ),
  ).toHaveLength(5);
});
