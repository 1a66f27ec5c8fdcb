// Views and reports as the loop would give them, for the tests of the status endpoint.

import { emptyMemory } from "../../src/observer/believe.ts";
import type { HealthConfig } from "../../src/observer/health.ts";
import { instant } from "../../src/observer/instant.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type { CycleReport } from "../../src/observer/report.ts";
import type { SourceHealth } from "../../src/observer/source.ts";
import { type LinkHealth, type ObserverView, UNTRIED } from "../../src/observer/view.ts";
import { ownWorld } from "../../src/observer/world.ts";

export const build = { version: "1.2.3", commit: "abc1234" };

export const health: HealthConfig = { idleIntervalMs: 10_000, listTimeoutMs: 5_000, writeTimeoutMs: 5_000 };

/** 2026-11-23T20:02:34.123456Z */
export const stamp = instant(1_795_464_154_123_456);
export const nowMs = 1_000_000;

export const linkUp: LinkHealth = { up: true, sinceMs: nowMs - 60_000, lastError: null, failures: 0 };
export const linkDown = (lastError: string): LinkHealth => ({
  up: false,
  sinceMs: nowMs - 7_500,
  lastError,
  failures: 15,
});

export const source = (changes: Partial<SourceHealth> = {}): SourceHealth => ({
  inFlight: false,
  lastSuccessMs: nowMs - 1_250,
  lastSuccessStamp: stamp,
  lastDurationMs: 42.04,
  lastError: null,
  consecutiveFailures: 0,
  successes: 30,
  failures: 2,
  ...changes,
});

export const report = (changes: Partial<CycleReport> = {}): CycleReport => ({
  kind: "look",
  stamp,
  durationMs: 61.23,
  stagesMs: { stamp: 1.5, list: 45, load: 12.34, save: 3, wake: 0.25 },
  sources: ["engine", "archives"],
  counts: {
    rows: 100,
    containers: 90,
    volumes: 95,
    archives: 20,
    written: 7,
    changed: 3,
    stamped: 4,
    skipped: 1,
    fenced: 0,
    held: 0,
    moving: 0,
  },
  changes: [],
  unnamedChanges: 0,
  wouldWrite: new Map(),
  contested: [],
  repaired: [],
  orphanChanges: [],
  operationInFlight: false,
  leaseLost: false,
  woke: true,
  complete: null,
  failures: [],
  memory: emptyMemory(),
  ...changes,
});

const view = (changes: Partial<ObserverView>): ObserverView => ({
  instance: "host-1",
  nowMs,
  startedMs: nowMs - 3_600_000,
  role: "leader",
  leader: "host-1",
  epoch: "17",
  cadence: { mode: "idle", nextInMs: 8_750 },
  sources: { engine: source(), archives: source() },
  links: { database: linkUp, channel: linkUp, events: linkUp, wake: linkUp, transitions: linkUp },
  progressMs: nowMs - 1_200,
  lastCommitMs: nowMs - 1_200,
  lastCycle: report(),
  totals: {
    looks: 300,
    deliveries: 3,
    glances: 40,
    changed: 11,
    stamped: 400,
    skipped: 5,
    fenced: 2,
    driftRepaired: 6,
    hints: 40,
    events: 50,
    coalesced: 13,
    wakeUps: 9,
    takeovers: 1,
  },
  glancesGivenUp: { doubted: 3, crowded: 2, unfinished: 1 },
  orphans: { container: [], volume: [], archive: [] },
  foreign: ownWorld,
  deaths: [],
  held: { container: [], volume: [], archive: [] },
  ...changes,
});

export const leaderView = (changes: Partial<ObserverView> = {}): ObserverView => view(changes);

/** One of a fleet's members, and what it knows of the others. */
export const memberView = (changes: Partial<ObserverView> = {}): ObserverView =>
  view({
    rivals: new Map([["w7" as WorkspaceId, "vm-2"]]),
    fleet: {
      host: "vm-1",
      table: { role: "standby", leader: "host-2" },
      contested: new Map([["w7" as WorkspaceId, "vm-2"]]),
      hosts: [
        {
          host: "vm-1",
          leader: "host-1",
          seenAgeMs: 1_200,
          completeAgeMs: 3_400,
          isLost: false,
          containers: 90,
          volumes: 95,
        },
        {
          host: "vm-2",
          leader: "host-2",
          seenAgeMs: 75_000,
          completeAgeMs: null,
          isLost: true,
          containers: null,
          volumes: null,
        },
      ],
    },
    ...changes,
  });

export const standbyView = (changes: Partial<ObserverView> = {}): ObserverView =>
  view({
    role: "standby",
    leader: "host-2",
    epoch: null,
    cadence: { mode: "idle", nextInMs: null },
    sources: {
      engine: source({ lastSuccessMs: null, lastSuccessStamp: null, lastDurationMs: null, successes: 0 }),
      archives: null,
    },
    links: { database: linkUp, channel: linkUp, events: linkUp, wake: UNTRIED, transitions: UNTRIED },
    lastCommitMs: null,
    lastCycle: null,
    ...changes,
  });

/** It led, and has not heard from the database for longer than a lease lives. */
export const disconnectedView = (): ObserverView =>
  view({
    role: "disconnected",
    lastCommitMs: nowMs - 9_000,
    links: {
      database: linkDown(
        "Cannot renew the lease: connect to postgres://observer:hunter2@db:5432/app refused",
      ),
      channel: linkUp,
      events: linkUp,
      wake: linkUp,
      transitions: linkUp,
    },
  });

export const staleArchivesView = (): ObserverView =>
  view({
    sources: {
      engine: source(),
      archives: source({
        lastSuccessMs: nowMs - 900_000,
        lastError: "Cannot list archives: the store answered 503 SlowDown",
        consecutiveFailures: 80,
      }),
    },
  });

export const holdingView = (): ObserverView =>
  view({ held: { container: ["a", "b", "c", "d", "e", "f"], volume: [], archive: [] } });
