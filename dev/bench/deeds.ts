// Single changes on an Engine, and what the row has to say after each.
import type { EngineClient } from "../services/engine.ts";
import { containerName, volumeName } from "./names.ts";

export type DeedKind = "start" | "kill" | "remove" | "create";

export interface Deed {
  readonly kind: DeedKind;
  readonly id: string;
  /** The Engine's event that tells of it. */
  readonly action: string;
  /** What is true of the row once it was observed; SQL. */
  readonly condition: string;
  perform(): Promise<unknown>;
}

const AFTER: Readonly<Record<DeedKind, { action: string; condition: string; next: DeedKind }>> = {
  start: { action: "start", condition: "conditions #>> '{container,running}' = 'true'", next: "kill" },
  kill: { action: "die", condition: "conditions #>> '{container,reason}' = 'Exited'", next: "remove" },
  remove: {
    action: "destroy",
    condition: "jsonb_typeof(conditions -> 'container') = 'null'",
    next: "create",
  },
  create: { action: "create", condition: "conditions #>> '{container,reason}' = 'Created'", next: "start" },
};

/** Each workspace goes round created → running → exited → removed → created, in a random order of workspaces. */
export function* deedsOn(
  engine: EngineClient,
  ids: readonly string[],
  random: () => number,
): Generator<Deed, never> {
  const next = new Map<string, DeedKind>(ids.map((id) => [id, "start"]));
  for (;;) {
    const id = ids[Math.floor(random() * ids.length)]!;
    const kind = next.get(id)!;
    const { action, condition, next: following } = AFTER[kind];
    next.set(id, following);
    yield { kind, id, action, condition, perform: () => perform(engine, kind, id) };
  }
}

async function perform(engine: EngineClient, kind: DeedKind, id: string): Promise<unknown> {
  const name = containerName(id);
  if (kind === "start") return await engine.start(name);
  if (kind === "kill") return await engine.kill(name);
  if (kind === "remove") return await engine.remove(name);
  return await engine.create({ name, volume: volumeName(id) });
}
