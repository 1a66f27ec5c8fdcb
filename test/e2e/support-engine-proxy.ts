// A proxy in front of the Engine's socket that lets through what a rule allows, and remembers every request.
import { chmodSync, chownSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";

export interface EngineProxy {
  readonly socketPath: string;
  /** `GET /containers/{id}/json`: method and path without version, id and query, in the order first seen. */
  readonly allowed: ReadonlySet<string>;
  readonly denied: ReadonlySet<string>;
  stop(): Promise<void>;
}

export interface EngineProxyOptions {
  readonly socketPath: string;
  readonly engineSocketPath: string;
  /** Who may connect: root and this group. */
  readonly groupId: number;
  readonly allows: (method: string, path: string) => boolean;
}

const FORBIDDEN = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/** Requests have no body here: what is allowed is a question, so the bytes of a head are all there is to pass on. */
export async function startEngineProxy(options: EngineProxyOptions): Promise<EngineProxy> {
  const { socketPath, engineSocketPath, groupId, allows } = options;
  const allowed = new Set<string>();
  const denied = new Set<string>();
  const sockets = new Set<Socket>();

  const track = (socket: Socket, other: () => Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      other().destroy();
    });
  };
  const server = createServer((client) => {
    const engine: Socket = connect(engineSocketPath);
    track(client, () => engine);
    track(engine, () => client);
    engine.pipe(client);
    let head = "";
    client.on("data", (bytes) => {
      head += bytes.toString("latin1");
      for (let end = head.indexOf("\r\n\r\n"); end >= 0; end = head.indexOf("\r\n\r\n")) {
        const request = head.slice(0, end + 4);
        head = head.slice(end + 4);
        const [method = "", target = ""] = request.split(" ", 2);
        const path = target.split("?", 1)[0] ?? "";
        const isAllowed = allows(method, path);
        (isAllowed ? allowed : denied).add(`${method} ${patternOf(path)}`);
        if (isAllowed) engine.write(request, "latin1");
        else client.end(FORBIDDEN);
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socketPath, resolve);
  });
  chownSync(socketPath, 0, groupId);
  chmodSync(socketPath, 0o660);
  return {
    socketPath,
    allowed,
    denied,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const patternOf = (path: string): string =>
  path
    .replace(/^\/v\d[\d.]*\//, "/")
    .replace(/^\/containers\/[a-zA-Z0-9_.-]+\/json$/, "/containers/{id}/json")
    .replace(/^\/volumes\/[^/]+$/, "/volumes/{name}");
