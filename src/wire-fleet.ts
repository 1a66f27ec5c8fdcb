/** The parts of a process that is one of a fleet (ADR 14): a unit for each of its hosts, and one for the table. */
import { createLeadership, SCOPE } from "./adapters/postgres.ts";
import type { PostgresClient } from "./adapters/postgres-client.ts";
import { hostScope, readFleet, readLiveHosts, tableScope } from "./adapters/postgres-fleet.ts";
import { readKnownWorld } from "./adapters/postgres-statements.ts";
import type { Config } from "./config.ts";
import type { CycleParts } from "./observer/cycle.ts";
import { HostOwnership } from "./observer/ownership.ts";
import { UnworkableError } from "./observer/ports.ts";

/** The identity of the Engine that a single observer wrote the table from, before it became a fleet's. */
interface Former {
  engine: string | null;
}

/** What a unit makes of the parts of an observer that writes the table alone. */
export interface FleetParts {
  host(whole: CycleParts, instance: string, host: string): CycleParts;
  table(whole: CycleParts): CycleParts;
  readonly former: Former;
}

export function fleetParts({ fleet, instance, archives }: Config, database: PostgresClient): FleetParts {
  const former: Former = { engine: null };
  const read = (signal: AbortSignal) =>
    readFleet(database.asker("Cannot read the signs of the hosts", signal));
  return {
    former,
    host: (whole, name, host) => ({
      ...whole,
      leadership: createLeadership(database, name, hostScope(host)),
      archiveSource: null,
      archivesIdentity: null,
      countsArchives: archives !== null,
      unit: { kind: "host", ownership: new HostOwnership(host, () => former.engine), random: Math.random },
    }),
    table: (whole) => ({
      ...whole,
      leadership: createLeadership(database, instance, tableScope(archives !== null)),
      engineSource: null,
      unit: { kind: "table", registry: { read }, lostAfterMs: fleet?.lostAfterMs ?? 0 },
    }),
  };
}

/** A table is written by a fleet or by a single observer, and the one must not undo what the other does. */
export async function judgeFleet(
  { fleet }: Config,
  database: PostgresClient,
  hasStatusTable: boolean,
  former: Former,
  signal: AbortSignal,
): Promise<void> {
  const ask = database.asker("Cannot read whose table it is", signal);
  if (fleet !== null) {
    if (!hasStatusTable)
      throw new UnworkableError(
        "Cannot work with this database: hosts of a fleet tell one another in observer_status, which is missing or may not be written; run observer schema | psql",
      );
    const known = (await readKnownWorld(ask, SCOPE)) as { engine?: unknown } | null;
    former.engine = typeof known?.engine === "string" ? known.engine : null;
    return;
  }
  const hosts = await readLiveHosts(ask);
  if (hosts.length > 0)
    throw new UnworkableError(
      `Cannot work with this database: a fleet writes it (${hosts.slice(0, 5).join(", ")}), and a single observer would take all that it doesn't see for gone; set OBSERVER_HOST, or stop the fleet first`,
    );
}
