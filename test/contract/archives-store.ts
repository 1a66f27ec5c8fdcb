// A real S3 store for the contract of archives.ts and for the fault tests: objects put over its own protocol.
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { ArchiveStore } from "./archives.ts";

export interface StoreAccess {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export function storeOf({ endpoint, region, accessKeyId, secretAccessKey }: StoreAccess): ArchiveStore {
  const connection = {
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  };
  const client = new S3Client({ ...connection, requestChecksumCalculation: "WHEN_REQUIRED" });
  return {
    connection,
    async createBucket(Bucket) {
      await client.send(new CreateBucketCommand({ Bucket }));
    },
    async put(Bucket, Key, Body) {
      await client.send(new PutObjectCommand({ Bucket, Key, Body }));
    },
    async remove(Bucket, Key) {
      await client.send(new DeleteObjectCommand({ Bucket, Key }));
    },
  };
}
