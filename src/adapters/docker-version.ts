/** Which version of the Engine API to speak. */
import * as v from "valibot";
import { EngineFault } from "./docker-fault.ts";
import type { DockerTransport } from "./docker-transport.ts";
import { excerpt } from "./foreign-text.ts";

/** Engine 20.10. */
const OLDEST_API = "1.41";
/** Engine 29, the first whose listing has a field for health. Newer Engines go on speaking it. */
const NEWEST_API = "1.52";

const VERSION_TEXT = v.pipe(v.string(), v.regex(/^\d{1,4}\.\d{1,4}$/, "expected a version such as 1.41"));

const VERSION_SCHEMA = v.object({
  ApiVersion: VERSION_TEXT,
  MinAPIVersion: v.nullish(v.union([VERSION_TEXT, v.literal("")])),
  Version: v.optional(v.string(), ""),
  Components: v.nullish(v.array(v.object({ Name: v.optional(v.string(), "") }))),
});

/** Who speaks: Podman has the same API and answers otherwise in places (docs/engines.md). */
export type EngineKind = "docker" | "podman";

export interface EngineVersion {
  readonly kind: EngineKind;
  /** "1.41": as it stands in paths. */
  readonly apiVersion: string;
  /** "20.10.24" */
  readonly serverVersion: string;
}

/** The newest version that both sides speak; throws an EngineFault if there is none. */
export function negotiate(server: v.InferOutput<typeof VERSION_SCHEMA>): EngineVersion {
  const engine = `Docker Engine ${excerpt(server.Version)}`.trim();
  if (compareVersions(server.ApiVersion, OLDEST_API) < 0) {
    throw new EngineFault(
      `the Engine is too old: ${engine} speaks API ${server.ApiVersion}, and at least ${OLDEST_API} is needed, which is Engine 20.10: upgrade the Engine`,
    );
  }
  const apiVersion = compareVersions(server.ApiVersion, NEWEST_API) < 0 ? server.ApiVersion : NEWEST_API;
  const oldestOfServer = server.MinAPIVersion ?? "";
  if (oldestOfServer !== "" && compareVersions(apiVersion, oldestOfServer) < 0) {
    throw new EngineFault(
      `the Engine is too new: ${engine} speaks API ${oldestOfServer} to ${server.ApiVersion}, and ${NEWEST_API} is the newest known here: upgrade Observer`,
    );
  }
  const isPodman = (server.Components ?? []).some(({ Name }) => Name === "Podman Engine");
  return { kind: isPodman ? "podman" : "docker", apiVersion, serverVersion: server.Version };
}

/** Negative, zero or positive. 1.9 is older than 1.41. */
export function compareVersions(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split(".").map(Number);
  const [rightMajor = 0, rightMinor = 0] = right.split(".").map(Number);
  return leftMajor - rightMajor || leftMinor - rightMinor;
}

export interface VersionNegotiator {
  get(signal: AbortSignal): Promise<EngineVersion>;
  /** After any failure: behind the same socket there may be another Engine by now. */
  forget(): void;
}

export function createVersionNegotiator(transport: DockerTransport): VersionNegotiator {
  let known: EngineVersion | null = null;
  return {
    async get(signal) {
      known ??= negotiate(await transport.getJson("/version", VERSION_SCHEMA, signal));
      return known;
    },
    forget() {
      known = null;
    },
  };
}
