// A server on a unix socket that answers word for word what a test says, valid HTTP or not.
import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { inScope } from "../../dev/services/scope.ts";
import type { DockerEndpoint } from "../../src/adapters/docker.ts";

/** What goes back for a path: bytes, or something done with the socket. */
export type Reply = string | Uint8Array | ((socket: Socket) => void);

export interface ScriptedEngine {
  readonly endpoint: DockerEndpoint;
  readonly socketPath: string;
  /** Paths with queries, in the order in which they came. */
  readonly requests: readonly string[];
  readonly openConnections: number;
  /** What the next requests get; `/version` has an answer of its own until it is given another. */
  script(path: string, reply: Reply): void;
  stop(): Promise<void>;
}

/** A whole answer. */
export const http = (
  status: number,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Buffer => {
  const lines = Object.entries({ "Content-Length": String(Buffer.byteLength(body)), ...headers });
  const head = `HTTP/1.1 ${status} Whatever\r\n${lines.map(([key, value]) => `${key}: ${value}\r\n`).join("")}\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(body as string)]);
};

export const json = (value: unknown, status = 200): Buffer => http(status, JSON.stringify(value));

export const versionAnswer = (api = "1.41", oldest = "1.12", version = "20.10.24"): Buffer =>
  json({ ApiVersion: api, MinAPIVersion: oldest, Version: version });

export const ID = "6ff5db3b76e55011a68bf9b4a7eba4ce9d0a926378ba3d6f3c9c280fe6568f34";
/** One container of a listing, `ws-a`. */
export const containerJson = (changes: Record<string, unknown> = {}) => ({
  Id: ID,
  Names: ["/ws-a"],
  Image: "ws-test",
  Created: 1_795_498_188,
  State: "running",
  Status: "Up 5 minutes",
  ...changes,
});

/** The head of a chunked answer that goes on. */
export const CHUNKED =
  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
export const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

export async function startScriptedEngine(): Promise<ScriptedEngine> {
  return await inScope("script", async (scope) => {
    const socketPath = join(scope.folder, "engine.sock");
    const replies = new Map<string, Reply>([["/version", versionAnswer()]]);
    const requests: string[] = [];
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => {});
      let head = "";
      socket.on("data", (bytes: Buffer) => {
        head += bytes.toString("latin1");
        for (let end = head.indexOf("\r\n\r\n"); end >= 0; end = head.indexOf("\r\n\r\n")) {
          const target = head.split(" ", 2)[1] ?? "";
          head = head.slice(end + 4);
          requests.push(target);
          answer(socket, target);
        }
      });
    });

    function answer(socket: Socket, target: string): void {
      const path = target.replace(/\?.*$/s, "").replace(/^\/v\d+\.\d+/, "");
      const reply = replies.get(path) ?? json({ message: `nothing is scripted for ${path}` }, 404);
      if (typeof reply === "function") reply(socket);
      else socket.write(reply);
    }

    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socketPath, resolve);
    });
    return {
      endpoint: { kind: "unix", socketPath },
      socketPath,
      requests,
      get openConnections() {
        return sockets.size;
      },
      script(path, reply) {
        replies.set(path, reply);
      },
      async stop() {
        server.close();
        for (const socket of sockets) socket.destroy();
        rmSync(socketPath, { force: true });
        await scope.stop();
      },
    };
  });
}

/** The error of a call that must fail. */
export async function failureOf(call: Promise<unknown>): Promise<Error> {
  const outcome = await call.then(
    () => null,
    (error: Error) => error,
  );
  if (outcome === null) throw new Error("It answered where it had to reject");
  return outcome;
}
