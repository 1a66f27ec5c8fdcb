import { rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Where a fake listens: a unix socket (path of at most 107 bytes) or a port of 127.0.0.1 (0: any free one). */
export type Listen = { unixPath: string } | { port: number };

export interface RunningServer {
  /** null on a unix socket. */
  port: number | null;
  /** Cuts every connection, hung ones too, and frees port and path. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts an HTTP server. node:http rather than Bun.serve, since only there can an answer be cut off in its middle.
 * A handler that throws answers 500 with the error's text, so that a mistake in a fake is seen, not waited for.
 */
export async function listenHttp(
  listen: Listen,
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<RunningServer> {
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500, { "Content-Type": "text/plain" });
      response.end(`The fake failed: ${String(error)}`);
    });
  });
  if ("unixPath" in listen) await rm(listen.unixPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    if ("unixPath" in listen) server.listen(listen.unixPath, resolve);
    else server.listen(listen.port, "127.0.0.1", resolve);
  });

  let stopped: Promise<void> | undefined;
  return {
    port: "unixPath" in listen ? null : (server.address() as AddressInfo).port,
    stop() {
      stopped ??= new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }).then(async () => {
        if ("unixPath" in listen) await rm(listen.unixPath, { force: true });
      });
      return stopped;
    },
  };
}
