// Goal: whatever stands in a row, and whatever an Engine or a store says, the document that results is one of
// schema/conditions.schema.json, is storable, and claims no absence of what was listed (P1, P4); and it settles.
// Method: any JSON as the row's document and any accepted listing, through load, compose and a model of the writing
// statement, and the result through the schema's validator.
import { expect, test } from "bun:test";
import Ajv2020 from "ajv/dist/2020";
import addFormats from "ajv-formats";
import fc from "fast-check";
import * as v from "valibot";
import schema from "../../schema/conditions.schema.json";
import { CONTAINERS_SCHEMA, collectContainers } from "../../src/adapters/docker-containers.ts";
import { INSPECT_SCHEMA, toDeath } from "../../src/adapters/docker-inspect.ts";
import { collectVolumes, VOLUMES_SCHEMA } from "../../src/adapters/docker-volumes.ts";
import { createConditionsStore } from "../../src/adapters/postgres.ts";
import type { PostgresClient } from "../../src/adapters/postgres-client.ts";
import { composeRow } from "../../src/observer/compose.ts";
import type { JsonObject } from "../../src/observer/conditions.ts";
import { isJsonObject } from "../../src/observer/conditions.ts";
import { formatInstant } from "../../src/observer/instant.ts";
import type {
  ContainerDeath,
  ContainerSeen,
  RowWrite,
  VolumeSeen,
  WorkspaceRow,
} from "../../src/observer/ports.ts";
import { RowMirror } from "../../src/observer/rows.ts";
import { atLeast } from "./fuzz-runs.ts";
import { archive, container, second, stampOf, volume } from "./observer/support.ts";

const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: true });
addFormats(ajv);
const validate = ajv.compile(schema);

/** As postgres.ts reads what a table holds. */
async function loadedFrom(conditions: unknown, observedAt: string | null): Promise<WorkspaceRow> {
  const loaded = [
    { id: "a", in_flight: false, deleted: false, in_scope: true, conditions, observed_at: observedAt },
  ];
  const store = createConditionsStore({
    client: { asker: () => async () => loaded } as unknown as PostgresClient,
    instance: "fuzz",
    schema: { idType: "text", tellsChanges: false, hasStatusTable: false, hasTransitionsTable: false },
  } as Parameters<typeof createConditionsStore>[0]);
  const [row] = (await store.load(null, new AbortController().signal)).rows;
  return row!;
}

/** As the writing statement merges, and as it comes back from the server. */
function writtenTo(row: WorkspaceRow, write: RowWrite): WorkspaceRow {
  const kept: Record<string, unknown> = { ...row.conditions };
  const stamps: Record<string, unknown> = isJsonObject(row.conditions.observed)
    ? { ...row.conditions.observed }
    : {};
  for (const key of write.drop) {
    delete kept[key];
    delete stamps[key];
  }
  const conditions = { ...kept, ...write.set, observed: { ...stamps, ...write.observed } };
  return {
    ...row,
    conditions: JSON.parse(JSON.stringify(conditions)) as JsonObject,
    observedAt: write.observedAt,
  };
}

interface Seen {
  readonly container: ContainerSeen | undefined;
  readonly volume: VolumeSeen | undefined;
  readonly death?: ContainerDeath;
}

function look(row: WorkspaceRow, seen: Seen, hasArchive: boolean, atSeconds: number) {
  const stamp = second(atSeconds);
  return composeRow(
    row,
    { stamp, death: undefined, ...seen },
    { stamp, archive: hasArchive ? archive() : undefined },
    {
      now: stamp,
      changedAt: stamp,
      archivesConfigured: true,
      maxAgeMs: 10_000,
      horizonMs: 10_000,
    },
  );
}

function expectDocument(row: WorkspaceRow, seen: Seen, hasArchive: boolean): void {
  const { conditions } = row;
  if (!validate(conditions)) {
    throw new Error(`Not a document: ${JSON.stringify(conditions)}\n${JSON.stringify(validate.errors)}`);
  }
  const text = JSON.stringify(conditions);
  // What PostgreSQL's jsonb refuses.
  expect(text.includes("\\u0000") || /\\ud[89a-f]/i.test(text)).toBe(false);
  expect([conditions.container === null, conditions.volume === null, conditions.archive === null]).toEqual([
    seen.container === undefined,
    seen.volume === undefined,
    !hasArchive,
  ]);
}

const someText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom("", "\u0000", "\ud800", " "),
);
const stamp = fc.oneof(
  fc.constantFrom(stampOf(1), stampOf(99), stampOf(9_999), "9999", "", "2026-11-23T20:02:34.123Z"),
  fc.jsonValue(),
);
/** What we would write, with anything in one or two places. */
const spoilt = (fields: JsonObject) =>
  fc
    .array(fc.tuple(fc.constantFrom(...Object.keys(fields)), fc.oneof(stamp, fc.constant(undefined))), {
      minLength: 1,
      maxLength: 2,
    })
    .map(
      (changes) => JSON.parse(JSON.stringify({ ...fields, ...Object.fromEntries(changes) })) as JsonObject,
    );
const settledRow = writtenTo(
  {
    id: "a" as WorkspaceRow["id"],
    operationInFlight: false,
    deleted: false,
    conditions: {},
    observedAt: null,
  },
  look(
    {
      id: "a" as WorkspaceRow["id"],
      operationInFlight: false,
      deleted: false,
      conditions: {},
      observedAt: null,
    },
    { container: container(), volume: volume() },
    true,
    50,
  )!.write,
);
const stored = fc.oneof(
  fc.jsonValue(),
  fc.constant(null),
  spoilt(settledRow.conditions),
  fc.record(
    {
      container: fc.oneof(fc.jsonValue(), spoilt(settledRow.conditions.container as JsonObject)),
      volume: fc.oneof(fc.jsonValue(), spoilt(settledRow.conditions.volume as JsonObject)),
      archive: fc.oneof(fc.jsonValue(), spoilt(settledRow.conditions.archive as JsonObject)),
      observed: fc.oneof(
        fc.jsonValue(),
        fc.record({ containers: stamp, volumes: stamp, archives: stamp }, { requiredKeys: [] }),
      ),
    },
    { requiredKeys: [] },
  ),
);
const storedAt = fc.option(fc.oneof(fc.constantFrom(stampOf(50), stampOf(9_999)), fc.string()), {
  nil: null,
});

test("P4: any stored document becomes one of the schema, and the next look at the same world changes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(stored, storedAt, fc.boolean(), fc.boolean(), fc.boolean(), async (json, at, ...has) => {
      const before = await loadedFrom(json, at);
      const seen = { container: has[0] ? container() : undefined, volume: has[1] ? volume() : undefined };
      const composed = look(before, seen, has[2], 100);
      const after = composed === null ? before : writtenTo(before, composed.write);
      // Null: all stood there already, with stamps that are young enough.
      expectDocument(after, seen, has[2]);
      const again = look(after, seen, has[2], 101);
      expect(again?.changes ?? []).toEqual([]);
      // What the mirror makes of it is what the table does.
      const mirror = new RowMirror();
      const reading = mirror.begin(0);
      mirror.merge({ all: new Set([before.id]), rows: [before], gone: [], cursor: null }, reading, 0);
      mirror.end(reading);
      if (composed !== null) expect(mirror.wrote(composed)).toBe(false);
      expect(JSON.parse(JSON.stringify(mirror.get(before.id)!.row))).toEqual(
        JSON.parse(JSON.stringify(after)),
      );
    }),
    atLeast(500),
  );
});

const engineContainer = fc.record({
  Id: fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 12, maxLength: 64 }),
  Names: fc.constant(["/ws-a"]),
  Image: someText,
  Created: fc.oneof(fc.integer(), fc.double()),
  State: fc.oneof(
    fc.constantFrom("running", "exited", "dead", "restarting", "Running", "PAUSED", "stop ped"),
    someText,
  ),
  Status: fc.oneof(
    fc.constantFrom(
      "Up 5 minutes (healthy)",
      "Up (unhealthy)",
      "Exited (137) 2 hours ago",
      "Exited (-1) now",
    ),
    fc
      .tuple(fc.constantFrom("Exited (", "Restarting ("), someText, fc.constantFrom(") now", "", ")"))
      .map((it) => it.join("")),
    someText,
  ),
  Health: fc.option(
    fc.record({ Status: fc.oneof(fc.constantFrom("healthy", "starting", "none"), someText) }),
  ),
});
const inspected = fc.record({
  Id: fc.constant("98781810ea4c"),
  RestartCount: fc.oneof(fc.nat(), fc.double()),
  State: fc.record({
    Status: fc.oneof(fc.constantFrom("exited", "dead", "running"), someText),
    OOMKilled: fc.boolean(),
    ExitCode: fc.oneof(fc.nat(255), fc.double()),
    Error: someText,
    FinishedAt: fc.oneof(fc.constant("2026-11-23T20:02:34.123456789Z"), someText),
  }),
});

test("P1: whatever of an Engine's words is accepted makes a document of the schema, and no absence", () => {
  let accepted = 0;
  fc.assert(
    fc.property(engineContainer, fc.option(inspected), someText, (listed, inspect, driver) => {
      const containers = v.safeParse(CONTAINERS_SCHEMA, JSON.parse(JSON.stringify([listed])));
      const volumes = v.safeParse(VOLUMES_SCHEMA, {
        Volumes: [{ Name: "ws-a-home", Driver: driver }],
        Warnings: null,
      });
      if (!containers.success || !volumes.success) return;
      accepted += 1;
      const id = settledRow.id;
      const death = v.safeParse(INSPECT_SCHEMA, JSON.parse(JSON.stringify(inspect)));
      const explained = death.success ? toDeath(death.output) : null;
      const seen: Seen = {
        container: collectContainers(containers.output, "ws-", undefined).byWorkspace.get(id),
        volume: collectVolumes(volumes.output, "ws-", undefined).byWorkspace.get(id),
        ...(explained === null ? {} : { death: explained }),
      };
      expect([seen.container === undefined, seen.volume === undefined]).toEqual([false, false]);
      const after = writtenTo(settledRow, look(settledRow, seen, true, 100)!.write);
      expectDocument(after, seen, true);
      expect(look(after, seen, true, 101)?.changes ?? []).toEqual([]);
      expect(formatInstant(second(100))).toBe((after.conditions.observed as JsonObject).containers as string);
    }),
    atLeast(500),
  );
  expect(accepted).toBeGreaterThan(100);
});
