/**
 * Goal: live and ready are ages of the last success, and every reason says what is wrong.
 * Method: views by hand, moved along in time.
 */

import { describe, expect, test } from "bun:test";
import { type HealthConfig, isLive, isReady, longestStepMs } from "../../../src/observer/health.ts";
import type { SourceHealth } from "../../../src/observer/source.ts";
import type { LinkHealth, ObserverView } from "../../../src/observer/view.ts";
import { ownWorld } from "../../../src/observer/world.ts";
import { id } from "./support.ts";

const config: HealthConfig = { idleIntervalMs: 10_000, listTimeoutMs: 5_000, writeTimeoutMs: 5_000 };
const link: LinkHealth = { up: true, sinceMs: 0, lastError: null, failures: 0 };
const source: SourceHealth = {
  inFlight: false,
  lastSuccessMs: 99_000,
  lastSuccessStamp: null,
  lastDurationMs: 5,
  lastError: null,
  consecutiveFailures: 0,
  successes: 1,
  failures: 0,
};
const view = (over: Partial<ObserverView> = {}): ObserverView => ({
  instance: "one",
  nowMs: 100_000,
  startedMs: 0,
  role: "leader",
  leader: "one",
  epoch: "1",
  cadence: { mode: "idle", nextInMs: 1_000 },
  sources: { engine: source, archives: null },
  links: { database: link, channel: link, events: link, wake: link, transitions: link },
  progressMs: 99_000,
  lastCommitMs: 99_000,
  lastCycle: null,
  totals: {} as ObserverView["totals"],
  glancesGivenUp: { doubted: 0, crowded: 0, unfinished: 0 },
  orphans: { container: [], volume: [], archive: [] },
  foreign: ownWorld,
  deaths: [],
  held: { container: [], volume: [], archive: [] },
  ...over,
});

describe("P12: isLive()", () => {
  const boundMs = config.idleIntervalMs + longestStepMs(config);
  test("by the age of the last progress, from the start on", () => {
    expect(isLive(view({ progressMs: 100_000 - boundMs }), config).ok).toBe(true);
    expect(isLive(view({ progressMs: 100_000 - boundMs - 1 }), config).ok).toBe(false);
    expect(isLive(view({ progressMs: null, startedMs: 99_999 }), config).ok).toBe(true);
    expect(isLive(view({ progressMs: null, startedMs: 0 }), config).ok).toBe(false);
  });

  test("a dependency that is down is no reason to restart", () => {
    const down = { ...link, up: false, lastError: "refused" };
    expect(isLive(view({ links: { ...view().links, database: down } }), config).ok).toBe(true);
  });
});

describe("isReady()", () => {
  const reasons = (over: Partial<ObserverView>) => isReady(view(over), config).reasons.join("; ");

  test("all well", () => expect(isReady(view(), config)).toEqual({ ok: true, reasons: [] }));

  test("says why not", () => {
    expect(
      reasons({ links: { ...view().links, database: { ...link, up: false, lastError: "refused" } } }),
    ).toContain("database: refused");
    expect(reasons({ role: "starting" })).toContain("starting");
    expect(reasons({ role: "disconnected" })).toContain("lease");
    expect(reasons({ lastCommitMs: null })).toContain("nothing has been written");
    expect(reasons({ lastCommitMs: 50_000 })).toContain("50.0 s old");
    expect(reasons({ held: { container: [id("a")], volume: [], archive: [] } })).toContain("guard");
  });

  test("by the age of each source's last success: a hung call can't look healthy", () => {
    const stale = { ...source, lastSuccessMs: 60_000, inFlight: true, lastDurationMs: 5 };
    expect(reasons({ sources: { engine: stale, archives: null } })).toContain(
      "engine was last observed 40.0 s ago",
    );
    const never = { ...source, lastSuccessMs: null, lastError: "no such bucket" };
    expect(reasons({ sources: { engine: source, archives: never } })).toContain(
      "archives was never observed: no such bucket",
    );
  });

  test("who stands by need not have written or observed anything", () => {
    const never = { ...source, lastSuccessMs: null };
    const idle = {
      role: "standby" as const,
      lastCommitMs: null,
      sources: { engine: never, archives: never },
    };
    expect(isReady(view(idle), config).ok).toBe(true);
  });
});
