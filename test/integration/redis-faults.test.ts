// Goal: whatever Redis and the network do, hints come back by themselves (P8), nothing hangs (P12), each outage is
// told once, by name, and no password is ever told.
// Method: private servers that are killed, frozen (SIGSTOP) and misconfigured, and a proxy that cuts, freezes and
// refuses connections. Only events are awaited; times are never measured but against generous deadlines.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { inspect } from "node:util";
import { freePort } from "../../dev/services/ports.ts";
import { type Redis, startRedis } from "../../dev/services/redis.ts";
import { startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import type { RedisTarget } from "../../src/adapters/redis-connection.ts";
import type { RedisError, RedisFault } from "../../src/adapters/redis-errors.ts";
import { deadline, listenTo } from "../contract/engine-support.ts";
import { ask, closeAll, hearWakes, hint, hintsOn, isListening, quick, targetOf } from "./redis-support.ts";

let server: Redis;

beforeEach(async () => {
  server = await startRedis();
}, 60_000);
afterEach(async () => {
  await closeAll();
  await server.stop();
});

const publishFault = async (redis: RedisTarget, ca?: string): Promise<RedisError> =>
  (await hintsOn(redis, ca === undefined ? {} : { ca })
    .publish(deadline())
    .then(() => new Error("published"))
    .catch((error: unknown) => error)) as RedisError;

const faultOf = (cause: unknown): RedisFault => (cause as RedisError).fault;

test("P8: after kill -9 and a restart it is up again by itself, and hears hints", async () => {
  const hints = hintsOn(targetOf(server));
  const ear = listenTo(hints);
  await ear.heard({ ups: 1 });
  await hints.publish(deadline());
  server.kill("SIGKILL");
  await ear.heard({ downs: 1 });
  await expect(hints.publish(deadline())).rejects.toMatchObject({ name: "RedisError" });
  await server.restart();
  await ear.heard({ ups: 2 });
  await hint(server);
  await ear.heard({ hints: 1 });
  const wakes = await hearWakes(server);
  // The publisher reconnects on its own; its first success is awaited, not timed.
  await waitFor("a wake to get through", 10_000, async () => {
    await hints.publish(deadline());
    return wakes.wakes.length > 0;
  });
  wakes.stop();
  await ear.stop();
  expect(faultOf(ear.downs[0])).toBe("lost");
  expect(ear.ups).toBe(2);
}, 60_000);

test("a clean restart is an outage as well", async () => {
  const ear = listenTo(hintsOn(targetOf(server)));
  await ear.heard({ ups: 1 });
  await server.restart();
  await ear.heard({ downs: 1, ups: 2 });
  await ear.stop();
}, 60_000);

test("one that refuses from the start: told once, publish() fails at once, and up when it is there", async () => {
  const proxy = await startFaultProxy({ target: { host: server.host, port: server.port } });
  await proxy.refuse();
  const hints = hintsOn(targetOf(server, { port: proxy.port }));
  const ear = listenTo(hints);
  await ear.heard({ downs: 1 });
  for (let i = 0; i < 5; i++) {
    const error = await hints.publish(deadline()).catch((cause: unknown) => cause as RedisError);
    expect(error).toMatchObject({ fault: "unreachable" });
    expect((error as RedisError).message).toContain(`Redis at 127.0.0.1:${proxy.port} can't be reached`);
  }
  await proxy.accept();
  await ear.heard({ ups: 1 });
  await hint(server);
  await ear.heard({ hints: 1 });
  await ear.stop();
  expect(ear.downs.map(faultOf)).toEqual(["unreachable"]);
  await proxy.stop();
}, 60_000);

test("one that accepts and hangs up is never up, and each attempt is told", async () => {
  let attempts = 0;
  const rude = createServer((socket) => {
    attempts += 1;
    socket.on("error", () => {});
    socket.destroy();
  });
  const port = await freePort();
  await new Promise<void>((resolve) => rude.listen(port, "127.0.0.1", resolve));
  const ear = listenTo(hintsOn(targetOf(server, { port })));
  await waitFor("five attempts", 20_000, () => attempts >= 5);
  await ear.stop();
  expect(ear.ups).toBe(0);
  expect(ear.downs.length).toBeGreaterThanOrEqual(4);
  const before = attempts;
  await isListening(port);
  // Only our own probe: after stop() nobody tries any more.
  await waitFor("the probe", 5_000, () => attempts > before);
  expect(attempts).toBe(before + 1);
  rude.close();
}, 60_000);

test("P8: flapping: each time it comes back is announced", async () => {
  const proxy = await startFaultProxy({ target: { host: server.host, port: server.port } });
  const ear = listenTo(hintsOn(targetOf(server, { port: proxy.port })));
  for (let flap = 1; flap <= 5; flap++) {
    await ear.heard({ ups: flap });
    proxy.cut();
    await ear.heard({ downs: flap });
  }
  await ear.heard({ ups: 6 });
  await hint(server);
  await ear.heard({ hints: 1 });
  await ear.stop();
  expect([ear.ups, ear.downs.length]).toEqual([6, 5]);
  await waitFor("no connection", 5_000, () => proxy.openConnections === 0);
  await proxy.stop();
}, 60_000);

test("P12: a frozen server is noticed by the unanswered PING, and publish() ends at its deadline", async () => {
  const hints = hintsOn(targetOf(server));
  const ear = listenTo(hints);
  await ear.heard({ ups: 1 });
  await hints.publish(deadline());
  server.kill("SIGSTOP");
  const failure = await hints.publish(deadline()).catch((cause: unknown) => cause);
  expect(["timeout", "lost"]).toContain(faultOf(failure));
  await ear.heard({ downs: 1 });
  expect(faultOf(ear.downs[0])).toBe("timeout");
  server.kill("SIGCONT");
  await ear.heard({ ups: 2 });
  await hint(server);
  await ear.heard({ hints: 1 });
  await ear.stop();
  expect(ear.downs).toHaveLength(1);
}, 60_000);

test("P12: a half-open connection that was idle is replaced: the publish after the failed one succeeds", async () => {
  const proxy = await startFaultProxy({ target: { host: server.host, port: server.port } });
  // No PING in between: publish() itself must notice.
  const hints = hintsOn(targetOf(server, { port: proxy.port }), {
    timing: { ...quick, pingIntervalMs: 600_000 },
  });
  await hints.publish(deadline());
  proxy.freeze();
  const failure = await hints.publish(deadline()).catch((cause: unknown) => cause);
  expect(faultOf(failure)).toBe("timeout");
  proxy.thaw();
  const wakes = await hearWakes(server);
  await waitFor("a wake to get through", 10_000, async () => {
    await hints.publish(deadline());
    return wakes.wakes.length > 0;
  });
  expect(proxy.totalConnections).toBeGreaterThan(1);
  wakes.stop();
  await proxy.stop();
}, 60_000);

test("P12: the signal ends listen() in every state, and nothing stays connected", async () => {
  const proxy = await startFaultProxy({ target: { host: server.host, port: server.port } });
  const target = targetOf(server, { port: proxy.port });
  // Long times: were one of them waited for, the test's own deadline would pass.
  const patient = {
    timing: {
      connectTimeoutMs: 600_000,
      commandTimeoutMs: 600_000,
      pingIntervalMs: 600_000,
      retryMaxMs: 600_000,
    },
  };
  const up = listenTo(hintsOn(target, patient));
  await up.heard({ ups: 1 });
  await up.stop();

  proxy.freeze();
  const connecting = listenTo(hintsOn(target, patient));
  await waitFor("an attempt", 5_000, () => proxy.totalConnections === 2);
  await connecting.stop();
  const publish = new AbortController();
  const hints = hintsOn(target, patient);
  const publishing = hints.publish(publish.signal);
  await waitFor("an attempt", 5_000, () => proxy.totalConnections === 3);
  publish.abort(new Error("enough"));
  await expect(publishing).rejects.toThrow("enough");
  await hints.close();
  proxy.thaw();

  await proxy.refuse();
  const waiting = listenTo(hintsOn(target, { timing: { ...patient.timing, retryMinMs: 600_000 } }));
  await waiting.heard({ downs: 1 });
  await waiting.stop();
  await waitFor("no connection", 5_000, () => proxy.openConnections === 0);
  await proxy.stop();
}, 30_000);

test("a wrong password: told by name, never told itself, and mended without a restart", async () => {
  const password = "s3cret-never-told";
  const hints = hintsOn(targetOf(server, { username: "observer", password }));
  const ear = listenTo(hints);
  await ear.heard({ downs: 1 });
  const down = ear.downs[0] as RedisError;
  expect(down.fault).toBe("password");
  expect(down.message).toContain("Check user and password in REDIS_URL.");
  const failure = await hints.publish(deadline()).catch((cause: unknown) => cause);
  expect(faultOf(failure)).toBe("password");
  for (const error of [down, failure]) {
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(password);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(password);
  }
  await ask(server, "ACL", "SETUSER", "observer", "reset", "on", `>${password}`, "+@all", "allchannels");
  await ear.heard({ ups: 1 });
  await ear.stop();
}, 60_000);

test("no password where one is needed", async () => {
  const secured = await startRedis({ password: "s3cret" });
  expect(await publishFault(targetOf(secured, { password: null }))).toMatchObject({ fault: "password" });
  await secured.stop();
}, 60_000);

test("TLS: an unknown authority, and plain text to a TLS port, and TLS to a plain port", async () => {
  const secured = await startRedis({ tls: true });
  const unknown = await publishFault(targetOf(secured));
  expect(unknown).toMatchObject({ fault: "tls" });
  expect(unknown.message).toContain("NODE_EXTRA_CA_CERTS");
  const plain = await publishFault(targetOf(secured, { tls: false }));
  expect(["lost", "unreachable", "not-redis", "timeout"]).toContain(plain.fault);
  const tls = await publishFault(targetOf(server, { tls: true }), secured.certificates?.ca ?? "");
  expect(["tls", "lost", "unreachable", "timeout"]).toContain(tls.fault);
  await secured.stop();
}, 60_000);

test("somebody else's protocol, a name that doesn't exist, a socket that isn't there", async () => {
  const web = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
  const foreign = await publishFault(targetOf(server, { port: web.port ?? 0 }));
  expect(["not-redis", "lost", "timeout"]).toContain(foreign.fault);
  await web.stop(true);
  expect(await publishFault(targetOf(server, { host: "redis.invalid" }))).toMatchObject({ fault: "dns" });
  const missing = await publishFault(targetOf(server, { path: `${server.folder}/none.sock` }));
  expect(missing).toMatchObject({ fault: "unreachable" });
  expect(missing.message).toContain("none.sock");
}, 60_000);

test("answers that are no Redis protocol end no process", async () => {
  const garbage = [
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    "\u0000\u0001\u0002",
    "*-5\r\n",
    "$99999999999\r\nx",
    "+OK\r\n".repeat(500),
  ];
  const sockets = new Set<Socket>();
  let at = 0;
  const liar = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.write(garbage[at++ % garbage.length] ?? "");
  });
  const port = await freePort();
  await new Promise<void>((resolve) => liar.listen(port, "127.0.0.1", resolve));
  const ear = listenTo(hintsOn(targetOf(server, { port }), { timing: { ...quick, commandTimeoutMs: 100 } }));
  await waitFor("each of them, twice", 30_000, () => at >= garbage.length * 2);
  await ear.stop();
  expect(ear.downs.length).toBeGreaterThan(0);
  for (const socket of sockets) socket.destroy();
  liar.close();
}, 60_000);
