// Goal: what every Leadership promises, and that nothing is written without the lease.
// Method: part of the suite of store.ts; the lease's end is moved beside the store, no test waits for it.
import { describe, expect, setSystemTime, test } from "bun:test";
import { ageMs, formatInstant, type Instant, instant } from "../../src/observer/instant.ts";
import { limits } from "../../src/observer/limits.ts";
import { deadline } from "./engine-support.ts";
import { held, type StoreWorld, write } from "./store-support.ts";

export function leadershipContract(
  name: string,
  inWorld: (run: (world: StoreWorld) => Promise<void>) => () => Promise<void>,
): void {
  describe(`Leadership on ${name}`, () => {
    test(
      "one of two holders gets the lease; the other is told whose it is",
      inWorld(async (world) => {
        const lease = await held(world.leadership("a"), deadline());
        expect(lease).toMatchObject({ scope: "workspaces", holder: "a" });
        expect(await world.leadership("b").acquire(deadline())).toMatchObject({
          kind: "standby",
          holder: "a",
        });
        // Not even its holder takes it twice: after a restart the former life may still be writing.
        expect(await world.leadership("a").acquire(deadline())).toMatchObject({
          kind: "standby",
          holder: "a",
        });
      }),
    );

    test(
      "the epoch grows with every change of hands and stays at a renewal",
      inWorld(async (world) => {
        const epochs: bigint[] = [];
        for (const holder of ["a", "b", "b", "a"]) {
          const leadership = world.leadership(holder);
          const lease = await held(leadership, deadline());
          const renewed = await leadership.renew(lease, deadline());
          expect(renewed).toMatchObject({ kind: "held", lease });
          epochs.push(BigInt(lease.epoch));
          await leadership.release(lease, deadline());
        }
        for (const [n, epoch] of epochs.entries()) {
          if (n > 0) expect(epoch).toBeGreaterThan(epochs[n - 1]!);
        }
      }),
    );

    test(
      "a lease lives for its time and no longer; a renewal gives it all of it again, even late",
      inWorld(async (world) => {
        const [a, b] = [world.leadership("a"), world.leadership("b")];
        const lease = await held(a, deadline());
        const left = await world.leaseLeftMs();
        expect(left).toBeLessThanOrEqual(limits.leaseMs);
        expect(left).toBeGreaterThan(limits.leaseMs / 2);
        // Expired, but nobody took it.
        await world.leaseEndsInMs(-1_000);
        expect(await a.renew(lease, deadline())).toMatchObject({ kind: "held", lease });
        expect(await world.leaseLeftMs()).toBeGreaterThan(limits.leaseMs / 2);
        expect(await b.acquire(deadline())).toMatchObject({ kind: "standby" });
        await world.leaseEndsInMs(-1);
        expect(await b.acquire(deadline())).toMatchObject({ kind: "held" });
      }),
    );

    test(
      "a lease expires by the database's clock, whatever this machine's says",
      inWorld(async (world) => {
        const [a, b] = [world.leadership("a"), world.leadership("b")];
        const lease = await held(a, deadline());
        const before = await a.now(deadline());
        try {
          setSystemTime(new Date("2040-01-01T00:00:00Z"));
          const answer = await b.acquire(deadline());
          expect(answer).toMatchObject({ kind: "standby" });
          expect(ageMs(before, answer.now)).toBeLessThan(60_000);
          expect(await a.renew(lease, deadline())).toMatchObject({ kind: "held" });
        } finally {
          setSystemTime();
        }
      }),
    );

    test(
      "a lease that ends later than any lease can (the clock went back) is taken",
      inWorld(async (world) => {
        const [a, b] = [world.leadership("a"), world.leadership("b")];
        const lease = await held(a, deadline());
        await world.leaseEndsInMs(limits.leaseMs);
        expect(await b.acquire(deadline())).toMatchObject({ kind: "standby" });
        await world.leaseEndsInMs(3_600_000);
        expect(await b.acquire(deadline())).toMatchObject({ kind: "held" });
        expect(await a.renew(lease, deadline())).toMatchObject({ kind: "standby" });
        expect(await world.leaseLeftMs()).toBeLessThanOrEqual(limits.leaseMs);
      }),
    );

    test(
      "release() frees the lease at once; with a lost epoch it changes nothing",
      inWorld(async (world) => {
        const [a, b] = [world.leadership("a"), world.leadership("b")];
        const first = await held(a, deadline());
        await a.release(first, deadline());
        const second = await held(b, deadline());
        await a.release(first, deadline());
        expect(await a.acquire(deadline())).toMatchObject({ kind: "standby", holder: "b" });
        expect(await b.renew(second, deadline())).toMatchObject({ kind: "held" });
      }),
    );

    test(
      "P3: with a lost epoch save() and renew() change nothing, even where every row would match",
      inWorld(async (world) => {
        const [a, b] = [world.leadership("a"), world.leadership("b")];
        await world.add({ id: "w" }, { id: "never-observed" });
        const lost = await held(a, deadline());
        await world.leaseEndsInMs(-1);
        const lease = await held(b, deadline());
        await world.leaseEndsInMs(1_000);
        const later = formatInstant(instant((await a.now(deadline())) + 1_000_000));
        const writes = [write("w", { set: { mark: 1 }, observed: { containers: later } })];
        expect(await world.store.save(lost, writes, deadline())).toEqual({ kind: "lease-lost" });
        expect(await a.renew(lost, deadline())).toMatchObject({ kind: "standby" });
        expect(await world.stored("w")).toEqual({ conditions: {}, observedAt: null });
        expect(await world.leaseLeftMs()).toBeLessThanOrEqual(1_000);
        expect(await world.store.save(lease, writes, deadline())).toMatchObject({ kind: "saved" });
      }),
    );

    test(
      "save() renews the lease that it writes under",
      inWorld(async (world) => {
        await world.add({ id: "w" });
        const lease = await held(world.leadership("a"), deadline());
        await world.leaseEndsInMs(500);
        await world.store.save(lease, [write("w")], deadline());
        expect(await world.leaseLeftMs()).toBeGreaterThan(limits.leaseMs / 2);
      }),
    );

    test(
      "now() doesn't go back, and says the same time as acquire() and renew()",
      inWorld(async (world) => {
        const a = world.leadership("a");
        const stamps: Instant[] = [await a.now(deadline())];
        const acquired = await a.acquire(deadline());
        stamps.push(acquired.now, await a.now(deadline()));
        if (acquired.kind === "held") stamps.push((await a.renew(acquired.lease, deadline())).now);
        expect(stamps).toHaveLength(4);
        expect([...stamps].sort((left, right) => left - right)).toEqual(stamps);
        expect(ageMs(stamps[0]!, stamps[3]!)).toBeLessThan(60_000);
      }),
    );
  });
}
