// Goal: a listing with a page that isn't what it should be rejects by name and never becomes an absence (P1), and the
// next one after the fault is right again.
// Method: a real listing of five pages from Ceph's gateway, one of them spoiled on its way (s3-faulty-gateway.ts).
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { Fault } from "../../dev/fakes/faults.ts";
import type { ArchivesFault } from "../../src/adapters/s3-errors.ts";
import { errorBody, failure, IDS, type Listing, list, onPage, startListing } from "./s3-support.ts";

let listing: Listing;

beforeAll(async () => {
  listing = await startListing();
}, 300_000);
afterEach(() => listing.reset());
afterAll(async () => await listing.stop(), 60_000);

const rewrite = (change: (body: string) => string): Fault => ({ rewrite: change });
/** Replaces, or fails the test when there was nothing to replace. */
const replaced = (pattern: RegExp, by: string): Fault =>
  rewrite((body) => {
    if (!pattern.test(body)) throw new Error(`nothing to spoil: ${pattern} in ${body}`);
    return body.replace(pattern, by);
  });

const faults: [what: string, fault: Fault, expected: readonly ArchivesFault[]][] = [
  ["an empty 200", { body: "" }, ["incomplete"]],
  ["an HTML 200", { body: "<html><body>Welcome<br></body></html>" }, ["incomplete"]],
  ["a well-formed HTML 200", { body: "<html><body><p>Welcome</p></body></html>" }, ["incomplete"]],
  ["a JSON 200", { body: "{}" }, ["incomplete"]],
  ["an error with status 200", { body: errorBody("InternalError") }, ["unavailable", "incomplete"]],
  ["204", { status: 204 }, ["incomplete"]],
  ["206", { status: 206 }, ["incomplete"]],
  ["a redirect", { redirectTo: "http://127.0.0.1:1/" }, ["wrong-region"]],
  ["503", { status: 503, body: errorBody("SlowDown") }, ["unavailable"]],
  ["500 without a body", { status: 500 }, ["unavailable"]],
  ["502 in plain text", { status: 502, body: "Bad Gateway" }, ["unavailable"]],
  ["403", { status: 403, body: errorBody("AccessDenied") }, ["denied"]],
  ["a proxy's 403", { status: 403, body: "<html>Forbidden</html>" }, ["denied"]],
  ["a clock that is off", { status: 403, body: errorBody("RequestTimeTooSkewed") }, ["clock-skew"]],
  ["404 of the bucket", { status: 404, body: errorBody("NoSuchBucket") }, ["no-bucket"]],
  ["a reset before the answer", { reset: true }, ["unreachable"]],
  ["a reset in the answer", { truncateAfterBytes: 300 }, ["unreachable"]],
  ["a body cut by a proxy that mends the length", rewrite((body) => body.slice(0, -60)), ["incomplete"]],
  ["a lost entry", replaced(/<Contents>.*?<\/Contents>/s, ""), ["incomplete"]],
  ["KeyCount that doesn't fit", replaced(/<KeyCount>2</, "<KeyCount>3<"), ["incomplete"]],
  ["no KeyCount", replaced(/<KeyCount>2<\/KeyCount>/, ""), ["incomplete"]],
  ["no IsTruncated", replaced(/<IsTruncated>.*?<\/IsTruncated>/, ""), ["incomplete"]],
  [
    "truncated without a token",
    replaced(/<NextContinuationToken>.*?<\/NextContinuationToken>/, ""),
    ["incomplete"],
  ],
  ["the end claimed too early", replaced(/<IsTruncated>true</, "<IsTruncated>false<"), ["incomplete"]],
  ["another bucket's page", replaced(/<Name>archives</, "<Name>other<"), ["incomplete"]],
  ["another prefix's page", replaced(/<Prefix>ws-</, "<Prefix>wx-<"), ["incomplete"]],
  ["an entry without a time", replaced(/<LastModified>.*?<\/LastModified>/, ""), ["incomplete"]],
  ["an entry without a size", replaced(/<Size>.*?<\/Size>/, ""), ["incomplete"]],
  ["another key order", replaced(/<Key>ws-c\/op2/, "<Key>ws-c/op0"), ["incomplete"]],
];

test("five pages come whole when nothing is spoiled", async () => {
  const archives = listing.archivesAt(listing.gateway.endpoint);
  expect(await list(archives)).toEqual(IDS);
  expect(listing.gateway.pagesAsked).toEqual([1, 2, 3, 4, 5]);
});

for (const [what, fault, expected] of faults)
  test(`P1: page 3 of 5 spoiled by ${what}: the listing rejects, and the next one is right`, async () => {
    const archives = listing.archivesAt(listing.gateway.endpoint);
    listing.gateway.spoil(onPage(3, fault));
    const error = await failure(archives);
    expect(error.name).toBe("ArchivesError");
    expect(expected).toContain(error.fault);
    expect(error.message).toContain("page 3");
    expect(listing.gateway.pagesAsked).not.toContain(4);
    listing.gateway.spoil(() => undefined);
    expect(await list(archives)).toEqual(IDS);
  });

test("P1: the answer to page 2 given again for page 3 is refused, and doesn't go round for ever", async () => {
  const archives = listing.archivesAt(listing.gateway.endpoint);
  let second = "";
  listing.gateway.spoil((page) =>
    rewrite((body) => {
      if (page === 2) second = body;
      return page === 3 ? second : body;
    }),
  );
  expect((await failure(archives)).fault).toBe("incomplete");
  // A cache that forgets the tokens when it answers is no better.
  const withoutToken = (body: string) => body.replace(/<ContinuationToken>.*?<\/ContinuationToken>/, "");
  listing.gateway.spoil((page) => rewrite((body) => withoutToken(page === 3 ? second : body)));
  expect((await failure(archives)).message).toContain("keys must ascend");
});

test("P1: a repeated token over empty pages is refused", async () => {
  const archives = listing.archivesAt(listing.gateway.endpoint);
  listing.gateway.spoil((page) =>
    page === 1
      ? undefined
      : rewrite((body) =>
          body
            .replace(/<Contents>.*<\/Contents>/s, "")
            .replace(/<KeyCount>\d+/, "<KeyCount>0")
            .replace(/<ContinuationToken>.*?<\/ContinuationToken>/, "")
            .replace(/<NextContinuationToken>.*?</, "<NextContinuationToken>same<"),
        ),
  );
  expect((await failure(archives)).message).toContain("given before");
});

test("a page that fails once is asked for again, and the listing completes", async () => {
  const archives = listing.archivesAt(listing.gateway.endpoint);
  for (const fault of [{ reset: true }, { status: 503 }, { truncateAfterBytes: 100 }] as Fault[]) {
    let left = 1;
    listing.gateway.spoil((page) => (page === 3 && left-- > 0 ? fault : undefined));
    expect(await list(archives)).toEqual(IDS);
    expect(listing.gateway.pagesAsked).toEqual([1, 2, 3, 3, 4, 5]);
  }
});
