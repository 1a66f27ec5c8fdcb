/**
 * Goal: the loop leads, stands by, looks when it should and ends as promised.
 * Method: the real loop on a world that answers at once, with a lease that the test moves about, on virtual time.
 */
import { describe, expect, test } from "bun:test";
import { Link } from "../../../src/observer/link.ts";
import { Loop, type LoopParts } from "../../../src/observer/loop.ts";
import {
  type HintListener,
  type HintSource,
  type LeaseAnswer,
  UnworkableError,
} from "../../../src/observer/ports.ts";
import { CycleWorld } from "./cycle-support.ts";
import { container, deferred, id, lease, recordingLog, row, volume } from "./support.ts";

const cadence = { idleIntervalMs: 10_000, activeIntervalMs: 2_000, minIntervalMs: 250, activeForMs: 30_000 };

class FakeHints implements HintSource {
  listener: HintListener | null = null;
  listening = false;
  listen(listener: HintListener, signal: AbortSignal): Promise<void> {
    this.listener = listener;
    this.listening = true;
    return new Promise((resolve) =>
      signal.addEventListener("abort", () => {
        this.listening = false;
        resolve();
      }),
    );
  }
}

class LoopWorld extends CycleWorld {
  readonly channel = new FakeHints();
  readonly events = new FakeHints();
  readonly log = recordingLog();
  readonly stop = new AbortController();
  readonly asked: string[] = [];
  acquire = async (): Promise<LeaseAnswer> => ({ kind: "held", lease, now: this.now(), known: {} });
  release = async (): Promise<void> => {};
  ended: "resolved" | unknown = null;
  readonly lookStartsMs: number[] = [];

  start(over: Partial<LoopParts> = {}): Loop {
    this.rows = [row("a")];
    this.containers.set("a", container());
    this.volumes.set("a", volume());
    const list = this.listEngine;
    this.listEngine = () => {
      this.lookStartsMs.push(this.timeline.nowMs);
      return list();
    };
    const parts = this.parts;
    const loop = new Loop({
      instance: "one",
      cadence,
      channel: this.channel,
      events: this.events,
      log: this.log,
      random: () => 0,
      prepare: async () => {},
      describe: () => ({}),
      cycle: {
        ...parts,
        leadership: {
          ...parts.leadership,
          acquire: () => {
            this.asked.push("acquire");
            return this.acquire();
          },
          release: () => {
            this.asked.push("release");
            return this.release();
          },
        },
      },
      ...over,
    });
    loop.run(this.stop.signal).then(
      () => {
        this.ended = "resolved";
      },
      (cause) => {
        this.ended = cause;
      },
    );
    this.timeline.advance(0);
    return loop;
  }
  events_(name: string): number {
    return this.log.entries.filter(({ event }) => event === name).length;
  }
}

/** Until nothing that changed lately keeps the cadence active. */
const untilIdle = (world: LoopWorld) => {
  world.timeline.advance(60_000);
  world.lookStartsMs.length = 0;
};

describe("Loop", () => {
  test("looks at once, stays active after the change, then idles", () => {
    const world = new LoopWorld();
    world.start();
    world.timeline.advance(9_000);
    expect(world.lookStartsMs).toEqual([0, 2_000, 4_000, 6_000, 8_000]);
    untilIdle(world);
    world.timeline.advance(30_000);
    expect(world.lookStartsMs).toHaveLength(3);
  });

  test("P8: a hint is followed by a look at once; a thousand cost one", () => {
    const world = new LoopWorld();
    world.start();
    untilIdle(world);
    world.timeline.advance(1_000);
    world.lookStartsMs.length = 0;
    for (let n = 0; n < 1_000; n++) world.channel.listener!.onHint();
    world.timeline.advance(1_000);
    expect(world.lookStartsMs).toHaveLength(1);
  });

  test("P8: a hint in mid-cycle is followed by a look that starts after it", () => {
    const world = new LoopWorld();
    const slow = deferred<void>();
    const loop = world.start();
    untilIdle(world);
    const load = world.load;
    world.load = async () => {
      await slow.promise;
      return load();
    };
    world.channel.listener!.onHint();
    world.timeline.advance(300);
    expect(world.lookStartsMs).toHaveLength(1);
    const hintedMs = world.timeline.nowMs;
    world.events.listener!.onHint();
    slow.resolve();
    world.timeline.advance(300);
    expect(world.lookStartsMs.at(-1)).toBeGreaterThanOrEqual(hintedMs);
    expect(loop.view().totals).toMatchObject({ hints: 1, events: 1 });
  });

  test("a channel that comes back leads to one look, and to no activity", () => {
    const world = new LoopWorld();
    const loop = world.start();
    untilIdle(world);
    world.channel.listener!.onUp();
    world.timeline.advance(5_000);
    expect(world.lookStartsMs.length).toBeGreaterThanOrEqual(1);
    expect(loop.view().cadence.mode).toBe("idle");
  });

  test("stands by, asks once a second whatever hints come, and leads when it may", () => {
    const world = new LoopWorld();
    world.acquire = async () => ({ kind: "standby", holder: "other", now: world.now() });
    const loop = world.start();
    for (let n = 0; n < 1_000; n++) {
      world.channel.listener!.onHint();
      world.timeline.advance(10);
    }
    expect(world.asked.length).toBeLessThanOrEqual(11);
    expect(loop.view()).toMatchObject({ role: "standby", leader: "other" });
    // Events are none of its business: it gives up no glance.
    world.events.listener!.onHint([{ workspace: id("a"), containerId: null }]);
    expect(loop.view().glancesGivenUp).toEqual({ doubted: 0, crowded: 0, unfinished: 0 });
    expect(world.lookStartsMs).toEqual([]);
    world.acquire = async () => ({ kind: "held", lease, now: world.now(), known: {} });
    world.timeline.advance(1_100);
    expect(loop.view().role).toBe("leader");
    expect(world.lookStartsMs).toHaveLength(1);
  });

  test("what only a leader tries is shown by a leader alone: nobody else would learn that it works again", () => {
    const world = new LoopWorld();
    const transitions = new Link("transitions", world.clock, world.log, "");
    const up = () => {
      const { wake, transitions } = loop.view().links;
      return [wake.up, transitions.up];
    };
    const loop = world.start({ transitions });
    expect(up()).toEqual([true, null]);
    transitions.down(new Error("no room"));
    expect(up()).toEqual([true, false]);
    world.renew = async () => ({ kind: "standby", holder: "other", now: world.now() });
    world.acquire = async () => ({ kind: "standby", holder: "other", now: world.now() });
    world.timeline.advance(5_000);
    expect(loop.view().role).toBe("standby");
    expect(up()).toEqual([null, null]);
  });

  test("P8: who takes over wakes the WC once, though nothing is left to change", () => {
    const world = new LoopWorld();
    world.start();
    world.timeline.advance(1_000);
    const wakes = () => world.calls.filter((call) => call === "wake").length;
    const before = wakes();
    world.renew = async () => ({ kind: "standby", holder: "other", now: world.now() });
    world.acquire = async () => ({ kind: "standby", holder: "other", now: world.now() });
    world.timeline.advance(5_000);
    expect(wakes()).toBe(before);
    world.renew = async (held) => ({ kind: "held", lease: held, now: world.now(), known: {} });
    world.acquire = async () => ({ kind: "held", lease, now: world.now(), known: {} });
    world.timeline.advance(20_000);
    expect(wakes()).toBe(before + 1);
  });

  test("renews the lease while a listing is slow", () => {
    const world = new LoopWorld();
    world.start();
    untilIdle(world);
    world.listEngine = () => deferred<never>().promise;
    world.channel.listener!.onHint();
    world.timeline.advance(500);
    world.calls.length = 0;
    world.timeline.advance(4_000);
    expect(world.calls).toContain("renew");
  });

  test("a failed database is tried again soon, then more and more seldom, and said once", () => {
    const world = new LoopWorld();
    const loop = world.start({ random: () => 0.5 });
    untilIdle(world);
    const { load } = world;
    const triedMs: number[] = [];
    world.load = () => {
      triedMs.push(world.timeline.nowMs);
      return Promise.reject(new Error("refused"));
    };
    const pausesMs = () => triedMs.slice(1).map((atMs, at) => atMs - triedMs[at]!);
    world.channel.listener!.onHint();
    world.timeline.advance(10_000);
    expect(pausesMs()).toEqual([375, 750, 1_500, 3_000, 3_000]);
    expect(world.events_("database.down")).toBe(1);
    expect(loop.view().links.database.up).toBe(false);
    world.load = load;
    world.timeline.advance(3_000);
    expect(loop.view().links.database.up).toBe(true);
    expect(world.events_("database.up")).toBe(1);
    triedMs.length = 0;
    world.load = () => {
      triedMs.push(world.timeline.nowMs);
      return Promise.reject(new Error("refused once more"));
    };
    world.channel.listener!.onHint();
    world.timeline.advance(1_500);
    expect(pausesMs().slice(0, 2)).toEqual([375, 750]);
  });

  test("is not the leader any more in its own eyes once the lease may have expired", () => {
    const world = new LoopWorld();
    const loop = world.start();
    world.timeline.advance(1_000);
    world.renew = () => Promise.reject(new Error("refused"));
    world.timeline.advance(8_000);
    expect(loop.view().role).toBe("disconnected");
  });

  test("tells of its progress when the view shows it: cycles, stand-by checks, tries to prepare", () => {
    const world = new LoopWorld();
    let isPrepared = false;
    world.acquire = async () => ({ kind: "standby", holder: "other", now: world.now() });
    const seen: string[] = [];
    // Null while it starts.
    let loop: Loop | null = null;
    loop = world.start({
      prepare: async () => {
        if (!isPrepared) throw new Error("refused");
      },
      onProgress: () => {
        if (loop === null) return;
        const { role, progressMs, lastCommitMs, links } = loop.view();
        expect(progressMs).toBe(world.timeline.nowMs);
        if (role === "leader") expect(lastCommitMs).toBe(world.timeline.nowMs);
        seen.push(`${role}, database ${links.database.up}`);
      },
    });
    world.timeline.advance(1_000);
    isPrepared = true;
    world.timeline.advance(2_000);
    world.acquire = async () => ({ kind: "held", lease, now: world.now(), known: {} });
    world.timeline.advance(2_000);
    expect([...new Set(seen)]).toEqual([
      "starting, database false",
      "standby, database true",
      "leader, database true",
    ]);
  });

  test("P12: stops at once when asked between looks, and hands the lease over", () => {
    const world = new LoopWorld();
    world.start();
    untilIdle(world);
    world.stop.abort();
    world.timeline.advance(0);
    expect(world.ended).toBe("resolved");
    expect(world.asked.at(-1)).toBe("release");
    expect([world.channel.listening, world.events.listening]).toEqual([false, false]);
  });

  test("P12: stops within seconds though the save and the release hang", () => {
    const world = new LoopWorld();
    world.save = () => deferred<never>().promise;
    world.release = () => deferred<never>().promise;
    world.start();
    world.stop.abort();
    world.timeline.advance(6_000);
    expect(world.ended).toBe("resolved");
  });

  test("a broken invariant ends the run, and everything beside it", () => {
    const world = new LoopWorld();
    const bug = new Error("bug");
    world.start({
      onReport: () => {
        throw bug;
      },
    });
    world.timeline.advance(2_000);
    expect(world.ended).toBe(bug);
    expect([world.channel.listening, world.events.listening]).toEqual([false, false]);
  });

  test("what can never work ends the run; what may be mended is tried again", () => {
    const hopeless = new LoopWorld();
    hopeless.start({ prepare: () => Promise.reject(new UnworkableError("no such table")) });
    expect(hopeless.ended).toBeInstanceOf(UnworkableError);

    const patient = new LoopWorld();
    let tries = 0;
    patient.start({
      prepare: () => (++tries < 3 ? Promise.reject(new Error("refused")) : Promise.resolve()),
    });
    patient.timeline.advance(5_000);
    expect(tries).toBe(3);
    expect(patient.lookStartsMs.length).toBeGreaterThan(0);
  });
});
