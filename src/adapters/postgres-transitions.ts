/** The history of changes, bounded by age. They are written with the conditions themselves: postgres-statements.ts. */
import type { Ask } from "./postgres-client.ts";
import { sql } from "./postgres-literals.ts";

/**
 * Forgets the oldest transitions that are older than that, and says how many. In the order of their making, which needs
 * no index of its own and touches no page twice. By an array, for a join would pass over the whole table to find that
 * nothing is old, once a minute for each host of a fleet. Owns `observer_transitions`.
 */
export async function forgetTransitions(ask: Ask, maxAgeMs: number, most: number): Promise<number> {
  const [row] = await ask<{ forgotten: number }>(sql`
    with oldest as materialized (
      select id, at from observer_transitions order by id limit ${most}::int
    ),
    forgotten as (
      delete from observer_transitions
       where id = any(array(select id from oldest where at < clock_timestamp() - ${maxAgeMs}::float8 * interval '1 millisecond'))
      returning 1
    )
    select count(*)::int as forgotten from forgotten`);
  return row!.forgotten;
}
