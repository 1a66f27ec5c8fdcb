// Goal: whatever a store answers to a listing, the SDK and the checks behind it end in a listing that is whole, or in an
// error that says so in one bounded line (P1, P12).
// Method: a server on loopback that answers ListObjectsV2 with what fast-check makes: noise, and a real page damaged.
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { createS3Archives, type S3Archives } from "../../src/adapters/s3.ts";
import { archivesError } from "../../src/adapters/s3-errors.ts";
import { atMost } from "./fuzz-runs.ts";

const NAMES = ["a", "b", "c"];
const entry = (name: string) =>
  `<Contents><Key>ws-${name}/op1/home.tar.zst</Key><LastModified>2026-11-23T20:00:00.000Z</LastModified>` +
  `<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>`;
const PAGE =
  `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
  `<Name>archives</Name><Prefix>ws-</Prefix><MaxKeys>1000</MaxKeys><KeyCount>3</KeyCount><IsTruncated>false</IsTruncated>` +
  `${NAMES.map(entry).join("")}</ListBucketResult>`;

let body: Uint8Array | string = PAGE;
let status = 200;
let server: Bun.Server<undefined>;
let archives: S3Archives;

beforeAll(() => {
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(body as string, { status, headers: { "content-type": "application/xml" } }),
  });
  archives = createS3Archives({
    bucket: "archives",
    suffix: "/home.tar.zst",
    commitSuffix: null,
    forcePathStyle: true,
    region: "us-east-1",
    endpoint: `http://127.0.0.1:${server.port}`,
    credentials: { accessKeyId: "key", secretAccessKey: "a-secret-of-the-store" },
    pageTimeoutMs: 5_000,
  });
});
afterAll(async () => {
  archives.destroy();
  await server.stop(true);
});

/** The workspaces in the listing, or null where it was refused, by an error that is fit for a line of a log. */
async function list(answer: Uint8Array | string, withStatus = 200): Promise<string[] | null> {
  body = answer;
  status = withStatus;
  try {
    const { byWorkspace } = await archives.listArchives("ws-", { signal: new AbortController().signal });
    return [...byWorkspace.keys()].map(String).sort();
  } catch (error) {
    const { message } = error as Error;
    expect(message).toMatch(/^Cannot list archives/);
    expect(message).not.toMatch(/[\u0000-\u001f\u007f]/);
    expect(message).not.toContain("a-secret-of-the-store");
    expect(message.length).toBeLessThan(1_500);
    return null;
  }
}

test("the page itself is listed", async () => {
  expect(await list(PAGE)).toEqual(NAMES);
});

test("P1: noise is refused", async () => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json(),
    fc.string({ maxLength: 80 }).map((text) => `<a>${text}</a>`),
    fc.string({ maxLength: 80 }).map((text) => `<ListBucketResult>${text}</ListBucketResult>`),
  );
  // Answers that the SDK tries again are slow; their kinds have tests of their own.
  const statuses = fc.constantFrom(200, 200, 201, 206, 301, 400, 403, 404);
  await fc.assert(
    fc.asyncProperty(noise, statuses, async (answer, code) => {
      expect(await list(answer, code)).toBeNull();
    }),
    atMost(20_000),
  );
});

test("what a store says in an error is bounded, and has no control characters", () => {
  const text = fc.string({ unit: "binary", maxLength: 1_000 });
  const context = { bucket: "archives", endpoint: null, forcePathStyle: true, pageTimeoutMs: 1, secrets: [] };
  fc.assert(
    fc.property(
      text,
      text,
      text,
      fc.constantFrom(200, 301, 400, 403, 404, 503),
      (name, message, region, code) => {
        const said = { name, message, Region: region, $metadata: { httpStatusCode: code } };
        const error = archivesError(Object.assign(new Error(), said), 1, context);
        expect(error.message).not.toMatch(/[\u0000-\u001f\u007f]/);
        expect(error.message.isWellFormed()).toBe(true);
        expect(error.message.length).toBeLessThan(1_500);
      },
    ),
  );
});

test("P1: a page that is cut off anywhere is refused", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(PAGE.length - 1), async (length) => {
      expect(await list(PAGE.slice(0, length))).toBeNull();
    }),
    atMost(2 * PAGE.length),
  );
});

test("P1: a page with a piece missing, doubled or replaced is refused, or hides no more than it says", async () => {
  const place = fc.nat(PAGE.length - 1);
  const edits = fc.oneof(
    fc.tuple(place, fc.nat(60), fc.constant("")),
    fc.tuple(place, fc.nat(3), fc.string({ maxLength: 3 })),
    fc.tuple(
      place,
      fc.constant(0),
      fc.constantFrom(...NAMES.map(entry), "<!-- -->", "&#0;", "<Contents/>", "<x>"),
    ),
  );
  await fc.assert(
    fc.asyncProperty(edits, async ([at, length, text]) => {
      const spoilt = PAGE.slice(0, at) + text + PAGE.slice(at + length);
      const found = await list(spoilt);
      if (found === null) return;
      // Nothing is lost but a key that the page itself no longer names, and not more than one.
      const lost = NAMES.filter((name) => !found.includes(name));
      expect(lost.length).toBeLessThanOrEqual(1);
      for (const name of lost) expect(spoilt).not.toContain(`<Key>ws-${name}/op1/home.tar.zst</Key>`);
    }),
    atMost(20_000),
  );
});
