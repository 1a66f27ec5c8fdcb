// Goal: whoever edits `conditions` or `observed_at` by hand is overruled within one idle interval, and it is counted.
// Method: edits of every kind by the table's owner, on a real PostgreSQL and Engine, while nothing in the world changes.
import { beforeAll, expect, test } from "bun:test";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, nextLooks, useWorld } from "./support.ts";
import { type Observer, startObserver } from "./support-executable.ts";
import { createPlatform, type Platform, type Row } from "./support-platform.ts";

const world = useWorld({ docker: true, postgres: 18, keepObservers: true });
/** Stamps of unchanged rows are refreshed once an hour: it is the edit that makes it write. */
const SETTINGS = {
  OBSERVER_IDLE_INTERVAL: "200ms",
  OBSERVER_ACTIVE_INTERVAL: "200ms",
  OBSERVER_MIN_INTERVAL: "50ms",
  OBSERVER_MAX_AGE: "1h",
};

let platform: Platform;
let observer: Observer;

/** Without what moves when something is written: transitions of the edited condition, and stamps. */
function meaning({ conditions }: Row): unknown {
  const { observed: _, ...kinds } = conditions;
  return Object.fromEntries(
    Object.entries(kinds).map(([kind, condition]) => {
      const { last_transition_at: __, ...rest } = condition ?? {};
      return [kind, condition === null ? null : rest];
    }),
  );
}

beforeAll(async () => {
  platform = await createPlatform(world.postgres, "drift");
  // As on platforms whose column is younger than their rows.
  await platform.sql`alter table workspaces alter conditions drop not null`;
  await platform.sql`alter table written alter conditions drop not null`;
  await platform.insert("d1", "d2");
  await world.docker.engine.run({ name: "ws-d1", volume: "ws-d1-home" });
  observer = startObserver(world.settings(platform, SETTINGS));
  await platform.shows("both", ["d1", "d2"], ({ container }) => container !== undefined);
  await nextLooks(observer);
}, 60_000);

const repaired = async () => (await observer.status()).totals.drift_repaired ?? Number.NaN;

test.each([
  ["a changed reason", `jsonb_set(conditions, '{container,reason}', '"Dead"')`],
  ["a changed message", `jsonb_set(conditions, '{volume,message}', '"mine"')`],
  ["a removed condition", `conditions - 'volume'`],
  ["a removed field", `conditions #- '{container,image}'`],
  ["a false absence", `conditions || '{"volume": null}'`],
  ["no document", `'{}'`],
  ["an array", `'[]'`],
  ["a JSON null", `'null'`],
  ["an SQL NULL", "null"],
])("%s is restored, and counted once", async (_, value) => {
  const before = await platform.row("d1");
  const other = meaning(await platform.row("d2"));
  const count = await repaired();
  await platform.sql.unsafe(`update workspaces set conditions = ${value} where id = 'd1'`);
  await waitFor("the repair", 20_000, async () => (await repaired()) > count);
  const after = await platform.row("d1");
  expect(meaning(after)).toEqual(meaning(before));
  expect(after.conditions.observed!.containers! >= before.conditions.observed!.containers!).toBe(true);
  await nextLooks(observer, 2);
  expect(await repaired()).toBe(count + 1);
  expect(meaning(await platform.row("d2"))).toEqual(other);
  expect(observer.log("drift.repaired").at(-1)).toMatchObject({
    level: "warn",
    count: 1,
    workspaces: ["d1"],
  });
});

test.each([
  ["moved back", "observed_at - interval '1 day'"],
  ["moved on", "observed_at + interval '1 day'"],
  ["cleared", "null"],
])("observed_at %s is restored, and counted once", async (_, value) => {
  const { observedAt } = await platform.row("d1");
  const count = await repaired();
  await platform.sql.unsafe(`update workspaces set observed_at = ${value} where id = 'd1'`);
  await waitFor("the repair", 20_000, async () => (await repaired()) > count);
  const after = await platform.row("d1");
  expect(after.observedAt! >= observedAt!).toBe(true);
  expect(after.observedAt).toBe(Object.values(after.conditions.observed!).sort()[0]!);
  expect(after.observedAt! <= new Date(Date.now() + 1_000).toISOString()).toBe(true);
  await nextLooks(observer, 2);
  expect(await repaired()).toBe(count + 1);
});

test("A change of the world is no drift; the metric counts what the status does", async () => {
  const count = await repaired();
  await world.docker.engine.pause("ws-d1");
  await platform.shows("paused", ["d1"], ({ container }) => container?.reason === "Paused");
  await nextLooks(observer, 2);
  expect(await repaired()).toBe(count);
  expect((await observer.get("/metrics")).text).toContain(`observer_drift_repaired_total ${count}\n`);
  expect((await observer.stop()).code).toBe(0);
});

checksOfEverything();
