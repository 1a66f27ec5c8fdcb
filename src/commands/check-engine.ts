/** What `observer check` asks an Engine. */
import type { Config } from "../config.ts";
import type { EngineUnit } from "../wire.ts";
import { type Ask, attempt, connects, type Finding } from "./check-finding.ts";

/** @param named says whose it is, where there are several */
export async function* engineFindings(
  { engine, events }: EngineUnit,
  named: (name: string) => string,
  config: Config,
  ask: Ask,
): AsyncGenerator<Finding> {
  yield* attempt(named("engine"), async () => {
    const info = await ask("Cannot ask the Engine", config.listTimeoutMs, (signal) => engine.info(signal));
    return [
      null,
      { result: "ok", detail: `${info.name}, version ${info.serverVersion}, API ${info.apiVersion}` },
    ];
  });
  yield* attempt(named("containers"), async () => {
    const listing = await ask("Cannot list containers", config.listTimeoutMs, (signal) =>
      engine.listAll(config.prefix, { signal }),
    );
    return [null, { result: "ok", detail: `${listing.byWorkspace.size} of workspaces` }];
  });
  yield* attempt(named("volumes"), async () => {
    const listing = await ask("Cannot list volumes", config.listTimeoutMs, (signal) =>
      engine.listVolumes(config.prefix, { signal }),
    );
    return [null, { result: "ok", detail: `${listing.byWorkspace.size} of workspaces` }];
  });
  yield* attempt(named("engine events"), async () => {
    await ask("Cannot listen to Engine events", config.listTimeoutMs, (signal) => connects(events, signal));
    return [null, { result: "ok", detail: "the stream opens" }];
  });
}
