// The platform's own way to its archives, past every proxy.
import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { S3 } from "../services/s3.ts";

export interface Store {
  put(key: string, body: string): Promise<void>;
  remove(key: string): Promise<void>;
  /** The keys below a prefix, in order. */
  keys(prefix: string): Promise<string[]>;
  close(): void;
}

/** For who has no archives. */
export const NO_STORE: Store = {
  put: async () => {},
  remove: async () => {},
  keys: async () => [],
  close() {},
};

/** A stopped gateway answers when it goes on; a killed one never does. */
const DEADLINE_MS = 30_000;

export function openStore(s3: S3, bucket: string): Store {
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: s3.region,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
    forcePathStyle: true,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // What a lost answer means is looked up; a deed that is done twice has no one time.
    maxAttempts: 1,
  });
  const within = () => ({ abortSignal: AbortSignal.timeout(DEADLINE_MS) });
  return {
    async put(Key, Body) {
      await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }), within());
    },
    async remove(Key) {
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }), within());
    },
    async keys(Prefix) {
      const answer = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix }), within());
      return (answer.Contents ?? []).map(({ Key }) => Key ?? "");
    },
    close: () => client.destroy(),
  };
}
