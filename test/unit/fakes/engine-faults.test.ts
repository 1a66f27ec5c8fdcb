/**
 * Goal: every fault reaches the client as the real thing would. Method: one fault at a time on one route of the
 * simulated Engine, seen through fetch; the other routes go on working.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { type FakeEngine, startEngine } from "../../../dev/fakes/engine.ts";
import { failure, temporaryFolder, until } from "./helpers.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let engine: FakeEngine;

beforeAll(async () => {
  folder = await temporaryFolder();
  engine = await startEngine({ listen: { unixPath: `${folder.path}/d.sock` } });
});
afterAll(async () => {
  await engine.stop();
  await folder.remove();
});
beforeEach(() => {
  for (let i = 0; i < 20; i++) engine.world.createContainer({ name: `ws-${i}` });
});
afterEach(async () => {
  engine.faults.clear();
  engine.world.wipe();
  expect(await (await get("/_ping")).text()).toBe("OK");
});

function get(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://docker${path}`, { unix: `${folder.path}/d.sock`, redirect: "manual", ...init });
}
const list = (init?: RequestInit) => get("/v1.41/containers/json?all=1", init);

test("status and body", async () => {
  engine.faults.set("containers", { status: 503, body: '{"message":"busy"}' });
  const response = await list();
  expect([response.status, await response.text()]).toEqual([503, '{"message":"busy"}']);
  expect((await get("/v1.41/volumes")).status).toBe(200);
});

test("times counts, and a route's own fault wins over all", async () => {
  engine.faults.set("all", { status: 500 });
  engine.faults.set("containers", { status: 418, times: 2 });
  const statuses = [await list(), await list(), await list()].map((response) => response.status);
  expect(statuses).toEqual([418, 418, 500]);
  engine.faults.clear();
  expect((await list()).status).toBe(200);
});

test("hang never answers, delayMs late", async () => {
  engine.faults.set("containers", { hang: true });
  expect(await failure(list({ signal: AbortSignal.timeout(50) }))).toBe("TimeoutError");
  engine.faults.set("containers", { delayMs: 60_000 });
  expect(await failure(list({ signal: AbortSignal.timeout(50) }))).toBe("TimeoutError");
  engine.faults.set("containers", { delayMs: 20 });
  const startMs = performance.now();
  expect((await list()).status).toBe(200);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(19);
});

test("reset", async () => {
  engine.faults.set("containers", { reset: true });
  expect(await failure(list())).toBe("ECONNRESET");
});

test("truncated after N bytes, in a body with a length and in a chunked one", async () => {
  engine.faults.set("containers", { truncateAfterBytes: 700 });
  expect((await list()).headers.get("content-length")).toBeNull();
  expect(await failure(list().then((response) => response.text()))).toBe("ECONNRESET");
  engine.faults.set("volumes", { truncateAfterBytes: 5 });
  expect((await get("/v1.41/volumes")).headers.get("content-length")).not.toBeNull();
  expect(await failure(get("/v1.41/volumes").then((response) => response.text()))).toBe("ECONNRESET");
  engine.faults.set("volumes", { truncateAfterBytes: 0 });
  expect(await failure(get("/v1.41/volumes").then((response) => response.text()))).toBe("ECONNRESET");
});

test("truncated at a byte that leaves valid JSON is still seen as truncated", async () => {
  engine.faults.set("volumes", { body: '{"Volumes":[],"Warnings":null}   ', truncateAfterBytes: 30 });
  expect(await failure(get("/v1.41/volumes").then((response) => response.text()))).toBe("ECONNRESET");
});

test("empty 200, wrong shape, redirect", async () => {
  engine.faults.set("containers", { body: "" });
  const empty = await list();
  expect([empty.status, await empty.text()]).toEqual([200, ""]);
  engine.faults.set("containers", { rewrite: (body) => JSON.stringify({ containers: JSON.parse(body) }) });
  expect(JSON.parse(await (await list()).text()).containers).toHaveLength(20);
  engine.faults.set("containers", { redirectTo: "http://127.0.0.1:9/" });
  const redirect = await list();
  expect([redirect.status, redirect.headers.get("location")]).toEqual([307, "http://127.0.0.1:9/"]);
});

test("drip sends byte by byte until the client has enough", async () => {
  engine.faults.set("ping", { dripIntervalMs: 1 });
  expect(await (await get("/_ping")).text()).toBe("OK");
  engine.faults.set("containers", { dripIntervalMs: 1000 });
  const dripping = list({ signal: AbortSignal.timeout(100) }).then((response) => response.text());
  expect(await failure(dripping)).toBe("TimeoutError");
  engine.faults.clear();
});

test("faults hit the event stream's opening", async () => {
  engine.faults.set("events", { status: 500, times: 1 });
  expect((await get("/v1.41/events")).status).toBe(500);
  const leave = new AbortController();
  expect((await get("/v1.41/events", { signal: leave.signal })).status).toBe(200);
  leave.abort();
});

test("stop() also ends connections that hang", async () => {
  const second = await startEngine({ listen: { unixPath: `${folder.path}/e.sock` } });
  second.faults.set("all", { hang: true });
  const hung = failure(fetch("http://docker/info", { unix: `${folder.path}/e.sock` }));
  await until(() => second.requests.length > 0, "the request has arrived");
  await second.stop();
  expect(await hung).toBe("ECONNRESET");
});
