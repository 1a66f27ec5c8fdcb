// Goal: with Sentinel in the URL the adapter finds the master, and finds the new one after a failover (P8).
// Method: two real servers and a real Sentinel; the master is killed.
import { afterEach, expect, test } from "bun:test";
import { freePort } from "../../dev/services/ports.ts";
import { startRedis, startSentinel } from "../../dev/services/redis.ts";
import { waitFor } from "../../dev/services/wait.ts";
import type { RedisTarget } from "../../src/adapters/redis-connection.ts";
import { deadline, listenTo } from "../contract/engine-support.ts";
import { closeAll, hearWakes, hint, hintsOn } from "./redis-support.ts";

afterEach(closeAll);

const targetOf = (ports: readonly number[], name: string, password: string | null = null): RedisTarget => ({
  kind: "sentinel",
  sentinels: ports.map((port) => ({ host: "127.0.0.1", port })),
  name,
  username: null,
  password,
  sentinelPassword: null,
  tls: false,
});

test("P8: hints and wakes follow the master through a failover; a Sentinel that is down is passed over", async () => {
  const master = await startRedis({ password: "s3cret" });
  const replica = await startRedis({ password: "s3cret", replicaOf: master });
  const sentinel = await startSentinel({ master });
  try {
    await sentinel.waitForReplicas(1);
    const hints = hintsOn(targetOf([await freePort(), sentinel.port], sentinel.masterName, "s3cret"));
    const ear = listenTo(hints);
    await ear.heard({ ups: 1 });
    await hint(master);
    await ear.heard({ hints: 1 });
    await hints.publish(deadline());
    expect((await hints.check(deadline())).role).toBe("master");

    master.kill("SIGKILL");
    await ear.heard({ downs: 1 });
    await waitFor("the failover", 40_000, async () => (await sentinel.masterPort()) === replica.port);
    await ear.heard({ ups: 2 });
    await hint(replica);
    await ear.heard({ hints: 2 });
    const wakes = await hearWakes(replica);
    await waitFor("a wake to get through", 20_000, async () => {
      await hints.publish(deadline());
      return wakes.wakes.length > 0;
    });
    wakes.stop();
    await ear.stop();
  } finally {
    await Promise.all([sentinel.stop(), replica.stop(), master.stop()]);
  }
}, 120_000);

test("a master's name that no Sentinel knows, and Sentinels that aren't there, are told by name", async () => {
  const master = await startRedis();
  const sentinel = await startSentinel({ master });
  try {
    const unknown = hintsOn(targetOf([sentinel.port], "nobody")).publish(deadline());
    await expect(unknown).rejects.toMatchObject({ name: "RedisError", fault: "no-master" });
    const nowhere = hintsOn(targetOf([await freePort()], "mymaster")).publish(deadline());
    await expect(nowhere).rejects.toMatchObject({ name: "RedisError", fault: "no-master" });

    const frozen = hintsOn(targetOf([sentinel.port], "mymaster"));
    sentinel.kill("SIGSTOP");
    const ear = listenTo(frozen);
    await ear.heard({ downs: 1 });
    await ear.stop();
    sentinel.kill("SIGCONT");
  } finally {
    await Promise.all([sentinel.stop(), master.stop()]);
  }
}, 60_000);
