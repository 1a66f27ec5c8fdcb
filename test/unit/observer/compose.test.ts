/**
 * Goal: a row gets what was seen, only from sources that were seen, never an older stamp, and nothing when nothing is due.
 * Method: one row at a time through composeRow(), and properties over stored documents that anybody may have written.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type ComposeContext, composeRow, elapsedSince } from "../../../src/observer/compose.ts";
import type { JsonObject } from "../../../src/observer/conditions.ts";
import { formatInstant } from "../../../src/observer/instant.ts";
import type { WorkspaceRow } from "../../../src/observer/ports.ts";
import { archive, container, id, row, second, stampOf, volume } from "./support.ts";

const context = (over: Partial<ComposeContext> = {}): ComposeContext => ({
  now: second(100),
  changedAt: second(101),
  archivesConfigured: true,
  maxAgeMs: 10_000,
  horizonMs: 10_000,
  ...over,
});
const pairAt = (seconds: number) => ({ stamp: second(seconds), container: container(), volume: volume() });
const archiveAt = (seconds: number) => ({ stamp: second(seconds), archive: archive() });

/** The row as the writing statement would leave it. */
function applied(before: WorkspaceRow, seconds = 100): WorkspaceRow {
  const composed = composeRow(
    before,
    pairAt(seconds),
    archiveAt(seconds),
    context({ now: second(seconds) }),
  )!;
  const { set, observed, observedAt } = composed.write;
  return {
    ...before,
    conditions: {
      ...before.conditions,
      ...set,
      observed: { ...(before.conditions.observed as JsonObject), ...observed },
    },
    observedAt,
  };
}

describe("composeRow()", () => {
  test("writes all three conditions and stamps into an empty row", () => {
    const composed = composeRow(row("a"), pairAt(100), archiveAt(90), context())!;
    expect(Object.keys(composed.write.set)).toEqual(["container", "volume", "archive"]);
    expect(composed.write.observed).toEqual({
      containers: stampOf(100),
      volumes: stampOf(100),
      archives: stampOf(90),
    });
    expect(composed.changes.map(({ key, from, to }) => [key, from.reason, to.reason])).toEqual([
      ["container", "unknown", "Running"],
      ["volume", "unknown", "VolumeExists"],
      ["archive", "unknown", "ArchiveUploaded"],
    ]);
  });

  test("P2: observed_at is the oldest stamp, and null until each source was observed once", () => {
    expect(composeRow(row("a"), pairAt(100), archiveAt(90), context())?.write.observedAt).toBe(second(90));
    expect(composeRow(row("a"), pairAt(100), null, context())?.write.observedAt).toBeNull();
    const stored = row("a", { observed: { archives: stampOf(20) } });
    expect(composeRow(stored, pairAt(100), null, context())?.write.observedAt).toBe(second(20));
  });

  test("P6: a source that was not seen keeps its condition and its stamp", () => {
    const { write } = composeRow(applied(row("a")), null, archiveAt(120), context({ now: second(120) }))!;
    expect(Object.keys(write.set)).toEqual(["archive"]);
    expect(write.observed).toEqual({ archives: stampOf(120) });
    expect(write.observedAt).toBe(second(100));
  });

  test("P3: an older observation is left out, of one source or of both", () => {
    const stored = applied(row("a"), 100);
    expect(composeRow(stored, pairAt(99), archiveAt(99), context({ now: second(130) }))).toBeNull();
    const { write } = composeRow(stored, pairAt(130), archiveAt(99), context({ now: second(130) }))!;
    expect(Object.keys(write.observed).sort()).toEqual(["containers", "volumes"]);
  });

  test("P3, P5: a newer stamp of either half keeps the whole pair out", () => {
    const stored = row("a", { observed: { volumes: stampOf(100) } });
    expect(composeRow(stored, pairAt(99), null, context())).toBeNull();
  });

  test("P3: a stamp in the database's future blocks nothing", () => {
    const stored = applied(row("a"), 5_000);
    const { write } = composeRow(stored, pairAt(100), archiveAt(100), context())!;
    expect(write.observed).toEqual({
      containers: stampOf(100),
      volumes: stampOf(100),
      archives: stampOf(100),
    });
  });

  test("P10: nothing changed and no stamp due: no write; due: a stamp without changes", () => {
    const stored = applied(row("a"), 100);
    const patient = { maxAgeMs: 600_000, horizonMs: 10_000 };
    const early = context({ now: second(100.5), ...patient });
    const late = context({ now: second(100 + 600), ...patient });
    expect(composeRow(stored, pairAt(100.5), archiveAt(100.5), early)).toBeNull();
    expect(composeRow(stored, pairAt(700), archiveAt(700), late)?.changes).toEqual([]);
  });

  test("P10: stamps of many rows come due spread over the maximum age, none older than it", () => {
    const perLook = new Map<number, number>();
    let rows = Array.from({ length: 600 }, (_, n) => applied(row(`w${n}`), 0));
    for (let seconds = 10; seconds <= 600; seconds += 10) {
      const now = second(seconds);
      const at = context({ now, maxAgeMs: 100_000, horizonMs: 10_000 });
      rows = rows.map((before) => {
        const composed = composeRow(before, pairAt(seconds), archiveAt(seconds), at);
        if (composed === null) {
          expect((now + 10_000_000 - before.observedAt!) / 1e6).toBeLessThanOrEqual(100.001);
          return before;
        }
        perLook.set(seconds, (perLook.get(seconds) ?? 0) + 1);
        return applied(before, seconds);
      });
    }
    expect(Math.max(...perLook.values())).toBeLessThan(200);
  });

  test("a row with an operation in flight is written on every cycle that saw something", () => {
    const stored = { ...applied(row("a"), 100), operationInFlight: true };
    const patient = context({ now: second(100.1), maxAgeMs: 600_000 });
    expect(composeRow(stored, pairAt(100.1), null, patient)?.changes).toEqual([]);
    expect(composeRow(stored, null, null, patient)).toBeNull();
  });

  test("without an archive source the document claims nothing about archives", () => {
    const { write } = composeRow(
      applied(row("a"), 90),
      pairAt(100),
      null,
      context({ archivesConfigured: false }),
    )!;
    expect(write.drop).toEqual(["archive", "archives"]);
    expect(write.observedAt).toBe(second(100));
    const fresh = composeRow(row("b"), pairAt(100), null, context({ archivesConfigured: false }))!;
    expect(fresh.write.drop).toEqual([]);
    expect(fresh.write.observedAt).toBe(second(100));
  });

  test("P4: whatever anybody stored, nothing but the known keys is written, and nothing throws", () => {
    const stamps = fc.oneof(
      fc.constantFrom(stampOf(1), stampOf(100), stampOf(9_999), "9999", ""),
      fc.jsonValue(),
    );
    const documents = fc.record(
      {
        container: fc.jsonValue(),
        volume: fc.jsonValue(),
        archive: fc.jsonValue(),
        observed: fc.oneof(
          fc.jsonValue(),
          fc.record({ containers: stamps, volumes: stamps, archives: stamps }, { requiredKeys: [] }),
        ),
        other: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(documents, fc.boolean(), (stored, configured) => {
        const composed = composeRow(
          row("a", stored as JsonObject),
          pairAt(100),
          configured ? archiveAt(100) : null,
          context({ archivesConfigured: configured }),
        );
        expect(composed).not.toBeNull();
        const { set, observed } = composed!.write;
        for (const key of Object.keys(set)) expect(["container", "volume", "archive"]).toContain(key);
        for (const key of Object.keys(observed)) expect(["containers", "volumes", "archives"]).toContain(key);
      }),
    );
  });

  test("the second look at the same world changes nothing", () => {
    fc.assert(
      fc.property(fc.boolean(), fc.boolean(), fc.boolean(), (hasContainer, hasVolume, hasArchive) => {
        const pair = {
          stamp: second(100),
          container: hasContainer ? container() : undefined,
          volume: hasVolume ? volume() : undefined,
        };
        const archives = { stamp: second(100), archive: hasArchive ? archive() : undefined };
        const first = composeRow(row("a"), pair, archives, context())!.write;
        const stored = row("a", { ...first.set, observed: first.observed });
        const again = composeRow(stored, pair, archives, context({ changedAt: second(300) }));
        expect(again?.changes ?? []).toEqual([]);
        expect(again === null || again.write.id === id("a")).toBe(true);
      }),
    );
  });
});

test("elapsedSince() adds monotonic time to the database's", () => {
  expect(formatInstant(elapsedSince(second(1), 5_000, 7_500))).toBe(formatInstant(second(3.5)));
});
