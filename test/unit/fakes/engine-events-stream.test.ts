/**
 * Goal: `/events` is a stream like dockerd's: live, replayed, filtered, and cut when the test wants it.
 * Method: fetch over a unix socket, lines read one by one as they arrive.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { type FakeEngine, startEngine } from "../../../dev/fakes/engine.ts";
import { failure, temporaryFolder, until } from "./helpers.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let engine: FakeEngine;
let leave: AbortController;

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());
beforeEach(async () => {
  leave = new AbortController();
  engine = await startEngine({ listen: { unixPath: `${folder.path}/d.sock` } });
});
afterEach(async () => {
  leave.abort();
  await engine.stop();
});

/** Opens the stream and gives a function that waits for the next event, as `type action`; null at its end. */
async function openEvents(query = "") {
  const response = await fetch(`http://docker/v1.41/events?${query}`, {
    unix: `${folder.path}/d.sock`,
    signal: leave.signal,
  });
  expect(response.status).toBe(200);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return async (): Promise<string | null> => {
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) return null;
      text += value;
    }
    const end = text.indexOf("\n");
    const { Type, Action } = JSON.parse(text.slice(0, end));
    text = text.slice(end + 1);
    return `${Type} ${Action}`;
  };
}

test("events arrive live", async () => {
  const next = await openEvents();
  engine.world.createContainer({ name: "ws-a", volume: "ws-a-home" });
  expect(await next()).toBe("volume create");
  expect(await next()).toBe("container create");
  engine.world.start("ws-a");
  expect([await next(), await next(), await next()]).toEqual([
    "network connect",
    "volume mount",
    "container start",
  ]);
});

test("type and event filters, health_status with its verdict", async () => {
  const wanted = { type: ["container"], event: ["die", "health_status"] };
  const next = await openEvents(`filters=${encodeURIComponent(JSON.stringify(wanted))}`);
  engine.world.createContainer({ name: "ws-a", volume: "ws-a-home", health: "starting" });
  engine.world.start("ws-a");
  engine.world.setHealth("ws-a", "healthy");
  engine.world.kill("ws-a");
  expect([await next(), await next()]).toEqual(["container health_status: healthy", "container die"]);
});

test("since replays what was kept, until ends the stream", async () => {
  engine.world.createVolume("v1");
  engine.world.createVolume("v2");
  const next = await openEvents(`since=1&until=${Math.ceil(Date.now() / 1000)}`);
  expect([await next(), await next(), await next()]).toEqual(["volume create", "volume create", null]);
});

test("muted events reach nobody, though the stream stays open", async () => {
  const next = await openEvents();
  engine.muteEvents = true;
  engine.world.createVolume("lost");
  engine.muteEvents = false;
  engine.world.createContainer({ name: "ws-a" });
  expect(await next()).toBe("container create");
});

test("cutEventStreams() ends them cleanly or by a reset", async () => {
  const ended = await openEvents();
  await until(() => engine.eventStreamCount === 1, "the stream is open");
  engine.cutEventStreams("end");
  expect(await ended()).toBeNull();
  await until(() => engine.eventStreamCount === 0, "the stream is gone");
  const cut = await openEvents();
  await until(() => engine.eventStreamCount === 1, "the stream is open again");
  engine.cutEventStreams("reset");
  expect(await failure(cut())).toBe("ECONNRESET");
});

test("a client that leaves is forgotten", async () => {
  await openEvents();
  await until(() => engine.eventStreamCount === 1, "the stream is open");
  leave.abort();
  await until(() => engine.eventStreamCount === 0, "the stream is gone");
});
