// A platform's database: the schema as `observer schema --role` prints it, the restricted role that the tests observe
// under, a memory of every document that was written, and the eyes of a WorkspaceController.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Ajv2020, { type ValidateFunction } from "ajv/dist/2020";
import addFormats from "ajv-formats";
import postgres from "postgres";
import type { Postgres } from "../../dev/services/postgres.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { runCommand } from "./support-executable.ts";
import { keepSecret } from "./support-output.ts";

export interface Condition {
  readonly workspace_id: string;
  readonly running?: boolean;
  readonly exists?: boolean;
  readonly reason: string;
  readonly message: string;
  readonly last_transition_at: string;
  readonly [field: string]: unknown;
}
export interface Conditions {
  readonly container?: Condition | null;
  readonly volume?: Condition | null;
  readonly archive?: Condition | null;
  readonly observed?: Readonly<Record<string, string>>;
}

/** One row as it was written once. */
export interface Written {
  readonly seq: number;
  readonly id: string;
  /** `application_name` of who wrote. */
  readonly writer: string;
  /** Of the role that wrote. */
  readonly role: string;
  readonly conditions: Conditions;
  readonly observedAt: string | null;
  /** The database's clock at the write, milliseconds since 1970; this machine's clock too. */
  readonly atMs: number;
}

export interface Row {
  readonly id: string;
  readonly conditions: Conditions;
  readonly observedAt: string | null;
}

export interface Platform {
  readonly name: string;
  readonly role: string;
  readonly sql: postgres.Sql;
  /** DATABASE_URL of the restricted role. `writer` becomes its application_name. */
  url(writer?: string): string;
  insert(...ids: string[]): Promise<void>;
  rows(): Promise<Map<string, Row>>;
  row(id: string): Promise<Row>;
  /** Everything that was written after that sequence number. */
  written(afterSeq?: number): Promise<Written[]>;
  lastSeq(): Promise<number>;
  /**
   * Waits until every id has a write after `afterSeq` that shows what is expected, and returns the first of each.
   * The deadline is generous: how long it took, the writes themselves say.
   */
  shows(
    what: string,
    ids: readonly string[],
    isSo: (conditions: Conditions, id: string) => boolean,
    options?: { afterSeq?: number; deadlineMs?: number },
  ): Promise<Map<string, Written>>;
  close(): Promise<void>;
}

const AUDIT = `
  create table written (
    seq bigserial primary key, id text not null, writer text not null, role text not null,
    conditions jsonb not null, observed_at timestamptz, at timestamptz not null default clock_timestamp()
  );
  create function note_written() returns trigger language plpgsql security definer set search_path = public as $$
  begin
    insert into written (id, writer, role, conditions, observed_at)
    values (new.id, current_setting('application_name'), session_user, new.conditions, new.observed_at);
    return null;
  end $$;
  create trigger note_written after update on workspaces for each row
    when (old.conditions is distinct from new.conditions or old.observed_at is distinct from new.observed_at)
    execute function note_written();`;

const ISO = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`;

const platforms: Platform[] = [];

/** The server has to ask for passwords: they are secrets like others here. */
export async function createPlatform(server: Postgres, name: string): Promise<Platform> {
  const role = `observer_${name}`;
  // Everything that a URL has to encode.
  const password = keepSecret(`password of ${role}`, `p@ss/w:rd#${randomBytes(6).toString("hex")}?%`);
  await server.createDatabase(name);
  const schema = await runCommand(["schema", "--role", role]);
  await server.query(schema.stdout, name);
  await server.query(`alter role ${role} password '${password}'; ${AUDIT}`, name);
  const sql = postgres(server.url(name), {
    max: 2,
    onnotice: () => {},
    connect_timeout: 10,
    backoff: () => 0.1,
  });

  const platform: Platform = {
    name,
    role,
    sql,
    url(writer) {
      const url = server.url(name, role, password);
      return writer === undefined ? url : `${url}?application_name=${writer}`;
    },
    async insert(...ids) {
      await sql`insert into workspaces ${sql(ids.map((id) => ({ id })))}`;
    },
    async rows() {
      const rows = await sql<Row[]>`
        select id, conditions, to_char(observed_at at time zone 'utc', ${sql.unsafe(ISO)}) as "observedAt"
          from workspaces`;
      return new Map(rows.map((row) => [row.id, row]));
    },
    async row(id) {
      const row = (await platform.rows()).get(id);
      if (row === undefined) throw new Error(`There is no row ${id}`);
      return row;
    },
    written: async (afterSeq = 0) => [
      ...(await sql<Written[]>`
        select seq::int, id, writer, role, conditions, (extract(epoch from at) * 1000)::float8 as "atMs",
               to_char(observed_at at time zone 'utc', ${sql.unsafe(ISO)}) as "observedAt"
          from written where seq > ${afterSeq} order by seq`),
    ],
    async lastSeq() {
      const [row] = await sql<{ seq: number }[]>`select coalesce(max(seq), 0)::int as seq from written`;
      return row!.seq;
    },
    async shows(what, ids, isSo, { afterSeq = 0, deadlineMs = 30_000 } = {}) {
      const first = new Map<string, Written>();
      const wanted = new Set(ids);
      const latest = new Map<string, Conditions>();
      let seq = afterSeq;
      await waitFor(
        `the table to show: ${what}`,
        deadlineMs,
        async () => {
          for (const write of await platform.written(seq)) {
            seq = Math.max(seq, write.seq);
            latest.set(write.id, write.conditions);
            if (wanted.has(write.id) && isSo(write.conditions, write.id)) {
              first.set(write.id, write);
              wanted.delete(write.id);
            }
          }
          return wanted.size === 0;
        },
        25,
      ).catch((cause: Error) => {
        const shown = [...wanted].slice(0, 3).map((id) => `${id}: ${JSON.stringify(latest.get(id))}`);
        throw new Error(`${cause.message}; ${wanted.size} missing, of them ${shown.join(", ")}`, { cause });
      });
      return first;
    },
    async close() {
      await sql.end({ timeout: 1 });
    },
  };
  platforms.push(platform);
  return platform;
}

/** The document's JSON Schema. */
export function conditionsValidator(): ValidateFunction {
  const path = join(import.meta.dir, "../../schema/conditions.schema.json");
  const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: true });
  addFormats(ajv);
  return ajv.compile(JSON.parse(readFileSync(path, "utf8")));
}

/** Every document that was really written is one of the schema, by whom it may be written. Returns their number. */
export async function expectValidDocuments(): Promise<number> {
  const validate = conditionsValidator();
  let count = 0;
  for (const platform of platforms) {
    for (const { id, conditions, role, observedAt } of await platform.written()) {
      if (role !== platform.role) continue;
      if (!validate(conditions)) {
        throw new Error(
          `Not a valid document: ${JSON.stringify(conditions)}\n${JSON.stringify(validate.errors)}`,
        );
      }
      for (const key of ["container", "volume", "archive"] as const) {
        const condition = conditions[key];
        if (condition && condition.workspace_id !== id) throw new Error(`${key} of ${id} names another`);
      }
      const stamps = Object.values(conditions.observed ?? {}).sort();
      if (observedAt !== null && observedAt !== stamps[0]) {
        throw new Error(`observed_at of ${id} is ${observedAt}, not the oldest of ${stamps.join(", ")}`);
      }
      count += 1;
    }
  }
  return count;
}

export async function closePlatforms(): Promise<void> {
  await Promise.all(platforms.splice(0).map((platform) => platform.close()));
}
