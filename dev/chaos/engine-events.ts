// Events as dockerd words them, of things that need not exist: whoever listens must look, and believe nothing.
import type { Random } from "../fakes/random.ts";
import { IDS } from "./churn.ts";

const CONTAINER_ACTIONS = [
  ["create", {}],
  ["start", {}],
  ["die", { exitCode: "137" }],
  ["kill", { signal: "15" }],
  ["stop", {}],
  ["destroy", {}],
  ["pause", {}],
  ["health_status: healthy", {}],
  ["exec_create: /bin/sh -c true", { execID: "e0" }],
  ["oom", {}],
] as const;
const VOLUME_ACTIONS = ["create", "mount", "unmount", "destroy"] as const;
/** Every other event is about one of these. */
const STRANGERS = ["postgres", "buildkit-2f1c", "other-ws-s1x", "ws", "my-ws-s0"];

const pick = <T>(from: readonly T[], random: Random): T => from[Math.floor(random() * from.length)]!;
const digits = (count: number, random: Random): string =>
  Array.from({ length: count }, () => Math.floor(random() * 16).toString(16)).join("");

function event(random: Random): unknown {
  const isOwn = random() < 0.5;
  const nowMs = Date.now();
  const common = { scope: "local", time: Math.floor(nowMs / 1_000), timeNano: nowMs * 1_000_000 };
  const name = isOwn ? `ws-${pick(IDS, random)}` : pick(STRANGERS, random);
  if (random() < 0.3) {
    const Action = pick(VOLUME_ACTIONS, random);
    return {
      Type: "volume",
      Action,
      Actor: { ID: `${name}-home`, Attributes: { driver: "local" } },
      ...common,
    };
  }
  const [Action, attributes] = pick(CONTAINER_ACTIONS, random);
  const ID = digits(64, random);
  return {
    status: Action,
    id: ID,
    from: "ws-test",
    Type: "container",
    Action,
    Actor: { ID, Attributes: { image: "ws-test", name, ...attributes } },
    ...common,
  };
}

/** So many lines, each ended. */
export const eventLines = (count: number, random: Random): string =>
  Array.from({ length: count }, () => `${JSON.stringify(event(random))}\n`).join("");
