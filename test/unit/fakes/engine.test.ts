/**
 * Goal: the simulated Engine speaks dockerd's protocol, so that what passes against it may be trusted elsewhere.
 * Method: plain fetch over a unix socket (and once over tcp); the expected shapes and texts were compared with a real
 * Engine 20.10.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { type FakeEngine, startEngine } from "../../../dev/fakes/engine.ts";
import { EngineWorld } from "../../../dev/fakes/engine-world.ts";
import { failure, temporaryFolder } from "./helpers.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let engine: FakeEngine;
const clock = { nowMs: 0 };

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());
beforeEach(async () => {
  clock.nowMs = 1_800_000_000_000;
  const world = new EngineWorld({ nowMs: () => clock.nowMs });
  engine = await startEngine({ listen: { unixPath: `${folder.path}/d.sock` }, world });
});
afterEach(() => engine.stop());

function get(path: string): Promise<Response> {
  return fetch(`http://docker${path}`, { unix: `${folder.path}/d.sock`, redirect: "manual" });
}
// biome-ignore lint/suspicious/noExplicitAny: answers are checked by their tests
async function getJson(path: string): Promise<any> {
  return JSON.parse(await (await get(path)).text());
}
function filters(value: Record<string, unknown>): string {
  return `filters=${encodeURIComponent(JSON.stringify(value))}`;
}
async function names(query: string): Promise<string[]> {
  const list: Array<{ Names: string[] }> = await getJson(`/v1.41/containers/json?${query}`);
  return list.map((container) => container.Names[0]!);
}

test("GET /_ping, /version and /info say who answers", async () => {
  const ping = await get("/_ping");
  expect(await ping.text()).toBe("OK");
  expect(ping.headers.get("api-version")).toBe("1.41");
  expect(await getJson("/version")).toMatchObject({ ApiVersion: "1.41", MinAPIVersion: "1.12", Os: "linux" });
  const info = await getJson("/v1.41/info");
  expect(info.ID).toMatch(/^([A-Z2-7]{4}:){11}[A-Z2-7]{4}$/);
  expect(info.OperatingSystem).toBe("Simulated Docker Engine");
});

test("GET /containers/json has the list's fields", async () => {
  const { id } = engine.world.createContainer({
    name: "ws-a",
    volume: "ws-a-home",
    image: "code:1",
    command: ["sh", "-c", "sleep 9"],
    labels: { app: "ws" },
    health: "healthy",
  });
  engine.world.start("ws-a");
  engine.world.addAlias("ws-a", "ws-b", "other");
  clock.nowMs += 5 * 60_000;
  const list = await getJson("/v1.41/containers/json?all=1");
  expect(list).toHaveLength(1);
  expect(list[0]).toMatchObject({
    Id: id,
    Names: ["/ws-a", "/ws-b/other"],
    Image: "code:1",
    Command: "sh -c 'sleep 9'",
    Created: 1_800_000_000,
    Ports: [],
    Labels: { app: "ws" },
    State: "running",
    Status: "Up 5 minutes (healthy)",
  });
  expect(list[0].Mounts[0]).toMatchObject({ Type: "volume", Name: "ws-a-home", RW: true });
  expect(list[0]).not.toHaveProperty("Health");
});

test("containers are listed newest first, stopped ones only with all", async () => {
  for (const name of ["ws-a", "ws-b", "ws-c"]) engine.world.createContainer({ name });
  engine.world.start("ws-b");
  expect(await names("")).toEqual(["/ws-b"]);
  expect(await names("all=0")).toEqual(["/ws-b"]);
  expect(await names("all=true")).toEqual(["/ws-c", "/ws-b", "/ws-a"]);
  expect(await names("limit=2")).toEqual(["/ws-c", "/ws-b"]);
});

test("container filters mean what they mean to dockerd", async () => {
  const a = engine.world.createContainer({ name: "ws-a", labels: { app: "ws", tier: "1" }, volume: "vol" });
  engine.world.createContainer({ name: "news-b", labels: { app: "other" } });
  engine.world.start("news-b");
  engine.world.addAlias("news-b", "x", "ws-z");
  for (const [wanted, found] of [
    [{ name: ["ws-"] }, ["/news-b", "/ws-a"]],
    [{ name: ["^/ws-"] }, ["/ws-a"]],
    [{ name: ["^ws-"] }, ["/ws-a"]],
    [{ name: { "ws-a$": true } }, ["/ws-a"]],
    [{ name: ["ws-z"] }, []],
    [{ name: ["["] }, []],
    [{ id: [a.id.slice(0, 6)] }, ["/ws-a"]],
    [{ id: [a.id.slice(1, 9)] }, []],
    [{ label: ["app"] }, ["/news-b", "/ws-a"]],
    [{ label: ["app=ws", "tier=1"] }, ["/ws-a"]],
    [{ label: ["app=ws", "tier=2"] }, []],
    [{ volume: ["vol"] }, ["/ws-a"]],
    [{ status: ["created", "paused"] }, ["/ws-a"]],
    [{ health: ["none"] }, ["/news-b", "/ws-a"]],
  ] as Array<[Record<string, unknown>, string[]]>) {
    expect([wanted, await names(`all=1&${filters(wanted)}`)]).toEqual([wanted, found]);
  }
});

test.each([
  ["/v1.42/containers/json", 400, "client version 1.42 is too new. Maximum supported API version is 1.41"],
  ["/v1.41/containers/nope/json", 404, "No such container: nope"],
  ["/v1.41/volumes/nope", 404, "get nope: no such volume"],
  [`/v1.41/containers/json?${filters({ nope: ["x"] })}`, 400, "Invalid filter 'nope'"],
  [`/v1.41/containers/json?${filters({ status: ["x"] })}`, 400, "Invalid filter 'status=x'"],
  [`/v1.41/volumes?${filters({ nope: ["x"] })}`, 400, "Invalid filter 'nope'"],
  ["/v1.41/containers/json?limit=x", 500, 'strconv.Atoi: parsing "x": invalid syntax'],
  ["/v1.41/events?since=x", 500, 'strconv.ParseInt: parsing "x": invalid syntax'],
  ["/v1.41/nope", 404, "page not found"],
])("GET %s is refused with %p", async (path, status, message) => {
  const response = await get(path);
  expect(response.status).toBe(status);
  expect(JSON.parse(await response.text())).toEqual({ message });
});

test("a client too old for JSON errors gets text, and writing is refused aloud", async () => {
  expect(await (await get("/v1.11/info")).text()).toStartWith("client version 1.11 is too old.");
  const post = await fetch("http://docker/containers/create", {
    method: "POST",
    unix: `${folder.path}/d.sock`,
  });
  expect(post.status).toBe(501);
});

test("GET /containers/{id}/json tells of the out-of-memory kill that the list doesn't", async () => {
  const { id } = engine.world.createContainer({ name: "ws-a", health: "starting" });
  engine.world.start("ws-a");
  expect((await getJson("/containers/ws-a/json")).State).toMatchObject({
    Status: "running",
    FinishedAt: "0001-01-01T00:00:00Z",
    Health: { Status: "starting", FailingStreak: 0 },
  });
  engine.world.oom("ws-a");
  for (const ref of ["ws-a", id, id.slice(0, 12)]) {
    const { Id, Name, State } = await getJson(`/v1.41/containers/${ref}/json`);
    expect([Id, Name]).toEqual([id, "/ws-a"]);
    expect(State).toMatchObject({ Status: "exited", OOMKilled: true, ExitCode: 137, Running: false, Pid: 0 });
  }
});

test("GET /volumes lists, filters and warns", async () => {
  expect(await getJson("/v1.41/volumes")).toEqual({ Volumes: [], Warnings: null });
  engine.emptyVolumesAsNull = true;
  expect(await getJson("/v1.41/volumes")).toEqual({ Volumes: null, Warnings: null });
  engine.world.createVolume("ws-a-home", { labels: { app: "ws" } });
  engine.world.createVolume("other");
  engine.volumeWarnings = ["error while checking for a driver"];
  const { Volumes, Warnings } = await getJson(`/v1.41/volumes?${filters({ name: ["^ws-"] })}`);
  expect(Volumes).toEqual([
    {
      CreatedAt: "2027-01-15T08:00:00Z",
      Driver: "local",
      Labels: { app: "ws" },
      Mountpoint: "/var/lib/docker/volumes/ws-a-home/_data",
      Name: "ws-a-home",
      Options: null,
      Scope: "local",
    },
  ]);
  expect(Warnings).toEqual(["error while checking for a driver"]);
  expect((await getJson("/volumes/other")).Labels).toBeNull();
});

test("a newer Engine has Health in the list and refuses old clients", async () => {
  await engine.stop();
  const { world } = engine;
  engine = await startEngine({ listen: { unixPath: `${folder.path}/d.sock` }, world, apiVersion: "1.52" });
  world.createContainer({ name: "ws-a", health: "unhealthy" });
  world.start("ws-a");
  world.createContainer({ name: "ws-b" });
  const health = async (path: string) =>
    (await getJson(path)).map((container: { Health?: unknown }) => container.Health);
  expect(await health("/v1.52/containers/json?all=1")).toEqual([
    { Status: "none", FailingStreak: 0 },
    { Status: "unhealthy", FailingStreak: 3 },
  ]);
  expect(await health("/v1.44/containers/json?all=1")).toEqual([undefined, undefined]);
  expect(await getJson("/v1.41/info")).toEqual({
    message:
      "client version 1.41 is too old. Minimum supported API version is 1.44, " +
      "please upgrade your client to a newer version",
  });
});

test("it listens on loopback tcp as well, and stop() frees the address", async () => {
  const overTcp = await startEngine({ listen: { port: 0 } });
  const url = overTcp.dockerHost.replace("tcp://", "http://");
  expect(await (await fetch(`${url}/_ping`)).text()).toBe("OK");
  await overTcp.stop();
  expect(await failure(fetch(`${url}/_ping`))).not.toBe("no failure");
  await engine.stop();
  expect(await Bun.file(`${folder.path}/d.sock`).exists()).toBe(false);
});
