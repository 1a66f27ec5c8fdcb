// Goal: what packaging/ promises of alerts and dashboard is so: every panel has an answer, no alert is raised while all is
// well, and each dependency that breaks makes its alert's expression true.
// Method: one observer on real services behind proxies, a real Prometheus that scrapes it four times a second and evaluates
// the expressions of the files as they stand. How long they must hold (`for`) is promtool's to test.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type FakeEngine, startEngine } from "../../dev/fakes/engine.ts";
import { inParallel } from "../../dev/services/engine.ts";
import { freePort } from "../../dev/services/ports.ts";
import { complaintsAbout, type Prometheus, startPrometheus } from "../../dev/services/prometheus.ts";
import { type FaultProxy, startFaultProxy } from "../../dev/services/tcp-proxy.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { interpolate, readAlerts, readDashboard } from "../packaging.ts";
import { namesIn } from "../promql.ts";
import { seriesOf } from "../unit/status-series.ts";
import { askRedis, checksOfEverything, publishHint, QUICK, useWorld } from "./support.ts";
import {
  type Observer,
  type Settings,
  STATUS_TOKEN,
  startObserver,
  workFolder,
} from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, redis: true, s3: true, keepObservers: true });
const ids = Array.from({ length: 6 }, (_, index) => `p${index}`);
const alerts = readAlerts();

let platform: Platform;
let observer: Observer;
let prometheus: Prometheus;
let emptyEngine: FakeEngine;
let settings: Settings;
const proxies = {} as Record<"engine" | "postgres" | "redis" | "s3", FaultProxy>;

const behind = (url: string, proxy: FaultProxy) =>
  Object.assign(new URL(url), { port: `${proxy.port}` }).href;

beforeAll(async () => {
  const { docker, postgres, redis, s3 } = world;
  const port = await freePort();
  const proxied = async (name: keyof typeof proxies, target: Parameters<typeof startFaultProxy>[0]) => {
    proxies[name] = await startFaultProxy(target);
  };
  await Promise.all([
    proxied("engine", { target: { path: docker.socketPath }, listen: "unix" }),
    proxied("postgres", { target: postgres }),
    proxied("redis", { target: redis }),
    proxied("s3", { target: { host: "127.0.0.1", port: Number(new URL(s3.endpoint).port) } }),
    createPlatform(postgres, "prometheus").then((it) => (platform = it)),
    startEngine({ listen: { unixPath: join(workFolder(), "empty.sock") } }).then((it) => (emptyEngine = it)),
    startPrometheus({
      job: "observer",
      targets: [`127.0.0.1:${port}`],
      token: STATUS_TOKEN,
      scrapeIntervalMs: 250,
    }).then((it) => (prometheus = it)),
  ]);
  settings = world.settings(platform, {
    ...QUICK,
    OBSERVER_LISTEN: `127.0.0.1:${port}`,
    OBSERVER_LIST_TIMEOUT: "1s",
    OBSERVER_WRITE_TIMEOUT: "1s",
    DATABASE_URL: behind(platform.url(), proxies.postgres),
    REDIS_URL: behind(redis.url, proxies.redis),
    DOCKER_HOST: `unix://${proxies.engine.path}`,
    AWS_ENDPOINT_URL_S3: behind(s3.endpoint, proxies.s3),
  });
  await platform.insert(...ids);
  await inParallel(ids, 6, (id) => docker.engine.run({ name: `ws-${id}`, volume: `ws-${id}-home` }));
  await world.putArchive("p0");
  observer = startObserver(settings);
  await platform.shows("all", ids, ({ container }) => container?.running === true);
}, 60_000);
afterAll(async () => {
  await Promise.all([
    prometheus?.stop(),
    emptyEngine?.stop(),
    ...Object.values(proxies).map((it) => it.stop()),
  ]);
});

/** The alerts whose expressions are true now, each with the labels that tell what it is about. */
async function raised(): Promise<string[]> {
  const of = async (alert: string, expr: string) => {
    const results = await prometheus.query(expr);
    return results.map(({ metric }) => {
      const { job: _, instance: __, __name__: ___, ...about } = metric;
      return [alert, ...Object.values(about)].join(" ");
    });
  };
  return (await Promise.all(alerts.map(({ alert, expr }) => of(alert, expr)))).flat();
}

const raises = (...expected: readonly string[]) =>
  waitFor(
    `Prometheus to raise ${expected.join(", ")}`,
    30_000,
    async () => {
      const now = await raised();
      return expected.every((alert) => now.includes(alert));
    },
    100,
  );
const quiet = () => waitFor("no alert to be raised", 30_000, async () => (await raised()).length === 0, 100);
const readyz = (reason: RegExp) =>
  waitFor(`/readyz to say ${reason}`, 30_000, async () => reason.test((await observer.get("/readyz")).text));

/** What only a member of a fleet shows: observer-fleet.test.ts. */
const isOfFleet = (expr: string): boolean => /observer_(fleet|host)_/.test(expr);

test("Every panel of the dashboard has an answer", async () => {
  // What happened before the first scrape is no increase.
  await waitFor(
    "the first scrape",
    20_000,
    async () => (await prometheus.query("observer_is_leader == 1")).length === 1,
  );
  await publishHint(world.redis);
  await world.docker.engine.stop("ws-p0");
  await world.putArchive("p0", "op2");
  await platform.shows("its end", ["p0"], ({ container, archive }) => {
    return container?.running === false && String(archive?.archive_key).includes("op2");
  });
  const variables = { job: "observer", instance: ".*", datasource: "", __rate_interval: "1m" };
  const exprs = readDashboard()
    .panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .filter((expr) => !isOfFleet(expr));
  expect(exprs.length).toBeGreaterThan(40);
  // A rate needs two scrapes, and a quantile something that was measured in between.
  const empty = async () => {
    const answers = await Promise.all(
      exprs.map(async (expr) => [expr, await prometheus.query(interpolate(expr, variables))] as const),
    );
    return answers
      .filter(([, answer]) => !answer.some(({ value }) => Number.isFinite(value)))
      .map(([expr]) => expr);
  };
  await waitFor(
    "an answer to every query",
    20_000,
    async () => {
      const left = await empty();
      if (left.length > 0) throw new Error(left.join("\n"));
      return true;
    },
    250,
  );
});

test("Every metric and label of an alert is in the executable's own exposition, and nothing is raised", async () => {
  const { text } = await observer.get("/metrics");
  const series = seriesOf(text);
  for (const { alert, expr } of alerts.filter((one) => !isOfFleet(one.expr))) {
    const { metrics, matchers } = namesIn(expr);
    for (const metric of metrics) expect([alert, metric, series.has(metric)]).toEqual([alert, metric, true]);
    for (const { metric, label } of matchers) {
      if (label !== "job")
        expect([alert, label, series.get(metric)?.has(label)]).toEqual([alert, label, true]);
    }
  }
  expect(await complaintsAbout(text)).toBe("");
  await quiet();
});

test("Engine, S3 and Redis are gone", async () => {
  await Promise.all([proxies.engine, proxies.s3, proxies.redis].map((proxy) => proxy.refuse()));
  for (const proxy of [proxies.engine, proxies.s3, proxies.redis]) proxy.cut();
  await raises(
    ...["engine", "archives", "channel", "events"].map((name) => `ObserverDependencyFailing ${name}`),
    "ObserverSourceStale engine",
    "ObserverSourceStale archives",
    "ObserverLinkDown channel",
    "ObserverLinkDown events",
  );
  await readyz(/engine was last observed .*archives was last observed/);
  for (const event of ["source.down", "channel.down", "events.down"]) await observer.logged(event);
  expect((await raised()).filter((alert) => /NoLeader|NotCommitting|Guard|World/.test(alert))).toEqual([]);
  await Promise.all([proxies.engine, proxies.s3, proxies.redis].map((proxy) => proxy.accept()));
  await quiet();
});

test("Redis lets nobody publish: the wake-up that is owed", async () => {
  await askRedis(world.redis, "acl", "setuser", "default", "-publish");
  await world.docker.engine.stop("ws-p1");
  await raises("ObserverDependencyFailing wake", "ObserverLinkDown wake");
  expect((await raised()).filter((alert) => !alert.endsWith(" wake"))).toEqual([]);
  await observer.logged("wake.down");
  await askRedis(world.redis, "acl", "setuser", "default", "+publish");
  await quiet();
});

test("PostgreSQL is gone", async () => {
  await proxies.postgres.refuse();
  proxies.postgres.cut();
  await raises(
    "ObserverDependencyFailing database",
    "ObserverNotCommitting",
    "ObserverNoLeader",
    "ObserverLinkDown database",
  );
  await readyz(/database: .*the lease could not be renewed/);
  await observer.logged("database.down");
  await proxies.postgres.accept();
  await quiet();
});

test("Another Engine, an empty one: the guard holds, and the world is another", async () => {
  await observer.stop();
  observer = startObserver({ ...settings, DOCKER_HOST: emptyEngine.dockerHost });
  await raises(
    "ObserverGuardHolding container",
    "ObserverGuardHolding volume",
    "ObserverWorldChanged engine",
  );
  await readyz(/engine is Engine .*observer accept engine.*the guard holds back/);
  for (const event of ["guard.holding", "world.changed"]) await observer.logged(event);
});

test("No Observer runs", async () => {
  await observer.stop();
  await raises("ObserverDown", "ObserverAbsent");
});

checksOfEverything();
