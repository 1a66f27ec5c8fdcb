/**
 * Is it still the same world? The table was written from one engine and one bucket. When another one answers (a wrong
 * socket, a re-installed host, a wrong prefix or bucket), what it shows is there; what it does not show proves nothing
 * about what the table holds. So its absences are held until an operator says that it is right (P7). Unlike the count
 * of what vanished, this guards a table of three workspaces as well.
 */
import type { KnownWorld } from "./ports.ts";
import type { SourceName } from "./source.ts";

/** What answers now, as far as it can be told. */
export type SeenWorld = Readonly<Record<SourceName, string | null>>;

export interface Foreign {
  readonly known: string;
  readonly seen: string;
}
export type ForeignWorld = Readonly<Record<SourceName, Foreign | null>>;

export const ownWorld: ForeignWorld = { engine: null, archives: null };

const SOURCES: readonly SourceName[] = ["engine", "archives"];

export function compareWorld(known: KnownWorld, seen: SeenWorld): ForeignWorld {
  const compare = (source: SourceName): Foreign | null => {
    const [before, now] = [known[source], seen[source]];
    return before !== undefined && now !== null && before !== now ? { known: before, seen: now } : null;
  };
  return { engine: compare("engine"), archives: compare("archives") };
}

/** What is observed for the first time, and so has to be remembered; null when there is nothing new. */
export function newlyKnown(known: KnownWorld, seen: SeenWorld): KnownWorld | null {
  const fresh = SOURCES.flatMap((source) => {
    const identity = seen[source];
    return identity !== null && known[source] === undefined ? [[source, identity] as const] : [];
  });
  return fresh.length === 0 ? null : Object.fromEntries(fresh);
}
