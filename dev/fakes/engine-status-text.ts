/**
 * The Engine's own texts for a container's state, rebuilt from dockerd 20.10 (`State.String`,
 * `State.StateString`, go-units `HumanDuration`) and compared with a real one.
 */

export type HealthStatus = "starting" | "healthy" | "unhealthy";

/** What dockerd knows about a container's life. Paused and restarting containers count as running there. */
export interface ContainerState {
  running: boolean;
  paused: boolean;
  restarting: boolean;
  removing: boolean;
  dead: boolean;
  oomKilled: boolean;
  exitCode: number;
  error: string;
  /** null: never. */
  startedMs: number | null;
  finishedMs: number | null;
  /** null: the container has no health check. */
  health: { status: HealthStatus; failingStreak: number } | null;
}

export type StateName = "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";

/** The `State` field of the list. */
export function stateName(state: ContainerState): StateName {
  if (state.running) {
    if (state.paused) return "paused";
    return state.restarting ? "restarting" : "running";
  }
  if (state.removing) return "removing";
  if (state.dead) return "dead";
  return state.startedMs === null ? "created" : "exited";
}

/** The `Status` field of the list: "Up 5 minutes (healthy)", "Exited (137) 2 hours ago". */
export function statusText(state: ContainerState, nowMs: number): string {
  const age = (sinceMs: number | null) => humanDuration(nowMs - (sinceMs ?? nowMs));
  if (state.running) {
    // Paused wins over health: a paused container's health is not told.
    if (state.paused) return `Up ${age(state.startedMs)} (Paused)`;
    if (state.restarting) return `Restarting (${state.exitCode}) ${age(state.finishedMs)} ago`;
    if (state.health === null) return `Up ${age(state.startedMs)}`;
    const health = state.health.status === "starting" ? "health: starting" : state.health.status;
    return `Up ${age(state.startedMs)} (${health})`;
  }
  if (state.removing) return "Removal In Progress";
  if (state.dead) return "Dead";
  if (state.startedMs === null) return "Created";
  if (state.finishedMs === null) return "";
  return `Exited (${state.exitCode}) ${age(state.finishedMs)} ago`;
}

/** go-units `HumanDuration`: one unit, cut off but for hours, which are rounded. */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(durationMs / 60_000);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(durationMs / 3_600_000 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(durationMs / 3_600_000 / 24 / 365)} years`;
}
