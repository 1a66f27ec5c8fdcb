// Goal: what every ArchiveProvider on an S3 store promises, whatever the store.
// Method: one suite, run on each store by archives-*.test.ts. Objects are put and deleted by the store's own means;
// the truth is what was put. Each test has a bucket of its own.
import { describe, expect, test } from "bun:test";
import { randomInt, seededRandom } from "../../dev/fakes/random.ts";
import { createS3Archives, type S3Archives, type S3ArchivesOptions } from "../../src/adapters/s3.ts";
import { parseWorkspaceId, type WorkspaceId } from "../../src/observer/names.ts";
import { deadline } from "./engine-support.ts";

export interface ArchiveStore {
  /** How to reach it; the suite adds bucket, suffixes and page size. */
  readonly connection: Pick<S3ArchivesOptions, "endpoint" | "region" | "credentials" | "forcePathStyle">;
  createBucket(bucket: string): Promise<void>;
  put(bucket: string, key: string, body: string): Promise<void>;
  remove(bucket: string, key: string): Promise<void>;
}

const SUFFIX = "/home.tar.zst";
const id = (text: string): WorkspaceId => parseWorkspaceId(text) as WorkspaceId;
let buckets = 0;

/** @param large objects of the one big listing, and keys per page there: putting thousands takes a real store long */
export function archivesContract(
  name: string,
  store: () => ArchiveStore,
  large: { readonly objects: number; readonly pageKeys: number },
): void {
  const archivesOn = (bucket: string, options: Partial<S3ArchivesOptions>) =>
    createS3Archives({
      ...store().connection,
      bucket,
      suffix: SUFFIX,
      commitSuffix: null,
      pageTimeoutMs: 20_000,
      ...options,
    });

  /** A fresh bucket with these objects (key → body), and an adapter on it. */
  async function withBucket(
    objects: Readonly<Record<string, string>>,
    run: (archives: S3Archives, bucket: string) => Promise<void>,
    options: Partial<S3ArchivesOptions> = {},
  ): Promise<void> {
    const bucket = `contract-${++buckets}`;
    await store().createBucket(bucket);
    for (const [key, body] of Object.entries(objects)) await store().put(bucket, key, body);
    const archives = archivesOn(bucket, options);
    try {
      await run(archives, bucket);
    } finally {
      archives.destroy();
    }
  }

  const keysOf = async (archives: S3Archives, only?: ReadonlySet<WorkspaceId>) => {
    const look = { signal: deadline(), ...(only === undefined ? {} : { only }) };
    const { byWorkspace, contested } = await archives.listArchives("ws-", look);
    expect(contested).toEqual([]);
    return Object.fromEntries([...byWorkspace].map(([workspace, archive]) => [workspace, archive.key]));
  };

  describe(`ArchiveProvider on ${name}`, () => {
    test("an empty bucket has no archives", () =>
      withBucket({}, async (archives) => {
        expect(await keysOf(archives)).toEqual({});
        expect(await keysOf(archives, new Set([id("a")]))).toEqual({});
      }));

    test("an archive comes with its key, size and time of upload", () =>
      withBucket({ "ws-a/op1/home.tar.zst": "12345" }, async (archives) => {
        const { byWorkspace } = await archives.listArchives("ws-", { signal: deadline() });
        const archive = byWorkspace.get(id("a"));
        expect(archive).toEqual({
          key: "ws-a/op1/home.tar.zst",
          sizeBytes: 5,
          uploadedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown as string,
        });
        // The store's clock is this machine's, or nearly so.
        expect(Math.abs(Date.parse(archive?.uploadedAt ?? "") - Date.now())).toBeLessThan(600_000);
      }));

    test("the newest archive counts, not the one whose key comes last", () =>
      withBucket({ "ws-a/zz/home.tar.zst": "old" }, async (archives, bucket) => {
        // Stores know seconds, some milliseconds: overwrite until the store itself says that it is later.
        const timeOf = async () =>
          (await archives.listArchives("ws-", { signal: deadline() })).byWorkspace.get(id("a"))?.uploadedAt ??
          "";
        const first = await timeOf();
        for (let now = first; now <= first; now = await timeOf())
          await store().put(bucket, "ws-a/aa/home.tar.zst", "new");
        expect(await keysOf(archives)).toEqual({ a: "ws-a/aa/home.tar.zst" });
        await store().remove(bucket, "ws-a/aa/home.tar.zst");
        expect(await keysOf(archives)).toEqual({ a: "ws-a/zz/home.tar.zst" });
        await store().remove(bucket, "ws-a/zz/home.tar.zst");
        expect(await keysOf(archives)).toEqual({});
      }));

    test("what isn't named as an archive isn't one", () =>
      withBucket(
        Object.fromEntries(
          [
            "ws-a/home.tar.zst",
            "ws-a//home.tar.zst",
            "ws-a/op/deeper/home.tar.zst",
            "ws-a/op/home.tar.zst.part",
            "ws-a/op/home.tar.gz",
            "ws-/op/home.tar.zst",
            "ws-a/",
            "wsx/op/home.tar.zst",
            "other/ws-a/op/home.tar.zst",
            "ws-b/op/home.tar.zst",
          ].map((key) => [key, "x"]),
        ),
        async (archives) => expect(await keysOf(archives)).toEqual({ b: "ws-b/op/home.tar.zst" }),
      ));

    test("with a commit suffix only committed archives count", () =>
      withBucket(
        {
          "ws-a/op1/home.tar.zst": "x",
          "ws-a/op1/home.tar.zst.meta": "-",
          "ws-a/op2/home.tar.zst": "still uploading",
          "ws-b/op1/home.tar.zst": "still uploading",
          "ws-c/op1/home.tar.zst.meta": "its archive is gone",
          "ws-d/op1/home.tar.zst": "x",
          "ws-d/op1/home.tar.zst-copy": "-",
          "ws-d/op1/home.tar.zst.aaa": "-",
          "ws-d/op1/home.tar.zst.meta": "-",
        },
        async (archives, bucket) => {
          expect(await keysOf(archives)).toEqual({ a: "ws-a/op1/home.tar.zst", d: "ws-d/op1/home.tar.zst" });
          await store().put(bucket, "ws-b/op1/home.tar.zst.meta", "-");
          expect(await keysOf(archives)).toMatchObject({ b: "ws-b/op1/home.tar.zst" });
          expect(await keysOf(archives, new Set([id("b"), id("c")]))).toEqual({ b: "ws-b/op1/home.tar.zst" });
        },
        // An archive and its commit object stand on different pages.
        { commitSuffix: ".meta", pageKeys: 1 },
      ));

    test("P1: ids and keys of odd characters come whole, in one page and in many", async () => {
      const odd = [
        "a b",
        "a+b",
        "a%41",
        "é",
        "ü&<b>\"'",
        "~*!()",
        "\uff5e",
        "😀",
        "a\u0085",
        "a\u00a0",
        " ",
        "a=?#;:@,$",
      ];
      const objects = Object.fromEntries(odd.map((text) => [`ws-${text}/op é/home.tar.zst`, "x"]));
      const truth = Object.fromEntries(odd.map((text) => [text, `ws-${text}/op é/home.tar.zst`]));
      for (const pageKeys of [1_000, 5, 1])
        await withBucket(
          objects,
          async (archives) => {
            expect(await keysOf(archives)).toEqual(truth);
            expect(await keysOf(archives, new Set(odd.map(id)))).toEqual(truth);
          },
          { pageKeys },
        );
    });

    test("keys that XML can't carry are in nobody's way", () =>
      withBucket(
        Object.fromEntries(
          ["ws-\u0001/op/x", "ws-\r\n/op/x", "ws-\t/op/x", "ws-a\u007f/op/x", "ws-b/op/home.tar.zst"].map(
            (key) => [key, "x"],
          ),
        ),
        async (archives) => expect(await keysOf(archives)).toEqual({ b: "ws-b/op/home.tar.zst" }),
      ));

    test("a look at some workspaces sees theirs and nobody else's, also where one's id begins another's", () =>
      withBucket(
        Object.fromEntries(["a", "ab", "a-b", "c", "d"].map((text) => [`ws-${text}/op/home.tar.zst`, "x"])),
        async (archives) => {
          const only = new Set(["a", "c", "none"].map(id));
          expect(await keysOf(archives, only)).toEqual({
            a: "ws-a/op/home.tar.zst",
            c: "ws-c/op/home.tar.zst",
          });
          expect(await keysOf(archives, new Set())).toEqual({});
        },
      ));

    test(
      "P1: every page of a large listing is read",
      () =>
        withBucket(
          {},
          async (archives, bucket) => {
            const names = Array.from({ length: large.objects }, (_, i) => `w${i}`);
            const queue = names.map((text) => `ws-${text}/op/home.tar.zst`);
            const work = async () => {
              for (let key = queue.pop(); key !== undefined; key = queue.pop())
                await store().put(bucket, key, "x");
            };
            await Promise.all(Array.from({ length: 16 }, work));
            // One page after the other, then in ranges, then by the very same questions.
            for (let look = 0; look < 3; look++)
              expect(Object.keys(await keysOf(archives)).toSorted()).toEqual(names.toSorted());
            const some = names.slice(0, 50);
            expect(Object.keys(await keysOf(archives, new Set(some.map(id)))).toSorted()).toEqual(
              some.toSorted(),
            );
          },
          { pageKeys: large.pageKeys },
        ),
      120_000,
    );

    test(
      "P1: what is there all the time is never missing, whatever comes and goes between the pages",
      () =>
        withBucket(
          Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`ws-s${i}/op/home.tar.zst`, "x"])),
          async (archives, bucket) => {
            const stay = Array.from({ length: 20 }, (_, i) => `s${i}`);
            let looking = true;
            const churn = async (n: number) => {
              for (let i = 0; looking; i++) {
                const key = `ws-s${(i * 7 + n) % 20}x${n}/op/home.tar.zst`;
                await store().put(bucket, key, "x");
                await store().remove(bucket, key);
                // A store in this process would never let the listing have a turn.
                await new Promise(setImmediate);
              }
            };
            const churning = Promise.all([churn(1), churn(2)]);
            try {
              for (let look = 0; look < 10; look++)
                expect(Object.keys(await keysOf(archives))).toEqual(expect.arrayContaining(stay));
            } finally {
              looking = false;
              await churning;
            }
          },
          { pageKeys: 2 },
        ),
      60_000,
    );

    test(
      "P1: whatever is put and removed between two looks, a look tells what one from the start tells",
      () =>
        withBucket(
          {},
          async (archives, bucket) => {
            const random = seededRandom(7);
            const pick = (count: number) => randomInt(random, count);
            // Ids that begin one another, and characters around those that a range may end with.
            const ids = Array.from(
              { length: 60 },
              (_, n) => `w${n % 20}${["", "0", "-", ".x", "_", "00"][n % 6]}`,
            );
            const present = new Set<string>();
            const edit = async () => {
              const key = `ws-${ids[pick(ids.length)]}/op${pick(4)}/home.tar.zst${pick(3) === 0 ? "" : ".meta"}`;
              if (present.delete(key)) return await store().remove(bucket, key);
              present.add(key);
              await store().put(bucket, key, "x".repeat(1 + pick(3)));
            };
            for (let count = 0; count < 140; count++) await edit();
            for (let look = 0; look < 20; look++) {
              const fresh = archivesOn(bucket, { commitSuffix: ".meta" });
              try {
                expect(await keysOf(archives)).toEqual(await keysOf(fresh));
              } finally {
                fresh.destroy();
              }
              for (let count = pick(5); count > 0; count--) await edit();
            }
          },
          { pageKeys: 5, commitSuffix: ".meta" },
        ),
      60_000,
    );

    test("head() succeeds on a bucket that may be listed, and tells where it is", () =>
      withBucket({ "ws-a/op/home.tar.zst": "x", "ws-b/op/home.tar.zst": "x" }, async (archives, bucket) => {
        expect(await archives.head("ws-", deadline())).toEqual({
          bucket,
          region: store().connection.region as string,
          endpoint: store().connection.endpoint,
        });
      }));

    test("a bucket that doesn't exist is told by name", async () => {
      const archives = createS3Archives({
        ...store().connection,
        bucket: "no-such-bucket",
        suffix: SUFFIX,
        commitSuffix: null,
        pageTimeoutMs: 20_000,
      });
      const listing = archives.listArchives("ws-", { signal: deadline() });
      await expect(listing).rejects.toMatchObject({ name: "ArchivesError", fault: "no-bucket" });
      await expect(archives.head("ws-", deadline())).rejects.toMatchObject({ fault: "no-bucket" });
      archives.destroy();
    });

    test("P12: a signal that has fired rejects with its reason", () =>
      withBucket({ "ws-a/op/home.tar.zst": "x" }, async (archives) => {
        const reason = new Error("enough");
        const signal = AbortSignal.abort(reason);
        await expect(archives.listArchives("ws-", { signal })).rejects.toBe(reason);
        await expect(archives.listArchives("ws-", { signal, only: new Set([id("a")]) })).rejects.toBe(reason);
        await expect(archives.head("ws-", signal)).rejects.toBe(reason);
        const controller = new AbortController();
        const listing = archives.listArchives("ws-", { signal: controller.signal });
        controller.abort(reason);
        await expect(listing).rejects.toBe(reason);
      }));
  });
}
