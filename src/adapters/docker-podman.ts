/**
 * Where Podman's answers differ from an Engine's. Its Docker-compatible listing hides health (4.3 to 5 say "Up 5 minutes"
 * of what is unhealthy), so containers are listed by its own API, on the same socket, whose `Status` is the health and
 * which has the exit code as a number.
 */
import * as v from "valibot";
import type { ListedContainer } from "./docker-containers.ts";

/** Version and resource, for a path. Podman 4 and newer speak it. */
export const PODMAN_CONTAINERS_PATH = ["4.0.0", "libpod/containers/json"] as const;

const PODMAN_CONTAINER_SCHEMA = v.object({
  Id: v.pipe(v.string(), v.regex(/^[0-9a-f]{12,}$/, "expected an id of hexadecimal digits")),
  /** Without the slash. */
  Names: v.nullable(v.array(v.string())),
  Image: v.string(),
  Created: v.pipe(
    v.string(),
    v.check((text) => !Number.isNaN(Date.parse(text)), "expected a time"),
  ),
  State: v.pipe(v.string(), v.nonEmpty()),
  /** healthy, unhealthy, starting; empty without a health check. The last one stays when the container has ended. */
  Status: v.string(),
  ExitCode: v.number(),
});

export const PODMAN_CONTAINERS_SCHEMA = v.array(v.pipe(PODMAN_CONTAINER_SCHEMA, v.transform(asEngineWould)));

/**
 * Podman's steps between two states of an Engine. A container that is being stopped still runs, and `running: false` must
 * mean that nothing does; one that is stopped has ended and is yet to be cleaned up after.
 */
const STATES: Readonly<Record<string, string>> = {
  configured: "created",
  initialized: "created",
  stopping: "running",
  stopped: "exited",
};

function asEngineWould(container: v.InferOutput<typeof PODMAN_CONTAINER_SCHEMA>): ListedContainer {
  const state = container.State.toLowerCase();
  const State = Object.hasOwn(STATES, state) ? STATES[state]! : state;
  return {
    Id: container.Id,
    Names: container.Names?.map((name) => `/${name}`) ?? null,
    Image: container.Image,
    Created: Date.parse(container.Created) / 1000,
    State,
    Status: "",
    Health: { Status: container.Status === "" ? "none" : container.Status },
    ExitCode: State === "exited" ? container.ExitCode : null,
  };
}

/**
 * Podman makes up another ID for each answer. What stays is the host and the folder that everything is kept in, which also
 * tells root's containers from a user's.
 */
export const podmanIdentity = (info: { readonly Name: string; readonly DockerRootDir: string }): string =>
  info.DockerRootDir === "" ? "" : `podman ${info.Name}:${info.DockerRootDir}`;
