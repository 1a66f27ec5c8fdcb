/**
 * Which rows need nothing: they were found in agreement with the very objects that are seen again, and no stamp of
 * theirs is due. It is what makes a look cheap in which little has changed; composing says the same, at length.
 */
import type { EngineListing } from "./absence.ts";
import { type ComposeContext, type SeenByEngine, type SeenInArchives, stampDueAt } from "./compose.ts";
import { isJsonObject } from "./conditions.ts";
import type { TableSight } from "./fleet.ts";
import { type Instant, parseInstant } from "./instant.ts";
import { HOSTED_KEYS, hostOf, isUnknown, SOURCE_OF } from "./ownership.ts";
import type { ArchiveSeen, Listing } from "./ports.ts";
import type { MirroredRow, Period } from "./rows.ts";

/** The listings that a cycle takes in; null: that source did not answer. */
export interface Sight {
  readonly engine: EngineListing | null;
  readonly archives: Listing<ArchiveSeen> | null;
  /** In a fleet's table unit. */
  readonly table?: TableSight | null;
}

type Due = Pick<ComposeContext, "now" | "maxAgeMs" | "horizonMs">;

export function isSettled(mirrored: MirroredRow, sight: Sight, due: Due): boolean {
  const { row, engine, archives } = mirrored;
  const { id, operationInFlight } = row;
  if (operationInFlight) return false;
  if (sight.table && isTablesToWrite(mirrored, sight.table, due)) return false;
  if (sight.engine !== null) {
    const { containers, volumes } = sight.engine;
    if (engine === null || !lasts(engine, due)) return false;
    if (engine.container !== containers.byWorkspace.get(id)) return false;
    if (engine.volume !== volumes.byWorkspace.get(id)) return false;
  }
  if (sight.archives !== null) {
    if (archives === null || !lasts(archives, due)) return false;
    if (archives.archive !== sight.archives.byWorkspace.get(id)) return false;
  }
  return true;
}

const lasts = ({ from, until, horizonMs }: Period, due: Due): boolean =>
  from <= due.now && due.now < until && horizonMs === due.horizonMs;

/** A host is lost, or what no host claims can be proven absent where that is not known yet or has to be renewed. */
function isTablesToWrite({ row: { id, conditions } }: MirroredRow, table: TableSight, due: Due): boolean {
  const stamps = isJsonObject(conditions.observed) ? conditions.observed : {};
  return HOSTED_KEYS.some((key) => {
    const stored = conditions[key];
    if (isJsonObject(stored)) {
      const host = hostOf(stored);
      return host !== null && !isUnknown(stored) && table.isLost(host);
    }
    const isDue = stored === undefined || due.now >= stampDueAt(id, stamps[SOURCE_OF[key]], due);
    return isDue && table.absentSince(id) !== null;
  });
}

/**
 * It was composed out of these, and nothing had to be written. What was not believed is null here: it settles nothing.
 */
export function settle(
  mirrored: MirroredRow,
  engine: SeenByEngine | null,
  archives: SeenInArchives | null,
  due: Due & Pick<ComposeContext, "fleet">,
): void {
  const { id, conditions } = mirrored.row;
  const stamps = isJsonObject(conditions.observed) ? conditions.observed : {};
  const period = (...sources: readonly string[]): Period => ({
    from: Math.max(...sources.map((source) => parseInstant(stamps[source]) ?? due.now)) as Instant,
    until: Math.min(...sources.map((source) => stampDueAt(id, stamps[source], due))) as Instant,
    horizonMs: due.horizonMs,
  });
  // In a fleet only what is this host's own is for it to renew.
  const { fleet } = due;
  const renewed = HOSTED_KEYS.filter(
    (key) => fleet?.kind !== "host" || fleet.ownership.isMine(conditions[key]),
  );
  // And what another one wrote after this look had begun is for the next look to judge.
  const isOlder =
    fleet?.kind === "host" &&
    engine !== null &&
    HOSTED_KEYS.some((key) => {
      const isOthers = isJsonObject(conditions[key]) && !renewed.includes(key);
      const at = parseInstant(stamps[SOURCE_OF[key]]);
      return !isOthers && at !== null && at > engine.stamp;
    });
  if (engine !== null && !isOlder) {
    mirrored.engineOrder = engine.order ?? mirrored.engineOrder;
    mirrored.engine = {
      container: engine.container,
      volume: engine.volume,
      ...period(...renewed.map((key) => SOURCE_OF[key])),
    };
  }
  if (archives !== null) mirrored.archives = { archive: archives.archive, ...period("archives") };
}
