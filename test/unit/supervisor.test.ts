/**
 * Goal: the service manager hears that it has started, lives and stops, when that is so and only then.
 * Method: views by hand and, for a loop that hangs, the real loop, all on virtual time.
 */
import { describe, expect, test } from "bun:test";
import { Loop } from "../../src/observer/loop.ts";
import type { Clock, HintSource } from "../../src/observer/ports.ts";
import type { ObserverView } from "../../src/observer/view.ts";
import { hasStarted, Supervisor } from "../../src/status/supervisor.ts";
import { Timeline, VirtualClock } from "../simulation/clock.ts";
import { CycleWorld } from "./observer/cycle-support.ts";
import { silentLog } from "./observer/support.ts";
import { health, leaderView, linkDown, source, standbyView } from "./status-fixtures.ts";

const starting = (changes: Partial<ObserverView> = {}) =>
  leaderView({ role: "starting", lastCommitMs: null, lastCycle: null, ...changes });

function setUp(over: { watchdogMs?: number | null } = {}) {
  const timeline = new Timeline();
  const clock = new VirtualClock(timeline);
  const stop = new AbortController();
  const sent: { atMs: number; text: string }[] = [];
  const world = { takes: true, view: starting() };
  const it = {
    timeline,
    clock,
    stop,
    sent,
    /** How long the loop has made no progress is the view's to say, whatever time it is. */
    world,
    supervisor: new Supervisor({
      view: () => world.view,
      health,
      clock,
      send: (assignments) => {
        if (!world.takes) return false;
        for (const text of assignments) sent.push({ atMs: timeline.nowMs, text });
        return true;
      },
      watchdogMs: over.watchdogMs === undefined ? 30_000 : over.watchdogMs,
    }),
    keep() {
      let ended = false;
      void it.supervisor.keep(stop.signal).then(() => {
        ended = true;
      });
      timeline.advance(0);
      return () => ended;
    },
    times: (text: string) => sent.filter((one) => one.text === text).map(({ atMs }) => atMs),
    statuses: () => sent.filter(({ text }) => text.startsWith("STATUS=")).map(({ text }) => text.slice(7)),
  };
  return it;
}

describe("READY", () => {
  test("after a commit of what a source showed, or a stand-by check; not before", () => {
    expect(hasStarted(starting())).toBe(false);
    expect(hasStarted(leaderView({ lastCommitMs: null }))).toBe(false);
    const never = source({ lastSuccessMs: null });
    expect(hasStarted(leaderView({ sources: { engine: never, archives: null } }))).toBe(false);
    const late = source({ lastSuccessMs: leaderView().nowMs });
    expect(hasStarted(leaderView({ sources: { engine: late, archives: null } }))).toBe(false);
    expect(hasStarted(leaderView({ sources: { engine: never, archives: source() } }))).toBe(true);
    expect(hasStarted(standbyView())).toBe(true);
  });

  test("is told once, with the progress that made it true", () => {
    const it = setUp();
    it.keep();
    it.supervisor.onProgress();
    expect(it.times("READY=1")).toEqual([]);
    it.world.view = leaderView();
    it.timeline.advance(1_000);
    it.supervisor.onProgress();
    it.supervisor.onProgress();
    it.timeline.advance(60_000);
    expect(it.times("READY=1")).toEqual([1_000]);
  });

  test("is told again until it was taken, and the status with it", () => {
    const it = setUp();
    it.keep();
    it.world.view = standbyView();
    it.world.takes = false;
    it.supervisor.onProgress();
    it.timeline.advance(25_000);
    it.world.takes = true;
    it.supervisor.onProgress();
    expect(it.times("READY=1")).toEqual([25_000]);
    expect(it.statuses().at(-1)).toBe("standing by for host-2");
  });

  test("until then the start is extended, as long as the loop is live", () => {
    const it = setUp();
    it.keep();
    it.timeline.advance(20_000);
    expect(it.times("EXTEND_TIMEOUT_USEC=30000000")).toEqual([0, 10_000, 20_000]);
    it.world.view = starting({ progressMs: 0 });
    it.timeline.advance(60_000);
    expect(it.times("EXTEND_TIMEOUT_USEC=30000000")).toHaveLength(3);
    it.world.view = leaderView();
    it.timeline.advance(60_000);
    expect(it.times("EXTEND_TIMEOUT_USEC=30000000")).toHaveLength(3);
  });
});

describe("WATCHDOG", () => {
  test.each([
    [30_000, 10_000],
    [3_000, 1_000],
    [600_000, 10_000],
  ])("with a watchdog of %d ms a beat every %d ms", (watchdogMs, everyMs) => {
    const it = setUp({ watchdogMs });
    it.world.view = leaderView();
    it.keep();
    it.timeline.advance(5 * everyMs);
    expect(it.times("WATCHDOG=1")).toEqual([0, 1, 2, 3, 4, 5].map((n) => n * everyMs));
  });

  test("none without a watchdog", () => {
    const it = setUp({ watchdogMs: null });
    it.world.view = leaderView();
    it.keep();
    it.timeline.advance(60_000);
    expect(it.times("WATCHDOG=1")).toEqual([]);
  });

  test("none while the loop makes no progress, and the status says why", () => {
    const it = setUp();
    it.world.view = leaderView({ progressMs: 0 });
    it.keep();
    it.timeline.advance(60_000);
    expect(it.times("WATCHDOG=1")).toEqual([]);
    expect(it.statuses().at(-1)).toContain("no cycle and no stand-by check was completed for");
  });

  test("P12: a loop that is stuck gets no beat, though timers run", () => {
    const world = new CycleWorld();
    // Its own timers are lost from some moment on, and with them every deadline.
    let isLost = false;
    const clock: Clock = {
      monotonicMs: () => world.clock.monotonicMs(),
      sleep: (ms, signal) => (isLost ? new Promise(() => {}) : world.clock.sleep(ms, signal)),
    };
    const silent: HintSource = { listen: () => new Promise(() => {}) };
    const stop = new AbortController();
    const loop = new Loop({
      instance: "one",
      cadence: { idleIntervalMs: 10_000, activeIntervalMs: 2_000, minIntervalMs: 250, activeForMs: 30_000 },
      cycle: { ...world.parts, clock },
      channel: silent,
      events: silent,
      log: silentLog,
      random: () => 0,
      prepare: async () => {},
      describe: () => ({}),
      onProgress: () => supervisor.onProgress(),
    });
    const beatsMs: number[] = [];
    const supervisor = new Supervisor({
      view: () => loop.view(),
      health,
      clock: world.clock,
      send: (assignments) => {
        if (assignments.includes("WATCHDOG=1")) beatsMs.push(world.timeline.nowMs);
        return true;
      },
      watchdogMs: 30_000,
    });
    void loop.run(stop.signal);
    void supervisor.keep(stop.signal);
    world.timeline.advance(120_000);
    expect(beatsMs).toHaveLength(13);
    isLost = true;
    const stuckMs = world.timeline.nowMs;
    world.timeline.advance(600_000);
    expect(loop.view().progressMs).toBeLessThanOrEqual(stuckMs + 10_000);
    // As long as one cycle may take the loop is believed.
    expect(beatsMs.at(-1)).toBeLessThanOrEqual(stuckMs + 70_000);
  });
});

describe("STOPPING", () => {
  test("at the signal, the last that is told", () => {
    const it = setUp();
    const ended = it.keep();
    it.stop.abort();
    it.timeline.advance(0);
    it.supervisor.onProgress();
    expect(ended()).toBe(true);
    expect(it.sent.slice(-2).map(({ text }) => text)).toEqual(["STOPPING=1", "STATUS=stopping"]);
  });

  test("is tried again for a second", () => {
    const it = setUp();
    const ended = it.keep();
    it.world.takes = false;
    it.stop.abort();
    it.timeline.advance(500);
    it.world.takes = true;
    it.timeline.advance(100);
    expect(it.times("STOPPING=1")).toEqual([550]);
    expect(ended()).toBe(true);

    const deaf = setUp();
    const gaveUp = deaf.keep();
    deaf.world.takes = false;
    deaf.stop.abort();
    deaf.timeline.advance(1_000);
    expect(gaveUp()).toBe(true);
  });
});

test("STATUS is told when it changes, not with every look", () => {
  const it = setUp();
  it.world.view = leaderView();
  it.keep();
  for (let n = 0; n < 5; n++) it.supervisor.onProgress();
  expect(it.statuses()).toHaveLength(1);
  it.world.view = leaderView({ links: { ...leaderView().links, database: linkDown("refused") } });
  it.supervisor.onProgress();
  expect(it.statuses()).toHaveLength(2);
  expect(it.statuses()[1]).toContain("database: refused");
});
