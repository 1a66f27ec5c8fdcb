/** Says in the log what a cycle changed, once per fact; a cycle in which nothing changed says nothing. */
import type { CycleMemory } from "./believe.ts";
import { limits } from "./limits.ts";
import { type Outage, onFailure, outageFields } from "./outage.ts";
import type { Clock, Log } from "./ports.ts";
import type { CycleReport } from "./report.ts";
import type { SourceName } from "./source.ts";
import { type Foreign, type ForeignWorld, ownWorld } from "./world.ts";

export class CycleLog {
  #holding = new Set<string>();
  #contested = new Set<string>();
  #rivals = new Set<string>();
  #lost = new Set<string>();
  #foreign: ForeignWorld = ownWorld;
  #secondLooks: Outage | null = null;

  constructor(
    private readonly log: Log,
    private readonly clock: Clock,
  ) {}

  write(report: CycleReport): void {
    for (const { workspaceId, key, from, to, lagMs } of report.changes) {
      this.log.info("condition.changed", "Condition changed", {
        workspace: workspaceId,
        condition: key,
        from: from.reason,
        to: to.reason,
        detail: to.message,
        ...(lagMs === null ? {} : { lagMs }),
        ...(key === "container" ? deathFields(report, workspaceId, to.reason) : {}),
      });
    }
    if (report.unnamedChanges > 0) {
      this.log.info("condition.more_changed", "More conditions changed than are named", {
        unnamed: report.unnamedChanges,
      });
    }
    if (report.repaired.length > 0) {
      this.log.warn(
        "drift.repaired",
        "Somebody else had edited what is observed; it is restored",
        named(report.repaired),
      );
    }
    for (const { kind, appeared, disappeared } of report.orphanChanges) {
      if (appeared.length > 0) {
        this.log.warn("orphan.appeared", "Resources without a row in workspaces", {
          kind,
          ...named(appeared),
        });
      }
      if (disappeared.length > 0) {
        this.log.info("orphan.disappeared", "Orphans are gone, or have a row by now", {
          kind,
          ...named(disappeared),
        });
      }
    }
    for (const kind of ["container", "volume", "archive"] as const) this.#guard(kind, report.memory.held);
    for (const source of ["engine", "archives"] as const) this.#world(source, report.memory.foreign[source]);
    // Archives are never contested; only the engine's listing says who is.
    if (report.sources.includes("engine")) this.#contest(report.contested);
    this.#fleet(report.memory);
    this.#secondLook(report);
    const { kind, durationMs, stagesMs, sources, counts } = report;
    this.log.debug("cycle.done", "A cycle came to its end", { kind, durationMs, stagesMs, sources, counts });
  }

  /** It is over with the first that succeeds, or with a whole look that needs none. */
  #secondLook(report: CycleReport): void {
    const nowMs = this.clock.monotonicMs();
    const failure = report.failures.find(({ stage }) => stage === "again");
    if (failure !== undefined) {
      const { outage, isWorthSaying } = onFailure(this.#secondLooks, nowMs);
      this.#secondLooks = outage;
      if (isWorthSaying)
        this.log.warn("second_look.failed", "Suspicious workspaces are left as they were", {
          error: failure.cause,
          ...outageFields(outage, nowMs),
        });
      return;
    }
    const isProof =
      report.stagesMs.again !== undefined || (report.kind === "look" && report.sources.includes("engine"));
    if (this.#secondLooks === null || !isProof) return;
    this.log.info("second_look.up", "Suspicious workspaces can be looked at again", {
      ...outageFields(this.#secondLooks, nowMs),
    });
    this.#secondLooks = null;
  }

  #guard(kind: "container" | "volume" | "archive", held: CycleMemory["held"]): void {
    const ids = held[kind];
    if (ids.length > 0 && !this.#holding.has(kind)) {
      this.#holding.add(kind);
      this.log.error(
        "guard.holding",
        "Most of a listing vanished at once; the absences are held back until they are confirmed. Check the socket, the prefix and the bucket",
        { kind, ...named(ids) },
      );
    } else if (ids.length === 0 && this.#holding.delete(kind)) {
      this.log.info("guard.released", "The guard holds nothing back any more", { kind });
    }
  }

  #world(source: SourceName, foreign: Foreign | null): void {
    const before = this.#foreign[source];
    this.#foreign = { ...this.#foreign, [source]: foreign };
    if (foreign !== null && before?.seen !== foreign.seen) {
      this.log.error(
        "world.changed",
        "Another world answers than the table was written from; its absences are held back until an operator accepts it (observer accept)",
        { source, known: foreign.known, seen: foreign.seen },
      );
    } else if (foreign === null && before !== null) {
      this.log.info("world.restored", "The world is the one that the table is written from", { source });
    }
  }

  /** What one of many hosts on one table finds out about the others. */
  #fleet({ rivals, watch }: CycleMemory): void {
    const fresh = [...rivals].filter(([id]) => !this.#rivals.has(id));
    this.#rivals = new Set(rivals.keys());
    if (fresh.length > 0)
      this.log.warn(
        "host.contested",
        "Another host has these workspaces as well, and its word stands; what is too many should be removed",
        {
          ...named(fresh.map(([id]) => id)),
          hosts: [...new Set(fresh.map(([, host]) => host))].slice(0, 10),
        },
      );
    for (const host of watch.lost)
      if (!this.#lost.has(host))
        this.log.error(
          "host.lost",
          "A host gives no sign any more; what it reported is marked as not known",
          {
            host,
          },
        );
    for (const host of this.#lost)
      if (!watch.lost.has(host))
        this.log.info("host.back", "A host is lost no longer, or was forgotten", { host });
    this.#lost = new Set(watch.lost);
  }

  #contest(ids: readonly string[]): void {
    const fresh = ids.filter((id) => !this.#contested.has(id));
    this.#contested = new Set(ids);
    if (fresh.length > 0)
      this.log.warn("workspace.contested", "More than one resource claims a workspace", named(fresh));
  }
}

/** What only an inspect told, beside the transition that it explains. */
function deathFields(report: CycleReport, workspaceId: string, reason: string): Record<string, unknown> {
  if (reason === "Running" || reason === "absent") return {};
  const death = [...report.memory.deaths.values()].findLast((known) => known.workspaceId === workspaceId);
  if (death === undefined) return {};
  const { exitCode, oomKilled, finishedAt, restartCount } = death;
  return { exitCode, oomKilled, finishedAt, restartCount };
}

const named = (ids: readonly string[]) => ({
  count: ids.length,
  workspaces: ids.slice(0, limits.orphansNamed),
});
