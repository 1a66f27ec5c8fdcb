// Goal: history costs no observation: without its table, or with one that can't be written, conditions are written all
// the same, and it is said once; it is bounded by age, whatever the type of the ids.
// Method: a real PostgreSQL whose observer_transitions is missing, locked, refused or full of old rows.
import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/adapters/clock.ts";
import { createOwnTables } from "../../src/adapters/postgres-own-tables.ts";
import { verifySchema } from "../../src/adapters/postgres-verify.ts";
import { instant } from "../../src/observer/instant.ts";
import { Link } from "../../src/observer/link.ts";
import type { Transition } from "../../src/observer/ports.ts";
import { deadline } from "./engine-support.ts";
import type { PostgresRoute } from "./store-postgres-locks.ts";
import { emptiedWorld } from "./store-postgres-world.ts";
import { type Database, held, holdOpen, type StoreWorld, write } from "./store-support.ts";

const ALL = { idType: "text", tellsChanges: true, hasStatusTable: true, hasTransitionsTable: true };

const stopped: Transition = {
  key: "container",
  from: { reason: "Running", message: "running" },
  to: { reason: "Exited", message: "exited with code 1" },
  at: instant(1_795_464_000_000_000),
  details: { exit_code: 1 },
};
function linkWithLog() {
  const said: string[] = [];
  const say = (event: string) => said.push(event);
  const log = { debug: say, info: say, warn: say, error: say };
  return { link: new Link("transitions", systemClock, log, ""), said };
}
const news = (workspace: string, mark: number) => write(workspace, { set: { mark }, transitions: [stopped] });

export function postgresTransitionsContract(name: string, { shared, open }: PostgresRoute): void {
  const inWorld = (run: (world: StoreWorld, database: Database) => Promise<void>) => async () => {
    await run(await emptiedWorld(shared()), shared());
  };

  describe(`observer_transitions on ${name}`, () => {
    const troubles: readonly (readonly [string, string, string, RegExp])[] = [
      [
        "is gone",
        "alter table observer_transitions rename to hidden",
        "alter table hidden rename to observer_transitions",
        /relation "observer_transitions" does not exist/,
      ],
      [
        "has other columns",
        "alter table observer_transitions rename details to hidden",
        "alter table observer_transitions rename hidden to details",
        /column "details" of relation "observer_transitions" does not exist/,
      ],
      [
        "refuses a row",
        "alter table observer_transitions add constraint small check (length(message) < 3)",
        "alter table observer_transitions drop constraint small",
        /violates check constraint/,
      ],
    ];
    test.each(troubles)(
      "when the table %s, conditions are written without it, which is told once; and again when it is mended",
      async (_, breaking, mending, message) => {
        const world = await emptiedWorld(shared());
        const { beside, storeOn } = shared();
        const { link, said } = linkWithLog();
        const store = storeOn(ALL, { link });
        await world.add({ id: "w" });
        const lease = await held(world.leadership("a"), deadline());
        const save = async (mark: number) => {
          expect(await store.save(lease, [news("w", mark)], deadline())).toMatchObject({ kind: "saved" });
          expect((await world.stored("w"))?.conditions).toMatchObject({ mark });
        };
        await beside.unsafe(breaking);
        try {
          await save(1);
          await save(2);
          expect(said).toEqual(["transitions.down"]);
          expect(link.health).toMatchObject({ up: false, lastError: expect.stringMatching(message) });
        } finally {
          await beside.unsafe(mending);
        }
        const former = { ...lease, epoch: "1" };
        expect(await store.save(former, [news("w", 3)], deadline())).toEqual({ kind: "lease-lost" });
        expect(await store.save(lease, [news("nobody", 3)], deadline())).toMatchObject({
          skipped: ["nobody"],
        });
        // Neither of them kept anything.
        expect(link.health.up).toBe(false);
        await save(3);
        await save(4);
        expect(said.slice(1)).toEqual(["transitions.up"]);
        expect(link.health).toMatchObject({ up: true, lastError: null });
        expect(await world.transitions()).toHaveLength(2);
      },
    );

    test(
      "a lock on the whole table delays a write by the lock time-out, and no longer",
      inWorld(async (world, database) => {
        const { link } = linkWithLog();
        const store = database.storeOn(ALL, { link });
        await world.add({ id: "w" });
        const lease = await held(world.leadership("a"), deadline());
        const letGo = await holdOpen(
          database.session(),
          (tx) => tx`lock table observer_transitions in access exclusive mode`,
        );
        try {
          expect(await store.save(lease, [news("w", 1)], deadline())).toMatchObject({ kind: "saved" });
        } finally {
          await letGo();
        }
        expect((await world.stored("w"))?.conditions).toMatchObject({ mark: 1 });
        expect(link.health.up).toBe(false);
      }),
    );

    test(
      "what is wrong with the rest fails as ever, and is not taken for the history's fault",
      inWorld(async (world, database) => {
        const { link } = linkWithLog();
        const store = database.storeOn(ALL, { link });
        const lease = await held(world.leadership("a"), deadline());
        await database.beside`alter table workspaces rename to hidden`;
        try {
          await expect(store.save(lease, [news("w", 1)], deadline())).rejects.toMatchObject({
            code: "42P01",
          });
        } finally {
          await database.beside`alter table hidden rename to workspaces`;
        }
        expect(link.health.up).toBeNull();
      }),
    );

    test("a database without it is written all the same, and its ids may be of any type", async () => {
      const database = await open({
        ddl: `create table workspaces (id uuid primary key, operation text, deleted_at timestamptz,
                conditions jsonb, observed_at timestamptz);`,
      });
      try {
        await createOwnTables(database.client, deadline());
        const id = "0b0e6ba4-3f7c-4f0e-9c43-6a2d9f8a8a01";
        await database.beside`insert into workspaces (id) values (${id})`;
        const lease = await held(database.leadership("a"), deadline());
        const count = async () =>
          (await database.beside`select from observer_transitions where workspace_id = ${id}`).length;
        const findings = await verifySchema(database.client, deadline());
        await database.storeOn(findings).save(lease, [news(id, 1)], deadline());
        expect(await count()).toBe(1);

        await database.beside`drop table observer_transitions`;
        const without = await verifySchema(database.client, deadline());
        expect(without).toMatchObject({ problems: [], hasStatusTable: true, hasTransitionsTable: false });
        const { link } = linkWithLog();
        const store = database.storeOn(without, { link });
        expect(await store.save(lease, [news(id, 2)], deadline())).toMatchObject({ kind: "saved" });
        await store.report({}, deadline());
        // What is not there is no fault.
        expect(link.health.up).toBeNull();
      } finally {
        await database.close();
      }
    });

    test(
      "report() forgets what is older than the maximum age: once a minute, the oldest first, until all of it is gone",
      inWorld(async (world, database) => {
        let nowMs = 0;
        const clock = { monotonicMs: () => nowMs, sleep: async () => {} };
        const store = database.storeOn(ALL, { clock, maxAgeMs: 3_600_000 });
        const insert = (count: number, age: string) => database.beside`
          insert into observer_transitions
                 (at, workspace_id, condition, from_reason, to_reason, message, details, instance)
          select now() - ${age}::interval, 'w', 'volume', 'absent', 'VolumeExists', '', '{}', 'a'
            from generate_series(1, ${count}::int)`;
        const left = async () => (await world.transitions()).length;
        await insert(5_001, "61 minutes");
        await insert(3, "59 minutes");
        await store.report({}, deadline());
        expect(await left()).toBe(4);
        // A whole batch was old, so the next is due at once.
        await store.report({}, deadline());
        expect(await left()).toBe(3);
        await database.beside`update observer_transitions set at = at - interval '2 minutes'`;
        await store.report({}, deadline());
        expect(await left()).toBe(3);
        nowMs = 60_000;
        await store.report({}, deadline());
        expect(await left()).toBe(0);
      }),
    );
  });
}
