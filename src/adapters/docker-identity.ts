/**
 * Which Engine answers: its ID of `GET /info`, which stays through restarts and changes with a re-installation.
 *
 * That call costs an Engine more than a listing (it asks its runtimes for their versions), so over a unix socket it is
 * made only when the socket file is another one than before: whoever listens there now made it. Over TCP nothing tells
 * one server from the next, so it is made every time.
 */
import { statSync } from "node:fs";
import type { DockerEndpoint } from "./docker-fault.ts";

export interface EngineIdentity {
  /** Null where the Engine has no ID, or doesn't tell (a socket proxy that refuses `/info`). */
  readonly id: string | null;
  /** Still the same socket? To be compared after a listing with what it was before. */
  readonly socket: string | null;
}

export interface IdentityAsker {
  ask(signal: AbortSignal): Promise<EngineIdentity>;
  /** The socket as it is now. */
  socket(): string | null;
}

export function createIdentityAsker(
  endpoint: DockerEndpoint,
  askId: (signal: AbortSignal) => Promise<string | null>,
): IdentityAsker {
  let known: EngineIdentity | null = null;
  const socket = () => (endpoint.kind === "unix" ? socketStamp(endpoint.socketPath) : null);
  return {
    socket,
    async ask(signal) {
      const now = socket();
      if (known !== null && now !== null && known.socket === now) return known;
      known = null;
      const id = await askId(signal);
      // A refusal may be over by the next time; only an answer is kept.
      if (id !== null) known = { id, socket: now };
      return { id, socket: now };
    },
  };
}

function socketStamp(path: string): string | null {
  try {
    const { dev, ino, ctimeMs } = statSync(path);
    return `${dev}:${ino}:${ctimeMs}`;
  } catch {
    return null;
  }
}
