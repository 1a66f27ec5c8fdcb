/**
 * Goal: who leads keeps the lease alive beside the loop, and lets go of it when the loop hangs.
 * Method: the keeper on virtual time, a lease that counts its renewals, a loop that hangs on request.
 */
import { expect, test } from "bun:test";
import { LeaseKeeper } from "../../../src/observer/lease-keeper.ts";
import { Link } from "../../../src/observer/link.ts";
import type { Leadership } from "../../../src/observer/ports.ts";
import { Timeline, VirtualClock } from "../../simulation/clock.ts";
import { stampOf } from "./support.ts";

test("P9: a loop that hangs lets its lease expire, says so once, and renews it again when it goes on", () => {
  const timeline = new Timeline();
  const clock = new VirtualClock(timeline);
  const said: string[] = [];
  const say = (event: string) => void said.push(event);
  const log = { debug: say, info: say, warn: say, error: say };
  const lease = { scope: "s", holder: "me", epoch: 1 };
  let renewals = 0;
  let isProgressing = true;
  const leadership = {
    acquire: async () => ({ kind: "held", lease, now: stampOf(0), known: { engine: null, archives: null } }),
    renew: async () => {
      renewals += 1;
      return { kind: "held", lease, now: stampOf(0), known: { engine: null, archives: null } };
    },
  } as unknown as Leadership;
  const keeper = new LeaseKeeper({
    clock,
    leadership,
    timeoutMs: 1_000,
    log,
    database: new Link("database", clock, log, ""),
    onLost: () => {},
    isProgressing: () => isProgressing,
  });
  const stop = new AbortController();
  void keeper.ask(stop.signal);
  timeline.advance(10);
  void keeper.keep(stop.signal);

  timeline.advance(10_000);
  const before = renewals;
  expect(before).toBeGreaterThanOrEqual(3);
  isProgressing = false;
  timeline.advance(20_000);
  expect(renewals).toBe(before);
  expect(said.filter((event) => event === "lease.not_renewed")).toHaveLength(1);
  expect(keeper.role).toBe("disconnected");
  isProgressing = true;
  timeline.advance(5_000);
  expect(renewals).toBeGreaterThan(before);
  expect(keeper.role).toBe("leader");
  stop.abort();
});
