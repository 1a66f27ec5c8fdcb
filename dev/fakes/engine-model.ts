import { createHash } from "node:crypto";
import type { ContainerState, HealthStatus } from "./engine-status-text.ts";

/** A refusal as dockerd words it; `status` is what the HTTP API would answer. */
export class EngineRefusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = "EngineRefusal";
  }
}

export interface Container {
  id: string;
  /** Without the leading slash. */
  name: string;
  /** Names that links from other containers give it, as the list shows them: `/other/ws-x`. */
  aliases: string[];
  image: string;
  command: string[];
  labels: Record<string, string>;
  createdMs: number;
  mount: { volume: string; destination: string } | null;
  state: ContainerState;
  restartCount: number;
}

export interface Volume {
  name: string;
  driver: string;
  labels: Record<string, string> | null;
  createdMs: number;
}

export interface ContainerSpec {
  name: string;
  /** Name of the volume to mount; created when it does not exist, as dockerd does. */
  volume?: string;
  image?: string;
  command?: string[];
  labels?: Record<string, string>;
  /** The health a start begins with; the default, null, means no health check. */
  health?: HealthStatus | null;
}

/** A container as `create` leaves it. */
export function newContainer(id: string, spec: ContainerSpec, nowMs: number): Container {
  return {
    id,
    name: spec.name,
    aliases: [],
    image: spec.image ?? "workspace:latest",
    command: spec.command ?? ["sleep", "infinity"],
    labels: spec.labels ?? {},
    createdMs: nowMs,
    mount: spec.volume === undefined ? null : { volume: spec.volume, destination: "/home/workspace" },
    state: {
      running: false,
      paused: false,
      restarting: false,
      removing: false,
      dead: false,
      oomKilled: false,
      exitCode: 0,
      error: "",
      startedMs: null,
      finishedMs: null,
      health: null,
    },
    restartCount: 0,
  };
}

const LEGAL_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** The one network that every container is on. */
export const NETWORK = { id: sha256("network bridge"), name: "bridge", type: "bridge" };

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export function checkContainerName(name: string): void {
  if (LEGAL_NAME.test(name)) return;
  throw new EngineRefusal(
    400,
    `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
  );
}

export function checkVolumeName(name: string): void {
  if (LEGAL_NAME.test(name)) return;
  throw new EngineRefusal(
    400,
    `create ${name}: "${name}" includes invalid characters for a local volume name, only ` +
      '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
  );
}

export function runningRefusal(container: Container): EngineRefusal {
  return new EngineRefusal(
    409,
    `You cannot remove a running container ${container.id}. Stop the container before attempting removal or force remove`,
  );
}
