// Goal: any table that fits docs/contract.md is read and written, whatever the types of its columns, and whatever
// somebody wrote into them by hand.
// Method: tables of odd types, and rows of odd content, on a real PostgreSQL.
import { describe, expect, test } from "bun:test";
import { createOwnTables } from "../../src/adapters/postgres-own-tables.ts";
import { verifySchema } from "../../src/adapters/postgres-verify.ts";
import { formatInstant } from "../../src/observer/instant.ts";
import { deadline } from "./engine-support.ts";
import type { PostgresRoute } from "./store-postgres-locks.ts";
import { emptiedWorld } from "./store-postgres-world.ts";
import { type Database, held, id, loadAll, type StoreWorld, write } from "./store-support.ts";

export function postgresColumnsContract(name: string, { shared, open }: PostgresRoute): void {
  const inWorld = (run: (world: StoreWorld, database: Database) => Promise<void>) => async () => {
    await run(await emptiedWorld(shared()), shared());
  };
  const lead = (world: StoreWorld) => held(world.leadership("a"), deadline());

  describe(`columns and documents on ${name}`, () => {
    const uuids = ["0b0e6ba4-3f7c-4f0e-9c43-6a2d9f8a8a01", "ffffffff-ffff-4fff-bfff-ffffffffffff"];
    const idTypes: readonly (readonly [type: string, ids: readonly string[]])[] = [
      ["uuid", uuids],
      ["bigint", ["1", "-7", "9223372036854775807"]],
      ["varchar(64)", ["a", "it's"]],
      ["char(36)", [...uuids, "short"]],
      ['text collate "C"', ["a", "ä"]],
      ["workspace_id", ["a", "b-home"]],
    ];
    for (const [type, ids] of idTypes) {
      test(`ids of type ${type} are loaded and saved`, async () => {
        const ddl = `create domain workspace_id as text check (value <> '');
          create table workspaces (id ${type} primary key, operation varchar(20), deleted_at timestamp,
            conditions jsonb, observed_at timestamptz)`;
        const database = await open({ ddl });
        try {
          await createOwnTables(database.client, deadline());
          const findings = await verifySchema(database.client, deadline());
          expect(findings.problems).toEqual([]);
          const store = database.storeOn(findings);
          for (const one of ids) await database.beside`insert into workspaces (id) values (${one})`;
          const lease = await held(database.leadership("a"), deadline());
          const rows = await loadAll(store);
          expect(rows.map((row) => row.id as string).sort()).toEqual([...ids].sort());
          const outcome = await store.save(
            lease,
            rows.map((row) => write(row.id, { set: { mark: row.id } })),
            deadline(),
          );
          expect(outcome).toEqual({ kind: "saved", written: new Set(ids.map(id)), skipped: [], fenced: [] });
          for (const row of await loadAll(store))
            expect(row.conditions).toEqual({ mark: row.id, observed: {} });
          // An event may name what is no id of that type.
          const named = new Set([...ids, "a stranger", "99999999999999999999"].map(id));
          const some = await store.loadOnly(named, deadline());
          expect(some.map((row) => row.id as string).sort()).toEqual([...ids].sort());
          // Nor is a row anybody's who calls it otherwise: nothing is known of its own name then.
          const otherwise = new Set(ids.flatMap((one) => [`0${one}`, one.toUpperCase()]).map(id));
          for (const one of ids) otherwise.delete(id(one));
          expect(await store.loadOnly(otherwise, deadline())).toEqual([]);
        } finally {
          await database.close();
        }
      });
    }

    test(
      "conditions that somebody broke by hand are read as never observed, and mended by the next write",
      inWorld(async (world, database) => {
        const broken = [
          "[]",
          '[{"container":{}}]',
          '"text"',
          "null",
          "7",
          "true",
          '{"observed":[1]}',
          '{"observed":"x"}',
        ];
        for (const [n, document] of broken.entries()) {
          await database.beside`insert into workspaces (id, conditions) values (${`w${n}`}, ${document}::text::jsonb)`;
        }
        const lease = await lead(world);
        const rows = await loadAll(world.store);
        expect(rows).toHaveLength(broken.length);
        const asRead = new Map(rows.map((row) => [row.id as string, row.conditions]));
        for (const [n, document] of broken.entries()) {
          expect(asRead.get(`w${n}`)).toEqual(document.startsWith("{") ? JSON.parse(document) : {});
        }
        const observed = { containers: formatInstant(await world.leadership("a").now(deadline())) };
        const outcome = await world.store.save(
          lease,
          rows.map((row) => write(row.id, { set: { container: null }, observed, drop: ["archive"] })),
          deadline(),
        );
        expect(outcome).toMatchObject({ skipped: [], fenced: [] });
        for (const row of rows) {
          expect((await world.stored(row.id))?.conditions).toEqual({ container: null, observed });
        }
        // A deleted row of that kind shows no resource.
        await database.beside`update workspaces set deleted_at = now(), conditions = '[{"container": {}}]'`;
        expect(await loadAll(world.store)).toEqual([]);
      }),
    );

    test(
      "rows whose id no resource can have are left alone; dates that are no dates are none",
      inWorld(async (world, database) => {
        await world.add({ id: "" }, { id: "a/b" }, { id: "line\nbreak" }, { id: "w" }, { id: "v" });
        await database.beside`update workspaces set observed_at = 'infinity' where id = 'w'`;
        await database.beside`update workspaces set observed_at = '11111-01-01' where id = 'v'`;
        const rows = await loadAll(world.store);
        expect(rows.map((row) => row.id as string).sort()).toEqual(["v", "w"]);
        expect(rows.map((row) => row.observedAt)).toEqual([null, null]);
      }),
    );

    test(
      "report() keeps one row per instance, and removes those that were silent for a day",
      inWorld(async (world, database) => {
        await database.beside`
          insert into observer_status (instance, updated_at, status)
          values ('silent', now() - interval '25 hours', '{}'), ('other', now() - interval '23 hours', '{}'),
                 ('observer-1', now() - interval '25 hours', '{}')`;
        for (const turn of [1, 2]) await world.store.report({ turn, text: "“x” 🦊" }, deadline());
        const rows = await database.beside`
          select instance, status, updated_at > now() - interval '1 minute' as fresh
            from observer_status order by instance`;
        expect([...rows]).toEqual([
          { instance: "observer-1", status: { turn: 2, text: "“x” 🦊" }, fresh: true },
          { instance: "other", status: {}, fresh: false },
        ]);
        const without = database.storeOn({
          idType: "text",
          tellsChanges: true,
          hasStatusTable: false,
          hasTransitionsTable: false,
        });
        await without.report({ turn: 3 }, deadline());
        const [row] = await database.beside`select status from observer_status where instance = 'observer-1'`;
        expect(row?.status).toMatchObject({ turn: 2 });
      }),
    );
  });
}
