// sharedHints(). Goal: one connection serves all loops of a process, as long as any of them listens, and a hint that names a
// host wakes that one alone. Method: a source by hand.
import { expect, test } from "bun:test";
import type { HintListener, HintSource, Subject } from "../../../src/observer/ports.ts";
import { hostOfHint, sharedHints } from "../../../src/observer/shared-hints.ts";

function setUp() {
  const heard: string[] = [];
  const source = { listener: null as HintListener | null, connections: 0 };
  const shared: HintSource = {
    listen(listener, signal) {
      source.listener = listener;
      source.connections += 1;
      return new Promise((resolve) =>
        signal.addEventListener("abort", () => {
          source.listener = null;
          resolve();
        }),
      );
    },
  };
  const hintsFor = sharedHints(shared);
  const listen = (name: string, hosts: readonly string[]) => {
    const stop = new AbortController();
    const note = (what: string) => () => void heard.push(`${name} ${what}`);
    const listener = {
      onHint: (subjects?: readonly Subject[]) => void heard.push(`${name} hint${subjects?.length ?? ""}`),
      onUp: note("up"),
      onDown: note("down"),
    };
    const ended = hintsFor(hosts).listen(listener, stop.signal);
    return () => {
      stop.abort();
      return ended;
    };
  };
  const taken = () => heard.splice(0);
  return { source, listen, taken };
}

test("A hint for one host reaches that one and who is for several; any other reaches all", () => {
  const { source, listen, taken } = setUp();
  listen("a", ["vm-1"]);
  listen("b", ["vm-2"]);
  listen("table", ["vm-1", "vm-2"]);
  const say = (payload: string) => source.listener?.onHint(undefined, hostOfHint(payload));
  const toldBy = (payload: string) => {
    say(payload);
    return taken();
  };
  expect(toldBy("host:vm-2")).toEqual(["b hint", "table hint"]);
  expect(toldBy("host:vm-22")).toEqual([]);
  expect(toldBy("host:")).toEqual([]);
  for (const payload of ["", "vm-2", "whatever"])
    expect(toldBy(payload)).toEqual(["a hint", "b hint", "table hint"]);
  expect(source.connections).toBe(1);
});

test("Who comes later hears that it is up; the connection ends with the last, and begins anew", async () => {
  const { source, listen, taken } = setUp();
  const endA = listen("a", []);
  source.listener?.onUp();
  const endB = listen("b", []);
  expect(taken()).toEqual(["a up", "b up"]);
  source.listener?.onDown(new Error("gone"));
  const endC = listen("c", []);
  expect(taken()).toEqual(["a down", "b down"]);
  await endA();
  source.listener?.onUp();
  expect(taken()).toEqual(["b up", "c up"]);
  await Promise.all([endB(), endC()]);
  expect(source.listener).toBeNull();
  listen("d", []);
  expect([source.connections, taken()]).toEqual([2, []]);
});
