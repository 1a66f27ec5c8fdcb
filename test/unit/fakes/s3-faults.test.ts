/**
 * Goal: each fault and quirk of the S3 stub reaches the SDK as from a broken store. Method: five pages of two keys;
 * something happens to page 3 only.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { HeadBucketCommand, ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";
import type { Fault } from "../../../dev/fakes/faults.ts";
import { type FakeS3, startS3 } from "../../../dev/fakes/s3.ts";
import { type S3ErrorCode, s3ErrorFault } from "../../../dev/fakes/s3-error.ts";
import type { ListQuirk } from "../../../dev/fakes/s3-list.ts";
import { clientFor, sdkFailure } from "./s3-support.ts";

let s3: FakeS3;
let client: S3Client;

beforeAll(async () => {
  s3 = await startS3();
  client = clientFor(s3);
  for (let i = 0; i < 10; i++) s3.bucket.put(`ws-${i}`);
});
afterEach(() => {
  s3.faults.clear();
  s3.listQuirks.clear();
});
afterAll(async () => {
  client.destroy();
  await s3.stop();
});

/** The pages up to the listing's end or, at the latest, the seventh. */
async function pages(signal?: AbortSignal) {
  const found = [];
  for (let ContinuationToken: string | undefined; found.length < 7; ) {
    const command = new ListObjectsV2Command({ Bucket: "archives", MaxKeys: 2, ContinuationToken });
    const page = await client.send(command, signal ? { abortSignal: signal } : {});
    found.push(page);
    ContinuationToken = page.NextContinuationToken;
    if (!page.IsTruncated || ContinuationToken === undefined) return found;
  }
  return found;
}
const pagesWith = (fault: Fault, signal?: AbortSignal) => {
  s3.faults.set("ListObjectsV2#3", fault);
  return pages(signal);
};
const pagesWithQuirk = (quirk: ListQuirk) => {
  s3.listQuirks.set(3, quirk);
  return pages();
};

test("five good pages", async () => {
  expect((await pages()).map((page) => page.KeyCount)).toEqual([2, 2, 2, 2, 2]);
});

test.each([
  ["SlowDown", 503],
  ["ServiceUnavailable", 503],
  ["InternalError", 500],
  ["AccessDenied", 403],
  ["SignatureDoesNotMatch", 403],
  ["RequestTimeTooSkewed", 403],
] as Array<[S3ErrorCode, number]>)("page 3 answers %s", async (code, status) => {
  expect(await sdkFailure(pagesWith(s3ErrorFault(code)))).toBe(`${code} ${status}`);
});

test("page 3 is reset, hangs, comes late, or is cut off", async () => {
  expect(await sdkFailure(pagesWith({ reset: true }))).toBe("ECONNRESET -");
  expect(await sdkFailure(pagesWith({ hang: true }, AbortSignal.timeout(150)))).toStartWith("AbortError");
  expect(await pagesWith({ delayMs: 5 })).toHaveLength(5);
  expect(await sdkFailure(pagesWith({ truncateAfterBytes: 50 }))).not.toBe("no failure");
});

test("page 3 is an empty or an HTML 200: the SDK gives an empty page and no error", async () => {
  for (const body of ["", "<html><body>Welcome</body></html>"]) {
    const found = await pagesWith({ body, headers: { "Content-Type": "text/html" } });
    expect(found).toHaveLength(3);
    expect(found[2]).not.toHaveProperty("IsTruncated", expect.any(Boolean));
  }
});

test("a fault on the operation hits every page, one with times is retried away", async () => {
  s3.faults.set("ListObjectsV2", { ...s3ErrorFault("InternalError"), times: 2 });
  const patient = clientFor(s3, { maxAttempts: 3, retryMode: "standard" });
  const page = await patient.send(new ListObjectsV2Command({ Bucket: "archives" }));
  expect(page.KeyCount).toBe(10);
  patient.destroy();
  s3.faults.set("HeadBucket", s3ErrorFault("AccessDenied"));
  expect(await sdkFailure(client.send(new HeadBucketCommand({ Bucket: "archives" })))).toEndWith(" 403");
  expect(await pages()).toHaveLength(5);
});

test("short pages are legal and lose nothing", async () => {
  s3.listQuirks.set("all", { keysMax: 1 });
  s3.listQuirks.set(2, { keysMax: 0 });
  const found = await pages();
  expect(found.slice(0, 3).map((page) => [page.KeyCount, page.IsTruncated])).toEqual([
    [1, true],
    [0, true],
    [1, true],
  ]);
  expect(found[2]?.Contents?.[0]?.Key).toBe("ws-1");
});

test("a repeated token, on the first page too, leads in a circle", async () => {
  const found = await pagesWithQuirk({ repeatToken: true });
  expect(found).toHaveLength(7);
  expect(found[3]?.Contents).toEqual(found[2]?.Contents);
  s3.listQuirks.clear();
  s3.listQuirks.set(1, { repeatToken: true });
  expect((await pages())[6]?.Contents?.[0]?.Key).toBe("ws-0");
});

test("truncated without a token, a false end, a wrong count, a wrong name, no IsTruncated", async () => {
  expect((await pagesWithQuirk({ dropToken: true })).at(-1)).toMatchObject({
    KeyCount: 2,
    IsTruncated: true,
  });
  expect(await pagesWithQuirk({ claimEnd: true })).toHaveLength(3);
  expect((await pagesWithQuirk({ keyCount: 9 }))[2]).toMatchObject({ KeyCount: 9 });
  expect((await pagesWithQuirk({ name: "stranger" }))[2]).toMatchObject({ Name: "stranger" });
  expect((await pagesWithQuirk({ omitIsTruncated: true })).at(-1)?.IsTruncated).toBeUndefined();
});
