// A simulated S3 store as a process of its own, so that it takes no time from whoever measures:
//   bun dev/bench/s3-stub.ts WORKSPACES DELAY_MS
// Each workspace has an archive and its commit object. Serves listings from entries that are rendered already, for a page
// must cost next to nothing beside its delay; dev/fakes/s3.ts, which knows far more, renders each page anew (15 ms).
// Prints one line of JSON with its endpoint once it serves, and ends when its input does.
import { archiveKey, workspaceIds } from "./names.ts";

const BUCKET = "workspaces";
const PAGE_KEYS = 1_000;
const [workspaces = 0, delayMs = 0] = process.argv.slice(2).map(Number);

/** In the order of their bytes: all of them are ASCII. */
const keys = workspaceIds(workspaces)
  .flatMap((id) => [archiveKey(id), `${archiveKey(id)}.meta`])
  .sort();
const entries = new Map(keys.map((key) => [key, render(key, "2026-01-01T00:00:00.000Z")]));

function render(key: string, lastModified: string): string {
  return (
    `<Contents><Key>${key}</Key><LastModified>${lastModified}</LastModified>` +
    `<ETag>&quot;9a0364b9e99bb480dd25e1f0284c8555&quot;</ETag><Size>1000</Size><StorageClass>STANDARD</StorageClass></Contents>`
  );
}

function firstNotBefore(key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function listPage(query: URLSearchParams): string {
  const prefix = query.get("prefix") ?? "";
  const token = query.get("continuation-token");
  const after = token === null ? (query.get("start-after") ?? "") : atob(token);
  const limit = Math.min(PAGE_KEYS, Number(query.get("max-keys") ?? PAGE_KEYS));
  const start = Math.max(firstNotBefore(prefix), firstNotBefore(after));
  const first = after !== "" && keys[start] === after ? start + 1 : start;
  const isOfPrefix = (at: number) => keys[at]?.startsWith(prefix) === true;
  let end = Math.min(first + limit, keys.length);
  while (end > first && !isOfPrefix(end - 1)) end -= 1;
  const page = keys.slice(first, end);
  const isTruncated = page.length > 0 && isOfPrefix(end);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
    `<Name>${BUCKET}</Name><Prefix>${prefix}</Prefix>`,
    token === null ? "" : `<ContinuationToken>${token}</ContinuationToken>`,
    isTruncated ? `<NextContinuationToken>${btoa(page.at(-1)!)}</NextContinuationToken>` : "",
    `<KeyCount>${page.length}</KeyCount><MaxKeys>${limit}</MaxKeys><IsTruncated>${isTruncated}</IsTruncated>`,
    ...page.map((key) => entries.get(key)!),
    "</ListBucketResult>",
  ].join("");
}

function put(key: string): void {
  if (!entries.has(key)) keys.splice(firstNotBefore(key), 0, key);
  entries.set(key, render(key, new Date().toISOString()));
}

function remove(key: string): void {
  if (entries.delete(key)) keys.splice(firstNotBefore(key), 1);
}

const xml = (text: string) => new Response(text, { headers: { "content-type": "application/xml" } });

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const url = new URL(request.url);
    const [, bucket = "", key = ""] = /^\/([^/]*)\/?(.*)$/.exec(decodeURIComponent(url.pathname)) ?? [];
    if (bucket !== BUCKET) return new Response(null, { status: 404 });
    if (key === "" && request.method === "GET" && url.searchParams.get("list-type") === "2") {
      const startedMs = performance.now();
      const page = listPage(url.searchParams);
      await Bun.sleep(delayMs - (performance.now() - startedMs));
      return xml(page);
    }
    if (key === "" && request.method === "HEAD") return new Response(null);
    if (request.method === "PUT") put(key);
    else if (request.method === "DELETE") remove(key);
    else if (!entries.has(key)) return new Response(null, { status: 404 });
    return new Response(null);
  },
});
const answer = {
  endpoint: `http://127.0.0.1:${server.port}`,
  region: "us-east-1",
  accessKeyId: "bench",
  secretAccessKey: "bench",
};
console.log(JSON.stringify(answer));
for await (const _ of Bun.stdin.stream());
process.exit();
