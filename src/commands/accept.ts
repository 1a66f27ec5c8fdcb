/** `observer accept engine|archives`: an operator's word that the world may be another one. */

import { acceptWorld, readKnownWorld } from "../adapters/postgres-statements.ts";
import type { Config } from "../config.ts";
import { exitCode } from "../exit-codes.ts";
import { withDeadline } from "../observer/deadline.ts";
import { limits } from "../observer/limits.ts";
import type { Engine } from "../observer/ports.ts";
import type { SourceName } from "../observer/source.ts";
import { archivesIdentity, engineIdentity, type World, wire } from "../wire.ts";
import { print, printable, silent } from "./terminal.ts";
import { unitOf } from "./unit.ts";

/**
 * Asks this configuration's own engine or store who it is, and notes that the table is written from it. Whoever leads
 * reads that with its next look, and believes the absences that it held back, a whole listing of them only after the
 * guard has seen them often enough.
 */
export async function accept(
  config: Config,
  source: SourceName,
  host: string | null,
  stop: AbortSignal,
): Promise<number> {
  const world = await wire(config, silent, { sourcePatienceMs: limits.sourcePatienceMs });
  const ask = <T>(action: string, work: (signal: AbortSignal) => Promise<T>) =>
    withDeadline(world.clock, config.writeTimeoutMs, action, work, stop);
  try {
    // In a fleet each host has a world of its own, and the archives are of all.
    const ofTable = source === "archives" ? world.table : null;
    const unit = ofTable === null ? unitOf(world, host, `accept the ${source}`) : null;
    const { scope } = (ofTable ?? unit!.cycle).leadership;
    const seen = await ask(`Cannot ask who the ${source} source is`, (signal) =>
      source === "archives" ? archivesSeen(config, world, signal) : engineSeen(config, unit!.engine, signal),
    );
    const before = (await ask("Cannot read which world is observed", (signal) =>
      readKnownWorld(world.database.asker("Cannot read which world is observed", signal), scope),
    )) as Record<string, unknown> | null;
    const known = before?.[source];
    if (known === seen) {
      await print(`Nothing to accept: the table is written from ${printable(seen)}.`);
      return exitCode.ok;
    }
    const accepted = await ask("Cannot note which world is observed", (signal) =>
      acceptWorld(world.database.asker("Cannot note which world is observed", signal), scope, {
        [source]: seen,
      }),
    );
    if (!accepted) {
      await print("Nothing to accept: nothing has been observed yet, so the first world is taken as it is.");
      return exitCode.ok;
    }
    await print(
      `Accepted: ${printable(seen)}.${typeof known === "string" ? ` It was ${printable(known)}.` : ""} ` +
        "The absences that were held back are written with the next looks.",
    );
    return exitCode.ok;
  } finally {
    await world.close();
  }
}

async function archivesSeen(config: Config, world: World, signal: AbortSignal): Promise<string> {
  const identity = archivesIdentity(config);
  if (identity === null) throw new Error("Cannot accept archives: S3_BUCKET is not set");
  await world.archives?.head(config.prefix, signal);
  return identity;
}

async function engineSeen(config: Config, engine: Engine, signal: AbortSignal): Promise<string> {
  const { id } = await engine.info(signal);
  if (id === "") throw new Error("Cannot accept the engine: it doesn't say who it is");
  return engineIdentity(id, config.prefix);
}
