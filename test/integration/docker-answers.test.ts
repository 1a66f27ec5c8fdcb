// What an Engine may legally answer, and what it is asked: versions, filters, nulls, texts the database would refuse.
//
// Method: a server that says word for word what each test wants, on a unix socket.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createDockerEngine } from "../../src/adapters/docker.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import { deadline } from "../contract/engine-support.ts";
import {
  containerJson,
  failureOf,
  http,
  ID,
  json,
  type ScriptedEngine,
  startScriptedEngine,
  versionAnswer,
} from "./docker-scripted-engine.ts";

const FILTER = "filters=%7B%22name%22%3A%5B%22ws-%22%5D%7D";

let server: ScriptedEngine;
let engine: ReturnType<typeof createDockerEngine>;

const listContainers = () => engine.listAll("ws-", { signal: deadline() });
const listVolumes = () => engine.listVolumes("ws-", { signal: deadline() });

describe("what is legal", () => {
  beforeAll(async () => {
    server = await startScriptedEngine();
    engine = createDockerEngine({ endpoint: server.endpoint });
  });
  afterAll(() => server.stop());

  test("null and empty names (being removed), null volumes, empty and missing warnings", async () => {
    server.script("/containers/json", json([containerJson({ Names: null }), containerJson({ Names: [] })]));
    expect((await listContainers()).byWorkspace.size).toBe(0);
    for (const answer of [
      { Volumes: null, Warnings: null },
      { Volumes: [], Warnings: [] },
      { Volumes: null },
    ]) {
      server.script("/volumes", json(answer));
      expect((await listVolumes()).byWorkspace.size).toBe(0);
    }
  });

  test("texts that the database would refuse are made storable", async () => {
    server.script("/containers/json", json([containerJson({ State: "Odd\0\ud800", Image: "i\0\udfff" })]));
    server.script("/volumes", json({ Volumes: [{ Name: "ws-a-home", Driver: "d\0" }] }));
    expect([...(await listContainers()).byWorkspace.values()]).toEqual([
      {
        state: "odd\ufffd\ufffd",
        health: "none",
        exitCode: null,
        containerId: ID.slice(0, 12),
        image: "i\ufffd\ufffd",
      },
    ]);
    expect([...(await listVolumes()).byWorkspace.values()]).toEqual([
      { name: "ws-a-home", driver: "d\ufffd" },
    ]);
  });

  test("one call each, all states, at the negotiated version", async () => {
    server.script("/containers/json", json([]));
    server.script("/volumes", json({ Volumes: null }));
    const fresh = createDockerEngine({ endpoint: server.endpoint });
    const before = server.requests.length;
    for (let look = 0; look < 2; look++) {
      await fresh.listAll("ws-", { signal: deadline() });
      await fresh.listVolumes("ws-", { signal: deadline() });
    }
    const lists = ["/v1.41/containers/json?all=1", `/v1.41/volumes?${FILTER}`];
    expect(server.requests.slice(before)).toEqual(["/version", ...lists, ...lists]);
  });

  test("containers are filtered, loosely, while there are strangers to leave out", async () => {
    const strangers = (count: number) =>
      Array.from({ length: count }, (_, i) =>
        containerJson({ Id: ID.replace("6", `${i}`), Names: [`/db-${i}`] }),
      );
    const fresh = createDockerEngine({ endpoint: server.endpoint });
    const list = () => fresh.listAll("ws-", { signal: deadline() });
    const asked = async (times: number) => {
      const before = server.requests.length;
      for (let look = 0; look < times; look++) expect((await list()).byWorkspace.size).toBe(1);
      return server.requests
        .slice(before)
        .filter((path) => path.includes("/containers/"))
        .map((path) => path.includes(FILTER));
    };
    server.script("/containers/json", json([containerJson(), ...strangers(2)]));
    expect(await asked(4)).toEqual([false, true, true, true]);
    server.script("/containers/json", json([containerJson()]));
    const later = await asked(60);
    // Now and then it is looked whether they are still there.
    expect(later.filter((isFiltered) => !isFiltered).length).toBeGreaterThan(0);
    expect(later.at(-1)).toBe(false);
  });

  test("the very bytes of the last answer mean the very same; one byte more and all is read anew", async () => {
    server.script("/containers/json", json([containerJson()]));
    const first = await listContainers();
    const few = await engine.listAll("ws-", { only: new Set(["b" as WorkspaceId]), signal: deadline() });
    expect(few.byWorkspace.size).toBe(0);
    expect(await listContainers()).toBe(first);

    server.script(
      "/containers/json",
      json([containerJson({ State: "paused", Status: "Up 1 hour (Paused)" })]),
    );
    const paused = await listContainers();
    expect([...paused.byWorkspace.values()]).toMatchObject([{ state: "paused" }]);

    server.script("/containers/json", json([]));
    expect((await listContainers()).byWorkspace.size).toBe(0);
    expect(await engine.listAll("ws-a", { signal: deadline() })).not.toBe(paused);
  });

  test("an answer that is refused is refused again", async () => {
    server.script("/containers/json", json([containerJson({ State: "" })]));
    await failureOf(listContainers());
    await failureOf(listContainers());
  });

  describe("what events named", () => {
    const BY_ID = JSON.stringify({ id: [ID], name: ["ws-a"] });
    const BY_NAME = JSON.stringify({ name: ["ws-a"] });
    const OTHER_ID = `1${ID.slice(1)}`;
    const BY_OTHER_ID = JSON.stringify({ id: [OTHER_ID], name: ["ws-a"] });
    const lists = (path: string, filters: string) =>
      new URL(path, "http://engine").searchParams.get("filters") === filters;

    async function glance(inspect: Buffer | null, answers: Readonly<Record<string, unknown>>) {
      const fresh = createDockerEngine({ endpoint: server.endpoint });
      server.script("/containers/ws-a/json", inspect ?? json({ message: "not asked for" }, 500));
      server.script("/containers/json", (socket) => {
        const path = server.requests.at(-1)!;
        const answer = Object.entries(answers).find(([filters]) => lists(path, filters))?.[1];
        socket.write(json(answer ?? []));
      });
      const before = server.requests.length;
      const only = new Set(["a" as WorkspaceId]);
      const { byWorkspace } = await fresh.listAll("ws-", { only, named: new Set([ID]), signal: deadline() });
      const asked = server.requests.slice(before).flatMap((path) => {
        const { pathname, searchParams } = new URL(path, "http://engine");
        const filters = searchParams.get("filters");
        if (filters !== null) return filters;
        return pathname.endsWith("/ws-a/json") ? "inspect" : [];
      });
      return { found: byWorkspace.get("a" as WorkspaceId)?.containerId, asked };
    }

    test("is asked for by its id", async () => {
      const { found, asked } = await glance(null, { [BY_ID]: [containerJson()] });
      expect(found).toBe(ID.slice(0, 12));
      expect(asked).toEqual([BY_ID]);
    });

    test("P1: is absent when its id isn't listed and the Engine knows nobody by its name", async () => {
      const { found, asked } = await glance(json({ message: "No such container: ws-a" }, 404), {});
      expect(found).toBeUndefined();
      expect(asked).toEqual([BY_ID, "inspect"]);
    });

    test("has its name by another id now", async () => {
      const { found, asked } = await glance(json({ Id: OTHER_ID, Name: "/ws-a" }), {
        [BY_OTHER_ID]: [containerJson({ Id: OTHER_ID })],
      });
      expect(found).toBe(OTHER_ID.slice(0, 12));
      expect(asked).toEqual([BY_ID, "inspect", BY_OTHER_ID]);
    });

    test.each([
      ["a 404 in other words", json({ message: "page not found" }, 404)],
      ["a 404 about somebody else", json({ message: "No such container: ws-ab" }, 404)],
      ["a 404 without a form", http(404, "No such container: ws-a")],
      ["the Engine's words with another status", json({ message: "No such container: ws-a" }, 403)],
      ["another shape", json({ Names: ["/ws-a"] })],
      ["somebody else, whose id begins like that", json({ Id: OTHER_ID, Name: "/ws-other" })],
      ["one that is gone by the time of the list", json({ Id: OTHER_ID, Name: "/ws-a" })],
    ])("P1: %s proves nothing, a list by names does", async (_, inspect) => {
      const { found, asked } = await glance(inspect, { [BY_NAME]: [containerJson()] });
      expect(found).toBe(ID.slice(0, 12));
      expect(asked.at(-1)).toBe(BY_NAME);
    });
  });

  test("a targeted look at nothing asks nothing", async () => {
    const before = server.requests.length;
    const look = { signal: deadline(), only: new Set<never>() };
    expect((await engine.listAll("ws-", look)).byWorkspace.size).toBe(0);
    expect((await engine.listVolumes("ws-", look)).byWorkspace.size).toBe(0);
    expect(server.requests.length).toBe(before);
  });

  test("after a failure the version is negotiated anew: the Engine may be another one", async () => {
    server.script("/version", versionAnswer("1.41"));
    server.script("/containers/json", json([]));
    engine = createDockerEngine({ endpoint: server.endpoint });
    await listContainers();
    server.script("/version", versionAnswer("1.60", "1.44", "30.0"));
    server.script("/containers/json", json({ message: "client version 1.41 is too old" }, 400));
    expect((await failureOf(listContainers())).message).toContain(
      'answered 400 "client version 1.41 is too old"',
    );
    server.script(
      "/containers/json",
      json([
        containerJson({
          Status: "Up 5 minutes (unhealthy)",
          Health: { Status: "healthy", FailingStreak: 0 },
        }),
      ]),
    );
    const before = server.requests.length;
    expect([...(await listContainers()).byWorkspace.values()]).toMatchObject([{ health: "healthy" }]);
    expect(server.requests.slice(before)).toEqual([
      "/version",
      expect.stringContaining("/v1.52/containers/json"),
    ]);
  });
});
