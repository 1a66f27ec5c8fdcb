// Podman's own listing becomes what an Engine's would be, and its steps between two states become one of them.
import { expect, test } from "bun:test";
import * as v from "valibot";
import { collectContainers } from "../../src/adapters/docker-containers.ts";
import { PODMAN_CONTAINERS_SCHEMA, podmanIdentity } from "../../src/adapters/docker-podman.ts";

const container = (changes: Record<string, unknown> = {}) => ({
  Id: "7f16e03a7a9bf9ab59df1f77",
  Names: ["ws-a"],
  Image: "docker.io/library/ws-test:latest",
  Created: "2026-11-24T11:45:26.553879747Z",
  State: "running",
  Status: "",
  ExitCode: 0,
  ...changes,
});
const seen = (...containers: unknown[]) =>
  [...collectContainers(v.parse(PODMAN_CONTAINERS_SCHEMA, containers), "ws-", undefined).byWorkspace].map(
    ([, { state, health, exitCode }]) => [state, health, exitCode],
  );

test.each([
  ["running", "", 0, ["running", "none", null]],
  ["running", "healthy", 0, ["running", "healthy", null]],
  ["running", "unhealthy", 0, ["running", "unhealthy", null]],
  ["running", "starting", 0, ["running", "starting", null]],
  ["stopping", "healthy", 0, ["running", "healthy", null]],
  ["paused", "healthy", 0, ["paused", "none", null]],
  ["exited", "starting", 137, ["exited", "none", 137]],
  ["stopped", "", 3, ["exited", "none", 3]],
  ["exited", "", 0, ["exited", "none", 0]],
  ["created", "", 0, ["created", "none", null]],
  ["configured", "", 0, ["created", "none", null]],
  ["initialized", "", 0, ["created", "none", null]],
  ["removing", "", 1, ["removing", "none", null]],
  ["unknown", "", 1, ["unknown", "none", null]],
] as const)("%s, health %p, exit code %d", (State, Status, ExitCode, expected) => {
  expect(seen(container({ State, Status, ExitCode }))).toEqual([[...expected]]);
});

test("of two that claim a workspace the newer counts, by parts of a second", () => {
  const older = container({ Created: "2026-11-24T11:45:26.1Z", State: "exited", ExitCode: 1 });
  const newer = container({ Id: "0f16e03a7a9b", Created: "2026-11-24T12:45:26.2+01:00", State: "created" });
  expect(seen(older, newer)).toEqual([["created", "none", null]]);
  expect(seen(newer, older)).toEqual([["created", "none", null]]);
});

test.each([
  ["no names", { Names: undefined }],
  ["no state", { State: "" }],
  ["no status", { Status: undefined }],
  ["no exit code", { ExitCode: undefined }],
  ["no time", { Created: "yesterday" }],
])("P1: a listing with %s is refused", (_, changes) => {
  expect(v.safeParse(PODMAN_CONTAINERS_SCHEMA, [container(changes)]).success).toBe(false);
});

test("an identity is the host and the folder, or none", () => {
  expect(podmanIdentity({ Name: "vm", DockerRootDir: "/var/lib/containers/storage" })).toBe(
    "podman vm:/var/lib/containers/storage",
  );
  expect(podmanIdentity({ Name: "vm", DockerRootDir: "" })).toBe("");
});
