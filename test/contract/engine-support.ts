// What the Engine's tests need around them: the real clock, and an ear for hints.
import { waitFor } from "../../dev/services/wait.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import { createDockerEngine, createDockerEvents, type DockerEndpoint } from "../../src/adapters/docker.ts";
import type { HintListener, HintSource } from "../../src/observer/ports.ts";
import type { EngineWorld } from "./engine.ts";

/** The one that the product runs on. */
export const realClock = systemClock;

/** Long enough for a busy machine, short enough to end a test that hangs. */
export const deadline = (ms = 20_000): AbortSignal => AbortSignal.timeout(ms);

export interface Ear {
  readonly hints: number;
  readonly ups: number;
  readonly downs: readonly unknown[];
  /** The workspaces that hints named; `*` where one could be about anything. */
  readonly about: ReadonlySet<string>;
  /** Resolves once the counts are at least these, and so much was named. */
  heard(counts: { hints?: number; ups?: number; downs?: number; about?: readonly string[] }): Promise<void>;
  /** Fires the signal; resolves when `listen()` did. */
  stop(): Promise<void>;
}

export function listenTo(source: HintSource): Ear {
  const stopping = new AbortController();
  let hints = 0;
  const about = new Set<string>();
  let ups = 0;
  const downs: unknown[] = [];
  const listener: HintListener = {
    onHint: (subjects) => {
      hints += 1;
      if (subjects === undefined) about.add("*");
      for (const { workspace } of subjects ?? []) about.add(workspace);
    },
    onUp: () => {
      ups += 1;
    },
    onDown: (cause) => {
      downs.push(cause);
    },
  };
  const listening = source.listen(listener, stopping.signal);
  return {
    get hints() {
      return hints;
    },
    get ups() {
      return ups;
    },
    downs,
    about,
    async heard(counts) {
      const text = JSON.stringify(counts);
      await waitFor(
        `the event stream to say ${text}`,
        15_000,
        () =>
          hints >= (counts.hints ?? 0) &&
          ups >= (counts.ups ?? 0) &&
          downs.length >= (counts.downs ?? 0) &&
          (counts.about ?? []).every((workspace) => about.has(workspace)),
        2,
      );
    },
    async stop() {
      stopping.abort(new Error("the test is over"));
      await listening;
    },
  };
}

/** The product's own adapter of the Docker API. */
export const dockerWorld = (endpoint: DockerEndpoint): Pick<EngineWorld, "engine" | "events"> => ({
  engine: createDockerEngine({ endpoint }),
  events: (prefix) => createDockerEvents({ endpoint, prefix, clock: realClock, random: Math.random }),
});
