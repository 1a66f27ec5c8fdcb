// What the S3 fault tests share: Ceph's gateway with a listing of five pages, and the proxy that spoils them.
import type { Fault } from "../../dev/fakes/faults.ts";
import { type S3, startS3 } from "../../dev/services/s3.ts";
import { createS3Archives, type S3Archives, type S3ArchivesOptions } from "../../src/adapters/s3.ts";
import type { ArchivesError } from "../../src/adapters/s3-errors.ts";
import { storeOf } from "../contract/archives-store.ts";
import { deadline } from "../contract/engine-support.ts";
import { type FaultyGateway, startFaultyGateway } from "./s3-faulty-gateway.ts";

/** Workspaces of the listing, two archives each: with two keys on a page, five pages. */
export const IDS = ["a", "b", "c", "d", "e"];

export interface Listing {
  readonly s3: S3;
  /** In front of it. */
  readonly gateway: FaultyGateway;
  archivesAt(endpoint: string, changes?: Partial<S3ArchivesOptions>): S3Archives;
  /** Destroys every adapter made so far, and spoils nothing any more. */
  reset(): void;
  stop(): Promise<void>;
}

export async function startListing(): Promise<Listing> {
  const s3 = await startS3();
  const gateway = await startFaultyGateway(s3.endpoint);
  const store = storeOf(s3);
  await store.createBucket("archives");
  for (const id of IDS)
    for (const operation of ["op1", "op2"])
      await store.put("archives", `ws-${id}/${operation}/home.tar.zst`, "x");
  const made: S3Archives[] = [];
  const reset = () => {
    for (const archives of made.splice(0)) archives.destroy();
    gateway.spoil(() => undefined);
  };
  return {
    s3,
    gateway,
    archivesAt(endpoint, changes = {}) {
      const archives = createS3Archives({
        bucket: "archives",
        suffix: "/home.tar.zst",
        commitSuffix: null,
        forcePathStyle: true,
        region: null,
        endpoint,
        credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
        pageTimeoutMs: 20_000,
        pageKeys: 2,
        ...changes,
      });
      made.push(archives);
      return archives;
    },
    reset,
    async stop() {
      reset();
      await gateway.stop();
      await s3.stop();
    },
  };
}

export const list = async (archives: S3Archives, signal = deadline()): Promise<string[]> => [
  ...(await archives.listArchives("ws-", { signal })).byWorkspace.keys(),
];

/** What the listing rejects with. */
export async function failure(archives: S3Archives, signal?: AbortSignal): Promise<ArchivesError> {
  const outcome = await list(archives, signal).catch((error: unknown) => error);
  if (Array.isArray(outcome)) throw new Error(`the listing completed: ${outcome}`);
  return outcome as ArchivesError;
}

export const onPage = (page: number, fault: Fault) => (asked: number) => (asked === page ? fault : undefined);

/** The body of an S3 error. */
export const errorBody = (code: string): string =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;

/** The SDK's default chain in an environment of its own: no files, no metadata service. */
export async function withEnvironment<T>(
  variables: Readonly<Record<string, string>>,
  run: () => Promise<T>,
): Promise<T> {
  const saved = Object.entries(process.env).filter(([name]) => name.startsWith("AWS_"));
  const clear = () => {
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
  };
  clear();
  const none = "/dev/null";
  Object.assign(process.env, { AWS_SHARED_CREDENTIALS_FILE: none, AWS_CONFIG_FILE: none, ...variables });
  try {
    return await run();
  } finally {
    clear();
    Object.assign(process.env, Object.fromEntries(saved));
  }
}
