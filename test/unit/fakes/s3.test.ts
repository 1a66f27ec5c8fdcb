/**
 * Goal: the stub lists, stores and refuses as S3 does. Method: the real @aws-sdk/client-s3 on loopback, signatures
 * checked; raw fetch where the bytes matter.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { type FakeS3, startS3 } from "../../../dev/fakes/s3.ts";
import { clientFor, sdkFailure } from "./s3-support.ts";

let s3: FakeS3;
let client: S3Client;
const Bucket = "archives";

beforeEach(async () => {
  s3 = await startS3();
  client = clientFor(s3);
});
afterEach(async () => {
  client.destroy();
  await s3.stop();
});

const list = (input: Partial<ListObjectsV2CommandInput> = {}) =>
  client.send(new ListObjectsV2Command({ Bucket, ...input }));

async function listAll(input: Partial<ListObjectsV2CommandInput> = {}): Promise<string[][]> {
  const pages: string[][] = [];
  for (let ContinuationToken: string | undefined; ; ) {
    const page = await list({ ...input, ...(ContinuationToken && { ContinuationToken }) });
    pages.push((page.Contents ?? []).map((object) => object.Key!));
    if (!page.IsTruncated) return pages;
    ContinuationToken = page.NextContinuationToken;
  }
}

test("ListObjectsV2 gives each field", async () => {
  s3.bucket.put("ws-a/1/home.tar.zst", {
    sizeBytes: 5_000_000_000,
    lastModified: new Date(1_700_000_000_123),
  });
  s3.bucket.put("other");
  const page = await list({ Prefix: "ws-" });
  expect(page).toMatchObject({ Name: Bucket, Prefix: "ws-", KeyCount: 1, MaxKeys: 1000, IsTruncated: false });
  expect(page.NextContinuationToken).toBeUndefined();
  expect(page.Contents).toEqual([
    {
      Key: "ws-a/1/home.tar.zst",
      LastModified: new Date(1_700_000_000_123),
      ETag: expect.stringMatching(/^"[0-9a-f]{32}"$/),
      Size: 5_000_000_000,
      StorageClass: "STANDARD",
    },
  ]);
  expect(await list({ Prefix: "none" })).toMatchObject({ KeyCount: 0, IsTruncated: false });
});

test("pages of at most 1,000 keys, in byte order, complete", async () => {
  for (let i = 0; i < 2500; i++) s3.bucket.put(`ws-${(i * 7919) % 2500}`);
  const pages = await listAll({ Prefix: "ws-", MaxKeys: 5000 });
  expect(pages.map((page) => page.length)).toEqual([1000, 1000, 500]);
  expect(pages.flat()).toEqual(s3.bucket.keys());
});

test("start-after, token, and exact page ends", async () => {
  for (const key of ["a", "b", "c", "d"]) s3.bucket.put(key);
  expect(await listAll({ MaxKeys: 2 })).toEqual([
    ["a", "b"],
    ["c", "d"],
  ]);
  expect(await listAll({ StartAfter: "b" })).toEqual([["c", "d"]]);
  const first = await list({ MaxKeys: 1 });
  const second = await list({ StartAfter: "c", ContinuationToken: first.NextContinuationToken });
  expect([second.Contents?.[0]?.Key, second.ContinuationToken]).toEqual(["b", first.NextContinuationToken]);
  expect(await list({ MaxKeys: 0 })).toMatchObject({ KeyCount: 0, IsTruncated: false });
  expect(await sdkFailure(list({ ContinuationToken: "made up" }))).toBe("InvalidArgument 400");
});

test("an object that appears while the pages are read is not lost, nor is another repeated", async () => {
  for (const key of ["a", "c", "e", "g"]) s3.bucket.put(key);
  const first = await list({ MaxKeys: 2 });
  for (const key of ["b", "d", "f"]) s3.bucket.put(key);
  s3.bucket.delete("c");
  const second = await list({ ContinuationToken: first.NextContinuationToken });
  expect(second.Contents?.map((object) => object.Key)).toEqual(["d", "e", "f", "g"]);
});

test("awkward keys survive, plain and with encoding-type=url", async () => {
  const keys = ["a b+c", "a&b<c>\"'", "ü/😀", "%2F", "new\nline", "..", "ws-x/../y"];
  for (const key of keys) s3.bucket.put(key);
  expect((await listAll()).flat()).toEqual(s3.bucket.keys());
  const encoded = await list({ EncodingType: "url", Prefix: "a " });
  expect([encoded.EncodingType, encoded.Prefix, encoded.Contents?.[0]?.Key]).toEqual([
    "url",
    "a+",
    "a+b%2Bc",
  ]);
  const decoded = ((await listAll({ EncodingType: "url" })).flat() as string[]).map((key) =>
    decodeURIComponent(key.replace(/\+/g, " ")),
  );
  expect(decoded).toEqual(s3.bucket.keys());
  for (const Key of keys) await client.send(new HeadObjectCommand({ Bucket, Key }));
});

test("objects are put, read, headed and deleted", async () => {
  const Key = "ws-a/op 1/home.tar.zst";
  const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key, Body: "hello" }));
  expect(ETag).toBe('"5d41402abc4b2a76b9719d911017c592"');
  const object = await client.send(new GetObjectCommand({ Bucket, Key }));
  expect(await object.Body?.transformToString()).toBe("hello");
  expect(await client.send(new HeadObjectCommand({ Bucket, Key }))).toMatchObject({ ContentLength: 5, ETag });
  await client.send(new DeleteObjectCommand({ Bucket, Key }));
  await client.send(new DeleteObjectCommand({ Bucket, Key }));
  expect(await sdkFailure(client.send(new GetObjectCommand({ Bucket, Key })))).toBe("NoSuchKey 404");
  expect(await sdkFailure(client.send(new HeadObjectCommand({ Bucket, Key })))).toBe("NotFound 404");
});

test("an object of which only the size is known reads as that many zeros", async () => {
  s3.bucket.put("big", { sizeBytes: 200_001 });
  const object = await client.send(new GetObjectCommand({ Bucket, Key: "big" }));
  const bytes = await object.Body!.transformToByteArray();
  expect(bytes.length).toBe(200_001);
  expect(bytes.every((byte) => byte === 0)).toBe(true);
});

test("buckets are made, headed, located and missed", async () => {
  expect(await client.send(new HeadBucketCommand({ Bucket }))).toMatchObject({ BucketRegion: "us-east-1" });
  expect(await sdkFailure(client.send(new HeadBucketCommand({ Bucket: "none" })))).toBe("NotFound 404");
  expect(await sdkFailure(list({ Bucket: "none" }))).toBe("NoSuchBucket 404");
  await client.send(new CreateBucketCommand({ Bucket: "second" }));
  expect(await list({ Bucket: "second" })).toMatchObject({ Name: "second", KeyCount: 0 });
  expect(await sdkFailure(client.send(new CreateBucketCommand({ Bucket })))).toBe(
    "BucketAlreadyOwnedByYou 409",
  );
  const { LocationConstraint } = await client.send(new GetBucketLocationCommand({ Bucket }));
  expect(LocationConstraint || "us-east-1").toBe("us-east-1");
});

test("another region is told by GetBucketLocation", async () => {
  const european = await startS3({ region: "eu-central-1" });
  const europeanClient = clientFor(european);
  const answer = await europeanClient.send(new GetBucketLocationCommand({ Bucket }));
  expect(answer.LocationConstraint).toBe("eu-central-1");
  europeanClient.destroy();
  await european.stop();
});

test("signatures are checked: key, secret, clock, and none at all", async () => {
  const { accessKeyId, secretAccessKey } = s3.credentials!;
  const refused = async (config: Parameters<typeof clientFor>[1]) => {
    const wrong = clientFor(s3, config);
    const result = await sdkFailure(wrong.send(new ListObjectsV2Command({ Bucket })));
    wrong.destroy();
    return result;
  };
  expect(await refused({ credentials: { accessKeyId: "WRONG", secretAccessKey } })).toBe(
    "InvalidAccessKeyId 403",
  );
  expect(await refused({ credentials: { accessKeyId, secretAccessKey: "wrong" } })).toBe(
    "SignatureDoesNotMatch 403",
  );
  expect(await refused({ systemClockOffset: 3_600_000 })).toBe("RequestTimeTooSkewed 403");
  const unsigned = await fetch(`${s3.endpoint}/${Bucket}?list-type=2`);
  expect([unsigned.status, await unsigned.text()]).toEqual([
    403,
    expect.stringContaining("<Code>AccessDenied</Code>"),
  ]);
});

test("without credentials anybody may list; what it doesn't know is NotImplemented", async () => {
  const open = await startS3({ credentials: null });
  expect((await fetch(`${open.endpoint}/${Bucket}?list-type=2`)).status).toBe(200);
  for (const path of ["/", `/${Bucket}`, `/${Bucket}?versions`, `/${Bucket}?list-type=2&delimiter=/`]) {
    const response = await fetch(open.endpoint + path);
    expect([path, response.status]).toEqual([path, 501]);
    expect(await response.text()).toContain("<Code>NotImplemented</Code>");
  }
  await open.stop();
});
