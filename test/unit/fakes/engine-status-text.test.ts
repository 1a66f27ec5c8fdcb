/**
 * Goal: the simulated Engine's `State` and `Status` texts are dockerd's, since the Observer reads health and exit
 * code out of them. Method: tables of state, age and the text that a real Engine 20.10 writes.
 */
import { expect, test } from "bun:test";
import {
  type ContainerState,
  humanDuration,
  stateName,
  statusText,
} from "../../../dev/fakes/engine-status-text.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = 1_800_000_000_000;

function state(changes: Partial<ContainerState>): ContainerState {
  return {
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
    ...changes,
  };
}

const up = { running: true, startedMs: NOW - 5 * MINUTE };
const ended = { startedMs: NOW - 3 * HOUR, finishedMs: NOW - 2 * HOUR };

test.each([
  ["created", "Created", state({})],
  ["running", "Up 5 minutes", state(up)],
  ["running", "Up 5 minutes (healthy)", state({ ...up, health: { status: "healthy", failingStreak: 0 } })],
  [
    "running",
    "Up 5 minutes (unhealthy)",
    state({ ...up, health: { status: "unhealthy", failingStreak: 3 } }),
  ],
  [
    "running",
    "Up 2 seconds (health: starting)",
    state({ running: true, startedMs: NOW - 2 * SECOND, health: { status: "starting", failingStreak: 0 } }),
  ],
  ["running", "Up Less than a second", state({ running: true, startedMs: NOW })],
  [
    "paused",
    "Up About a minute (Paused)",
    state({
      running: true,
      paused: true,
      startedMs: NOW - MINUTE,
      health: { status: "healthy", failingStreak: 0 },
    }),
  ],
  [
    "restarting",
    "Restarting (1) 5 seconds ago",
    state({
      running: true,
      restarting: true,
      exitCode: 1,
      startedMs: NOW - MINUTE,
      finishedMs: NOW - 5 * SECOND,
    }),
  ],
  ["exited", "Exited (137) 2 hours ago", state({ ...ended, exitCode: 137, oomKilled: true })],
  ["exited", "Exited (0) 2 hours ago", state(ended)],
  ["removing", "Removal In Progress", state({ ...ended, removing: true })],
  ["dead", "Dead", state({ ...ended, dead: true })],
] as const)("a container that is %s has the status %p", (name, text, containerState) => {
  expect(stateName(containerState)).toBe(name);
  expect(statusText(containerState, NOW)).toBe(text);
});

test.each([
  [-5, "Less than a second"],
  [999, "Less than a second"],
  [SECOND, "1 second"],
  [59.9 * SECOND, "59 seconds"],
  [MINUTE, "About a minute"],
  [2 * MINUTE, "2 minutes"],
  [59.9 * MINUTE, "59 minutes"],
  [HOUR, "About an hour"],
  [1.5 * HOUR, "2 hours"],
  [47 * HOUR, "47 hours"],
  [2 * DAY, "2 days"],
  [13 * DAY, "13 days"],
  [14 * DAY, "2 weeks"],
  [59 * DAY, "8 weeks"],
  [60 * DAY, "2 months"],
  [729 * DAY, "24 months"],
  [730 * DAY, "2 years"],
])("humanDuration(%p) is %p", (durationMs, text) => {
  expect(humanDuration(durationMs)).toBe(text);
});
