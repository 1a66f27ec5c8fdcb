// startStatusServer(): the endpoint on a real socket. Goal: it answers, says clearly why it can't listen, and no
// client, however it behaves, blocks another one or the end of the process (P12). Method: loopback ports that the
// system chooses; misbehaving clients are raw sockets.
import { afterEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { waitFor } from "../../dev/services/wait.ts";
import { askEndpoint } from "../../src/commands/status-source.ts";
import { createStatusApp } from "../../src/status/app.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { createPage } from "../../src/status/page/page.ts";
import { type StatusServer, type StatusServerOptions, startStatusServer } from "../../src/status/server.ts";
import { build, health, leaderView } from "../unit/status-fixtures.ts";

const servers: StatusServer[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => server.stop(0)));
});

function start(
  app: StatusServerOptions["app"] = statusApp(),
  port = 0,
  hostname = "127.0.0.1",
): StatusServer {
  const server = startStatusServer({ app, hostname, port });
  servers.push(server);
  return server;
}

const statusApp = () => {
  const view = () => leaderView();
  return createStatusApp({
    view,
    health,
    build,
    metrics: createMetrics({ view, build, health }),
    token: null,
  });
};

const portOf = (server: StatusServer) => Number(new URL(server.url).port);

/** A connected raw client that reads nothing unless told to. */
async function client(server: StatusServer, text: string): Promise<Socket> {
  const socket = connect(portOf(server), "127.0.0.1");
  sockets.push(socket);
  // A cut connection is what these tests are about.
  socket.on("error", () => {});
  socket.pause();
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  if (text !== "") await new Promise<void>((resolve) => socket.write(text, () => resolve()));
  return socket;
}

/** The status of the answer to a request, word for word. */
async function statusOf(server: StatusServer, text: string): Promise<string> {
  const socket = await client(server, text);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.resume();
  await waitFor("the answer's head", 5_000, () => Buffer.concat(chunks).includes("\r\n\r\n"));
  socket.destroy();
  return Buffer.concat(chunks).toString().split(" ")[1]!;
}

const GET = "GET /status HTTP/1.1\r\nHost: observer\r\n\r\n";

/** Far more than any socket buffer takes, so that the answer waits for its reader. */
const hugeAnswers = (onRequest: () => void = () => {}) => ({
  fetch: (request: Request) => {
    if (request.url.endsWith("/quick")) return new Response("quick");
    onRequest();
    return new Response("x".repeat(32_000_000));
  },
});

describe("startStatusServer()", () => {
  test("serves the app and tells its url", async () => {
    const server = start();
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect(await (await fetch(`${server.url}/status`)).json()).toMatchObject({ role: "leader" });
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain("observer_build_info");
    const head = await fetch(`${server.url}/status`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("says which setting to change when the port is in use", () => {
    const port = portOf(start());
    expect(() => start(statusApp(), port)).toThrow(
      `Cannot serve the status endpoint on 127.0.0.1:${port}: the address is in use. Set OBSERVER_LISTEN`,
    );
  });

  test("says which setting to change when the address is not this machine's", () => {
    expect(() => start(statusApp(), 0, "192.0.2.1")).toThrow(
      "Cannot serve the status endpoint on 192.0.2.1:0: this machine has no such address. Set OBSERVER_LISTEN",
    );
  });

  test("refuses a body that no path would read", async () => {
    const server = start();
    const response = await fetch(`${server.url}/status`, { method: "POST", body: "x".repeat(100_000) });
    expect([405, 413]).toContain(response.status);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });

  test("P12: clients that send nothing, half a request, or never read block nobody", async () => {
    const asked = Promise.withResolvers<void>();
    const server = start(hugeAnswers(asked.resolve));
    await client(server, "");
    await client(server, "GET /status HTTP/1.1\r\nHos");
    await client(server, GET);
    await asked.promise;
    for (let count = 0; count < 20; count++) {
      expect(await (await fetch(`${server.url}/quick`)).text()).toBe("quick");
    }
  });
});

describe("stop()", () => {
  test("P12: ends at its deadline though a client never reads its answer", async () => {
    const asked = Promise.withResolvers<void>();
    const server = start(hugeAnswers(asked.resolve));
    const stuck = await client(server, GET);
    await asked.promise;
    const cut = new Promise<void>((resolve) => stuck.once("close", () => resolve()));
    await server.stop(50);
    stuck.resume();
    await cut;
    await expectRefused(server);
  });

  test("P12: ends at its deadline though an answer is never composed", async () => {
    const asked = Promise.withResolvers<void>();
    const server = start({
      fetch: () => {
        asked.resolve();
        return new Promise<Response>(() => {});
      },
    });
    await client(server, GET);
    await asked.promise;
    await server.stop(50);
    await expectRefused(server);
  });

  test("lets an answer under way finish", async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<Response>();
    const server = start({
      fetch: () => {
        asked.resolve();
        return answer.promise;
      },
    });
    const response = fetch(server.url);
    await asked.promise;
    // The deadline is longer than a test may take: were it waited for, the test would fail.
    const stopped = server.stop(60_000);
    answer.resolve(new Response("finished"));
    expect(await (await response).text()).toBe("finished");
    await stopped;
    await expectRefused(server);
  });

  test("a probe without a Host, or with one that is none, is answered like any other", async () => {
    const view = () => leaderView();
    const metrics = createMetrics({ view, build, health });
    const page = createPage({ view, health, build });
    const server = start(createStatusApp({ view, health, build, metrics, token: "0123456789abcdef", page }));
    expect(await statusOf(server, "GET /healthz HTTP/1.0\r\n\r\n")).toBe("200");
    for (const host of ["", "[", "a:99999"])
      expect(await statusOf(server, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).toBe("200");
    expect(await statusOf(server, "GET /status HTTP/1.1\r\nHost: [\r\n\r\n")).toBe("401");
  });

  test("`status --url` doesn't ask a proxy the way to this very machine", async () => {
    let viaProxy = 0;
    const proxy = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => {
        viaProxy += 1;
        return new Response("no", { status: 502 });
      },
    });
    const before = process.env.http_proxy;
    process.env.http_proxy = proxy.url.href;
    try {
      const server = start();
      const reading = await askEndpoint(server.url, "0123456789abcdef", AbortSignal.timeout(5_000));
      expect(reading).toBeDefined();
      expect(viaProxy).toBe(0);
    } finally {
      if (before === undefined) delete process.env.http_proxy;
      else process.env.http_proxy = before;
      await proxy.stop(true);
    }
  });

  test("P12: doesn't wait for open pages once they are closed, and cuts one that nobody reads", async () => {
    const view = () => leaderView();
    const page = createPage({ view, health, build });
    const metrics = createMetrics({ view, build, health });
    const server = start(createStatusApp({ view, health, build, metrics, token: null, page }));
    const events = await fetch(`${server.url}/events`);
    const text = events.text();
    await client(server, "GET /events HTTP/1.1\r\nHost: observer\r\n\r\n");
    await waitFor("both to watch", 5_000, () => page.live.size === 2);
    page.close();
    // The deadline is longer than a test may take: were it waited for, the test would fail.
    await server.stop(60_000);
    expect(await text).toStartWith("retry: ");
    await expectRefused(server);
  });

  test("a page that its reader has left is watched no more", async () => {
    const view = () => leaderView();
    const page = createPage({ view, health, build });
    const metrics = createMetrics({ view, build, health });
    const server = start(createStatusApp({ view, health, build, metrics, token: null, page }));
    const leaving = new AbortController();
    const events = await fetch(`${server.url}/events`, { signal: leaving.signal });
    await events.body!.getReader().read();
    expect(page.live.size).toBe(1);
    leaving.abort();
    await waitFor("nobody to watch", 10_000, () => page.live.size === 0);
    page.close();
  });

  test("doesn't wait for connections that are kept alive, and may be called twice", async () => {
    const server = start();
    const idle = await client(server, "GET /healthz HTTP/1.1\r\nHost: observer\r\n\r\n");
    const answered = new Promise<void>((resolve) => idle.once("data", () => resolve()));
    idle.resume();
    await answered;
    await Promise.all([server.stop(60_000), server.stop(60_000)]);
    await expectRefused(server);
  });
});

async function expectRefused(server: StatusServer): Promise<void> {
  const outcome = await new Promise<string>((resolve) => {
    const socket = connect(portOf(server), "127.0.0.1");
    socket.once("connect", () => resolve("connected"));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "failed"));
    sockets.push(socket);
  });
  expect(outcome).toBe("ECONNREFUSED");
}
