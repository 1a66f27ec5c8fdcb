/**
 * Goal: the next look comes when the cadence says, no hint is lost, and a thousand cost one look.
 * Method: single steps, then arbitrary histories run against what must hold for every one of them.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Cadence,
  type CadenceConfig,
  initialCadence,
  isActive,
  nextCycle,
  onCycleEnd,
  onCycleStart,
  onHint,
  onLateAnswer,
  onReconnect,
} from "../../../src/observer/cadence.ts";

const config: CadenceConfig = {
  idleIntervalMs: 10_000,
  activeIntervalMs: 2_000,
  minIntervalMs: 250,
  activeForMs: 30_000,
};
const quiet = { changed: false, operationInFlight: false };

/** One whole look from `startMs` to `endMs`. */
const look = (cadence: Cadence, startMs: number, endMs: number, seen = quiet): Cadence =>
  onCycleEnd(onCycleStart(cadence, "look", startMs, config), seen, endMs, config);

describe("nextCycle()", () => {
  test("the first look happens at once", () => {
    expect(nextCycle(initialCadence, 5, config)).toEqual({ kind: "look", atMs: 5 });
  });

  test("idle: every 10 s, from start to start", () => {
    const cadence = look(initialCadence, 1_000, 4_000);
    expect(nextCycle(cadence, 4_000, config)).toEqual({ kind: "look", atMs: 11_000 });
  });

  test("active for 30 s after a change, then idle again", () => {
    const cadence = look(initialCadence, 0, 100, { changed: true, operationInFlight: false });
    expect(nextCycle(cadence, 100, config).atMs).toBe(2_000);
    expect(isActive(cadence, 30_099)).toBe(true);
    expect(isActive(cadence, 30_100)).toBe(false);
    const later = look(cadence, 32_000, 32_100);
    expect(nextCycle(later, 32_100, config).atMs).toBe(42_000);
  });

  test("active as long as an operation is in flight", () => {
    const cadence = look(initialCadence, 0, 100, { changed: false, operationInFlight: true });
    expect(
      nextCycle(look(cadence, 90_000, 90_001, { changed: false, operationInFlight: true }), 90_001, config)
        .atMs,
    ).toBe(92_000);
  });

  test("a hint: at once, yet no sooner than 250 ms after the last start", () => {
    const idle = look(initialCadence, 0, 100);
    expect(nextCycle(onHint(idle, 120, config), 120, config)).toEqual({ kind: "look", atMs: 250 });
    expect(nextCycle(onHint(idle, 5_000, config), 5_000, config)).toEqual({ kind: "look", atMs: 250 });
  });

  test("a reconnect looks once and is no activity", () => {
    const cadence = onReconnect(look(initialCadence, 0, 100));
    expect(nextCycle(cadence, 100, config)).toEqual({ kind: "look", atMs: 250 });
    expect(isActive(cadence, 100)).toBe(false);
  });

  test("a late answer gets a delivery, unless a look is due as soon", () => {
    const cadence = onLateAnswer(look(initialCadence, 0, 750));
    expect(nextCycle(cadence, 800, config)).toEqual({ kind: "delivery", atMs: 250 });
    expect(nextCycle(onHint(cadence, 800, config), 800, config).kind).toBe("look");
  });

  test("what was promised to the rows' stamps is kept when the activity ends meanwhile", () => {
    const active = look(onHint(initialCadence, 0, config), 29_000, 29_100);
    expect(nextCycle(active, 30_500, config).atMs).toBe(31_000);
  });
});

test("P8: a hint in mid-cycle is followed by a look that starts after it", () => {
  const started = onCycleStart(initialCadence, "look", 1_000, config);
  const hinted = onHint(started, 1_100, config);
  const ended = onCycleEnd(hinted, quiet, 1_500, config);
  expect(nextCycle(ended, 1_500, config)).toEqual({ kind: "look", atMs: 1_250 });
});

test("P8: a delivery does not use up a hint", () => {
  const hinted = onHint(onLateAnswer(look(initialCadence, 0, 750)), 800, config);
  const delivered = onCycleEnd(onCycleStart(hinted, "delivery", 900, config), quiet, 910, config);
  expect(nextCycle(delivered, 910, config)).toEqual({ kind: "look", atMs: 1_150 });
});

type Step = { readonly waitMs: number; readonly event: "hint" | "reconnect" | "late" | "none" };
const steps = fc.array(
  fc.record({
    waitMs: fc.integer({ min: 0, max: 4_000 }),
    event: fc.constantFrom<Step["event"]>("hint", "reconnect", "late", "none"),
  }),
  { maxLength: 80 },
);
const durations = fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 10 });

test("P8, P9: any history of hints: bounds hold, every hint is followed by a look that starts after it", () => {
  fc.assert(
    fc.property(steps, durations, (history, durationsMs) => {
      let cadence = initialCadence;
      let nowMs = 0;
      let busyUntilMs = 0;
      let cycles = 0;
      let lastStartMs = Number.NEGATIVE_INFINITY;
      let lastLookMs = 0;
      let hintMs: number | null = null;
      const runUntil = (untilMs: number) => {
        for (;;) {
          const next = nextCycle(cadence, Math.max(nowMs, busyUntilMs), config);
          const startMs = Math.max(next.atMs, busyUntilMs, nowMs);
          if (startMs > untilMs) break;
          nowMs = startMs;
          expect(startMs - lastStartMs).toBeGreaterThanOrEqual(config.minIntervalMs);
          lastStartMs = startMs;
          cadence = onCycleStart(cadence, next.kind, startMs, config);
          if (next.kind === "look") {
            expect(startMs - lastLookMs).toBeLessThanOrEqual(config.idleIntervalMs + 3_000);
            lastLookMs = startMs;
            hintMs = null;
          }
          busyUntilMs = startMs + durationsMs[cycles++ % durationsMs.length]!;
          cadence = onCycleEnd(cadence, quiet, busyUntilMs, config);
        }
        nowMs = untilMs;
      };
      for (const { waitMs, event } of history) {
        runUntil(nowMs + waitMs);
        if (event === "hint") {
          cadence = onHint(cadence, nowMs, config);
          hintMs ??= nowMs;
        }
        if (event === "reconnect") cadence = onReconnect(cadence);
        if (event === "late") cadence = onLateAnswer(cadence);
      }
      runUntil(nowMs + 3_000 + 3_000 + config.minIntervalMs);
      expect(hintMs).toBeNull();
    }),
  );
});
