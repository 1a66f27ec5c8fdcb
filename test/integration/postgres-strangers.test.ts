// Goal: what listens on the server's port but is no PostgreSQL (another protocol, a load balancer without a server
// behind it) is told from one that is slow: the call fails at once, and nobody is flooded with connections.
// Method: listeners that accept and then close, or speak something else.
import { expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { createLeadership } from "../../src/adapters/postgres.ts";
import { PostgresClient } from "../../src/adapters/postgres-client.ts";
import { DatabaseFault } from "../../src/adapters/postgres-fault.ts";

const strangers: readonly (readonly [string, (socket: Socket) => void])[] = [
  ["closes at once", (socket) => socket.end()],
  ["closes after the greeting", (socket) => socket.once("data", () => socket.end())],
  ["resets after the greeting", (socket) => socket.once("data", () => socket.resetAndDestroy())],
  ["speaks HTTP", (socket) => socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))],
];

test.each(strangers)("P12: a listener that %s", async (_, greet) => {
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections += 1;
    socket.on("error", () => {});
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const client = new PostgresClient({
    hosts: [{ host: "127.0.0.1", port }],
    user: "observer",
    password: null,
    database: "observer",
    tls: "disable",
    tlsRootCertificate: null,
    searchPath: null,
    applicationName: "observer",
    timeoutMs: 5_000,
  });
  try {
    for (let turn = 1; turn <= 3; turn++) {
      const failure = await createLeadership(client, "a")
        .now(AbortSignal.timeout(10_000))
        .catch((cause: unknown) => cause);
      expect(failure).toBeInstanceOf(DatabaseFault);
      expect((failure as DatabaseFault).message).toMatch(
        /^Cannot read the database's clock: PostgreSQL cannot be reached: .*; it is tried again$/,
      );
      expect(connections).toBeLessThanOrEqual(turn * 2);
    }
  } finally {
    await client.close();
    server.close();
  }
});
