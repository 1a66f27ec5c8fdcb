import type { Container } from "./engine-model.ts";
import { stateName } from "./engine-status-text.ts";
import type { EngineWorld } from "./engine-world.ts";
import { type Random, randomInt, randomUuid } from "./random.ts";
import type { Bucket } from "./s3-world.ts";

/**
 * A village: a handful of workspaces that live by themselves, one plausible step at a time, as if a controller and
 * its users were at work. The same seed gives the same story.
 */

export type VillageAction =
  | "created"
  | "started"
  | "stopped"
  | "crashed"
  | "ran out of memory"
  | "paused"
  | "resumed"
  | "became healthy"
  | "became unhealthy"
  | "archived"
  | "restored";

/** What a step did, and what is there afterwards. */
export interface VillageStep {
  workspaceId: string;
  action: VillageAction;
  running: boolean;
  hasContainer: boolean;
  hasVolume: boolean;
  /** Key of the newest archive; null while there is none. */
  archiveKey: string | null;
  /** The archive operation's id; null for other actions. */
  opId: string | null;
}

export interface VillageOptions {
  engine: EngineWorld;
  archives: Bucket;
  random: Random;
  /** How many workspaces there are once the village has grown; default 8. */
  size?: number;
  prefix?: string;
  image?: string;
  archiveSuffix?: string;
  /** Suffix of the second object that makes an archive count; default: none is written. */
  archiveCommitSuffix?: string;
}

export interface Village {
  readonly workspaceIds: readonly string[];
  /** Does one action and tells it. */
  tick(): VillageStep;
}

interface Workspace {
  id: string;
  archiveKey: string | null;
}

/** How likely an action is beside the others possible at the moment. */
const WEIGHTS: Record<VillageAction, number> = {
  created: 6,
  started: 6,
  stopped: 2,
  crashed: 1,
  "ran out of memory": 1,
  paused: 1,
  resumed: 6,
  "became healthy": 12,
  "became unhealthy": 1,
  archived: 2,
  restored: 3,
};

export function createVillage(options: VillageOptions): Village {
  const { engine, archives, random } = options;
  const prefix = options.prefix ?? "ws-";
  const size = options.size ?? 8;
  const archiveSuffix = options.archiveSuffix ?? "/home.tar.zst";
  const workspaces: Workspace[] = [];
  const nameOf = (workspace: Workspace) => `${prefix}${workspace.id}`;
  const volumeOf = (workspace: Workspace) => `${prefix}${workspace.id}-home`;
  const containerOf = (workspace: Workspace) =>
    engine.containers().find((container) => container.name === nameOf(workspace));

  function possibleActions(workspace: Workspace): VillageAction[] {
    const state = containerOf(workspace)?.state;
    if (!state) return workspace.archiveKey === null ? ["created"] : ["restored"];
    if (state.paused) return ["resumed"];
    if (!state.running) return state.startedMs === null ? ["started"] : ["started", "archived"];
    const health: VillageAction = state.health?.status === "healthy" ? "became unhealthy" : "became healthy";
    return ["stopped", "crashed", "ran out of memory", "paused", health];
  }

  function perform(workspace: Workspace, action: VillageAction): string | null {
    const name = nameOf(workspace);
    switch (action) {
      case "created":
      case "restored":
        engine.createContainer({
          name,
          volume: volumeOf(workspace),
          image: options.image ?? "workspace:latest",
          health: "starting",
        });
        return null;
      case "started":
        engine.start(name);
        return null;
      case "stopped":
        engine.stop(name, { exitCode: 0 });
        return null;
      case "crashed":
        engine.exit(name, 1);
        return null;
      case "ran out of memory":
        engine.oom(name);
        return null;
      case "paused":
        engine.pause(name);
        return null;
      case "resumed":
        engine.unpause(name);
        return null;
      case "became healthy":
        engine.setHealth(name, "healthy");
        return null;
      case "became unhealthy":
        engine.setHealth(name, "unhealthy");
        return null;
      case "archived":
        return archive(workspace);
    }
  }

  /** Uploads first and removes last, so that the home exists somewhere at every moment. */
  function archive(workspace: Workspace): string {
    const opId = randomUuid(random);
    const key = `${nameOf(workspace)}/${opId}${archiveSuffix}`;
    const sizeBytes = (1 + randomInt(random, 200)) * 2 ** 20 + randomInt(random, 2 ** 20);
    archives.put(key, { sizeBytes });
    if (options.archiveCommitSuffix) archives.put(`${key}${options.archiveCommitSuffix}`, { sizeBytes: 120 });
    workspace.archiveKey = key;
    engine.removeContainer(nameOf(workspace));
    engine.removeVolume(volumeOf(workspace));
    return opId;
  }

  return {
    get workspaceIds() {
      return workspaces.map((workspace) => workspace.id);
    },
    tick() {
      // A young village grows with every second step, so that there is soon something to see.
      const grows = workspaces.length < size && (workspaces.length === 0 || random() < 0.5);
      if (grows) workspaces.push({ id: randomUuid(random), archiveKey: null });
      const workspace = grows ? workspaces.at(-1)! : workspaces[randomInt(random, workspaces.length)]!;
      const action = pickWeighted(possibleActions(workspace), random);
      const opId = perform(workspace, action);
      const container = containerOf(workspace);
      return {
        workspaceId: workspace.id,
        action,
        running: isRunning(container),
        hasContainer: container !== undefined,
        hasVolume: engine.volumes().some((volume) => volume.name === volumeOf(workspace)),
        archiveKey: workspace.archiveKey,
        opId,
      };
    },
  };
}

/** As the contract has it: a paused container is not running. */
function isRunning(container: Container | undefined): boolean {
  return container !== undefined && stateName(container.state) === "running";
}

function pickWeighted(actions: VillageAction[], random: Random): VillageAction {
  let left = random() * actions.reduce((sum, action) => sum + WEIGHTS[action], 0);
  for (const action of actions) {
    left -= WEIGHTS[action];
    if (left < 0) return action;
  }
  return actions.at(-1)!;
}
