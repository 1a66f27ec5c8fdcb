/**
 * Goal: what fails for long is said at once, after 1, 2, 4, 8 … minutes, and when it is over; in links, and in looks.
 * Method: failures at chosen times; links and cycles on virtual time, with a log that remembers.
 */
import { describe, expect, test } from "bun:test";
import { CycleLog } from "../../../src/observer/cycle-log.ts";
import { Link } from "../../../src/observer/link.ts";
import { type Outage, onFailure, outageFields } from "../../../src/observer/outage.ts";
import type { Log } from "../../../src/observer/ports.ts";
import { Timeline, VirtualClock } from "../../simulation/clock.ts";
import { report } from "../status-fixtures.ts";

const MINUTE = 60_000;

/** The minutes at which something is said that fails every so often, for so long. */
function saidAt(everyMs: number, forMs: number, startMs = 5_000): number[] {
  const said: number[] = [];
  let outage: Outage | null = null;
  for (let nowMs = startMs; nowMs <= startMs + forMs; nowMs += everyMs) {
    const heard = onFailure(outage, nowMs);
    outage = heard.outage;
    if (heard.isWorthSaying) said.push((nowMs - startMs) / MINUTE);
  }
  return said;
}

/** Lines as `event failures downMs`. */
function remember() {
  const lines: string[] = [];
  const line = (event: string, _: string, fields: Record<string, unknown> = {}) =>
    void lines.push(`${event} ${fields.failures} ${fields.downMs}`);
  const log: Log = { debug() {}, info: line, warn: line, error: line };
  const timeline = new Timeline();
  return { lines, log, timeline, clock: new VirtualClock(timeline) };
}

describe("onFailure()", () => {
  test("at once, and after 1, 2, 4, 8 … minutes", () => {
    expect(saidAt(500, 70 * MINUTE)).toEqual([0, 1, 2, 4, 8, 16, 32, 64]);
    expect(saidAt(MINUTE, 10 * MINUTE)).toEqual([0, 1, 2, 4, 8]);
  });

  test("what came due between two failures is said once", () => {
    expect(saidAt(3 * MINUTE, 30 * MINUTE)).toEqual([0, 3, 6, 9, 18]);
    expect(saidAt(24 * 60 * MINUTE, 48 * 60 * MINUTE)).toEqual([0, 24 * 60, 48 * 60]);
  });

  test("counts every failure, from the first on", () => {
    let outage = onFailure(null, 1_000).outage;
    expect(outageFields(outage, 1_000)).toEqual({ failures: 1, downMs: 0 });
    for (let nowMs = 2_000; nowMs <= 10_000; nowMs += 1_000) outage = onFailure(outage, nowMs).outage;
    expect(outageFields(outage, 10_500.4)).toEqual({ failures: 10, downMs: 9_500 });
  });
});

test("a link says that it is down, that it still is, and that it is back; and from the beginning the next time", () => {
  const { lines, log, timeline, clock } = remember();
  const link = new Link("wake", clock, log, "it is owed");
  link.up();
  for (let n = 0; n < 150; n++) {
    link.down(new Error("refused"));
    timeline.advance(1_000);
  }
  expect(link.health).toMatchObject({ up: false, failures: 150, sinceMs: 0, lastError: "refused" });
  link.up();
  link.up();
  timeline.advance(1_000);
  link.down(new Error("refused"));
  expect(lines).toEqual([
    "wake.down 1 0",
    "wake.down 61 60000",
    "wake.down 121 120000",
    "wake.up 150 150000",
    "wake.down 1 0",
  ]);
});

test("a second look that fails is said like any other failure, and over with a look that has none to fail", () => {
  const { lines, log, timeline, clock } = remember();
  const cycleLog = new CycleLog(log, clock);
  const failures = [{ stage: "again" as const, cause: new Error("no answer") }];
  for (let n = 0; n < 65; n++) {
    cycleLog.write(report({ failures, stagesMs: { again: 1 } }));
    timeline.advance(1_000);
  }
  // Neither of them proves anything.
  cycleLog.write(report({ sources: ["archives"] }));
  cycleLog.write(report({ kind: "glance" }));
  expect(lines).toEqual(["second_look.failed 1 0", "second_look.failed 61 60000"]);
  cycleLog.write(report());
  cycleLog.write(report());
  expect(lines.slice(2)).toEqual(["second_look.up 65 65000"]);
});
