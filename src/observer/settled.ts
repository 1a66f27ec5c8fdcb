/**
 * Which rows need nothing: they were found in agreement with the very objects that are seen again, and no stamp of
 * theirs is due. It is what makes a look cheap in which little has changed; composing says the same, at length.
 */
import type { EngineListing } from "./absence.ts";
import { type ComposeContext, type SeenByEngine, type SeenInArchives, stampDueAt } from "./compose.ts";
import { isJsonObject } from "./conditions.ts";
import { type Instant, parseInstant } from "./instant.ts";
import type { ArchiveSeen, Listing } from "./ports.ts";
import type { MirroredRow, Period } from "./rows.ts";

/** The listings that a cycle takes in; null: that source did not answer. */
export interface Sight {
  readonly engine: EngineListing | null;
  readonly archives: Listing<ArchiveSeen> | null;
}

type Due = Pick<ComposeContext, "now" | "maxAgeMs" | "horizonMs">;

export function isSettled({ row, engine, archives }: MirroredRow, sight: Sight, due: Due): boolean {
  const { id, operationInFlight } = row;
  if (operationInFlight) return false;
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

/**
 * It was composed out of these, and nothing had to be written. What was not believed is null here: it settles nothing.
 */
export function settle(
  mirrored: MirroredRow,
  engine: SeenByEngine | null,
  archives: SeenInArchives | null,
  due: Due,
): void {
  const { id, conditions } = mirrored.row;
  const stamps = isJsonObject(conditions.observed) ? conditions.observed : {};
  const period = (...sources: readonly string[]): Period => ({
    from: Math.max(...sources.map((source) => parseInstant(stamps[source]) ?? due.now)) as Instant,
    until: Math.min(...sources.map((source) => stampDueAt(id, stamps[source], due))) as Instant,
    horizonMs: due.horizonMs,
  });
  if (engine !== null) {
    mirrored.engineOrder = engine.order ?? mirrored.engineOrder;
    mirrored.engine = {
      container: engine.container,
      volume: engine.volume,
      ...period("containers", "volumes"),
    };
  }
  if (archives !== null) mirrored.archives = { archive: archives.archive, ...period("archives") };
}
