// Goal: P7: absences that another Engine shows are held, however few, until `observer accept engine`; `observer status`
// says so.
// Method: two workspaces on a real Engine, too few for the count of what vanished; then an empty Engine of another ID.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type FakeEngine, startEngine } from "../../dev/fakes/engine.ts";
import { checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { runCommand, type Settings, startObserver, workFolder } from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18 });
const ids = ["a1", "a2"];

let platform: Platform;
let other: FakeEngine;
let elsewhere: Settings;
beforeAll(async () => {
  platform = await createPlatform(world.postgres, "accept");
  other = await startEngine({ listen: { unixPath: join(workFolder(), "other.sock") } });
  elsewhere = world.settings(platform, { ...QUICK, DOCKER_HOST: other.dockerHost });
  await platform.insert(...ids);
  for (const id of ids) await world.docker.engine.create({ name: `ws-${id}`, volume: `ws-${id}-home` });
}, 60_000);
afterAll(() => other.stop());

test("Nobody has observed yet: status says so, and there is nothing to accept", async () => {
  const status = await runCommand(["status"], world.settings(platform));
  expect([status.code, status.stdout]).toEqual([1, expect.stringContaining("Nobody observes")]);
  const accept = await runCommand(["accept", "engine"], world.settings(platform));
  expect([accept.code, accept.stdout]).toEqual([0, expect.stringContaining("nothing has been observed yet")]);
});

test("Another Engine: held, told, and written once it is accepted", async () => {
  const first = startObserver(world.settings(platform, QUICK));
  await platform.shows("both", ids, ({ container, volume }) => Boolean(container && volume));
  expect((await runCommand(["status"], world.settings(platform))).stdout).toMatch(/^engine +observed /m);
  await first.stop();

  const second = startObserver(elsewhere);
  await second.logged("world.changed");
  await nextLooks(second, 4);
  expect(second.log("world.changed")).toHaveLength(1);
  for (const id of ids)
    expect((await platform.row(id)).conditions).toMatchObject({ container: { running: false } });
  const ready = await second.get("/readyz");
  expect([ready.status, ready.text]).toEqual([503, expect.stringContaining("observer accept engine")]);
  expect((await second.get("/metrics")).text).toContain('observer_world_changed{source="engine"} 1');
  const status = await runCommand(["status"], elsewhere);
  expect(status.stdout).toContain("2 volumes: the guard holds back the absence of a1, a2");

  const accepted = await runCommand(["accept", "engine"], elsewhere);
  expect([accepted.code, accepted.stderr]).toEqual([0, ""]);
  expect(accepted.stdout).toContain("Accepted: Engine ");
  await platform.shows("nothing", ids, ({ container, volume }) => container === null && volume === null);
  await second.logged("world.restored");
  expect((await runCommand(["accept", "engine"], elsewhere)).stdout).toContain("Nothing to accept");
  await second.stop();
});

test("An unknown source is a usage error", async () => {
  const { code, stderr } = await runCommand(["accept", "everything"], elsewhere);
  expect([code, stderr]).toEqual([64, expect.stringContaining("Allowed choices are engine, archives")]);
});

checksOfEverything();
