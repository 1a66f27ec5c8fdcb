// One address, and the server behind it may become another one: what a virtual address or a name does at a failover.
// Connections that are open stay with the server that they were opened to.
import { connect, createServer, type Socket } from "node:net";

export interface Switch {
  readonly port: number;
  /** Where new connections lead, on loopback. */
  targetPort: number;
  stop(): void;
}

export async function startSwitch(targetPort: number): Promise<Switch> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect({ host: "127.0.0.1", port: it.targetPort });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port: 0 }, resolve);
  });
  const address = server.address();
  const it: Switch = {
    port: typeof address === "object" && address !== null ? address.port : 0,
    targetPort,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return it;
}
