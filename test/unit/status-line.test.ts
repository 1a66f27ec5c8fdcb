/**
 * Goal: one line says role, cadence, freshness and what is wrong, without credentials and never as more than a line.
 * Method: the views of the status endpoint's tests.
 */
import { describe, expect, test } from "bun:test";
import { statusLine } from "../../src/status/status-line.ts";
import {
  disconnectedView,
  health,
  holdingView,
  leaderView,
  linkDown,
  linkUp,
  source,
  staleArchivesView,
  standbyView,
} from "./status-fixtures.ts";

const line = (view: Parameters<typeof statusLine>[0]) => statusLine(view, health);
const links = leaderView().links;

describe("statusLine()", () => {
  test("all well", () => {
    expect(line(leaderView())).toBe("leading, idle: 100 workspaces, as of 2026-11-23T20:02:34Z");
    expect(line(leaderView({ cadence: { mode: "active", nextInMs: 1 } }))).toStartWith("leading, active: ");
    expect(line(standbyView())).toBe("standing by for host-2");
    expect(line(leaderView({ role: "starting", lastCommitMs: null }))).toBe("starting");
  });

  test("freshness is that of the source that lags most, and unknown before all were observed", () => {
    const older = source({ lastSuccessStamp: (source().lastSuccessStamp! - 60_000_000) as never });
    expect(line(leaderView({ sources: { engine: source(), archives: older } }))).toContain(
      "as of 2026-11-23T20:01:34Z",
    );
    const never = source({ lastSuccessMs: null, lastSuccessStamp: null });
    expect(line(leaderView({ sources: { engine: never, archives: source() } }))).toContain(
      "not all observed yet",
    );
  });

  test("names what is wrong", () => {
    expect(line(staleArchivesView())).toContain("; archives was last observed 900.0 s ago: Cannot list");
    expect(line(holdingView())).toContain("; the guard holds back");
    expect(line(leaderView({ links: { ...links, channel: linkDown("refused") } }))).toEndWith(
      "; channel: refused",
    );
    expect(line(leaderView({ role: "starting", links: { ...links, database: linkDown("refused") } }))).toBe(
      "starting; database: refused",
    );
  });

  test("names what fails already, though its last success is young; each thing once", () => {
    const failing = source({ lastError: "Cannot list containers: no answer", consecutiveFailures: 1 });
    expect(line(leaderView({ sources: { engine: failing, archives: null } }))).toEndWith(
      "; engine: Cannot list containers: no answer",
    );
    expect(line(staleArchivesView()).match(/archives/g)).toHaveLength(2);
    expect(line(disconnectedView()).match(/database: /g)).toHaveLength(1);
  });

  test("shows no credentials, no line breaks, and has an end", () => {
    expect(line(disconnectedView())).not.toContain("hunter2");
    const long = { ...linkUp, up: false, lastError: `a\nREADY=1\n${"x".repeat(10_000)}` };
    const all = line(
      leaderView({ links: { database: long, channel: long, events: long, wake: long, transitions: long } }),
    );
    expect(all).not.toContain("\n");
    expect(all.length).toBeLessThanOrEqual(1_000);
  });
});
