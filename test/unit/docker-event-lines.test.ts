// The event stream's bytes become lines however they are cut, and lines hints: rather one too many than one lost.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { subjectsOf, ToldHealth } from "../../src/adapters/docker-event-lines.ts";
import { createLineSplitter } from "../../src/adapters/line-splitter.ts";
import type { Subject } from "../../src/observer/ports.ts";

/** It may be about one of ours. */
const isHint = (line: string, prefix: string): boolean => subjectsOf(line, prefix)?.length !== 0;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("createLineSplitter()", () => {
  test("finds the same lines however the bytes are cut", () => {
    const line = fc.string({ unit: "grapheme", maxLength: 30 }).map((text) => text.replaceAll("\n", " "));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat(100)), (lines, cuts) => {
        const all = bytes(lines.map((text) => `${text}\n`).join(""));
        const split = createLineSplitter();
        const found: (string | null)[] = [];
        let at = 0;
        for (const size of [...cuts, all.length]) {
          found.push(...split(all.subarray(at, at + size)));
          at += size;
        }
        // A decoder takes a byte order mark at the very start for itself.
        expect(found.map((text) => text?.replace(/^\ufeff/, ""))).toEqual(
          lines.map((text) => text.replace(/^\ufeff/, "")),
        );
      }),
    );
  });

  test("a line that is too long is told once and not kept, and the next ones are found", () => {
    const split = createLineSplitter(10);
    expect(split(bytes("short\n"))).toEqual(["short"]);
    expect(split(bytes("12345678901"))).toEqual([null]);
    expect(split(bytes("more".repeat(1_000)))).toEqual([]);
    expect(split(bytes("end\nnext\nlast"))).toEqual(["next"]);
    expect(split(bytes("\n"))).toEqual(["last"]);
    expect(split(bytes(`${"x".repeat(11)}\n${"y".repeat(11)}\nz\n`))).toEqual([null, null, "z"]);
  });
});

describe("isHint()", () => {
  const line = (Type: string, Action: string, ID: string, Attributes: Record<string, string> = {}) =>
    JSON.stringify({ status: Action, Type, Action, Actor: { ID, Attributes }, timeNano: 2 ** 60 });
  const of = (action: string, name = "ws-a") => line("container", action, "f00", { name, image: "i" });

  test.each([
    "create",
    "start",
    "die",
    "stop",
    "restart",
    "pause",
    "unpause",
    "destroy",
    "health_status: healthy",
  ])("%s of a workspace's container", (action) => {
    expect(isHint(of(action), "ws-")).toBe(true);
    expect(isHint(of(action, "xws-a"), "ws-")).toBe(false);
    expect(isHint(of(action, "other"), "ws-")).toBe(false);
  });

  test.each([
    "exec_create: sh -c true",
    "exec_start: sh",
    "exec_die",
    "exec_detach",
    "top",
    "attach",
    "detach",
    "resize",
    "kill",
    "update",
    "commit",
    "copy",
    "export",
  ])("%s changes no listing", (action) => expect(isHint(of(action), "ws-")).toBe(false));

  test("a rename counts for both names", () => {
    const rename = (oldName: string, name: string) => line("container", "rename", "f", { name, oldName });
    expect(isHint(rename("/ws-a", "other"), "ws-")).toBe(true);
    expect(isHint(rename("/other", "ws-a"), "ws-")).toBe(true);
    expect(isHint(rename("/other", "another"), "ws-")).toBe(false);
  });

  test("volumes are made and removed; mounting them changes no listing", () => {
    for (const action of ["create", "destroy"]) {
      expect(isHint(line("volume", action, "ws-a-home"), "ws-")).toBe(true);
      expect(isHint(line("volume", action, "ws-a"), "ws-")).toBe(false);
      expect(isHint(line("volume", action, "xws-a-home"), "ws-")).toBe(false);
    }
    expect(isHint(line("volume", "mount", "ws-a-home"), "ws-")).toBe(false);
    expect(isHint(line("volume", "unmount", "ws-a-home"), "ws-")).toBe(false);
  });

  test("who it is about is told, and which container: a rename is about two, and one that is not told is about anybody", () => {
    const a = { workspace: "a", containerId: "f00" } as unknown as Subject;
    expect(subjectsOf(of("die"), "ws-")).toEqual([a]);
    expect(subjectsOf(line("volume", "destroy", "ws-a-home"), "ws-")).toEqual([{ ...a, containerId: null }]);
    const rename = line("container", "rename", "f00", { name: "ws-a", oldName: "/ws-b" });
    expect(subjectsOf(rename, "ws-")).toEqual([a, { ...a, workspace: "b" as Subject["workspace"] }]);
    expect(subjectsOf(line("container", "die", "f00"), "ws-")).toBeNull();
    expect(subjectsOf('{"Type":"volume","Action":"create"}', "ws-")).toBeNull();
  });

  describe("as Podman tells them", () => {
    const health = (status: string, id = "f00") =>
      JSON.stringify({
        Type: "container",
        Action: "health_status",
        Actor: { ID: id, Attributes: { name: "ws-a" } },
        HealthStatus: status,
      });

    test("a volume is named where a container's name would be", () => {
      const of = (name: string) => subjectsOf(line("volume", "create", "", { name }), "ws-");
      expect(of("ws-a-home")).toEqual([{ workspace: "a", containerId: null }] as unknown as Subject[]);
      expect(of("other")).toEqual([]);
    });

    test("a rename that doesn't tell the old name is about anybody", () => {
      expect(subjectsOf(line("container", "rename", "f00", { name: "other" }), "ws-")).toBeNull();
    });

    test("of its health checks only one that tells something new is a hint", () => {
      const told = new ToldHealth();
      const count = (text: string) => subjectsOf(text, "ws-", told)?.length;
      const said = ["starting", "healthy", "healthy", "unhealthy", "unhealthy", "healthy"];
      expect(said.map((status) => count(health(status)))).toEqual([1, 1, 0, 1, 0, 1]);
      expect(count(health("healthy", "f01"))).toBe(1);
      expect(count(health("healthy"))).toBe(0);
      // Started anew it is healthy anew, and so it is when nobody listened meanwhile.
      expect(count(of("start"))).toBe(1);
      expect(count(health("healthy"))).toBe(1);
      told.forgetAll();
      expect(count(health("healthy"))).toBe(1);
      // An Engine that tells of changes alone names them in the action.
      const docker = of("health_status: healthy");
      expect([count(docker), count(docker)]).toEqual([1, 1]);
    });
  });

  test("what can't be understood is a hint; what surely is about something else is not", () => {
    for (const text of [
      "x",
      "{",
      "null",
      "[]",
      "{}",
      '{"Type":"container"}',
      '{"Type":"container","Action":"start"}',
    ]) {
      expect(isHint(text, "ws-")).toBe(true);
    }
    expect(isHint(of("an action of tomorrow"), "ws-")).toBe(true);
    expect(isHint(line("volume", "prune", "", { reclaimed: "0" }), "ws-")).toBe(false);
    expect(isHint(line("network", "create", "ws-a"), "ws-")).toBe(false);
    expect(isHint("", "ws-")).toBe(false);
    expect(isHint("\r", "ws-")).toBe(false);
  });

  test("any line at all is a hint or is not", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(typeof isHint(text, "ws-")).toBe("boolean");
      }),
    );
  });
});
