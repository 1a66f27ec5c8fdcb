import type { EngineUnit, World } from "../wire.ts";

/**
 * Which Engine a command is for.
 *
 * @param host null: not said, which will do where there is but one
 * @throws Error `Cannot …`
 */
export function unitOf({ units }: Pick<World, "units">, host: string | null, action: string): EngineUnit {
  const hosts = units.flatMap((unit) => unit.host ?? []);
  const [first, ...more] = host === null ? units : units.filter((unit) => unit.host === host);
  if (first !== undefined && more.length === 0) return first;
  const names = hosts.join(", ");
  if (first !== undefined)
    throw new Error(`Cannot ${action}: there are several Engines, so say --host with one of ${names}`);
  throw new Error(
    hosts.length === 0
      ? `Cannot ${action}: --host is for a fleet, and neither OBSERVER_HOST nor OBSERVER_ENGINES is set`
      : `Cannot ${action}: these settings name no such host as --host does, but ${names}`,
  );
}
