// Goal: hints are heard and wakes are published over a real Redis, in every way an operator may connect to it, and
// nothing stays connected afterwards.
// Method: private servers (plain, password, unix socket, restricted user, TLS, replica); what the server says about
// its clients counts, not what ours says about itself.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type Redis, startRedis } from "../../dev/services/redis.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { RedisError } from "../../src/adapters/redis-errors.ts";
import { deadline, listenTo } from "../contract/engine-support.ts";
import { ask, closeAll, hearWakes, hint, hintsOn, ourConnections, targetOf } from "./redis-support.ts";

let server: Redis;
let secured: Redis;

beforeAll(async () => {
  [server, secured] = await Promise.all([startRedis(), startRedis({ tls: true, password: "pass word:@/" })]);
}, 60_000);
afterEach(closeAll);
afterAll(async () => {
  await Promise.all([server.stop(), secured.stop()]);
});

test("listen() hears every hint on its channel and nothing else", async () => {
  const ear = listenTo(hintsOn(targetOf(server)));
  await ear.heard({ ups: 1 });
  await ask(server, "PUBLISH", "wc:wake", "not a hint");
  await hint(server);
  await ear.heard({ hints: 1 });
  for (let i = 0; i < 20; i++) await hint(server);
  await ear.heard({ hints: 21 });
  await ear.stop();
  expect([ear.hints, ear.ups, ear.downs]).toEqual([21, 1, []]);
});

test("P8: onUp comes when the subscription is in force: a hint published at that moment is heard", async () => {
  const stop = new AbortController();
  let receivers: unknown;
  const heard = Promise.withResolvers<void>();
  const listening = hintsOn(targetOf(server)).listen(
    {
      onUp: () => {
        void hint(server).then((count) => {
          receivers = count;
        });
      },
      onHint: () => heard.resolve(),
      onDown: heard.reject,
    },
    stop.signal,
  );
  await heard.promise;
  await waitFor("the publisher's answer", 5_000, () => receivers !== undefined);
  expect(receivers).toBe(1);
  stop.abort();
  await listening;
});

test("publish() reaches the subscribers of wc:wake with the payload it was given", async () => {
  const ear = await hearWakes(server);
  await hintsOn(targetOf(server)).publish(deadline());
  await hintsOn(targetOf(server), { wakePayload: "host-1" }).publish(deadline());
  await waitFor("two wakes", 5_000, () => ear.wakes.length === 2);
  expect(ear.wakes).toEqual(["", "host-1"]);
  ear.stop();
});

test("listen() and publish() use one connection each, and leave none behind", async () => {
  const hints = hintsOn(targetOf(server));
  const ear = listenTo(hints);
  await ear.heard({ ups: 1 });
  for (let i = 0; i < 10; i++) await hints.publish(deadline());
  await waitFor("two connections", 5_000, async () => (await ourConnections(server)) === 2);
  await ear.stop();
  await waitFor(
    "the listening connection to be gone",
    5_000,
    async () => (await ourConnections(server)) === 1,
  );
  await hints.publish(deadline());
  await hints.close();
  await waitFor("no connection", 5_000, async () => (await ourConnections(server)) === 0);
  await expect(hints.publish(deadline())).rejects.toThrow("closed for good");
});

test("P12: publish() with a signal that has fired, or fires, rejects with its reason", async () => {
  const reason = new Error("enough");
  const hints = hintsOn(targetOf(server));
  await expect(hints.publish(AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const publishing = hints.publish(controller.signal);
  controller.abort(reason);
  await expect(publishing).rejects.toBe(reason);
});

test("works over a unix socket", async () => {
  const hints = hintsOn(targetOf(server, { path: server.socketPath, host: "unused.invalid", port: 1 }));
  const ear = listenTo(hints);
  await ear.heard({ ups: 1 });
  await hint(server);
  await ear.heard({ hints: 1 });
  await hints.publish(deadline());
  await ear.stop();
});

test("works over TLS with a password of odd characters", async () => {
  const hints = hintsOn(targetOf(secured), { ca: secured.certificates?.ca ?? "" });
  const ear = listenTo(hints);
  await ear.heard({ ups: 1 });
  await hint(secured);
  await ear.heard({ hints: 1 });
  await hints.publish(deadline());
  await ear.stop();
  expect(ear.downs).toEqual([]);
});

test("works as a user who may do nothing but subscribe ob:wake and publish wc:wake", async () => {
  await ask(
    server,
    "ACL",
    "SETUSER",
    "observer",
    "reset",
    "on",
    ">secret-1",
    "resetchannels",
    "&ob:wake",
    "&wc:wake",
  );
  await ask(server, "ACL", "SETUSER", "observer", "+subscribe", "+publish", "+ping");
  const hints = hintsOn(targetOf(server, { username: "observer", password: "secret-1" }));
  const ear = listenTo(hints);
  await ear.heard({ ups: 1 });
  await hint(server);
  await ear.heard({ hints: 1 });
  await hints.publish(deadline());
  expect(await hints.check(deadline())).toEqual({ version: null, role: null, wakeReceivers: 0 });
  await ear.stop();
});

test("check() tells version, role and how many listen for wakes, and closes its connection", async () => {
  const ear = await hearWakes(server);
  const identity = await hintsOn(targetOf(server)).check(deadline());
  expect(identity).toEqual({
    version: expect.stringMatching(/^\d+\.\d+/) as unknown as string,
    role: "master",
    wakeReceivers: 1,
  });
  ear.stop();
  await waitFor("no connection", 5_000, async () => (await ourConnections(server)) === 0);
});

test("a replica hears the master's hints, but what is published there stays there; check() tells the role", async () => {
  const replica = await startRedis({ replicaOf: server });
  try {
    await waitFor("the replica to follow", 20_000, async () =>
      String(await ask(replica, "INFO", "replication")).includes("master_link_status:up"),
    );
    const [onMaster, onReplica] = [await hearWakes(server), await hearWakes(replica)];
    const hints = hintsOn(targetOf(replica));
    const ear = listenTo(hints);
    await ear.heard({ ups: 1 });
    await hint(server);
    await ear.heard({ hints: 1 });
    await hints.publish(deadline());
    await waitFor("the wake on the replica", 5_000, () => onReplica.wakes.length === 1);
    expect((await hints.check(deadline())).role).toBe("replica");
    // Everything that is going to travel has: the master answered after the replica had passed the wake on.
    await ask(server, "PUBLISH", "wc:wake", "from the master");
    await waitFor("the master's own wake", 5_000, () => onMaster.wakes.length > 0);
    expect(onMaster.wakes).toEqual(["from the master"]);
    for (const other of [onMaster, onReplica]) other.stop();
    await ear.stop();
  } finally {
    await replica.stop();
  }
}, 60_000);

test("a restricted channel is named, with the rights to grant", async () => {
  await ask(server, "ACL", "SETUSER", "deaf", "reset", "on", ">secret-2", "+@all", "resetchannels");
  const hints = hintsOn(targetOf(server, { username: "deaf", password: "secret-2" }));
  const ear = listenTo(hints);
  await ear.heard({ downs: 1 });
  const down = ear.downs[0] as RedisError;
  expect(down).toBeInstanceOf(RedisError);
  expect(down.fault).toBe("denied");
  expect(down.message).toContain('Cannot listen for hints on "ob:wake"');
  const failure = await hints.publish(deadline()).catch((error: unknown) => error as RedisError);
  expect(failure).toMatchObject({ name: "RedisError", fault: "denied" });
  await ear.stop();
});
