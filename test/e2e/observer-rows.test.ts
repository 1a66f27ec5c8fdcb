// Goal: which rows are observed, for how long, and how often they are written; what becomes of resources without a row
// and of ids that are no UUIDs; all without Redis, over LISTEN and NOTIFY, on PostgreSQL 15.
// Method: a real Engine; rows are made, marked, locked and deleted as a WorkspaceController would.
import { expect, test } from "bun:test";
import postgres from "postgres";
import { waitFor } from "../../dev/services/wait.ts";
import { archiveKey, checksOfEverything, nextLooks, QUICK, useWorld } from "./support.ts";
import { startObserver } from "./support-executable.ts";
import { type Conditions, createPlatform, type Platform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 15, s3: true });

/** Unchanged rows are not rewritten for their freshness: every write that is seen has another cause. */
const UNHURRIED = { ...QUICK, OBSERVER_MAX_AGE: "1h" };

const isAbsent = ({ container, volume }: Conditions) => container === null && volume === null;
const hint = (platform: Platform) => platform.sql.notify("ob:wake", "");

test("A new row is observed at the next look; hints and wakes go over LISTEN and NOTIFY", async () => {
  const platform = await createPlatform(world.postgres, "newrows");
  const hour = {
    OBSERVER_IDLE_INTERVAL: "1h",
    OBSERVER_ACTIVE_INTERVAL: "1h",
    OBSERVER_MIN_INTERVAL: "50ms",
  };
  const observer = startObserver(world.settings(platform, hour));
  await waitFor("all links", 20_000, async () => {
    const { links } = await observer.status();
    return links.channel?.up && links.events?.up;
  });
  let wakes = 0;
  await platform.sql.listen("wc:wake", () => {
    wakes += 1;
  });
  await platform.insert("n1");
  await hint(platform);
  await platform.shows("the new row", ["n1"], isAbsent);
  await waitFor("wc:wake", 10_000, () => wakes > 0);
  expect(observer.log("observer.starting")[0]).toMatchObject({ hints: "postgresql" });
});

test("A soft-deleted row goes on being observed until its resources are gone, then never again", async () => {
  const platform = await createPlatform(world.postgres, "softdelete");
  const { engine } = world.docker;
  await platform.insert("d1", "d2", "d3");
  await engine.run({ name: "ws-d1", volume: "ws-d1-home" });
  await world.putArchive("d1");
  const observer = startObserver(world.settings(platform, UNHURRIED));
  await platform.shows("it runs", ["d1"], ({ container }) => container?.running === true);
  await platform.shows("nothing there", ["d2", "d3"], isAbsent);

  await platform.sql`update workspaces set deleted_at = now() where id in ('d1', 'd2')`;
  await engine.remove("ws-d1");
  await platform.shows("no container", ["d1"], ({ container, volume }) => container === null && !!volume);
  await engine.removeVolume("ws-d1-home");
  await platform.shows("no volume", ["d1"], ({ volume, archive }) => volume === null && !!archive);
  await world.removeArchive("d1");
  await platform.shows(
    "nothing",
    ["d1"],
    (conditions) => isAbsent(conditions) && conditions.archive === null,
  );

  const afterSeq = await platform.lastSeq();
  for (const id of ["d1", "d2", "d3"]) await engine.run({ name: `ws-${id}`, volume: `ws-${id}-home` });
  await platform.shows("the living one", ["d3"], ({ container }) => container?.running === true, {
    afterSeq,
  });
  await observer.logged("orphan.appeared");
  await nextLooks(observer, 2);
  const written = new Set((await platform.written(afterSeq)).map(({ id }) => id));
  expect([...written]).toEqual(["d3"]);
});

test("P10: a row is rewritten at every cycle while an operation is in flight, and others are not", async () => {
  const platform = await createPlatform(world.postgres, "operations");
  await platform.insert("o1", "o2");
  const observer = startObserver(world.settings(platform, UNHURRIED));
  await platform.shows("absence", ["o1", "o2"], isAbsent);
  await nextLooks(observer);
  const afterSeq = await platform.lastSeq();
  await platform.sql`update workspaces set operation = 'STARTING' where id = 'o1'`;
  await nextLooks(observer, 4);
  expect((await observer.status()).cadence.mode).toBe("active");
  await platform.sql`update workspaces set operation = 'NONE' where id = 'o1'`;
  await nextLooks(observer);
  const written = await platform.written(afterSeq);
  expect(written.length).toBeGreaterThanOrEqual(4);
  expect(new Set(written.map(({ id }) => id))).toEqual(new Set(["o1"]));
  const stamps = written.map(({ observedAt }) => observedAt);
  expect(stamps).toEqual([...new Set(stamps)].sort());
  expect(new Set(written.map(({ conditions }) => JSON.stringify({ ...conditions, observed: 0 }))).size).toBe(
    1,
  );
  const lastSeq = await platform.lastSeq();
  await nextLooks(observer, 2);
  expect(await platform.lastSeq()).toBe(lastSeq);
});

test("Orphans are reported when they are proven, once each, and never inserted", async () => {
  const platform = await createPlatform(world.postgres, "orphans");
  const { engine } = world.docker;
  await engine.removeAll();
  await platform.insert("p1");
  await engine.run({ name: "ws-lost", volume: "ws-lost-home" });
  await world.putArchive("lost");
  const observer = startObserver(world.settings(platform, UNHURRIED));
  for (const count of [1, 2, 3]) await observer.logged("orphan.appeared", count);
  const reported = observer.log("orphan.appeared");
  expect(new Set(reported.map(({ kind }) => kind))).toEqual(new Set(["container", "volume", "archive"]));
  for (const line of reported) expect(line.workspaces).toContain("lost");
  await nextLooks(observer, 3);
  expect(observer.log("orphan.appeared")).toHaveLength(3);
  expect((await observer.status()).orphans.container).toEqual({ count: 1, workspaces: ["lost"] });
  expect((await observer.get("/metrics")).text).toContain('observer_orphans{kind="container"} 1');
  expect([...(await platform.rows()).keys()]).toEqual(["p1"]);

  await platform.insert("lost");
  await platform.shows("it has a row now", ["lost"], ({ container }) => container?.running === true);
  await observer.logged("orphan.disappeared");
  await world.removeArchive("lost");
});

test("Ids with quotes, -home, odd characters and 500 characters are observed under their whole names", async () => {
  const platform = await createPlatform(world.postgres, "ids");
  const { engine } = world.docker;
  await engine.removeAll();
  const long = "L".repeat(500);
  const odd = [`o'brien "x"`, "semi;--", "%_\\", "später ☃", "$1", "{}", "null", "a'||'b"];
  const plain = ["a", "a-home", "a-home-home", "home", "-home", "A", "a.b", "a_b", long];
  await platform.insert(...plain, ...odd, "with/slash");
  // A volume `ws-a-home-home` is that of a-home, not one of a.
  await engine.run({ name: "ws-a-home", volume: "ws-a-home-home" });
  await engine.create({ name: `ws-${long}` });
  await engine.create({ name: "other-ws-a" });
  await engine.createVolume("not-ws-a-home");
  for (const id of [...odd, long]) await world.store.put(world.bucket, archiveKey(id), "x");
  startObserver(world.settings(platform, QUICK));
  const all = [...plain, ...odd];
  const shown = await platform.shows(
    "all of them",
    all,
    (conditions) => conditions.container !== undefined && conditions.archive !== undefined,
  );
  const seen = (key: "container" | "volume" | "archive") =>
    all.filter((id) => shown.get(id)?.conditions[key]).sort();
  expect(seen("container")).toEqual(["a-home", long].sort());
  expect(seen("volume")).toEqual(["a-home"]);
  expect(seen("archive")).toEqual([...odd, long].sort());
  expect((await platform.row("with/slash")).conditions).toEqual({});
  for (const id of [...odd, long]) await world.store.remove(world.bucket, archiveKey(id));
});

test("P11: a row that somebody else holds locked is skipped, the others are written, and it follows", async () => {
  const platform = await createPlatform(world.postgres, "locks");
  const { engine } = world.docker;
  await engine.removeAll();
  const ids = ["l1", "l2", "l3"];
  await platform.insert(...ids);
  const observer = startObserver(world.settings(platform, UNHURRIED));
  await platform.shows("absence", ids, isAbsent);
  const locked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const holding = platform.sql.begin(async (tx) => {
    await tx`select from workspaces where id = 'l2' for update`;
    locked.resolve();
    await release.promise;
  });
  await locked.promise;
  for (const id of ids) await engine.createVolume(`ws-${id}-home`);
  await platform.shows("the others", ["l1", "l3"], ({ volume }) => volume?.exists === true);
  await waitFor("a skipped row", 20_000, async () => ((await observer.status()).totals.skipped ?? 0) > 0);
  expect((await platform.row("l2")).conditions.volume).toBeNull();
  release.resolve();
  await holding;
  await platform.shows("it follows", ["l2"], ({ volume }) => volume?.exists === true);
});

test("P4: the restricted role may write conditions and observed_at, and nothing else", async () => {
  const platform = await createPlatform(world.postgres, "grants");
  await platform.insert("g1");
  const restricted = postgres(platform.url(), { max: 1 });
  const as = (statement: string) => restricted.unsafe(statement);
  const refused = [
    "update workspaces set phase = 'RUNNING' where id = 'g1'",
    "update workspaces set operation = 'NONE', conditions = '{}' where id = 'g1'",
    "update workspaces set deleted_at = now()",
    "update workspaces set id = 'g2' where id = 'g1'",
    "insert into workspaces (id) values ('g3')",
    "delete from workspaces",
    "truncate workspaces",
    "select home_ctx from workspaces",
    "drop table observer_lease",
  ];
  for (const statement of refused) {
    const { code } = await as(statement).then(
      () => ({ code: `allowed: ${statement}` }),
      (error: { code: string }) => error,
    );
    expect(code).toBe("42501");
  }
  await as("update workspaces set conditions = conditions, observed_at = observed_at where id = 'g1'");
  await restricted.end();
});

checksOfEverything();
