// Goal: the archive that counts is the newest complete one, in whatever a bucket holds.
// Method: random buckets against a naive model that has the whole listing in its hands.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type FoundArchives, newestArchives } from "../../src/adapters/s3-newest.ts";
import { compareKeys, type StoredObject } from "../../src/adapters/s3-page.ts";
import { parseArchiveKey } from "../../src/observer/names.ts";
import { atLeast } from "./fuzz-runs.ts";

const PREFIX = "ws-";

const segment = fc.constantFrom("a", "b", "ab", "a-home", "😀", "\uff5e", "x.zst", "home.tar.zst");
/** Few, so that an archive, its commit object and what stands between them often meet. */
const crowded = fc.constantFrom("a", "ab", "a.zst");
const keyArb = (suffix: string) =>
  fc.oneof(
    fc
      .tuple(crowded, crowded, fc.constantFrom("", ".meta", ".meta.meta", "-old", "!"))
      .map(([id, operation, tail]) => `${PREFIX}${id}/${operation}${suffix}${tail}`),
    fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => PREFIX + parts.join("/")),
  );

const bucketArb = (suffix: string) =>
  fc
    .uniqueArray(
      fc.record({
        key: keyArb(suffix),
        sizeBytes: fc.nat(1_000),
        modifiedMs: fc.integer({ min: 1_700_000_000_000, max: 1_700_000_000_003 }),
      }),
      { selector: (object) => object.key, maxLength: 40 },
    )
    .map((objects) => objects.toSorted((a, b) => compareKeys(a.key, b.key)));

function model(objects: readonly StoredObject[], suffix: string, commitSuffix: string | null) {
  const keys = new Set(objects.map((object) => object.key));
  const newest = new Map<string, StoredObject>();
  for (const object of objects) {
    const id = parseArchiveKey(object.key, PREFIX, suffix);
    if (id === null || (commitSuffix !== null && !keys.has(object.key + commitSuffix))) continue;
    const best = newest.get(id);
    // Objects come in order of keys, so of equal times the later one has the greater key.
    if (best === undefined || object.modifiedMs >= best.modifiedMs) newest.set(id, object);
  }
  return [...newest].map(([id, { key, sizeBytes, modifiedMs }]) => [
    id,
    { key, sizeBytes, uploadedAt: new Date(modifiedMs).toISOString() },
  ]);
}

for (const suffix of ["/home.tar.zst", ".zst"])
  for (const commitSuffix of [null, ".meta", "/done"])
    test(`newestArchives() with suffix ${suffix} and commit suffix ${commitSuffix} agrees with the model`, () => {
      fc.assert(
        fc.property(bucketArb(suffix), bucketArb(suffix), (earlier, objects) => {
          const find = (listed: readonly StoredObject[], before?: FoundArchives) => {
            const newest = newestArchives({ prefix: PREFIX, suffix, commitSuffix }, before);
            for (const object of listed) newest.see(object);
            return newest.result();
          };
          const expected = new Map(model(objects, suffix, commitSuffix) as never) as never;
          const found = find(objects);
          expect(found).toEqual(expected);
          // What an earlier listing found changes nothing but which objects it is told with.
          expect(find(objects, find(earlier))).toEqual(expected);
          for (const [id, archive] of find(structuredClone(objects), found))
            expect(archive).toBe(found.get(id)!);
        }),
        atLeast(500),
      );
    });

test("newestArchives(): of two uploaded in the same instant the greater key counts, in the order of bytes", () => {
  const newest = newestArchives({ prefix: PREFIX, suffix: "/h", commitSuffix: null });
  const at = { sizeBytes: 1, modifiedMs: 0 };
  for (const operation of ["a", "\uff5e", "😀"]) newest.see({ key: `ws-x/${operation}/h`, ...at });
  expect(newest.result().values().next().value?.key).toBe("ws-x/😀/h");
});
