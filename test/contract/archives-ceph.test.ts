// Goal and method: the contract of archives.ts on a real store, Ceph's gateway; once with one index shard (full pages)
// and once with eleven, Ceph's own default, where pages may be short and yet truncated.
import { afterAll, beforeAll } from "bun:test";
import { type S3, startS3 } from "../../dev/services/s3.ts";
import { type ArchiveStore, archivesContract } from "./archives.ts";
import { storeOf } from "./archives-store.ts";

const running: S3[] = [];
const stores = new Map<number, ArchiveStore>();

beforeAll(async () => {
  for (const shards of [1, 11]) {
    const s3 = await startS3({ shards });
    running.push(s3);
    stores.set(shards, storeOf(s3));
  }
}, 300_000);
afterAll(async () => {
  await Promise.all(running.map((s3) => s3.stop()));
}, 60_000);

archivesContract("Ceph's gateway with one index shard", () => stores.get(1) as ArchiveStore, {
  objects: 210,
  pageKeys: 50,
});
archivesContract("Ceph's gateway with eleven index shards", () => stores.get(11) as ArchiveStore, {
  objects: 1_010,
  pageKeys: 1_000,
});
