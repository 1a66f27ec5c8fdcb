import { type Container, NETWORK, sha256, type Volume } from "./engine-model.ts";
import { stateName, statusText } from "./engine-status-text.ts";
import type { EngineWorld } from "./engine-world.ts";

/** The Engine's answers, field by field as dockerd 20.10 writes them. */

const DATA_ROOT = "/var/lib/docker";
const GO_ZERO_TIME = "0001-01-01T00:00:00Z";

/** An element of `/containers/json`. `withHealth`: API 1.52 and later have a `Health` object. */
export function containerSummary(container: Container, nowMs: number, withHealth: boolean) {
  const { state } = container;
  return {
    Id: container.id,
    Names: [`/${container.name}`, ...container.aliases],
    Image: container.image,
    ImageID: imageId(container),
    Command: commandText(container.command),
    Created: Math.trunc(container.createdMs / 1000),
    Ports: [],
    Labels: container.labels,
    State: stateName(state),
    Status: statusText(state, nowMs),
    ...(withHealth && {
      Health: { Status: state.health?.status ?? "none", FailingStreak: state.health?.failingStreak ?? 0 },
    }),
    HostConfig: { NetworkMode: "default" },
    NetworkSettings: { Networks: networks(container) },
    Mounts: mounts(container),
  };
}

/** `/containers/{id}/json`, without most of `Config` and `HostConfig`. */
export function containerDetails(container: Container) {
  const { state } = container;
  const [path = "", ...args] = container.command;
  return {
    Id: container.id,
    Created: goTime(container.createdMs),
    Path: path,
    Args: args,
    State: {
      Status: stateName(state),
      Running: state.running,
      Paused: state.paused,
      Restarting: state.restarting,
      OOMKilled: state.oomKilled,
      Dead: state.dead,
      Pid:
        state.running && !state.restarting ? 1 + (Number.parseInt(container.id.slice(0, 4), 16) | 1024) : 0,
      ExitCode: state.exitCode,
      Error: state.error,
      StartedAt: goTime(state.startedMs),
      FinishedAt: goTime(state.finishedMs),
      ...(state.health && {
        Health: { Status: state.health.status, FailingStreak: state.health.failingStreak, Log: [] },
      }),
    },
    Image: imageId(container),
    ResolvConfPath: "",
    HostnamePath: "",
    HostsPath: "",
    LogPath: "",
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    HostConfig: {
      Binds: container.mount ? [`${container.mount.volume}:${container.mount.destination}`] : null,
      NetworkMode: "default",
      RestartPolicy: { Name: container.restartCount > 0 ? "always" : "no", MaximumRetryCount: 0 },
      AutoRemove: false,
    },
    GraphDriver: { Data: {}, Name: "overlay2" },
    Mounts: mounts(container),
    Config: {
      Hostname: container.id.slice(0, 12),
      Domainname: "",
      User: "",
      Tty: false,
      Env: null,
      Cmd: container.command,
      Image: container.image,
      Volumes: null,
      WorkingDir: "",
      Entrypoint: null,
      OnBuild: null,
      Labels: container.labels,
    },
    NetworkSettings: { Ports: {}, Networks: networks(container) },
  };
}

/** `/volumes/{name}` and an element of `/volumes`. */
export function volumeDetails(volume: Volume) {
  return {
    CreatedAt: `${new Date(volume.createdMs).toISOString().slice(0, 19)}Z`,
    Driver: volume.driver,
    Labels: volume.labels,
    Mountpoint: mountpoint(volume.name),
    Name: volume.name,
    Options: null,
    Scope: "local",
  };
}

export interface EngineIdentity {
  /** `ID` of `/info`: one per data root. */
  id: string;
  name: string;
  version: string;
  apiVersion: string;
  minApiVersion: string;
}

/** An id in the Engine's form, twelve groups of four, made from a text. */
export function engineId(seed: string): string {
  const letters = [...sha256(`engine id ${seed}`)]
    .slice(0, 48)
    .map((hex) => "ABCDEFGHIJKLMNOP"[Number(`0x${hex}`)]);
  return (letters.join("").match(/.{4}/g) ?? []).join(":");
}

export function versionDetails(identity: EngineIdentity) {
  const common = {
    ApiVersion: identity.apiVersion,
    MinAPIVersion: identity.minApiVersion,
    GitCommit: "simulated",
    GoVersion: "none",
    Os: "linux",
    Arch: "amd64",
    KernelVersion: "6.1.0",
    BuildTime: "2026-01-01T00:00:00.000000000+00:00",
  };
  const component = {
    Name: "Engine",
    Version: identity.version,
    Details: { ...common, Experimental: "false" },
  };
  return { Platform: { Name: "" }, Components: [component], Version: identity.version, ...common };
}

export function infoDetails(identity: EngineIdentity, world: EngineWorld) {
  const containers = world.containers();
  const running = containers.filter(({ state }) => state.running && !state.paused).length;
  const paused = containers.filter(({ state }) => state.paused).length;
  return {
    ID: identity.id,
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: containers.length - running - paused,
    Images: new Set(containers.map((container) => container.image)).size,
    Driver: "overlay2",
    SystemTime: goTime(world.nowMs),
    OperatingSystem: "Simulated Docker Engine",
    OSType: "linux",
    Architecture: "x86_64",
    NCPU: 2,
    MemTotal: 8 * 2 ** 30,
    DockerRootDir: DATA_ROOT,
    Name: identity.name,
    Labels: [],
    ServerVersion: identity.version,
    LiveRestoreEnabled: false,
    Warnings: null,
  };
}

function mounts(container: Container) {
  if (!container.mount) return [];
  const { volume, destination } = container.mount;
  return [
    {
      Type: "volume",
      Name: volume,
      Source: mountpoint(volume),
      Destination: destination,
      Driver: "local",
      Mode: "z",
      RW: true,
      Propagation: "",
    },
  ];
}

function networks(container: Container) {
  const up = container.state.running && !container.state.restarting;
  return {
    [NETWORK.name]: {
      IPAMConfig: null,
      Links: null,
      Aliases: null,
      NetworkID: container.state.startedMs === null ? "" : NETWORK.id,
      EndpointID: up ? sha256(`endpoint ${container.id}`) : "",
      Gateway: "",
      IPAddress: "",
      IPPrefixLen: 0,
      IPv6Gateway: "",
      GlobalIPv6Address: "",
      GlobalIPv6PrefixLen: 0,
      MacAddress: "",
      DriverOpts: null,
    },
  };
}

function mountpoint(volume: string): string {
  return `${DATA_ROOT}/volumes/${volume}/_data`;
}

function imageId(container: Container): string {
  return `sha256:${sha256(`image ${container.image}`)}`;
}

/** dockerd joins the words and puts those with a space into single quotes. */
function commandText(command: string[]): string {
  return command.map((word) => (word.includes(" ") ? `'${word}'` : word)).join(" ");
}

/** Milliseconds are the simulation's resolution; dockerd writes nanoseconds. */
function goTime(timeMs: number | null): string {
  return timeMs === null ? GO_ZERO_TIME : new Date(timeMs).toISOString().replace("Z", "000000Z");
}
