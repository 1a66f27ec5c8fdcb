/**
 * Goal: the stub's bucket keeps its keys in S3's order and pages through them without loss. Method: a Bucket without
 * HTTP, with the keys on which JavaScript's order and UTF-8's differ, compared with a plain sort of the bytes.
 */
import { expect, test } from "bun:test";
import { randomInt, seededRandom } from "../../../dev/fakes/random.ts";
import { Bucket } from "../../../dev/fakes/s3-world.ts";

const newBucket = () => new Bucket("b", () => 1_800_000_000_000);

test("keys are in UTF-8 byte order, not in UTF-16 order or a locale's", () => {
  const bucket = newBucket();
  const keys = ["B", "a", "Z", "ä", "-", "\uff5e", "😀", "a/b", "a-b", "a"];
  for (const key of keys) bucket.put(key);
  expect(bucket.keys()).toEqual(["-", "B", "Z", "a", "a-b", "a/b", "ä", "\uff5e", "😀"]);
  expect([...bucket.keys()].sort()).not.toEqual(bucket.keys());
});

test("put() overwrites, get() and delete() find", () => {
  const bucket = newBucket();
  bucket.put("k", { sizeBytes: 5, lastModified: new Date(1000) });
  expect(bucket.put("k", { body: "hello!" })).toMatchObject({
    sizeBytes: 6,
    lastModifiedMs: 1_800_000_000_000,
    etag: '"5a8dd3ad0756a93ded72b823b19dd877"',
  });
  expect(bucket.objectCount).toBe(1);
  expect(bucket.get("k")!.body!.toString()).toBe("hello!");
  expect([bucket.delete("k"), bucket.delete("k"), bucket.get("k")]).toEqual([true, false, undefined]);
});

test("list() pages through any prefix without loss or repetition", () => {
  const random = seededRandom(1);
  const bucket = newBucket();
  const alphabet = ["a", "b", "-", "/", "ws-", "é", "😀", "\uffee"];
  const keys = new Set<string>();
  while (keys.size < 400) {
    const key = Array.from({ length: 1 + randomInt(random, 6) }, () => alphabet[randomInt(random, 8)]).join(
      "",
    );
    keys.add(key);
    bucket.put(key);
  }
  const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const prefix of ["", "ws-", "a", "😀", "none"]) {
    const expected = sorted.filter((key) => key.startsWith(prefix));
    for (const limit of [1, 7, 400]) {
      const found: string[] = [];
      for (let after: string | null = null, more = true; more; after = found.at(-1) ?? null) {
        const page = bucket.list({ prefix, after, limit });
        found.push(...page.objects.map((object) => object.key));
        more = page.more;
      }
      expect(found).toEqual(expected);
    }
  }
});

test("list() starts after keys that aren't there, before or behind the prefix", () => {
  const bucket = newBucket();
  for (const key of ["a1", "b1", "b3", "c1"]) bucket.put(key);
  const list = (after: string) => bucket.list({ prefix: "b", after, limit: 9 }).objects.map((o) => o.key);
  expect([list("a"), list("b1"), list("b2"), list("b3"), list("z")]).toEqual([
    ["b1", "b3"],
    ["b3"],
    ["b3"],
    [],
    [],
  ]);
});
