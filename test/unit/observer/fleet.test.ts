// Goal: what each unit of a fleet says of a row, and when: by evidence, in its own name, with the claim that the statement
// will be asked for; a host is lost only when it was watched; nothing is proven that not all have looked for (ADR 14).
// Method: pure functions, one row at a time. The rules themselves are held to the statement by test/contract/store-fleet.ts.
import { describe, expect, test } from "bun:test";
import { Appearances } from "../../../src/observer/appearances.ts";
import { type ComposeContext, composeRow } from "../../../src/observer/compose.ts";
import type { FleetContext } from "../../../src/observer/compose-fleet.ts";
import type { JsonObject } from "../../../src/observer/conditions.ts";
import { FleetWatch, tableSight } from "../../../src/observer/fleet.ts";
import { HostOwnership } from "../../../src/observer/ownership.ts";
import type { ContainerSeen, FleetReading, HostSign, VolumeSeen } from "../../../src/observer/ports.ts";
import { RowMirror } from "../../../src/observer/rows.ts";
import { container, engineListing, id, row, second, stampOf, volume } from "./support.ts";

const context = (fleet: FleetContext, over: Partial<ComposeContext> = {}): ComposeContext => ({
  now: second(100),
  changedAt: second(101),
  archivesConfigured: false,
  maxAgeMs: 30_000,
  horizonMs: 10_000,
  fleet,
  ...over,
});
const asHost = (
  host = "vm-1",
  since: string | null = null,
  ownership = new HostOwnership(host),
): FleetContext => ({
  kind: "host",
  ownership,
  appearedAt: () => since,
});
const pair = (seen: { container?: ContainerSeen; volume?: VolumeSeen } = {}, at = 100) => ({
  stamp: second(at),
  container: seen.container,
  volume: seen.volume,
});
const both = { container: container(), volume: volume() };
const observed = (seconds: number): JsonObject => ({
  containers: stampOf(seconds),
  volumes: stampOf(seconds),
});
const other = (over: JsonObject = {}): JsonObject => ({
  workspace_id: "a",
  running: true,
  reason: "Running",
  container_id: "0123456789ab",
  last_transition_at: stampOf(50),
  host: "vm-2",
  ...over,
});

describe("a host", () => {
  test("writes what it sees in its own name, and nothing of what it doesn't", () => {
    const { write } = composeRow(row("a"), pair({ volume: volume() }), null, context(asHost()))!;
    expect(write.set).toEqual({ volume: expect.objectContaining({ exists: true, host: "vm-1" }) as never });
    expect(write.observed).toEqual({ volumes: stampOf(100) });
    expect(write.observedAt).toBeNull();
    expect(write.claims).toEqual([
      { key: "volume", kind: "present", host: "vm-1", running: false, since: null, withContainer: false },
    ]);
    expect(composeRow(row("a"), pair(), null, context(asHost()))).toBeNull();
  });

  test("P1: writes null only where it was the reporter, key by key", () => {
    const stored = row("a", {
      container: other({ host: "vm-1" }),
      volume: { exists: true, host: "vm-2" },
      observed: observed(90),
    });
    const { write, changes } = composeRow(stored, pair(), null, context(asHost()))!;
    expect(write.set).toEqual({ container: null });
    expect(write.observed).toEqual({ containers: stampOf(100) });
    expect(changes[0]).toMatchObject({
      key: "container",
      to: { reason: "absent" },
      details: { host: "vm-1" },
    });
  });

  test("what a single observer wrote is its own to take away only with that very Engine", () => {
    const stored = row("a", { container: other({ host: undefined }), observed: observed(90) });
    const ownership = new HostOwnership("vm-1", () => "Engine X");
    ownership.answered("Engine Y");
    expect(composeRow(stored, pair(), null, context(asHost("vm-1", null, ownership)))).toBeNull();
    ownership.answered("Engine X");
    const composed = composeRow(stored, pair(), null, context(asHost("vm-1", null, ownership)));
    expect(composed?.write.set).toEqual({ container: null });
  });

  test("what it takes over has a new beginning; what it takes over from nobody keeps its own", () => {
    const stored = { container: other(), observed: observed(90) };
    const seen = { container: container({ containerId: "0123456789ab" }) };
    const taken = composeRow(row("a", stored), pair(seen), null, context(asHost("vm-1", stampOf(99))))!;
    expect(taken.write.set.container).toMatchObject({ host: "vm-1", last_transition_at: stampOf(101) });
    expect(taken.changes[0]?.details).toMatchObject({ host: "vm-1" });
    const nobodys = {
      container: other({ host: undefined, health: "none", exit_code: null }),
      observed: observed(90),
    };
    const adopted = composeRow(row("a", nobodys), pair(seen), null, context(asHost()))!;
    expect(adopted.write.set.container).toMatchObject({ host: "vm-1", last_transition_at: stampOf(50) });
  });

  test("back from being lost, it writes what is", () => {
    const lost = other({ host: "vm-1", unknown: true, reason: "HostLost", container_id: "98781810ea4c" });
    const { write } = composeRow(
      row("a", { container: lost, observed: observed(10) }),
      pair(both),
      null,
      context(asHost()),
    )!;
    expect(write.set.container).toMatchObject({
      reason: "Running",
      host: "vm-1",
      last_transition_at: stampOf(101),
    });
    expect(write.set.container).not.toHaveProperty("unknown");
  });

  test("P3: a newer stamp of the source stands, whoever wrote it", () => {
    const stored = row("a", { container: null, volume: null, observed: observed(99) });
    expect(composeRow(stored, pair(both, 98), null, context(asHost()))).toBeNull();
  });

  test("P10: what is unchanged and its own is stamped when it is due, and what isn't its own is not", () => {
    const first = composeRow(row("a"), pair(both), null, context(asHost()))!.write;
    const stored = row("a", { ...first.set, observed: first.observed }, { observedAt: first.observedAt });
    expect(first.observedAt).toBe(second(100));
    expect(composeRow(stored, pair(both, 101), null, context(asHost(), { now: second(101) }))).toBeNull();
    const late = { now: second(140) };
    expect(composeRow(stored, pair(both, 140), null, context(asHost(), late))?.changes).toEqual([]);
    expect(composeRow(stored, pair(both, 140), null, context(asHost("vm-2"), late))).toBeNull();
  });

  test("archives count as soon as somebody observes them, and are never dropped", () => {
    const conditions = { archive: null, observed: { archives: stampOf(20) } };
    const { write } = composeRow(row("a", conditions), pair(both), null, context(asHost()))!;
    expect([write.drop, write.observedAt]).toEqual([[], second(20)]);
  });
});

describe("Appearances", () => {
  const listed = (one: ContainerSeen | null) => {
    const { containers, volumes } = engineListing(one === null ? [] : [["a", one]]);
    return {
      listings: { container: containers, volume: volumes },
      now: { containers, volumes, identity: null },
    };
  };
  const nothing = { container: null, volume: null };
  const look = (at: number) => ({ stamp: second(at), order: at, latest: 8 });

  test("what is there at the first look has no date; what appears is dated once", () => {
    const it = new Appearances();
    const [none, one, two] = [listed(null), listed(container()), listed(container({ containerId: "ab" }))];
    it.listed(nothing, one.now, look(1));
    expect(it.at("container", id("a"))).toBeNull();
    it.listed(one.listings, none.now, look(2));
    it.listed(none.listings, one.now, look(3));
    it.listed(one.listings, listed(container({ state: "exited" })).now, look(4));
    expect(it.at("container", id("a"))).toBe(stampOf(3));
    it.listed(one.listings, two.now, look(5));
    expect(it.at("container", id("a"))).toBe(stampOf(5));
  });

  test("a whole listing that was begun before a glance saw it doesn't make it younger", () => {
    const it = new Appearances();
    const [none, one] = [listed(null), listed(container())];
    it.glanced(new Set([id("a")]), none.listings, one.now, look(7));
    it.listed(none.listings, none.now, look(6));
    // Nor does one that was begun while the glance was on its way.
    it.listed(none.listings, none.now, look(8));
    it.listed(none.listings, one.now, look(9));
    expect(it.at("container", id("a"))).toBe(stampOf(7));
    it.listed(one.listings, none.now, look(10));
    expect(it.at("container", id("a"))).toBeNull();
  });
});

const sign = (
  host: string,
  seenAt: number | null,
  complete: number | null = seenAt,
  except: string[] = [],
): HostSign => ({
  host,
  leader: `${host}-1`,
  seenAt: seenAt === null ? null : second(seenAt),
  complete: complete === null ? null : { stamp: second(complete), except: except.map(id) },
  counts: { containers: null, volumes: null },
});
const reading = (now: number, ...hosts: readonly HostSign[]): FleetReading => ({
  now: second(now),
  hosts,
  isSingleLed: false,
});

describe("FleetWatch", () => {
  const lostAfterMs = 60_000;
  const read = (watch: FleetWatch, what: FleetReading, atMs: number, owners: string[] = []) =>
    [...watch.read(what, owners, atMs, lostAfterMs)].sort();

  test("a host is lost when its sign is old and was watched standing still", () => {
    const watch = new FleetWatch();
    expect(read(watch, reading(100, sign("a", 99), sign("b", 0)), 0)).toEqual([]);
    expect(read(watch, reading(129, sign("a", 128), sign("b", 0)), 29_000)).toEqual([]);
    expect(read(watch, reading(131, sign("a", 130), sign("b", 0)), 31_000)).toEqual(["b"]);
    expect(read(watch, reading(132, sign("a", 130), sign("b", 131)), 32_000)).toEqual([]);
  });

  test("after the database was away, or its clock jumped, nobody is lost at once", () => {
    const watch = new FleetWatch();
    read(watch, reading(10, sign("a", 9), sign("b", 9)), 0);
    watch.interrupted();
    expect(read(watch, reading(200, sign("a", 9), sign("b", 9)), 190_000)).toEqual([]);
    expect(read(watch, reading(3_800, sign("a", 201), sign("b", 201)), 191_000)).toEqual([]);
    expect(read(watch, reading(3_831, sign("a", 3_830), sign("b", 201)), 222_000)).toEqual(["b"]);
  });

  test("whoever rows name and nobody has registered is as lost as a host that never gave a sign", () => {
    const watch = new FleetWatch();
    expect(read(watch, reading(0, sign("a", null)), 0, ["x"])).toEqual([]);
    expect(read(watch, reading(31, sign("a", null)), 31_000, ["x"])).toEqual(["a", "x"]);
    // While a single observer leads, nothing of it is a fleet's.
    expect(read(watch, { ...reading(40, sign("a", null)), isSingleLed: true }, 40_000, ["x"])).toEqual([]);
  });
});

describe("the table's unit", () => {
  const unit = { kind: "table", registry: { read: async () => reading(0) }, lostAfterMs: 60_000 } as const;
  const mirrorOf = (conditions: JsonObject, readAt: number): RowMirror => {
    const mirror = new RowMirror(unit);
    merge(mirror, conditions);
    mirror.readBy(second(readAt));
    return mirror;
  };
  const merge = (mirror: RowMirror, conditions: JsonObject): void => {
    const one = mirror.begin(0);
    mirror.merge({ all: new Set([id("a")]), rows: [row("a", conditions)], gone: [], cursor: null }, one, 0);
    mirror.end(one);
  };
  const say = (
    mirror: RowMirror,
    what: FleetReading,
    lost: readonly string[] = [],
    over: Partial<ComposeContext> = {},
  ) =>
    composeRow(
      mirror.get(id("a"))!.row,
      null,
      null,
      context({ kind: "table", sight: tableSight(what, new Set(lost), mirror) }, over),
    );

  test("P1: what no host claims is absent when all have looked since, by the oldest of their looks", () => {
    const mirror = mirrorOf({}, 80);
    const composed = say(mirror, reading(100, sign("a", 95, 90), sign("b", 95, 85)));
    expect(composed?.write).toMatchObject({
      set: { container: null, volume: null },
      observed: observed(85),
      observedAt: second(85),
      claims: [
        { key: "container", kind: "unclaimed", stamp: null },
        { key: "volume", kind: "unclaimed", stamp: null },
      ],
    });
  });

  test.each([
    ["one has not looked since", reading(100, sign("a", 95, 90), sign("b", 95, 79))],
    ["one never looked", reading(100, sign("a", 95, 90), sign("b", 95, null))],
    ["one could not write it", reading(100, sign("a", 95, 90, ["a"]), sign("b", 95, 90))],
    ["one's look is from a later clock", reading(100, sign("a", 95, 90), sign("b", 95, 101))],
    ["there is no host", reading(100)],
    ["a single observer leads", { ...reading(100, sign("a", 95, 90)), isSingleLed: true }],
  ])("P1: nothing is proven while %s", (_, what) => {
    expect(say(mirrorOf({}, 80), what)).toBeNull();
  });

  test("P1: a null that a host wrote counts from when it was read", () => {
    const claimed = { container: other(), volume: null, observed: observed(70) };
    const mirror = mirrorOf(claimed, 80);
    const looked = reading(150, sign("a", 149, 140), sign("b", 149, 145));
    merge(mirror, {
      ...claimed,
      container: null,
      observed: { containers: stampOf(90), volumes: stampOf(70) },
    });
    expect(say(mirror, looked, [], { now: second(150) })).toBeNull();
    mirror.readBy(second(146));
    expect(say(mirror, looked, [], { now: second(150) })).toBeNull();
    const later = reading(170, sign("a", 169, 160), sign("b", 169, 165));
    expect(say(mirror, later, [], { now: second(170) })?.write.observed).toEqual({
      containers: stampOf(160),
      volumes: stampOf(160),
    });
  });

  test("a lost host's word is kept, marked, and not made fresh", () => {
    const stored = { container: other(), volume: { exists: true, host: "vm-3" }, observed: observed(70) };
    const { write, changes } = say(mirrorOf(stored, 80), reading(100, sign("vm-2", 10)), ["vm-2"])!;
    expect(write.set).toEqual({
      container: {
        ...other(),
        reason: "HostLost",
        message: "as last seen by vm-2, which gives no sign",
        unknown: true,
        last_transition_at: stampOf(101),
      },
    });
    expect([write.observed, write.claims]).toEqual([
      {},
      [{ key: "container", kind: "lost", host: "vm-2", stamp: stampOf(70) }],
    ]);
    expect(changes[0]).toMatchObject({ from: { reason: "Running" }, to: { reason: "HostLost" } });
    const marked = { ...stored, ...write.set };
    expect(say(mirrorOf(marked, 80), reading(100, sign("vm-2", 10)), ["vm-2"])).toBeNull();
  });
});

test("where others write as well, a reading beside another doesn't put back what was before", () => {
  const mirror = new RowMirror({ kind: "host", ownership: new HostOwnership("vm-1"), random: () => 0 });
  const [before, after] = [row("a", { container: other() }), row("a", { container: null })];
  const one = mirror.begin(0);
  mirror.merge({ all: new Set([id("a")]), rows: [before], gone: [], cursor: null }, one, 0);
  mirror.end(one);
  const slow = mirror.begin(1);
  const quick = mirror.begin(1);
  mirror.mergeSome([after], quick);
  mirror.end(quick);
  mirror.mergeSome([before], slow);
  mirror.end(slow);
  expect(mirror.get(id("a"))?.row.conditions).toEqual({ container: null });
});
