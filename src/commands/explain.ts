/** `observer explain`: what one workspace is, since when, why, what happened before, and how fresh that is. */
import { systemClock } from "../adapters/clock.ts";
import { PostgresClient } from "../adapters/postgres-client.ts";
import { readWorkspace } from "../adapters/postgres-explain.ts";
import type { Config } from "../config.ts";
import { exitCode } from "../exit-codes.ts";
import { withDeadline } from "../observer/deadline.ts";
import { MOST_FOLDED } from "../status/repetitions.ts";
import { postgresOptions } from "../wire.ts";
import { explanationText } from "./explain-text.ts";
import { type Explanation, explain as explanationOf } from "./explanation.ts";
import { print } from "./terminal.ts";

export interface ExplainOptions {
  readonly json: boolean;
  /** Most transitions that are told; to people, what repeats itself counts once. */
  readonly limit: number;
}

/** Asks the database alone, so that it can be asked from anywhere. 1: there is no such workspace. */
export async function explain(
  config: Config,
  id: string,
  { json, limit }: ExplainOptions,
  stop: AbortSignal,
): Promise<number> {
  // People are told of repetitions once, so what they are told is made of more.
  const explanation = await readExplanation(config, id, json ? limit : MOST_FOLDED, stop);
  await print(json ? JSON.stringify(explanation, null, 2) : explanationText(explanation, limit));
  return explanation.found ? exitCode.ok : exitCode.failed;
}

/**
 * Over a connection of its own: whoever runs out of time throws the connections of a client away, and these must not be
 * those that the loop writes over.
 */
export async function readExplanation(
  config: Config,
  id: string,
  limit: number,
  stop: AbortSignal,
): Promise<Explanation> {
  const database = new PostgresClient(postgresOptions(config));
  try {
    const known = await withDeadline(
      systemClock,
      config.writeTimeoutMs,
      "Cannot explain",
      (signal) => readWorkspace(database, id, limit, signal),
      stop,
    );
    return explanationOf(id, known);
  } finally {
    await database.close();
  }
}
