// Goal: who may write what, where many hosts write into one table (ADR 14), is decided by the writing statement on the
// row as it is stored; and what the members tell one another is told whole.
// Method: part of the suite of store.ts. Rules one by one, then thousands of drawn rows and claims against the domain's own word.
import { describe, expect, test } from "bun:test";
import { randomInt, seededRandom } from "../../dev/fakes/random.ts";
import type { Json, JsonObject } from "../../src/observer/conditions.ts";
import { addMs, formatInstant, type Instant } from "../../src/observer/instant.ts";
import { doClaimsHold } from "../../src/observer/ownership.ts";
import type { Claim, Lease, RowWrite } from "../../src/observer/ports.ts";
import { deadline } from "./engine-support.ts";
import { held, id, type StoreWorld, write } from "./store-support.ts";

const EARLY = "2026-11-24T10:00:00.000000Z";
const LATE = "2026-11-24T10:00:05.000000Z";

const container = (host: string | null, running: boolean, at = EARLY, more: JsonObject = {}): JsonObject => ({
  running,
  reason: running ? "Running" : "Exited",
  last_transition_at: at,
  ...(host === null ? {} : { host }),
  ...more,
});
const volume = (host: string | null, at = EARLY, more: JsonObject = {}): JsonObject => ({
  exists: true,
  last_transition_at: at,
  ...(host === null ? {} : { host }),
  ...more,
});
const present = (changes: Partial<Claim & { kind: "present" }> = {}): Claim => ({
  key: "container",
  kind: "present",
  host: "b",
  running: true,
  since: null,
  withContainer: false,
  ...changes,
});
const absent = (changes: Partial<Claim & { kind: "absent" }> = {}): Claim => ({
  key: "container",
  kind: "absent",
  host: "b",
  adopts: false,
  ...changes,
});
const unclaimed = (stamp: string | null, key: Claim["key"] = "container"): Claim => ({
  key,
  kind: "unclaimed",
  host: "",
  stamp,
});
const lost = (host: string, stamp: string | null): Claim => ({ key: "container", kind: "lost", host, stamp });
const stamped = (conditions: JsonObject, at = EARLY): JsonObject => ({
  ...conditions,
  observed: { containers: at, volumes: at },
});

/** What is stored, what is claimed, and whether it may be written. */
const RULES: readonly (readonly [string, JsonObject, Claim, boolean])[] = [
  ["what is there, where nothing was observed", {}, present(), true],
  ["what is there, over null", { container: null }, present(), true],
  ["what is there, over its own", { container: container("b", false) }, present(), true],
  ["what is there, where no host is named", { container: container(null, true) }, present(), true],
  ["what is there, over another's that runs", { container: container("a", true) }, present(), false],
  ["one that runs, over another's that doesn't", { container: container("a", false) }, present(), true],
  [
    "one that doesn't run, over another's that does",
    { container: container("a", true) },
    present({ running: false, since: LATE }),
    false,
  ],
  ["one that appeared later", { container: container("a", true) }, present({ since: LATE }), true],
  [
    "one that appeared earlier",
    { container: container("a", true, LATE) },
    present({ since: EARLY, host: "0" }),
    false,
  ],
  [
    "one as late, by the lesser name",
    { container: container("b", true) },
    present({ since: EARLY, host: "a" }),
    true,
  ],
  ["one as late, by the greater name", { container: container("a", true) }, present({ since: EARLY }), false],
  [
    "what is there, over a lost host's",
    { container: container("a", true, LATE, { unknown: true }) },
    present({ running: false }),
    true,
  ],
  ["what is gone, of its own", { container: container("b", true) }, absent(), true],
  ["what is gone, of another's", { container: container("a", true) }, absent(), false],
  [
    "what is gone, of a lost host's",
    { container: container("a", true, EARLY, { unknown: true }) },
    absent(),
    false,
  ],
  ["what is gone, where nothing was observed", {}, absent(), false],
  ["what is gone, over null", { container: null }, absent(), false],
  ["what is gone, where no host is named", { container: container(null, true) }, absent(), false],
  ["the same, of its own former table", { container: container(null, true) }, absent({ adopts: true }), true],
  ["another's, adopting", { container: container("a", true) }, absent({ adopts: true }), false],
  [
    "a name that is no text is none",
    { container: container(null, true, EARLY, { host: 7 }) },
    absent(),
    false,
  ],
  [
    "a volume, with the container that is written too",
    { container: container("a", false), volume: volume("a", LATE) },
    present({ key: "volume", running: false, withContainer: true }),
    true,
  ],
  [
    "a volume, with the container that is its own already",
    { container: container("b", true), volume: volume("a", LATE) },
    present({ key: "volume", running: false }),
    true,
  ],
  [
    "a volume, whose holder has the container",
    { container: container("a", false), volume: volume("a") },
    present({ key: "volume", running: false, since: LATE }),
    false,
  ],
  [
    "a volume that appeared later, where there is no container",
    { container: null, volume: volume("a") },
    present({ key: "volume", running: false, since: LATE }),
    true,
  ],
  [
    "a volume that was always there, where there is no container",
    { container: null, volume: volume("a") },
    present({ key: "volume", running: false }),
    false,
  ],
  [
    "a volume, whose holder's container is a lost one",
    { container: container("a", true, EARLY, { unknown: true }), volume: volume("a") },
    present({ key: "volume", running: false, since: LATE }),
    true,
  ],
  ["absence of what no host claims", {}, unclaimed(null), true],
  ["the same once more", stamped({ container: null }), unclaimed(EARLY), true],
  ["the same, written meanwhile", stamped({ container: null }, LATE), unclaimed(EARLY), false],
  ["absence of what a host claims", stamped({ container: container("a", true) }), unclaimed(EARLY), false],
  [
    "absence of what some observer saw",
    stamped({ container: container(null, true) }),
    unclaimed(EARLY),
    false,
  ],
  ["a lost host", stamped({ container: container("a", true) }), lost("a", EARLY), true],
  ["one that wrote meanwhile", stamped({ container: container("a", true) }, LATE), lost("a", EARLY), false],
  [
    "one whose row is another's by now",
    stamped({ container: container("b", true) }),
    lost("a", EARLY),
    false,
  ],
  [
    "one that is marked already",
    stamped({ container: container("a", true, EARLY, { unknown: true }) }),
    lost("a", EARLY),
    false,
  ],
];

interface Member extends StoreWorld {
  readonly lease: Lease;
  readonly now: Instant;
  save(...writes: readonly RowWrite[]): ReturnType<StoreWorld["store"]["save"]>;
}

export function fleetContract(
  name: string,
  inWorld: (run: (world: StoreWorld) => Promise<void>) => () => Promise<void>,
): void {
  const asMember = (run: (world: Member) => Promise<void>, archivesConfigured = false) =>
    inWorld(async (world) => {
      const lease = await held(world.leadership("observer-1", "host:b"), deadline());
      const store = world.fleet.store(archivesConfigured);
      const now = await world.leadership("observer-1").now(deadline());
      await run({ ...world, lease, now, save: (...writes) => store.save(lease, writes, deadline()) });
    });

  describe(`A fleet on ${name}`, () => {
    test(
      "P1: a claim is judged on the stored row, each rule",
      asMember(async (world) => {
        const rows = RULES.map(([, conditions], n) => ({ id: `w${n}`, conditions }));
        await world.add(...rows);
        const outcome = await world.save(
          ...RULES.map(([, , claim], n) => write(`w${n}`, { set: { mark: 1 }, claims: [claim] })),
        );
        if (outcome.kind !== "saved") throw new Error("the lease is lost");
        const may = RULES.map(([rule], n) => [rule, outcome.written.has(id(`w${n}`))] as const);
        expect(may).toEqual(RULES.map(([rule, , , expected]) => [rule, expected]));
        expect(outcome.fenced).toHaveLength(RULES.filter(([, , , expected]) => !expected).length);
        // The domain foresees it, or it would ask in vain with every look.
        for (const [rule, conditions, claim, expected] of RULES)
          expect([rule, doClaimsHold([claim], conditions)]).toEqual([rule, expected]);
      }),
    );

    test(
      "a row of which one claim fails is left alone as a whole; one without a claim is written",
      asMember(async (world) => {
        await world.add({ id: "w", conditions: { container: container("a", true) } }, { id: "free" });
        const claims = [absent(), present({ key: "volume", running: false })];
        const outcome = await world.save(
          write("w", { set: { mark: 1 }, claims }),
          write("free", { claims: [] }),
        );
        expect(outcome).toMatchObject({ written: new Set(["free"]), fenced: ["w"] });
        expect((await world.stored("w"))?.conditions).toEqual({ container: container("a", true) });
      }),
    );

    test(
      "the statement and the domain say the same of 3,000 drawn rows",
      asMember(async (world) => {
        const random = seededRandom(7);
        const pick = <T>(...some: readonly T[]): T => some[randomInt(random, some.length)]!;
        const stamp = () => pick(EARLY, LATE, "2026-11-24T10:00:02.000000Z");
        const hosts = ["a", "b", "c"] as const;
        const foreign = (): Json => pick<Json>(null, 7, "x", [], true, {});
        const drawn = (): Json | undefined =>
          pick<() => Json | undefined>(
            () => undefined,
            () => null,
            foreign,
            () => ({
              running: pick<Json>(true, false, "true"),
              last_transition_at: pick<Json>(stamp(), stamp(), "", 5),
              ...pick<JsonObject>(
                { host: pick(...hosts) },
                { host: pick(...hosts) },
                {},
                { host: foreign() },
              ),
              ...pick<JsonObject>({}, {}, { unknown: pick<Json>(true, false, "true") }),
            }),
          )();
        const document = (): JsonObject =>
          pick<() => JsonObject>(
            () => ({
              container: drawn(),
              volume: drawn(),
              observed: { containers: stamp(), volumes: stamp() },
            }),
            () => ({ container: drawn(), volume: drawn() }),
          )();
        const claim = (): Claim => {
          const key = pick("container", "volume");
          const host = pick(...hosts);
          return pick<() => Claim>(
            () => ({ key, kind: "absent", host, adopts: pick(true, false) }),
            () => ({ key, kind: "unclaimed", host: "", stamp: pick(null, stamp()) }),
            () => ({ key, kind: "lost", host, stamp: pick(null, stamp()) }),
            () =>
              present({
                key,
                host,
                running: key === "container" && pick(true, false),
                since: pick(null, stamp()),
                withContainer: key === "volume" && pick(true, false),
              }),
          )();
        };
        const drawnRows = Array.from({ length: 3_000 }, (_, n) => ({
          id: `w${n}`,
          conditions: JSON.parse(JSON.stringify(document())) as JsonObject,
          claims: Array.from({ length: 1 + randomInt(random, 2) }, claim),
        }));
        await world.add(...drawnRows.map(({ id: workspace, conditions }) => ({ id: workspace, conditions })));
        const outcome = await world.save(
          ...drawnRows.map(({ id: workspace, claims }) => write(workspace, { claims })),
        );
        if (outcome.kind !== "saved") throw new Error("the lease is lost");
        for (const { id: workspace, conditions, claims } of drawnRows) {
          const isSo = outcome.written.has(id(workspace));
          if (isSo !== doClaimsHold(claims, conditions))
            throw new Error(
              `Written: ${isSo}, of ${JSON.stringify(conditions)} by ${JSON.stringify(claims)}`,
            );
        }
        const share = outcome.written.size / drawnRows.length;
        expect(share).toBeGreaterThan(0.1);
        expect(share).toBeLessThan(0.9);
      }),
    );

    test(
      "P2: observed_at is the smallest of the stamps as they are stored then, whoever wrote them",
      asMember(async (world) => {
        const [t1, t2, t3] = [-3_000, -2_000, -1_000].map((ms) => addMs(world.now, ms)) as [
          Instant,
          Instant,
          Instant,
        ];
        const text = formatInstant;
        await world.add(
          { id: "two", conditions: { observed: { volumes: text(t1) } } },
          { id: "half" },
          { id: "archives", conditions: { observed: { volumes: text(t3), archives: text(t1) } } },
          { id: "garbage", conditions: { observed: { volumes: "2026-13-45T99:99:99.000000Z" } } },
          { id: "leap", conditions: { observed: { volumes: "2024-02-29T00:00:00.000000Z" } } },
        );
        const writes = ["two", "half", "archives", "garbage", "leap"].map((name) =>
          // What the writer believed, from what it had read.
          write(name, { observed: { containers: text(t2) }, observedAt: t3, claims: [present()] }),
        );
        expect(await world.save(...writes)).toMatchObject({ fenced: [], skipped: [] });
        expect((await world.stored("two"))?.observedAt).toBe(t1);
        expect((await world.stored("half"))?.observedAt).toBeNull();
        expect((await world.stored("archives"))?.observedAt).toBe(t1);
        expect((await world.stored("garbage"))?.observedAt).toBe(t3);
        // Exactly, or by the writer's word.
        expect((await world.stored("leap"))?.observedAt).toBeLessThanOrEqual(t3);
      }),
    );

    test(
      "P2: where archives are observed, nothing is observed as a whole before they are",
      asMember(async (world) => {
        await world.add({ id: "w" });
        const observed = { containers: formatInstant(world.now), volumes: formatInstant(world.now) };
        await world.save(write("w", { observed, observedAt: world.now, claims: [present()] }));
        expect((await world.stored("w"))?.observedAt).toBeNull();
      }, true),
    );

    test(
      "each host has a lease of its own; a single observer's keeps all of them waiting",
      inWorld(async (world) => {
        const single = await held(world.leadership("single"), deadline());
        const a = world.leadership("a1", "host:a");
        expect(await a.acquire(deadline())).toMatchObject({ kind: "standby", holder: "single" });
        await world.leadership("single").release(single, deadline());
        expect(await held(a, deadline())).toMatchObject({ scope: "host:a", holder: "a1" });
        expect(await held(world.leadership("b1", "host:b"), deadline())).toMatchObject({ scope: "host:b" });
        expect(await world.leadership("a2", "host:a").acquire(deadline())).toMatchObject({
          kind: "standby",
          holder: "a1",
        });
        expect((await world.fleet.read()).isSingleLed).toBe(false);
      }),
    );

    test(
      "the signs of the hosts are read as they were given; what its leader has committed counts, and not a standby's word",
      inWorld(async (world) => {
        expect((await world.fleet.read()).hosts).toEqual([]);
        await held(world.leadership("a1", "host:a"), deadline());
        await held(world.leadership("b1", "host:b"), deadline());
        const say = (instance: string, host: string, complete: JsonObject | null) =>
          world.fleet.store(false, instance).report({ fleet: { host, complete } }, deadline());
        await say("a1", "a", { stamp: EARLY, except: ["w7"] });
        await say("a2", "a", { stamp: LATE, except: [] });
        await world.fleet.store(false, "elsewhere").report({ role: "leader" }, deadline());
        const { hosts, now } = await world.fleet.read();
        expect(hosts.map(({ host, leader }) => [host, leader])).toEqual([
          ["a", "a1"],
          ["b", "b1"],
        ]);
        expect(hosts[0]?.complete).toEqual({ stamp: Date.parse(EARLY) * 1000, except: ["w7"] } as never);
        expect(hosts[1]).toMatchObject({ complete: null });
        expect(now - hosts[0]!.seenAt!).toBeLessThan(10_000_000);
      }),
    );

    test(
      "to hold its lease is a sign of a host, for who waits for a slow Engine gives no other",
      inWorld(async (world) => {
        const b = world.leadership("b1", "host:b");
        const lease = await held(b, deadline());
        const first = await world.fleet.read();
        expect(Math.abs(first.now - first.hosts[0]!.seenAt!)).toBeLessThan(1_000_000);
        await b.renew(lease, deadline());
        const second = await world.fleet.read();
        expect(second.hosts[0]!.seenAt!).toBeGreaterThanOrEqual(first.hosts[0]!.seenAt!);
        expect(second.now - second.hosts[0]!.seenAt!).toBeLessThan(1_000_000);
      }),
    );

    test(
      "forget: a host's claims and stamps go, and so do its lease and its signs; nothing else",
      inWorld(async (world) => {
        const a = world.leadership("a1", "host:a");
        const lease = await held(a, deadline());
        await world.fleet.store(false, "a1").report({ fleet: { host: "a", complete: null } }, deadline());
        const observed = { containers: EARLY, volumes: EARLY, archives: EARLY };
        const kept = { container: container("b", true), volume: volume(null), observed };
        await world.add(
          {
            id: "both",
            conditions: { container: container("a", true), volume: volume("a"), archive: null, observed },
          },
          { id: "one", conditions: { container: null, volume: volume("a"), observed } },
          { id: "other", conditions: kept },
        );
        await world.fleet.forget("a");
        expect((await world.stored("both"))?.conditions).toEqual({
          archive: null,
          observed: { archives: EARLY },
        });
        expect((await world.stored("one"))?.conditions).toEqual({
          container: null,
          observed: { containers: EARLY, archives: EARLY },
        });
        expect((await world.stored("other"))?.conditions).toEqual(kept);
        expect((await world.fleet.read()).hosts).toEqual([]);
        // What it still had to write is refused; it may come again, as any host.
        const late = [write("both", { set: { mark: 1 }, claims: [present({ host: "a" })] })];
        expect(await world.fleet.store(false).save(lease, late, deadline())).toEqual({ kind: "lease-lost" });
        expect(await a.acquire(deadline())).toMatchObject({ kind: "held" });
      }),
    );
  });
}
