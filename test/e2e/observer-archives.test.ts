// Goal: archives on a real S3 gateway are seen when they come, are replaced and go, with and without a commit object;
// a hint leads to a look; and whoever reads three booleans computes the right phase from all that can be.
// Method: a real Engine, Redis and gateway. Archives have no events, so the hint's test has a cadence without looks.
import { describe, expect, test } from "bun:test";
import { inParallel } from "../../dev/services/engine.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { type JudgedConditions, judge, type Phase } from "./judge.ts";
import {
  archiveKey,
  checksOfEverything,
  hearWakes,
  nextLooks,
  publishHint,
  QUICK,
  useWorld,
} from "./support.ts";
import { startObserver } from "./support-executable.ts";
import { type Conditions, createPlatform } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, redis: true, s3: true });

const hasArchive = (id: string, op: string) => (conditions: Conditions) =>
  conditions.archive?.archive_key === archiveKey(id, op);
const hasNone = (conditions: Conditions) => conditions.archive === null;

test("An uploaded archive appears, the newest counts, and a deleted one is gone", async () => {
  const platform = await createPlatform(world.postgres, "archives");
  const wakes = await hearWakes(world.redis);
  await platform.insert("a1", "a2", "a3");
  startObserver(world.settings(platform, QUICK));
  await platform.shows("no archives", ["a1", "a2", "a3"], hasNone);

  const begunMs = Date.now();
  await inParallel(["a1", "a2"], 2, (id) => world.putArchive(id, "op1", "four"));
  const uploaded = await platform.shows("archives", ["a1"], hasArchive("a1", "op1"));
  const { conditions, atMs } = uploaded.get("a1")!;
  expect(conditions.archive).toMatchObject({
    workspace_id: "a1",
    exists: true,
    reason: "ArchiveUploaded",
    message: "archive of 4 bytes uploaded",
    size_bytes: 4,
  });
  const transitionMs = Date.parse(conditions.archive?.last_transition_at ?? "");
  expect(transitionMs).toBeGreaterThanOrEqual(begunMs - 1_000);
  expect(transitionMs).toBeLessThanOrEqual(atMs);
  expect(Date.parse(String(conditions.archive?.uploaded_at))).toBeGreaterThanOrEqual(begunMs - 1_000);
  await waitFor("wc:wake", 10_000, () => (wakes.atMs.at(-1) ?? 0) >= Math.floor(atMs));

  // S3 knows seconds; of two in the same one the greater key counts.
  await world.putArchive("a1", "op2", "newer");
  const newer = await platform.shows("a newer one", ["a1"], hasArchive("a1", "op2"));
  expect(newer.get("a1")?.conditions.archive).toMatchObject({ size_bytes: 5 });
  await world.removeArchive("a1", "op2");
  const afterSeq = await platform.lastSeq();
  await platform.shows("the older one again", ["a1"], hasArchive("a1", "op1"), { afterSeq });
  await world.removeArchive("a1", "op1");
  await platform.shows("none", ["a1"], hasNone, { afterSeq });
  expect((await platform.row("a2")).conditions.archive).toMatchObject({
    archive_key: archiveKey("a2", "op1"),
  });
  wakes.stop();
});

test("With a commit suffix an archive counts only while its commit object is there", async () => {
  const platform = await createPlatform(world.postgres, "commits");
  await platform.insert("c1", "c2");
  startObserver(world.settings(platform, { ...QUICK, OBSERVER_ARCHIVE_COMMIT_SUFFIX: ".meta" }));
  await platform.shows("no archives", ["c1", "c2"], hasNone);
  const commit = (id: string) => `${archiveKey(id, "op1")}.meta`;
  // c1 is there before c2, so a listing that shows c2 has seen c1's as well.
  await world.putArchive("c1", "op1");
  await world.putArchive("c2", "op1");
  await world.store.put(world.bucket, commit("c2"), "{}");
  await platform.shows("the committed one", ["c2"], hasArchive("c2", "op1"));
  expect((await platform.row("c1")).conditions.archive).toBeNull();
  await world.store.put(world.bucket, commit("c1"), "{}");
  await platform.shows("the other", ["c1"], hasArchive("c1", "op1"));
  const afterSeq = await platform.lastSeq();
  await world.store.remove(world.bucket, commit("c1"));
  await platform.shows("its commit is gone", ["c1"], hasNone, { afterSeq });
});

test("P8: ob:wake leads to a look that starts after it", async () => {
  const platform = await createPlatform(world.postgres, "hints");
  await platform.insert("h1", "h2");
  const hour = { OBSERVER_IDLE_INTERVAL: "1h", OBSERVER_ACTIVE_INTERVAL: "1h" };
  const observer = startObserver(world.settings(platform, { ...hour, OBSERVER_MIN_INTERVAL: "1s" }));
  await platform.shows("no archives", ["h1", "h2"], hasNone);
  // Links that come up lead to a look each; after those nothing but a hint does.
  await waitFor("all links", 20_000, async () => {
    const { links } = await observer.status();
    return links.channel?.up && links.events?.up && links.wake?.up;
  });
  await world.putArchive("h1");
  await publishHint(world.redis);
  await platform.shows("the archive", ["h1"], hasArchive("h1", "op1"));
  // And of one that comes while the minimal interval keeps the next look waiting.
  await world.putArchive("h2");
  for (let times = 0; times < 20; times++) await publishHint(world.redis);
  await platform.shows("the other archive", ["h2"], hasArchive("h2", "op1"));
  const { totals } = await observer.status();
  expect(totals.hints).toBeGreaterThanOrEqual(21);
  expect(totals.looks).toBeLessThan(15);
});

test("Without S3_BUCKET archives are not observed, and what was known of them is no longer claimed", async () => {
  const platform = await createPlatform(world.postgres, "nobucket");
  await platform.insert("n1");
  await world.putArchive("n1");
  const observer = startObserver(world.settings(platform, QUICK));
  await platform.shows("the archive", ["n1"], hasArchive("n1", "op1"));
  await observer.stop();
  const {
    S3_BUCKET: _,
    AWS_ENDPOINT_URL_S3: __,
    S3_FORCE_PATH_STYLE: ___,
    ...without
  } = world.settings(platform, QUICK);
  const blind = startObserver(without);
  await platform.shows("no archive key", ["n1"], (conditions) => !("archive" in conditions));
  const { conditions, observedAt } = await platform.row("n1");
  expect(Object.keys(conditions.observed ?? {}).sort()).toEqual(["containers", "volumes"]);
  expect(observedAt).not.toBeNull();
  await nextLooks(blind);
  expect((await blind.get("/readyz")).status).toBe(200);
});

describe("A reader of container.running, volume.exists and archive.exists", () => {
  const phases: Record<string, Phase> = {
    "running volume archive": "running",
    "running volume -": "running",
    "running - archive": "running",
    "running - -": "running",
    "exited volume archive": "stopped",
    "exited volume -": "stopped",
    "exited - archive": "archived",
    "exited - -": "absent",
    "- volume archive": "stopped",
    "- volume -": "stopped",
    "- - archive": "archived",
    "- - -": "absent",
  };

  test("computes the phase of every combination of what was really there", async () => {
    const platform = await createPlatform(world.postgres, "judge");
    const { engine } = world.docker;
    const cases = Object.entries(phases).map(([name, phase]) => ({
      id: name.replaceAll(" ", ".").replaceAll("-", "none"),
      parts: name.split(" "),
      phase,
    }));
    await platform.insert(...cases.map(({ id }) => id));
    await inParallel(cases, 4, async ({ id, parts: [container, volume, archive] }) => {
      const mount = volume === "volume" ? { volume: `ws-${id}-home` } : {};
      if (container === "running") await engine.run({ name: `ws-${id}`, ...mount });
      if (container === "exited") {
        await engine.run({ name: `ws-${id}`, cmd: ["/bin/true"], ...mount });
        await engine.waitForExit(`ws-${id}`);
      }
      if (container === "-" && volume === "volume") await engine.createVolume(`ws-${id}-home`);
      if (archive === "archive") await world.putArchive(id);
    });
    startObserver(world.settings(platform, QUICK));
    await platform.shows(
      "all three sources",
      cases.map(({ id }) => id),
      (conditions) => conditions.container !== undefined && conditions.archive !== undefined,
    );
    const rows = await platform.rows();
    for (const { id, phase } of cases) expect([id, judge(rows.get(id)!.conditions)]).toEqual([id, phase]);
  });

  test("says unknown, not absent, while what the answer hangs on was never observed", () => {
    const states: JudgedConditions[] = [];
    for (const container of [undefined, null, { running: false }, { running: true }])
      for (const volume of [undefined, null, { exists: true }])
        for (const archive of [undefined, null, { exists: true }])
          states.push(
            Object.fromEntries(
              Object.entries({ container, volume, archive }).filter(([, value]) => value !== undefined),
            ),
          );
    expect(states).toHaveLength(36);
    for (const state of states) {
      const { container, volume, archive } = state;
      const phase = judge(state);
      if (phase === "running") expect(container?.running).toBe(true);
      if (phase === "stopped") expect(volume?.exists).toBe(true);
      if (phase === "archived") expect([volume, archive?.exists]).toEqual([null, true]);
      // The one answer on which data hangs: every one of the three has to be proven.
      if (phase === "absent")
        expect([container?.running ?? false, volume, archive]).toEqual([false, null, null]);
    }
    expect(judge({})).toBe("unknown");
  });
});

checksOfEverything();
