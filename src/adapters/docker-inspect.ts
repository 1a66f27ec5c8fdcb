/** Why a container died: what only an inspect tells. */
import * as v from "valibot";
import { storableText } from "../observer/names.ts";
import type { ContainerDeath } from "../observer/ports.ts";

/** Part of `GET /containers/{id}/json`. */
export const INSPECT_SCHEMA = v.object({
  Id: v.string(),
  RestartCount: v.optional(v.number(), 0),
  State: v.object({
    Status: v.string(),
    OOMKilled: v.optional(v.boolean(), false),
    ExitCode: v.number(),
    Error: v.optional(v.string(), ""),
    FinishedAt: v.optional(v.string(), ""),
  }),
});

/** The Engine's zero time: it has not finished yet. */
const NEVER = "0001-01-01T00:00:00Z";
/** An error text of the Engine can hold a whole command line. */
const MAX_ERROR_CHARACTERS = 300;

/** Null for a container that runs again: then there is nothing to explain. */
export function toDeath({
  State,
  RestartCount,
}: v.InferOutput<typeof INSPECT_SCHEMA>): ContainerDeath | null {
  if (State.Status === "running" || State.Status === "paused") return null;
  return {
    oomKilled: State.OOMKilled,
    exitCode: State.ExitCode,
    error: storableText(State.Error.replace(/\s+/g, " ").trim().slice(0, MAX_ERROR_CHARACTERS)),
    finishedAt: State.FinishedAt === NEVER || State.FinishedAt === "" ? null : storableText(State.FinishedAt),
    restartCount: RestartCount,
  };
}
