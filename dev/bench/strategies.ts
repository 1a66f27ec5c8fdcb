// The other ways to do it, and the least that it can cost. Nothing here is the product's code.
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import type postgres from "postgres";
import { archiveKey, containerName, PREFIX, volumeName, workspaceIds } from "./names.ts";
import { presign, type S3Access, send } from "./s3-requests.ts";

export interface Target {
  readonly engineSocketPath: string;
  readonly store: S3Access;
  /** One open connection, and the twin table in its database. */
  readonly sql: postgres.Sql;
  readonly workspaces: number;
}

export interface Strategies {
  /** Inspect container, inspect volume, HEAD archive, one UPDATE: for each workspace, one after the other. */
  individual(): Promise<void>;
  /** Three lists in parallel, and every row rewritten by one statement. */
  bulkNaive(): Promise<void>;
  /** The three answers read to the last byte, in parallel, unparsed, and one empty round trip to the database. */
  floor(): Promise<void>;
  close(): void;
}

const PAGE_KEYS = 1_000;

export function strategiesOn(target: Target): Strategies {
  const { engineSocketPath, store, sql, workspaces } = target;
  const ids = workspaceIds(workspaces);
  const heads = new Map(ids.map((id) => [id, presign(store, "HEAD", archiveKey(id))]));
  const pages = pageUrls(store, ids);
  const client = new S3Client({
    endpoint: store.endpoint,
    region: store.region,
    credentials: { accessKeyId: store.accessKeyId, secretAccessKey: store.secretAccessKey },
    forcePathStyle: true,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  const engine = async (path: string): Promise<ArrayBuffer> => {
    const response = await fetch(`http://engine${path}`, { unix: engineSocketPath });
    const bytes = await response.arrayBuffer();
    if (!response.ok) throw new Error(`Cannot GET ${path}: the Engine answered ${response.status}`);
    return bytes;
  };
  const json = async <T>(path: string): Promise<T> =>
    JSON.parse(new TextDecoder().decode(await engine(path))) as T;

  return {
    async individual() {
      for (const id of ids) {
        const container = await json<{ Id: string; State: { Status: string; Running: boolean } }>(
          `/containers/${containerName(id)}/json`,
        );
        await json(`/volumes/${volumeName(id)}`);
        await send(heads.get(id)!, "HEAD");
        const conditions = documentOf(id, container.Id, container.State.Status, container.State.Running);
        await sql`update naive set conditions = ${sql.json(conditions)}, observed_at = clock_timestamp()
                   where id = ${id}`;
      }
    },
    async bulkNaive() {
      const [containers, volumes, archives] = await Promise.all([
        json<{ Id: string; Names: string[]; State: string }[]>("/containers/json?all=1"),
        json<{ Volumes: { Name: string }[] | null }>("/volumes"),
        listAll(client, store.bucket),
      ]);
      const volumeNames = new Set((volumes.Volumes ?? []).map(({ Name }) => Name));
      const documents = new Map<string, string>();
      for (const { Id, Names, State } of containers) {
        const id = Names[0]!.slice(1 + PREFIX.length);
        if (!volumeNames.has(volumeName(id)) || !archives.has(id)) continue;
        documents.set(id, JSON.stringify(documentOf(id, Id, State, State === "running")));
      }
      await sql`
        update naive set conditions = seen.conditions::jsonb, observed_at = clock_timestamp()
          from unnest(${[...documents.keys()]}::text[], ${[...documents.values()]}::text[]) as seen (id, conditions)
         where naive.id = seen.id`;
    },
    async floor() {
      await sql`select`;
      await Promise.all([engine("/containers/json?all=1"), engine("/volumes"), readPages(pages)]);
    },
    close: () => client.destroy(),
  };
}

/** One page after the other, as a listing has to ask for them; where each begins is known here beforehand. */
function pageUrls(store: S3Access, ids: readonly string[]): string[] {
  const keys = ids.map((id) => archiveKey(id)).sort();
  const urls: string[] = [];
  for (let start = 0; start === 0 || start < keys.length; start += PAGE_KEYS) {
    const after: Record<string, string> = start === 0 ? {} : { "start-after": keys[start - 1]! };
    urls.push(presign(store, "GET", "", { "list-type": "2", prefix: PREFIX, ...after }));
  }
  return urls;
}

async function readPages(urls: readonly string[]): Promise<void> {
  for (const url of urls) await send(url);
}

/** Workspaces that have an archive. */
async function listAll(client: S3Client, bucket: string): Promise<Set<string>> {
  const found = new Set<string>();
  let token: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: PREFIX,
        ...(token && { ContinuationToken: token }),
      }),
    );
    for (const { Key } of page.Contents ?? []) found.add(Key!.slice(PREFIX.length).split("/", 1)[0]!);
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return found;
}

/** As large as the product's, and as true as it can be without comparing anything. */
function documentOf(id: string, containerId: string, state: string, running: boolean) {
  const at = new Date().toISOString();
  return {
    container: {
      workspace_id: id,
      running,
      reason: state,
      message: state,
      container_id: containerId.slice(0, 12),
      image: "ws-test",
      health: "none",
      exit_code: null,
      last_transition_at: at,
    },
    volume: {
      workspace_id: id,
      exists: true,
      reason: "VolumeExists",
      message: "exists",
      volume_name: volumeName(id),
      driver: "local",
      last_transition_at: at,
    },
    archive: {
      workspace_id: id,
      exists: true,
      reason: "ArchiveUploaded",
      message: "uploaded",
      archive_key: archiveKey(id),
      size_bytes: 7,
      uploaded_at: at,
      last_transition_at: at,
    },
    observed: { containers: at, volumes: at, archives: at },
  };
}
