/** `observer forget host vm-17`: an operator's word that a host of a fleet will not come back. */
import { countClaims, forgetHost, readFleet } from "../adapters/postgres-fleet.ts";
import { verifySchema } from "../adapters/postgres-verify.ts";
import type { Config } from "../config.ts";
import { exitCode } from "../exit-codes.ts";
import { withDeadline } from "../observer/deadline.ts";
import { ageMs } from "../observer/instant.ts";
import { limits } from "../observer/limits.ts";
import { wire } from "../wire.ts";
import { print, printable, silent } from "./terminal.ts";

/**
 * Says what it would change; with `isSure` changes it: the host's claims go out of the rows, so that the hosts that remain
 * may claim or prove absent what it had. A host that still gives signs is not forgotten. 1: there is nothing to forget, or it lives.
 */
export async function forget(
  config: Config,
  host: string,
  { isSure }: { readonly isSure: boolean },
  stop: AbortSignal,
): Promise<number> {
  const world = await wire(config, silent, { sourcePatienceMs: limits.sourcePatienceMs });
  const { clock } = world;
  const ask = <T>(action: string, work: (signal: AbortSignal) => Promise<T>) =>
    withDeadline(clock, config.writeTimeoutMs, action, work, stop);
  const name = printable(host);
  const lostAfterMs = config.fleet?.lostAfterMs ?? LOST_AFTER_MS;
  try {
    const schema = await ask("Cannot inspect the schema", (signal) => verifySchema(world.database, signal));
    const { hosts, now } = await ask("Cannot read the signs of the hosts", (signal) =>
      readFleet(world.database.asker("Cannot read the signs of the hosts", signal)),
    );
    const claims = await ask("Cannot count what the host reported", (signal) =>
      countClaims(world.database.asker("Cannot count what the host reported", signal), host),
    );
    const known = hosts.find((one) => one.host === host);
    if (known === undefined && claims.rows === 0) {
      await print(`Nothing to forget: no host ${name} is known, and no row names it.`);
      return exitCode.failed;
    }
    const { seenAt = null } = known ?? {};
    const silentMs = seenAt === null ? null : ageMs(seenAt, now);
    if (silentMs !== null && silentMs < lostAfterMs) {
      await print(
        `Not forgotten: ${name} gave a sign ${(silentMs / 1000).toFixed(1)} s ago. Stop its observers first, or it would be back at once.`,
      );
      return exitCode.failed;
    }
    const last =
      silentMs === null ? "It never gave a sign" : `Its last sign is ${Math.round(silentMs / 1000)} s old`;
    await print(
      `${last}. It reported ${claims.containers} containers and ${claims.volumes} volumes, in ${claims.rows} rows.`,
    );
    if (!isSure) {
      await print(
        "These keys would be taken out of the rows: not observed, until another host reports them, or all that remain have looked and have nothing. " +
          "Nothing was changed: say --yes for it.",
      );
      return exitCode.ok;
    }
    const attempt = () =>
      ask(`Cannot forget ${name}`, (signal) =>
        forgetHost(
          world.database.writer(`Cannot forget ${name}`, signal),
          host,
          schema.idType,
          config.instance,
          schema.hasTransitionsTable,
        ),
      );
    let { forgotten, skipped } = await attempt();
    for (let left = ATTEMPTS; skipped > 0 && left > 1; left--) {
      await clock.sleep(ATTEMPT_PAUSE_MS, stop);
      const more = await attempt();
      forgotten += more.forgotten;
      skipped = more.skipped;
    }
    await ask("Cannot publish the wake-up", (signal) => world.wake.publish(signal)).catch(() => {});
    await print(
      `Forgotten: ${name}, in ${forgotten} rows.${skipped > 0 ? ` ${skipped} more are locked by somebody else: run it once more.` : ""}`,
    );
    return skipped > 0 ? exitCode.failed : exitCode.ok;
  } finally {
    await world.close();
  }
}

/** The members go on writing: a row is locked for as long as one of their statements takes. */
const ATTEMPTS = 20;
const ATTEMPT_PAUSE_MS = 100;

/** Without a setting of a fleet's. */
const LOST_AFTER_MS = 60_000;
