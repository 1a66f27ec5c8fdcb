// A proxy in front of a server that misbehaves on request: what networks do to connections.
import { rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { inScope } from "./scope.ts";
import type { Address } from "./sockets.ts";

export interface FaultProxyOptions {
  readonly target: Address;
  /** Listen on a loopback port (default) or on a unix socket in a folder of its own. */
  readonly listen?: "tcp" | "unix";
}

export interface FaultProxy {
  /** Where clients connect: host and port, or path. */
  readonly address: Address;
  /** Zero when it listens on a unix socket. */
  readonly port: number;
  /** Empty when it listens on a port. */
  readonly path: string;
  /** Client connections that are open now, and that there ever were. */
  readonly openConnections: number;
  readonly totalConnections: number;
  /** Every chunk, in both directions, arrives that much later. */
  delayMs: number;
  /** Resets every connection; new ones are welcome. */
  cut(): void;
  /** Accepts, but passes nothing in either direction until thaw(), which then passes it all. */
  freeze(): void;
  thaw(): void;
  /** New connections are refused (ECONNREFUSED; ENOENT on a unix socket); open ones go on. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
  stop(): Promise<void>;
}

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  return await inScope("proxy", async (scope) => {
    const isUnix = options.listen === "unix";
    const path = isUnix ? join(scope.folder, "proxy.sock") : "";
    const port = isUnix ? 0 : await freePort();
    const address: Address = isUnix ? { path } : { host: "127.0.0.1", port };
    const sockets = new Set<Socket>();
    const clients = new Set<Socket>();
    let totalConnections = 0;
    let server: Server | undefined;
    let gate = openGate();

    const proxy: FaultProxy = {
      address,
      port,
      path,
      delayMs: 0,
      get openConnections() {
        return clients.size;
      },
      get totalConnections() {
        return totalConnections;
      },
      cut() {
        for (const socket of sockets) reset(socket);
      },
      freeze() {
        if (gate.isOpen) gate = closedGate();
      },
      thaw() {
        const closed = gate;
        gate = openGate();
        closed.open();
      },
      async refuse() {
        server?.close();
        server = undefined;
        if (isUnix) rmSync(path, { force: true });
      },
      async accept() {
        server ??= await listen(address, onClient);
      },
      async stop() {
        await proxy.refuse();
        proxy.cut();
        proxy.thaw();
        await scope.stop();
      },
    };

    function track(socket: Socket): void {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => {});
    }

    function onClient(client: Socket): void {
      totalConnections += 1;
      clients.add(client);
      client.on("close", () => clients.delete(client));
      const upstream = connect({ ...options.target, allowHalfOpen: true });
      track(client);
      track(upstream);
      pass(client, upstream);
      pass(upstream, client);
    }

    /** Hands over chunks in order, one after the other, each held up by the delay and the gate. */
    function pass(from: Socket, to: Socket): void {
      let last: Promise<void> = Promise.resolve();
      const after = (act: () => void) => {
        const dueMs = performance.now() + proxy.delayMs;
        last = last.then(async () => {
          const waitMs = dueMs - performance.now();
          if (waitMs > 0) await Bun.sleep(waitMs);
          while (!gate.isOpen) await gate.opened;
          if (!to.destroyed) act();
        });
      };
      let held = 0;
      from.on("data", (chunk: Buffer) => {
        held += chunk.length;
        // Bounded, or a frozen bulk transfer fills the memory.
        if (held > 1_000_000) from.pause();
        after(() => {
          to.write(chunk, () => {
            held -= chunk.length;
            if (held <= 500_000) from.resume();
          });
        });
      });
      from.on("end", () => after(() => to.end()));
      from.on("close", (hadError: boolean) => after(() => (hadError ? reset(to) : to.end())));
    }

    await proxy.accept();
    return proxy;
  });
}

function listen(address: Address, onClient: (client: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, onClient);
    server.once("error", reject);
    server.listen(address, () => resolve(server));
  });
}

function reset(socket: Socket): void {
  if (socket.remoteAddress === undefined || typeof socket.resetAndDestroy !== "function") socket.destroy();
  else socket.resetAndDestroy();
}

interface Gate {
  readonly isOpen: boolean;
  readonly opened: Promise<void>;
  open(): void;
}

const openGate = (): Gate => ({ isOpen: true, opened: Promise.resolve(), open: () => {} });

function closedGate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { isOpen: false, opened: promise, open: resolve };
}
