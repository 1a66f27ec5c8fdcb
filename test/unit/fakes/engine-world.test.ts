/**
 * Goal: the simulated world's operations change state and emit events in dockerd's order, and refuse what dockerd
 * refuses in dockerd's words. Method: an EngineWorld without HTTP on a clock that the test sets.
 */
import { expect, test } from "bun:test";
import { eventLine } from "../../../dev/fakes/engine-events.ts";
import { type Container, EngineRefusal } from "../../../dev/fakes/engine-model.ts";
import { EngineWorld } from "../../../dev/fakes/engine-world.ts";

/** A world, and what has happened in it since the last look, as `type action [exit code or signal]`. */
function newWorld() {
  const clock = { nowMs: 1_800_000_000_000 };
  const world = new EngineWorld({ nowMs: () => clock.nowMs });
  const seen: string[] = [];
  world.events.subscribe(({ type, action, attributes }) => {
    const detail = attributes.exitCode ?? attributes.signal;
    if (type !== "network") seen.push([type, action, ...(detail === undefined ? [] : [detail])].join(" "));
  });
  return { world, clock, happened: () => seen.splice(0) };
}

function newRunning(): ReturnType<typeof newWorld> & { container: Container } {
  const made = newWorld();
  const container = made.world.createContainer({ name: "ws-a", volume: "ws-a-home" });
  made.world.start("ws-a");
  made.happened();
  return { ...made, container };
}

function refusal(action: () => unknown): { status: number; message: string } {
  try {
    action();
  } catch (error) {
    if (error instanceof EngineRefusal) return { status: error.status, message: error.message };
    throw error;
  }
  throw new Error("It was not refused");
}

test("createContainer() makes the volume, then the container, and start() mounts before it starts", () => {
  const { world, happened } = newWorld();
  world.createContainer({ name: "ws-a", volume: "ws-a-home" });
  expect(happened()).toEqual(["volume create", "container create"]);
  world.start("ws-a");
  expect(happened()).toEqual(["volume mount", "container start"]);
  world.start("ws-a");
  expect(happened()).toEqual([]);
});

test("stop() is a kill, a death and a stop", () => {
  const { world, happened, container } = newRunning();
  world.stop("ws-a");
  expect(happened()).toEqual(["container kill 15", "container die 143", "volume unmount", "container stop"]);
  expect(container.state).toMatchObject({ running: false, exitCode: 143 });
  world.stop("ws-a");
  expect(happened()).toEqual([]);
});

test("kill(), oom() and exit() tell how the process ended", () => {
  const { world, happened, container } = newRunning();
  world.kill("ws-a");
  expect(happened()).toEqual(["container kill 9", "container die 137", "volume unmount"]);
  expect(container.state.oomKilled).toBe(false);
  world.start("ws-a");
  happened();
  world.oom("ws-a");
  expect(happened()).toEqual(["container oom", "container die 137", "volume unmount"]);
  expect(container.state).toMatchObject({ oomKilled: true, exitCode: 137 });
  world.start("ws-a");
  happened();
  world.exit("ws-a", 1);
  expect(happened()).toEqual(["container die 1", "volume unmount"]);
  expect(container.state).toMatchObject({ oomKilled: false, exitCode: 1 });
});

test("a container is already listed as exited when its die event arrives", () => {
  const { world } = newRunning();
  const running: boolean[] = [];
  world.events.subscribe((event) => {
    if (event.action === "die") running.push(world.container("ws-a").state.running);
  });
  world.kill("ws-a");
  expect(running).toEqual([false]);
});

test("pause(), unpause() and restart() emit theirs", () => {
  const { world, happened, container } = newRunning();
  world.pause("ws-a");
  world.unpause("ws-a");
  expect(happened()).toEqual(["container pause", "container unpause"]);
  world.restart("ws-a");
  expect(happened()).toEqual([
    "container kill 15",
    "container die 143",
    "volume unmount",
    "container stop",
    "volume mount",
    "container start",
    "container restart",
  ]);
  expect(container.state.running).toBe(true);
});

test("setHealth() emits a verdict once, and none while starting", () => {
  const { world, happened } = newRunning();
  world.setHealth("ws-a", "starting");
  world.setHealth("ws-a", "healthy");
  world.setHealth("ws-a", "healthy");
  world.setHealth("ws-a", "unhealthy");
  expect(happened()).toEqual(["container health_status: healthy", "container health_status: unhealthy"]);
});

test("whom nobody checks is unhealthy without an event: paused, just resumed, ended", () => {
  const { world, happened, container } = newRunning();
  const health = () => container.state.health?.status;
  world.setHealth("ws-a", "healthy");
  world.pause("ws-a");
  expect(health()).toBe("unhealthy");
  world.unpause("ws-a");
  expect(health()).toBe("unhealthy");
  world.setHealth("ws-a", "healthy");
  world.kill("ws-a");
  expect(health()).toBe("unhealthy");
  world.start("ws-a");
  expect(health()).toBe("starting");
  expect(happened().filter((event) => event.includes("health"))).toEqual([
    "container health_status: healthy",
    "container health_status: healthy",
  ]);
});

test("crashLoop() waits in restarting until start()", () => {
  const { world, container } = newRunning();
  world.crashLoop("ws-a", 3);
  expect(container.state).toMatchObject({ running: true, restarting: true, exitCode: 3 });
  world.start("ws-a");
  expect(container.state).toMatchObject({ running: true, restarting: false, exitCode: 0 });
});

test("removeVolume() is refused while a container, running or not, uses it", () => {
  const { world, happened, container } = newRunning();
  const inUse = { status: 409, message: `remove ws-a-home: volume is in use - [${container.id}]` };
  expect(refusal(() => world.removeVolume("ws-a-home"))).toEqual(inUse);
  world.kill("ws-a");
  expect(refusal(() => world.removeVolume("ws-a-home"))).toEqual(inUse);
  happened();
  world.removeContainer("ws-a");
  world.removeVolume("ws-a-home");
  expect(happened()).toEqual(["container destroy", "volume destroy"]);
  expect(refusal(() => world.removeVolume("ws-a-home"))).toEqual({
    status: 404,
    message: "get ws-a-home: no such volume",
  });
});

test("removeContainer() refuses a running container unless forced", () => {
  const { world, happened, container } = newRunning();
  expect(refusal(() => world.removeContainer("ws-a"))).toEqual({
    status: 409,
    message:
      `You cannot remove a running container ${container.id}. ` +
      "Stop the container before attempting removal or force remove",
  });
  world.removeContainer("ws-a", { force: true });
  expect(happened()).toEqual([
    "container kill 9",
    "container die 137",
    "volume unmount",
    "container destroy",
  ]);
});

test("names are unique and checked", () => {
  const { world, container } = newRunning();
  expect(refusal(() => world.createContainer({ name: "ws-a" }))).toEqual({
    status: 409,
    message:
      `Conflict. The container name "/ws-a" is already in use by container "${container.id}". ` +
      "You have to remove (or rename) that container to be able to reuse that name.",
  });
  expect(refusal(() => world.createContainer({ name: "a b" })).status).toBe(400);
  expect(refusal(() => world.createVolume("a/b")).status).toBe(400);
});

test("container() finds by name, full id and unambiguous start of an id", () => {
  const { world, container } = newRunning();
  for (const ref of ["ws-a", "/ws-a", container.id, container.id.slice(0, 12)]) {
    expect(world.container(ref)).toBe(container);
  }
  expect(refusal(() => world.container("ws-"))).toEqual({ status: 404, message: "No such container: ws-" });
});

test("an alias goes with the container that links", () => {
  const { world, container } = newRunning();
  world.createContainer({ name: "other" });
  world.addAlias("ws-a", "other", "db");
  expect(container.aliases).toEqual(["/other/db"]);
  world.removeContainer("other");
  expect(container.aliases).toEqual([]);
});

test("the same operations give the same ids and events", () => {
  const story = () => {
    const { world } = newRunning();
    return world.events.since(0n).map((event) => eventLine(event, true));
  };
  expect(story()).toEqual(story());
});

test("events keep the last 256 with strictly increasing times", () => {
  const { world } = newRunning();
  for (let i = 0; i < 300; i++) world.createVolume("v1");
  const times = world.events.since(0n).map((event) => event.timeNano);
  expect(times).toHaveLength(256);
  expect(times.every((time, i) => i === 0 || time > times[i - 1]!)).toBe(true);
});

test("eventLine() writes nanoseconds whole, and legacy fields only before API 1.52", () => {
  const { world, container } = newRunning();
  const start = world.events.since(0n).find((event) => event.action === "start")!;
  const line = eventLine(start, true);
  expect(line).toContain(`"timeNano":${start.timeNano}}`);
  expect(JSON.parse(line)).toMatchObject({
    status: "start",
    id: container.id,
    from: "workspace:latest",
    Type: "container",
    Action: "start",
    Actor: { ID: container.id, Attributes: { image: "workspace:latest", name: "ws-a" } },
    scope: "local",
    time: 1_800_000_000,
  });
  expect(Object.keys(JSON.parse(eventLine(start, false)))).toEqual([
    "Type",
    "Action",
    "Actor",
    "scope",
    "time",
    "timeNano",
  ]);
});
