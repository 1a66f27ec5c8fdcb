// Deeds done to workspaces, and what has to hold of every one of them: the table shows it, its transition lies between
// the deed and its visibility, `wc:wake` is heard after it, and nobody else's row moves.
import { expect } from "bun:test";
import { inParallel } from "../../dev/services/engine.ts";
import { waitFor } from "../../dev/services/wait.ts";
import type { WakeEar } from "./support.ts";
import type { Condition, Conditions, Platform } from "./support-platform.ts";

export interface Deeds {
  /** Does it to each workspace and resolves with the first document of each that shows it. */
  act(
    what: string,
    targets: readonly string[],
    deed: (id: string) => Promise<unknown>,
    key: "container" | "volume",
    isSo: (condition: Condition | null) => boolean,
  ): Promise<Map<string, Conditions>>;
  /** How long after the end of each deed its outcome was in the table. */
  report(): string;
}

/** The database's clock is read on the server and arrives a moment later, so what is added to it starts late. */
const CLOCK_READING_MS = 1_000;

const sorted = (values: readonly number[]) => [...values].sort((left, right) => left - right);
const median = (values: readonly number[]) => sorted(values)[values.length >> 1] ?? Number.NaN;

export function watchDeeds(platform: Platform, wakes: WakeEar): Deeds {
  const latencies: { what: string; medianMs: number; maxMs: number }[] = [];
  return {
    async act(what, targets, deed, key, isSo) {
      const before = await platform.rows();
      const afterSeq = await platform.lastSeq();
      const begun = new Map<string, number>();
      const done = new Map<string, number>();
      await inParallel(targets, 8, async (id) => {
        begun.set(id, Date.now());
        await deed(id);
        done.set(id, Date.now());
      });
      const shown = await platform.shows(
        what,
        targets,
        (conditions) => conditions[key] !== undefined && isSo(conditions[key] ?? null),
        { afterSeq },
      );
      const delaysMs = [...shown].map(([id, { atMs }]) => Math.max(0, atMs - done.get(id)!));
      latencies.push({ what, medianMs: median(delaysMs), maxMs: Math.max(...delaysMs) });

      for (const [id, { conditions, atMs }] of shown) {
        const changed = conditions[key];
        if (!changed) continue;
        const transitionMs = Date.parse(changed.last_transition_at);
        expect(transitionMs).toBeGreaterThanOrEqual(begun.get(id)! - CLOCK_READING_MS);
        expect(transitionMs).toBeLessThanOrEqual(atMs);
      }
      const lastMs = Math.max(...[...shown.values()].map(({ atMs }) => atMs));
      await waitFor(`wc:wake after ${what}`, 10_000, () => (wakes.atMs.at(-1) ?? 0) >= Math.floor(lastMs));

      const after = await platform.rows();
      for (const [id, row] of before) {
        if (targets.includes(id)) continue;
        const { observed: _, ...unchanged } = row.conditions;
        expect(after.get(id)?.conditions).toMatchObject(unchanged);
      }
      return new Map([...shown].map(([id, write]) => [id, write.conditions]));
    },
    report() {
      const lines = latencies.map(
        ({ what, medianMs, maxMs }) => `  ${what.padEnd(28)} ${Math.round(medianMs)} / ${Math.round(maxMs)}`,
      );
      const all = Math.round(median(latencies.map(({ medianMs }) => medianMs)));
      return `Visible after, ms (median / max; median of all ${all}):\n${lines.join("\n")}`;
    },
  };
}
