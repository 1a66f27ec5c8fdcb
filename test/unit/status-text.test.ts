/**
 * Goal: what `observer status` prints says what the document says, whoever wrote it, and its last line is the verdict.
 * Method: documents as instances make them (describeView), changed, older, and foreign.
 */
import { describe, expect, test } from "bun:test";
import { isColourful } from "../../src/colour.ts";
import { endpointOf, type Reading } from "../../src/commands/status-source.ts";
import { statusLines, verdictOf } from "../../src/commands/status-text.ts";
import { frame } from "../../src/commands/watch.ts";
import type { JsonObject } from "../../src/observer/conditions.ts";
import type { ObserverView } from "../../src/observer/view.ts";
import { describeView } from "../../src/status/describe.ts";
import {
  build,
  disconnectedView,
  health,
  leaderView,
  linkDown,
  source,
  standbyView,
} from "./status-fixtures.ts";

const said = (changes: Partial<ObserverView> = {}): JsonObject =>
  describeView(leaderView(changes), build, health);
const table = (status: JsonObject, age_seconds = 0.5): Reading => ({
  from: "observer_status",
  instances: [{ instance: "host-1", age_seconds, status }],
});
const textOf = (reading: Reading) => statusLines(reading).join("\n");

describe("statusLines()", () => {
  test("of a leader that is well", () => {
    const text = textOf(table(said()));
    expect(text).toMatch(/^host-1 +leader +17 +1\.2\.3 +0\.5 s ago +idle, next look in 8\.8 s$/m);
    // Its age when it was written, and the age of that.
    expect(text).toMatch(/^engine +observed 1\.8 s ago, in 42 ms$/m);
    expect(text).toMatch(/^links +database up, channel up, events up, wake up, transitions up$/m);
    expect(text).toMatch(/^last cycle +look, 61 ms: 100 workspaces, 3 changed, 1 skipped$/m);
    expect(statusLines(table(said())).at(-1)).toBe("All is well: host-1 leads, and everything is observed.");
  });

  test("of a fleet: a line for each thing that is wrong, after the host's name", () => {
    const on = (host: string, instance: string, status: JsonObject) => ({
      instance,
      age_seconds: 0.5,
      status: { ...status, fleet: { host } },
    });
    const broken = said({
      sources: {
        engine: source({ lastError: "no socket", consecutiveFailures: 2 }),
        archives: null,
      },
      links: { ...leaderView().links, events: linkDown("ECONNREFUSED") },
    });
    const lines = statusLines({
      from: "observer_status",
      instances: [on("vm-1", "host-1", said()), on("vm-2", "host-2", broken)],
    });
    expect(lines.slice(-3)).toEqual([
      "2 of 2 hosts are observed, but:",
      "  vm-2: the Engine cannot be observed right now: 2 listings in a row failed: no socket",
      "  vm-2: the Engine's events cannot be heard: ECONNREFUSED",
    ]);
  });

  test("of a leader in trouble: what, which workspaces, and what to do", () => {
    const status = said({
      sources: {
        engine: source(),
        archives: source({ lastError: "Cannot list archives: 503", consecutiveFailures: 7 }),
      },
      links: { ...leaderView().links, events: linkDown("ECONNREFUSED") },
      held: { container: ["a", "b"], volume: [], archive: [] } as never,
      foreign: { engine: { known: "Engine X", seen: "Engine Y" }, archives: null },
    });
    const text = textOf(table(status));
    expect(text).toMatch(/^archives +observed .*; failed 7 times in a row: Cannot list archives: 503$/m);
    expect(text).toContain("events down for 7.5 s (ECONNREFUSED)");
    expect(text).toContain("2 containers: the guard holds back the absence of a, b");
    // As the page says it, with what to do.
    expect(text).toContain("Engine Y, but the table was written from Engine X");
    expect(text).toContain("observer accept engine");
    expect(text).toMatch(/^The Engine's events cannot be heard, for 8\.0 s\.$/m);
    const { observed, reasons, text: verdict, tone } = verdictOf(table(status));
    expect([observed, tone, verdict]).toEqual([
      true,
      "failing",
      "host-1 leads. Not well: the Engine is another one than the table was written from, and 3 things more.",
    ]);
    expect(reasons).toContain("the Engine's events cannot be heard: ECONNREFUSED");
    expect(reasons.length).toBe(4);
  });

  test("nobody, a leader that fell silent, a document of something else", () => {
    const nobody = "Nobody observes: no leader has given a sign for a minute.";
    expect(textOf({ from: "observer_status", instances: [] })).toBe(
      `No instance has said anything yet.\n\n${nobody}`,
    );
    expect(statusLines(table(said(), 61)).at(-1)).toBe(nobody);
    expect(verdictOf(table({ role: "leader", sources: [], links: 3 })).observed).toBe(true);
    expect(verdictOf(table({ role: "leader" })).text).toContain("it gives no verdict");
    expect(verdictOf(table(said(), 31)).text).toBe("host-1 leads. But its last sign is 31 s old.");
    expect(textOf(table({ role: 3, sources: { engine: { last_error: {} } } }))).toContain("never observed");
  });

  test("what an instance answers itself: its own reasons, and who leads where it stands by", () => {
    const asked = (status: JsonObject): Reading => ({ ...table(status, 0), from: "http://127.0.0.1:9464" });
    expect(verdictOf(asked(said({ role: "standby", leader: "host-2" })))).toMatchObject({
      observed: true,
      text: "host-1 stands by, and host-2 leads.",
    });
    const lost = describeView(disconnectedView(), build, health);
    expect(verdictOf(asked(lost)).text).toBe(
      "Nobody observes: host-1 is disconnected. Not well: the database cannot be used, and 1 thing more.",
    );
    expect(textOf(asked(lost))).toContain("Cannot renew the lease");
  });

  test("a leader's row beside what another instance says of itself", () => {
    const other = {
      instance: "host-2",
      age_seconds: 0,
      status: describeView(
        standbyView({
          instance: "host-2",
          links: { ...leaderView().links, database: linkDown("read-only") },
        }),
        build,
        health,
      ),
    };
    const reading: Reading = { from: "observer_status", instances: [other, ...table(said(), 7).instances] };
    expect(verdictOf(reading)).toMatchObject({
      observed: true,
      tone: "doubtful",
      reasons: ["the database cannot be used: database: read-only"],
      text: "host-1 leads. host-2: Not well: the database cannot be used.",
    });
  });

  test("what instances left behind is told from those that are there", () => {
    const before = { ...said(), version: "1.2.2" };
    const instances = [
      table(said()).instances[0]!,
      { instance: "host-0", age_seconds: 9, status: before },
      { instance: "host-00", age_seconds: 90, status: before },
    ];
    const text = textOf({ from: "observer_status", instances });
    expect(text).toMatch(/^host-1 +leader /m);
    expect(text).toMatch(/^host-0 +led before /m);
    expect(text).toMatch(/^host-00 +gone /m);
    const restarted = Array.from({ length: 9 }, (_, n) => ({
      instance: `old-${n}`,
      age_seconds: 99 + n,
      status: before,
    }));
    const many = textOf({ from: "observer_status", instances: [...instances, ...restarted] });
    expect(many).toContain("… and 7 more that are gone");
    expect(many).not.toContain("old-2");
  });

  test("each host of a fleet has a leader; a process of several hosts tells of each Engine", () => {
    const of = (instance: string, host: string | null, status: object = {}) => ({
      instance,
      age_seconds: 1,
      status: { ...said(), ...(host !== null && { fleet: { host } }), ...status },
    });
    const source = { last_success_age_ms: 100, last_duration_ms: 5 };
    const instances = [
      of("p", null, {
        sources: { engine: null, archives: null },
        engines: { "vm-1": { source }, "vm-2": { source } },
      }),
      of("p/vm-1", "vm-1"),
      of("p/vm-2", "vm-2"),
      of("before", "vm-2"),
    ];
    const text = textOf({ from: "observer_status", instances });
    expect(text).toMatch(/^– +p +leader /m);
    expect(text).toMatch(/^vm-1 +p\/vm-1 +leader /m);
    expect(text).toMatch(/^vm-2 +p\/vm-2 +leader /m);
    expect(text).toMatch(/^vm-2 +before +led before /m);
    expect(text).toMatch(/^engine of vm-1 +observed /m);
    expect(text).toMatch(/^engine of vm-2 +observed /m);
    expect(text).toContain("All is well: 2 of 2 hosts are observed.");
  });

  test("foreign text can't reach the terminal", () => {
    const status = said({ held: { container: ["\u001b[31mred"], volume: [], archive: [] } as never });
    expect(textOf(table({ ...status, version: "1\u001b]0;x\u0007" }))).not.toContain("\u001b");
  });
});

describe("frame()", () => {
  const lines = ["1", "2", "3", "4", "verdict"];
  const plain = (text: string) => Bun.stripANSI(text).trim().split("\n");
  test("is all there is where it fits", () => {
    expect(plain(frame(lines, 6))).toEqual(lines);
  });
  test("keeps the verdict where it doesn't", () => {
    expect(plain(frame(lines, 5))).toEqual(["1", "2", "… 2 more lines", "verdict"]);
    expect(plain(frame(lines, 1))).toEqual(["… 4 more lines", "verdict"]);
  });
});

test.each([
  ["127.0.0.1", "http://127.0.0.1:1"],
  ["0.0.0.0", "http://127.0.0.1:1"],
  ["::", "http://[::1]:1"],
  ["fd00::1", "http://[fd00::1]:1"],
  ["name", "http://name:1"],
])("endpointOf() %s", (hostname, url) => {
  expect(endpointOf({ hostname, port: 1 })).toBe(url);
});

test.each([
  [true, {}, true],
  [false, {}, false],
  [true, { NO_COLOR: "1" }, false],
  [true, { NO_COLOR: "" }, true],
  [true, { TERM: "dumb" }, false],
  [true, { TERM: "xterm" }, true],
])("isColourful(%p, %p) is %p", (isTerminal, env, expected) => {
  expect(isColourful(isTerminal, env)).toBe(expected);
});
