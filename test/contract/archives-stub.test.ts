// Goal and method: the contract of archives.ts on the store of our own that the simulation and the demo use. What holds
// on Ceph's gateway (archives-ceph.test.ts) must hold on it, or it proves nothing.
import { afterAll, beforeAll } from "bun:test";
import { type FakeS3, s3DefaultCredentials, startS3 } from "../../dev/fakes/s3.ts";
import { Bucket } from "../../dev/fakes/s3-world.ts";
import { type ArchiveStore, archivesContract } from "./archives.ts";

let stub: FakeS3;
let store: ArchiveStore;

beforeAll(async () => {
  stub = await startS3();
  store = {
    connection: {
      endpoint: stub.endpoint,
      region: stub.region,
      credentials: s3DefaultCredentials,
      forcePathStyle: true,
    },
    async createBucket(name) {
      stub.buckets.set(name, new Bucket(name, Date.now));
    },
    async put(bucket, key, body) {
      stub.buckets.get(bucket)?.put(key, { body });
    },
    async remove(bucket, key) {
      stub.buckets.get(bucket)?.delete(key);
    },
  };
});
afterAll(async () => await stub.stop());

archivesContract("the stub", () => store, { objects: 2_100, pageKeys: 1_000 });
