/**
 * The Engine's event stream as a source of hints (P9): it tells where to look, and makes it sooner, and nothing more.
 *
 *   connecting ──headers──▶ listening (onUp) ──renewal──▶ connecting
 *       ▲ └────failed────┐      └──ended, failed──┐
 *       └──── pausing (onDown) ◀─────────────────┘
 *
 * An event in the instant between the headers and the Engine's own subscription is lost, which is legal.
 */
import type { Clock, HintListener, HintSource } from "../observer/ports.ts";
import { subjectsOf, ToldHealth } from "./docker-event-lines.ts";
import { type DockerEndpoint, EngineFault } from "./docker-fault.ts";
import { createDockerTransport } from "./docker-transport.ts";
import { createVersionNegotiator } from "./docker-version.ts";
import { createLineSplitter } from "./line-splitter.ts";

export interface DockerEventsOptions {
  readonly endpoint: DockerEndpoint;
  readonly prefix: string;
  readonly clock: Clock;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
}

/** A restarted Engine is back in a second, so the first try is soon; a missing one costs a try in five seconds. */
const BACKOFF_FIRST_MS = 100;
const BACKOFF_LAST_MS = 5_000;
/** An Engine answers with headers at once. */
const CONNECT_TIMEOUT_MS = 5_000;
/** A peer that vanished without a word (TCP) is silent for ever, as a quiet Engine is. So never trust it longer. */
const RENEW_MS = 10 * 60_000;

const FILTERS = JSON.stringify({ type: ["container", "volume"] });

type StreamEnd = { readonly kind: "renew" } | { readonly kind: "lost"; readonly cause: unknown };

export function createDockerEvents(options: DockerEventsOptions): HintSource {
  const { clock, prefix, random } = options;
  const transport = createDockerTransport(options.endpoint);
  const versions = createVersionNegotiator(transport);
  const told = new ToldHealth();

  /** One connection, from its first byte to its last. */
  async function follow(listener: Omit<HintListener, "onDown">, signal: AbortSignal): Promise<StreamEnd> {
    const connection = new AbortController();
    const stop = () => connection.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    let timer = startTimer(clock, CONNECT_TIMEOUT_MS, () =>
      connection.abort(new Error(`${CONNECT_TIMEOUT_MS} ms have passed`)),
    );
    let renewing = false;
    try {
      const { apiVersion } = await versions.get(connection.signal);
      const path = `/v${apiVersion}/events?filters=${encodeURIComponent(FILTERS)}`;
      told.forgetAll();
      const stream = await transport.openStream(path, connection.signal);
      await timer.stop();
      timer = startTimer(clock, RENEW_MS, () => {
        renewing = true;
        connection.abort(new Error("the connection is renewed"));
      });
      listener.onUp();
      const splitLines = createLineSplitter();
      for await (const bytes of stream) {
        const lines = splitLines(bytes).map((line) =>
          line === null ? null : subjectsOf(line, prefix, told),
        );
        const subjects = lines.flatMap((each) => each ?? []);
        if (lines.includes(null)) listener.onHint();
        else if (subjects.length > 0) listener.onHint(subjects);
      }
      throw new EngineFault("the Engine ended the event stream");
    } catch (cause) {
      if (renewing) return { kind: "renew" };
      versions.forget();
      return {
        kind: "lost",
        cause: new Error(`Cannot follow the Engine's events: ${messageOf(cause)}`, { cause }),
      };
    } finally {
      signal.removeEventListener("abort", stop);
      connection.abort();
      await timer.stop();
    }
  }

  return {
    async listen(listener: HintListener, signal: AbortSignal): Promise<void> {
      let pauseMs = BACKOFF_FIRST_MS;
      const following: Omit<HintListener, "onDown"> = {
        onHint: (subjects) => listener.onHint(subjects),
        onUp: () => listener.onUp(),
      };
      while (!signal.aborted) {
        const startedMs = clock.monotonicMs();
        const end = await follow(following, signal);
        if (signal.aborted) return;
        if (end.kind === "renew") continue;
        listener.onDown(end.cause);
        // An Engine that accepts and then hangs up must not be asked ten times a second.
        if (clock.monotonicMs() - startedMs > BACKOFF_LAST_MS) pauseMs = BACKOFF_FIRST_MS;
        await clock.sleep(pauseMs * (0.5 + random() / 2), signal);
        pauseMs = Math.min(pauseMs * 2, BACKOFF_LAST_MS);
      }
    },
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

interface Timer {
  /** Resolves when nothing of it is left. */
  stop(): Promise<void>;
}

function startTimer(clock: Clock, ms: number, onExpired: () => void): Timer {
  const stopping = new AbortController();
  const ended = clock.sleep(ms, stopping.signal).then(() => {
    if (!stopping.signal.aborted) onExpired();
  });
  return {
    stop() {
      stopping.abort();
      return ended;
    },
  };
}
