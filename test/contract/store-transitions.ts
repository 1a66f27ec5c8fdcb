// Goal: what changed is kept by the very commit that changed it: a transition is there exactly when its row was written.
// Method: rows that are written, locked, fenced and gone in one statement; part of the suite of store.ts.
import { describe, expect, test } from "bun:test";
import { formatInstant, type Instant, instant } from "../../src/observer/instant.ts";
import type { Transition } from "../../src/observer/ports.ts";
import { deadline } from "./engine-support.ts";
import { held, type StoreWorld, write } from "./store-support.ts";

export function transitionsContract(
  name: string,
  inWorld: (run: (world: StoreWorld) => Promise<void>) => () => Promise<void>,
): void {
  const started = (at: Instant): Transition => ({
    key: "container",
    from: { reason: "unknown", message: "" },
    to: { reason: "Running", message: "running “well” 🦊 \\ \u2028" },
    at,
    details: { container_id: "98781810ea4c", exit_code: null, nested: { a: [1, "it's"] } },
  });
  const gone = (at: Instant): Transition => ({
    key: "volume",
    from: { reason: "VolumeExists", message: "volume ws-w-home exists" },
    to: { reason: "absent", message: "" },
    at,
    details: {},
  });

  describe(`transitions on ${name}`, () => {
    test(
      "save() keeps what the rows that it wrote changed, as it was given",
      inWorld(async (world) => {
        await world.add({ id: "w" }, { id: "it's 🦊" }, { id: "unchanged" });
        const lease = await held(world.leadership("a"), deadline());
        const now = await world.leadership("a").now(deadline());
        const at = instant(now - 1);
        await world.store.save(
          lease,
          [
            write("w", { transitions: [started(at), gone(at)] }),
            write("it's 🦊", { transitions: [gone(now)] }),
            write("unchanged"),
          ],
          deadline(),
        );
        const { at: _, key: __, ...rest } = started(at);
        const kept = await world.transitions();
        expect(kept).toHaveLength(3);
        expect(kept).toContainEqual({
          at: formatInstant(at),
          workspace_id: "w",
          condition: "container",
          from_reason: rest.from.reason,
          to_reason: rest.to.reason,
          message: rest.to.message,
          details: rest.details,
          instance: "a",
        });
        expect(kept.map(({ workspace_id, condition }) => [workspace_id, condition]).sort()).toEqual([
          ["it's 🦊", "volume"],
          ["w", "container"],
          ["w", "volume"],
        ]);
      }),
    );

    test(
      "what is locked, fenced or gone leaves no transition, and neither does a lease that was lost",
      inWorld(async (world) => {
        const lease = await held(world.leadership("a"), deadline());
        const now = await world.leadership("a").now(deadline());
        const [older, newer] = [formatInstant(instant(now - 2_000_000)), formatInstant(instant(now - 1))];
        await world.add({ id: "locked" }, { id: "w" });
        await world.add({ id: "fenced", conditions: { observed: { containers: newer } } });
        const unlock = await world.lock("locked");
        const writes = ["locked", "fenced", "gone", "w"].map((row) =>
          write(row, { observed: { containers: older }, transitions: [started(now)] }),
        );
        const outcome = await world.store.save(lease, writes, deadline());
        expect(outcome).toMatchObject({ kind: "saved", fenced: ["fenced"] });
        await unlock();
        expect((await world.transitions()).map((one) => one.workspace_id)).toEqual(["w"]);

        await world.leaseEndsInMs(-1);
        await held(world.leadership("b"), deadline());
        expect(await world.store.save(lease, writes, deadline())).toEqual({ kind: "lease-lost" });
        expect(await world.transitions()).toHaveLength(1);
      }),
    );
  });
}
