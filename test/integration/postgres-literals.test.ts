// Goal: a value that is written into a statement is read as that value, whatever it is and however the server is set.
// Method: any text and JSON through a real server and back, with the settings that change how strings are read.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { PostgresClient } from "../../src/adapters/postgres-client.ts";
import { json, sql, verbatim } from "../../src/adapters/postgres-literals.ts";
import { deadline } from "../contract/engine-support.ts";
import { atLeast } from "../unit/fuzz-runs.ts";

let server: Postgres;

beforeAll(async () => {
  server = await startPostgres({ version: 18 });
}, 60_000);
afterAll(async () => {
  await server?.stop();
}, 60_000);

const SETTINGS = ["on", "off"].flatMap((conforming) =>
  ["on", "off", "safe_encoding"].map((quote) => [conforming, quote] as const),
);
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }).filter((one) => !one.includes("\0")),
  fc.constantFrom("'", "\\", "\\'", "''", "E'", "$$", "--", "/*", ";", "é\\'", "🦊'", "\n\r\t\\n", "%_"),
);

describe("literals", () => {
  test.each(SETTINGS)("standard_conforming_strings = %s, backslash_quote = %s", async (conforming, quote) => {
    await server.query(
      `alter role postgres set standard_conforming_strings = ${conforming}; alter role postgres set backslash_quote = ${quote}`,
    );
    const client = new PostgresClient(optionsOf());
    try {
      await fc.assert(
        fc.asyncProperty(text, fc.integer(), fc.jsonValue(), async (string, number, value) => {
          const document = JSON.parse(JSON.stringify({ value }).replaceAll("\\u0000", "x"));
          const [row] = await client.ask(
            "Cannot ask",
            deadline(),
            sql`
            select ${string}::text as string, ${number}::bigint::text as number, ${json(document)} as document,
                   ${null}::text as nothing, ${true} as truth, 1 -${-1} as two`,
          );
          expect(row).toEqual({
            string,
            number: String(number),
            document,
            nothing: null,
            truth: true,
            two: 2,
          });
        }),
        atLeast(60),
      );
    } finally {
      await client.close();
    }
  });

  test("what SQL has no word for is refused before it is sent", () => {
    expect(() => sql`select ${"a\0b"}`).toThrow("NUL");
    expect(() => sql`select ${Number.NaN}`).toThrow("no number");
    expect(sql`select ${verbatim("now()")}`.text).toBe("select now()");
  });
});

const optionsOf = () => ({
  hosts: [{ host: "127.0.0.1", port: server.port }],
  user: "postgres",
  password: "postgres",
  database: "postgres",
  tls: "disable" as const,
  tlsRootCertificate: null,
  searchPath: null,
  applicationName: "literals",
  timeoutMs: 10_000,
});
