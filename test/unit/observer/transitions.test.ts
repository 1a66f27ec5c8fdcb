/**
 * Goal: a change says what it was, what it is and what explains it, and how late the row was, where reality tells.
 * Method: rows composed from worlds by hand, one change at a time, and cycles for what the log says.
 */
import { describe, expect, test } from "bun:test";
import { composeRow } from "../../../src/observer/compose.ts";
import type { Json, JsonObject } from "../../../src/observer/conditions.ts";
import { CycleLog } from "../../../src/observer/cycle-log.ts";
import { formatInstant, parseRfc3339 } from "../../../src/observer/instant.ts";
import type { ContainerDeath, ContainerSeen, Log } from "../../../src/observer/ports.ts";
import { CycleWorld } from "./cycle-support.ts";
import { archive, container, row, second, volume } from "./support.ts";

const changedAt = second(200);
const context = {
  now: second(199),
  changedAt,
  archivesConfigured: true,
  maxAgeMs: 10_000,
  horizonMs: 10_000,
};
const ended = formatInstant(second(198));
const death: ContainerDeath = {
  oomKilled: true,
  exitCode: 137,
  error: "no such device",
  finishedAt: ended,
  restartCount: 2,
};
const exited = container({ state: "exited", exitCode: 137 });

interface Look {
  readonly container?: ContainerSeen;
  readonly archive?: ReturnType<typeof archive>;
  readonly death?: ContainerDeath;
}
function changesOf(stored: JsonObject, look: Look) {
  const { container, archive, death } = look;
  const engine = { stamp: second(199), container, volume: volume(), death };
  const composed = composeRow(row("a", stored), engine, { stamp: second(199), archive }, context);
  return new Map((composed?.changes ?? []).map((change) => [change.key, change]));
}
const stored = (key: string, condition: Json): JsonObject => ({ [key]: condition });
const running = { running: true, reason: "Running", message: "running", container_id: "98781810ea4c" };

describe("composeRow() says of each change", () => {
  test("from what to what, when, and which one it is", () => {
    const changes = changesOf({}, { container: container(), archive: archive() });
    expect([...changes.keys()].sort()).toEqual(["archive", "container", "volume"]);
    expect(changes.get("container")).toEqual({
      workspaceId: "a" as never,
      key: "container",
      from: { reason: "unknown", message: "" },
      to: { reason: "Running", message: "running" },
      at: changedAt,
      details: { container_id: "98781810ea4c", image: "code:1", health: "none", exit_code: null },
      lagMs: null,
    });
    expect(changes.get("volume")?.details).toEqual({ volume_name: "ws-a-home", driver: "local" });
    expect(changes.get("archive")?.details).toEqual({
      archive_key: "ws-a/op/home.tar.zst",
      size_bytes: 42,
      uploaded_at: "2026-11-23T20:00:00.000Z",
    });
  });

  test("why a container ended, where that was looked into", () => {
    const change = changesOf(stored("container", running), { container: exited, death }).get("container");
    expect(change).toMatchObject({
      to: { reason: "OOMKilled" },
      details: {
        exit_code: 137,
        oom_killed: true,
        error: "no such device",
        finished_at: ended,
        restart_count: 2,
      },
    });
    const unexplained = changesOf(stored("container", running), { container: exited }).get("container");
    expect(unexplained?.details).not.toHaveProperty("oom_killed");
  });

  test("how often it was started again, where the listing tells that", () => {
    const details = (restarts: number) =>
      changesOf(stored("container", running), { container: { ...exited, restarts } }).get("container")
        ?.details;
    expect(details(4)).toMatchObject({ restart_count: 4, exit_code: 137 });
    expect(details(0)).not.toHaveProperty("restart_count");
  });

  test("of what is gone, which one it was, whatever somebody wrote there", () => {
    expect(changesOf(stored("container", running), {}).get("container")).toMatchObject({
      to: { reason: "absent" },
      details: { container_id: "98781810ea4c" },
      lagMs: null,
    });
    for (const odd of [[1], "text", 7, { container_id: 7 }, {}] as Json[]) {
      expect(changesOf(stored("container", odd), {}).get("container")?.details).toEqual({});
    }
    expect(changesOf(stored("container", null), {}).has("container")).toBe(false);
  });

  test("the same in what is written: what was changed is kept with it", () => {
    const engine = { stamp: second(199), container: container(), volume: volume() };
    const composed = composeRow(row("a"), engine, null, context)!;
    expect(composed.write.transitions).toEqual(composed.changes);
  });
});

describe("lagMs", () => {
  const lagOf = (key: "container" | "archive", before: JsonObject, look: Look) =>
    changesOf(before, look).get(key)?.lagMs;

  test("from a container's end to the row", () => {
    expect(lagOf("container", stored("container", running), { container: exited, death })).toBe(2_000);
    const nanoseconds = { ...death, finishedAt: ended.replace("Z", "789Z") };
    expect(lagOf("container", stored("container", running), { container: exited, death: nanoseconds })).toBe(
      2_000,
    );
  });

  test("not for a first observation, an end that was not looked into, or one that is no news", () => {
    expect(lagOf("container", {}, { container: exited, death })).toBeNull();
    expect(lagOf("container", stored("container", running), { container: exited })).toBeNull();
    const known = { ...running, running: false, exit_code: 137, reason: "Exited" };
    expect(lagOf("container", stored("container", known), { container: exited, death })).toBeNull();
    const odd = { ...death, finishedAt: "soon" };
    expect(lagOf("container", stored("container", running), { container: exited, death: odd })).toBeNull();
  });

  test("from an upload to the row; an older archive that counts again was not uploaded", () => {
    const uploadedAt = formatInstant(second(150));
    const look = { archive: archive({ uploadedAt }) };
    expect(lagOf("archive", stored("archive", null), look)).toBe(50_000);
    expect(lagOf("archive", {}, look)).toBeNull();
    const newer = { archive_key: "newer", uploaded_at: formatInstant(second(160)) };
    expect(lagOf("archive", stored("archive", newer), look)).toBeNull();
    const older = { archive_key: "older", uploaded_at: formatInstant(second(140)) };
    expect(lagOf("archive", stored("archive", older), look)).toBe(50_000);
  });

  test("may be below zero: there are two clocks", () => {
    const look = { archive: archive({ uploadedAt: formatInstant(second(203)) }) };
    expect(lagOf("archive", stored("archive", null), look)).toBe(-3_000);
  });

  test("is in the log where it is known, and only there", () => {
    const lines: Record<string, unknown>[] = [];
    const log: Log = {
      debug() {},
      warn() {},
      error() {},
      info: (event, _, fields) => void lines.push({ event, ...fields }),
    };
    const cycleLog = new CycleLog(log, { monotonicMs: () => 0, sleep: async () => {} });
    const world = new CycleWorld();
    world.rows = [row("a")];
    world.containers.set("a", container());
    world.volumes.set("a", volume());
    cycleLog.write(world.cycle());
    world.containers.set("a", exited);
    world.deaths.set(exited.containerId, { ...death, finishedAt: formatInstant(world.now()) });
    cycleLog.write(world.cycle());
    const changed = lines.filter(({ event }) => event === "condition.changed");
    expect(changed.filter((line) => "lagMs" in line)).toEqual([
      expect.objectContaining({ condition: "container", to: "OOMKilled", lagMs: expect.any(Number) }),
    ]);
    expect(changed.length).toBeGreaterThan(3);
  });
});

test("parseRfc3339() takes what Engines and stores write, and nothing else", () => {
  const at = parseRfc3339("2026-11-23T20:02:34.123456Z");
  expect(formatInstant(at!)).toBe("2026-11-23T20:02:34.123456Z");
  for (const same of ["2026-11-23T20:02:34.123456789Z", "2026-11-23T21:02:34.123456+01:00"]) {
    expect(parseRfc3339(same)).toBe(at);
  }
  expect(formatInstant(parseRfc3339("2026-11-23T20:02:34.1Z")!)).toBe("2026-11-23T20:02:34.100000Z");
  expect(formatInstant(parseRfc3339("2026-11-23T20:02:34Z")!)).toBe("2026-11-23T20:02:34.000000Z");
  for (const odd of ["", "soon", "2026-11-23", "2026-13-45T99:99:99Z", 7, null, undefined, {}]) {
    expect(parseRfc3339(odd)).toBeNull();
  }
});
