// P12: an Engine that can't be reached rejects by name, one that doesn't finish is given up in time, and nothing of
// either is left running.
//
// Method: paths without an Engine, and a server that says word for word what each test wants.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { isRoot } from "../../dev/services/privileges.ts";
import { runCommand } from "../../dev/services/process.ts";
import { openScope, type Scope } from "../../dev/services/scope.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { createDockerEngine } from "../../src/adapters/docker.ts";
import { deadline } from "../contract/engine-support.ts";
import {
  CHUNKED,
  chunk,
  failureOf,
  type Reply,
  type ScriptedEngine,
  startScriptedEngine,
  versionAnswer,
} from "./docker-scripted-engine.ts";

describe("what can't be reached", () => {
  let scope: Scope;
  beforeAll(async () => {
    scope = await openScope("reach");
  });
  afterAll(() => scope.stop());

  const at = (socketPath: string) => createDockerEngine({ endpoint: { kind: "unix", socketPath } });
  const failure = async (socketPath: string): Promise<string> =>
    (await failureOf(at(socketPath).listAll("ws-", { signal: deadline() }))).message;

  test("a missing socket", async () => {
    const path = join(scope.folder, "missing.sock");
    expect(await failure(path)).toBe(
      `Cannot list containers: there is no socket at ${path} (ENOENT): start dockerd, or let DOCKER_HOST name its socket`,
    );
  });

  test("a socket that nobody listens on", async () => {
    const path = join(scope.folder, "dead.sock");
    writeFileSync(path, "");
    expect(await failure(path)).toContain(`nobody listens at ${path} (ECONNREFUSED): is dockerd running`);
  });

  test("a path that is too long for a socket", async () => {
    expect(await failure(`/tmp/${"x".repeat(200)}`)).toContain("107 bytes are the most");
  });

  test("a host without an address, a port that nobody listens on, a server without TLS", async () => {
    const tcp = (url: string) =>
      failureOf(
        createDockerEngine({
          endpoint: { kind: "tcp", url, tls: { ca: null, cert: null, key: null, verify: true } },
        }).listVolumes("ws-", { signal: deadline() }),
      );
    expect((await tcp("http://no-such-host.invalid:2375")).message).toMatch(
      /^Cannot list volumes: the host of http:\/\/no-such-host\.invalid:2375 (has no address|can't be reached)/,
    );
    expect((await tcp("http://127.0.0.1:1")).message).toContain("nobody listens at http://127.0.0.1:1");
    using plain = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
    expect((await tcp(`https://127.0.0.1:${plain.port}`)).message).toContain("DOCKER_TLS_VERIFY");
  });

  test("a socket that this user may not use", async () => {
    const scripted = await startScriptedEngine();
    try {
      chmodSync(scripted.socketPath, 0);
      const program = `
        const { createDockerEngine } = await import(${JSON.stringify(join(import.meta.dir, "../../src/adapters/docker.ts"))});
        const engine = createDockerEngine({ endpoint: ${JSON.stringify(scripted.endpoint)} });
        const signal = AbortSignal.timeout(10_000);
        console.log(await engine.listAll("ws-", { signal }).then(() => "listed", (error) => error.message));`;
      // Root may everything, unless this capability is taken from it.
      const command = isRoot() ? ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] : [];
      const [first, ...rest] = [...command, process.execPath, "--eval", program];
      expect(await runCommand([first!, ...rest])).toContain(
        `Cannot list containers: the socket ${scripted.socketPath} may not be used by this user (EACCES): add the user`,
      );
    } finally {
      await scripted.stop();
    }
  });
});

describe("P12: what never ends", () => {
  let server: ScriptedEngine;
  beforeAll(async () => {
    server = await startScriptedEngine();
  });
  afterAll(() => server.stop());

  const drip = (head: string, piece: string) => (socket: Socket) => {
    socket.write(head);
    const timer = setInterval(() => socket.write(piece), 5);
    socket.on("close", () => clearInterval(timer));
  };
  const silent = () => {};

  test.each([
    ["no answer", silent],
    ["half a head", drip("HTTP/1.1 200 OK\r\nContent-", "")],
    ["no body", drip("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "")],
    ["a body that drips", drip(`${CHUNKED}${chunk("[")}`, chunk(" "))],
    ["an error that drips", drip(CHUNKED.replace("200", "500"), chunk(" "))],
  ] as [string, Reply][])("%s: it settles when the signal fires, and hangs up", async (_, reply) => {
    for (const path of ["/version", "/containers/json"]) {
      server.script("/version", versionAnswer());
      server.script(path, reply);
      const engine = createDockerEngine({ endpoint: server.endpoint });
      const before = server.requests.length;
      const aborting = new AbortController();
      const failing = failureOf(engine.listAll("ws-", { signal: aborting.signal }));
      await waitFor("the request", 5_000, () =>
        server.requests.slice(before).some((at) => at.includes(path)),
      );
      aborting.abort(new Error("the deadline has passed"));
      const error = await failing;
      expect(error.message).toMatch(
        /^Cannot list containers: given up while (waiting for|reading) the Engine's answer( 500)? \(the deadline has passed\)$/,
      );
      expect(error.cause).toBe(aborting.signal.reason);
      await waitFor("the connections to be closed", 5_000, () => server.openConnections === 0);
    }
  });

  test("a signal that has fired already asks nothing", async () => {
    const before = server.requests.length;
    const engine = createDockerEngine({ endpoint: server.endpoint });
    const signal = AbortSignal.abort(new Error("stopping"));
    const error = await failureOf(engine.listAll("ws-", { signal }));
    expect(error.message).toBe(
      "Cannot list containers: given up while waiting for the Engine's answer (stopping)",
    );
    expect(server.requests.length).toBe(before);
  });
});
