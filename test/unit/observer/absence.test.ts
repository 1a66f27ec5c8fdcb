/**
 * Goal: a torn pair is looked at again and published only if it was true; sudden emptiness needs confirmation.
 * Method: pairs and listings by hand, and an engine that answers from a script.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  isSuspicious,
  judgeEmptiness,
  lookAgain,
  noSuspicion,
  type Pair,
} from "../../../src/observer/absence.ts";
import type { WorkspaceId } from "../../../src/observer/names.ts";
import type { ContainerSeen, Look, VolumeSeen } from "../../../src/observer/ports.ts";
import { container, guardConfig, id, ids, listing, row, volume } from "./support.ts";

const signal = new AbortController().signal;

describe("P5: isSuspicious()", () => {
  test("a container without its volume is suspect; of a row that says nothing yet, every other pair is not", () => {
    expect(isSuspicious(row("a"), { container: container(), volume: undefined })).toBe(true);
    expect(isSuspicious(row("a"), { container: container({ state: "exited" }), volume: undefined })).toBe(
      true,
    );
    expect(isSuspicious(row("a"), { container: container(), volume: volume() })).toBe(false);
    expect(isSuspicious(row("a"), { container: undefined, volume: volume() })).toBe(false);
    expect(isSuspicious(row("a"), { container: undefined, volume: undefined })).toBe(false);
  });

  test("what the row says already of this very container was looked at twice", () => {
    const pair = { container: container(), volume: undefined };
    const says = (containerId: string, stored: null | { exists: boolean }) =>
      row("a", { container: { container_id: containerId }, volume: stored });
    expect(isSuspicious(says(container().containerId, null), pair)).toBe(false);
    expect(isSuspicious(says("000000000000", null), pair)).toBe(true);
    expect(isSuspicious(says(container().containerId, { exists: true }), pair)).toBe(true);
    expect(isSuspicious(row("a", { container: { container_id: container().containerId } }), pair)).toBe(true);
  });

  test("two changes at once may have passed one another, one change can't", () => {
    const same = { container_id: container().containerId };
    const other = { container_id: "000000000000" };
    const exists = { exists: true };
    const both = { container: container(), volume: volume() };
    const none = { container: undefined, volume: undefined };
    expect(isSuspicious(row("a", { container: null, volume: null }), both)).toBe(true);
    expect(isSuspicious(row("a", { container: same, volume: null }), both)).toBe(false);
    expect(isSuspicious(row("a", { container: null, volume: exists }), both)).toBe(false);
    expect(isSuspicious(row("a", { container: other, volume: null }), both)).toBe(true);
    expect(isSuspicious(row("a", { container: same, volume: exists }), none)).toBe(true);
    expect(isSuspicious(row("a", { container: null, volume: exists }), none)).toBe(false);
    expect(
      isSuspicious(row("a", { container: same, volume: null }), { container: undefined, volume: volume() }),
    ).toBe(true);
    expect(isSuspicious(row("a", { container: null, volume: null }), none)).toBe(false);
  });
});

/** What the first look showed of each: a container without its volume, unless it says otherwise. */
const suspects = (...names: string[]): ReadonlyMap<WorkspaceId, Pair> =>
  new Map(names.map((name) => [id(name), { container: container(), volume: undefined }]));

/** Answers from the script in turn; the last entry repeats. */
function scripted(containers: [string, ContainerSeen][][], volumes: [string, VolumeSeen][][]) {
  const calls: string[] = [];
  const asked: (ReadonlySet<WorkspaceId> | undefined)[] = [];
  const next = <T>(script: T[]) => (script.length > 1 ? script.shift()! : script[0]!);
  return {
    calls,
    asked,
    async listAll(_: string, look: Look) {
      calls.push("containers");
      asked.push(look.only);
      return listing(next(containers));
    },
    async listVolumes() {
      calls.push("volumes");
      return listing(next(volumes));
    },
  };
}

describe("P5: lookAgain()", () => {
  test("container, volume, container: settled when the container is the same on both sides", async () => {
    const engine = scripted([[["a", container()]]], [[["a", volume()]]]);
    const settled = await lookAgain(engine, "ws-", suspects("a"), signal);
    expect(settled.get(id("a"))).toEqual({ container: container(), volume: volume() });
    expect(engine.calls).toEqual(["containers", "volumes", "containers"]);
    expect(engine.asked[0]).toEqual(new Set([id("a")]));
  });

  test("a container that really has no volume is settled as that", async () => {
    const engine = scripted([[["a", container()]]], [[]]);
    const settled = await lookAgain(engine, "ws-", suspects("a"), signal);
    expect(settled.get(id("a"))).toEqual({ container: container(), volume: undefined });
  });

  test("what still moves after three rounds is left out, and only that is asked for again", async () => {
    let turn = 0;
    const engine = scripted([], [[]]);
    engine.listAll = async (_, look) => {
      engine.asked.push(look.only);
      return listing([
        ["a", container({ containerId: `id${turn++}` })],
        ["b", container()],
      ]);
    };
    const settled = await lookAgain(engine, "ws-", suspects("a", "b"), signal);
    expect([...settled.keys()]).toEqual([id("b")]);
    expect(engine.asked).toHaveLength(6);
    expect(engine.asked[5]).toEqual(new Set([id("a")]));
  });

  for (const [what, change] of [
    ["state", { state: "exited" }],
    ["health", { health: "healthy" }],
    ["exit code", { exitCode: 1 }],
    ["identity", { containerId: "000000000000" }],
  ] as const) {
    test(`another ${what} on the other side is movement`, async () => {
      const before: [string, ContainerSeen][] = [["a", container()]];
      const after: [string, ContainerSeen][] = [["a", container(change as Partial<ContainerSeen>)]];
      const engine = scripted([before, after, before, after, before, after], [[]]);
      expect((await lookAgain(engine, "ws-", suspects("a"), signal)).size).toBe(0);
    });
  }

  test("P7: what only now turns out to be gone is left to the next whole listing", async () => {
    const engine = scripted([[]], [[]]);
    expect((await lookAgain(engine, "ws-", suspects("a"), signal)).size).toBe(0);
    const had = new Map([[id("a"), { container: undefined, volume: volume() }]]);
    expect((await lookAgain(engine, "ws-", had, signal)).size).toBe(0);
  });

  test("an absence that the first look showed too is settled", async () => {
    const engine = scripted([[]], [[]]);
    const gone = new Map([[id("a"), { container: undefined, volume: undefined }]]);
    expect((await lookAgain(engine, "ws-", gone, signal)).get(id("a"))).toEqual({
      container: undefined,
      volume: undefined,
    });
  });
});

describe("P7: judgeEmptiness()", () => {
  const judge = (
    presentCount: number,
    missing: number,
    before = noSuspicion,
    nowMs = 0,
    config = guardConfig,
  ) => judgeEmptiness(presentCount, ids(missing), before, nowMs, config);

  test("needs both the least number and more than the share", () => {
    expect(judge(4, 4).held).toHaveLength(0);
    expect(judge(5, 5).held).toHaveLength(5);
    expect(judge(10, 5).held).toHaveLength(0);
    expect(judge(10, 6).held).toHaveLength(6);
    expect(judge(10, 10, noSuspicion, 0, { ...guardConfig, enabled: false }).held).toHaveLength(0);
  });

  test("is believed after three observations in a row over ten seconds", () => {
    const first = judge(10, 10, noSuspicion, 0);
    const second = judge(10, 10, first.suspicion, 10_000);
    const third = judge(10, 10, second.suspicion, 10_001);
    expect([first, second, third].map(({ held }) => held.length)).toEqual([10, 10, 0]);
  });

  test("three quick observations are not ten seconds", () => {
    let suspicion = noSuspicion;
    for (let seen = 0; seen < 40; seen++) {
      const verdict = judge(10, 10, suspicion, seen * 250);
      expect(verdict.held).toHaveLength(10);
      suspicion = verdict.suspicion;
    }
    expect(judge(10, 10, suspicion, 10_000).held).toHaveLength(0);
  });

  test("one full listing in between starts it all over", () => {
    const first = judge(10, 10, noSuspicion, 0);
    const second = judge(10, 0, first.suspicion, 10_000);
    expect(second.suspicion.size).toBe(0);
    expect(judge(10, 10, second.suspicion, 20_000).held).toHaveLength(10);
  });

  test("each absence is confirmed for itself: what joins late has been seen once", () => {
    const first = judge(10, 6, noSuspicion, 0);
    const second = judge(10, 6, first.suspicion, 6_000);
    const third = judge(10, 10, second.suspicion, 12_000);
    expect(third.held).toEqual(ids(10).slice(6));
  });

  test("whatever is believed at once is less than the guard asks for", () => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(50), (present, some) => {
        const missing = Math.min(present, some);
        const { held } = judge(present, missing);
        expect(held.length === missing || missing < guardConfig.min || missing <= present / 2).toBe(true);
      }),
    );
  });
});
