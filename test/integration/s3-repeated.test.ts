// Goal: a listing of one page that is asked again as it was asked before never tells anything but what the store holds
// now, and a fault on the way costs nothing but a call through the SDK.
// Method: Ceph's gateway behind a proxy that tells how each request was signed, and spoils the first one or all.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { Fault } from "../../dev/fakes/faults.ts";
import type { S3Archives } from "../../src/adapters/s3.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import { storeOf } from "../contract/archives-store.ts";
import { deadline } from "../contract/engine-support.ts";
import { errorBody, failure, IDS, type Listing, list, startListing } from "./s3-support.ts";

let listing: Listing;

beforeAll(async () => {
  listing = await startListing();
}, 300_000);
afterEach(() => listing.reset());
afterAll(async () => await listing.stop(), 60_000);

const onePage = { pageKeys: 1_000 };
const look = (archives: S3Archives) => archives.listArchives("ws-", { signal: deadline() });

/** Has looked once, so that the next look may ask the same again. */
async function experienced(changes = {}): Promise<S3Archives> {
  const archives = listing.archivesAt(listing.gateway.endpoint, { ...onePage, ...changes });
  expect(await list(archives)).toEqual(IDS);
  return archives;
}

const onFirst = (fault: Fault) => {
  let asked = 0;
  listing.gateway.spoil(() => (++asked === 1 ? fault : undefined));
};

test("the same request again, and the same listing for the same answer", async () => {
  const archives = listing.archivesAt(listing.gateway.endpoint, onePage);
  const first = await look(archives);
  expect(await look(archives)).toBe(first);
  expect(await look(archives)).toBe(first);
  const { signatures } = listing.gateway;
  expect(signatures).toHaveLength(3);
  expect(new Set(signatures).size).toBe(1);
});

test("what is new, and what is gone, is seen by the very next look", async () => {
  const archives = await experienced();
  const store = storeOf(listing.s3);
  await store.put("archives", "ws-f/op1/home.tar.zst", "x");
  expect(await list(archives)).toEqual([...IDS, "f"]);
  expect(await list(archives)).toEqual([...IDS, "f"]);
  await store.remove("archives", "ws-f/op1/home.tar.zst");
  expect(await list(archives)).toEqual(IDS);
});

test("an answer that has changed is not asked for twice", async () => {
  const archives = await experienced();
  onFirst({ rewrite: (body) => body.replaceAll("<Size>1<", "<Size>2<") });
  const seen = await look(archives);
  expect([...seen.byWorkspace.values()].every(({ sizeBytes }) => sizeBytes === 2)).toBe(true);
  expect(listing.gateway.signatures).toHaveLength(1);
  expect(await look(archives)).not.toBe(seen);
  expect(await list(archives)).toEqual(IDS);
});

test("an answer that has changed and goes on over more pages is read to its end", async () => {
  const archives = await experienced({ pageKeys: 2 * IDS.length + 1 });
  const store = storeOf(listing.s3);
  const more = ["x", "y", "z"];
  const keyOf = (id: string) => `ws-${id}/op1/home.tar.zst`;
  for (const id of more) await store.put("archives", keyOf(id), "x");
  try {
    expect(await list(archives)).toEqual([...IDS, ...more]);
  } finally {
    for (const id of more) await store.remove("archives", keyOf(id));
  }
  expect(await list(archives)).toEqual(IDS);
});

test("a look at another prefix, or at some workspaces, is another question", async () => {
  const archives = await experienced();
  const other = await archives.listArchives("wx-", { signal: deadline() });
  expect(other.byWorkspace.size).toBe(0);
  expect(await list(archives)).toEqual(IDS);
  const some = await archives.listArchives("ws-", {
    only: new Set(["a" as WorkspaceId]),
    signal: deadline(),
  });
  expect([...some.byWorkspace.keys()] as string[]).toEqual(["a"]);
  expect(await list(archives)).toEqual(IDS);
});

test("several pages are never asked for like that", async () => {
  const archives = listing.archivesAt(listing.gateway.endpoint);
  await list(archives);
  await list(archives);
  expect(new Set(listing.gateway.signatures).size).toBe(10);
});

const faults: [what: string, fault: Fault][] = [
  ["an empty 200", { body: "" }],
  ["an HTML 200", { body: "<html><body>Welcome<br></body></html>" }],
  ["206", { status: 206 }],
  ["204", { status: 204 }],
  ["a redirect", { redirectTo: "http://127.0.0.1:1/" }],
  ["403: the signature is too old", { status: 403, body: errorBody("RequestTimeTooSkewed") }],
  ["503", { status: 503, body: errorBody("SlowDown") }],
  ["a reset in the answer", { truncateAfterBytes: 300 }],
  ["a body that is cut", { rewrite: (body) => body.slice(0, -60) }],
  ["another bucket's listing", { rewrite: (body) => body.replace("<Name>archives<", "<Name>other<") }],
  [
    "a listing that claims another number",
    { rewrite: (body) => body.replace("<KeyCount>10<", "<KeyCount>9<") },
  ],
  [
    "an answer without an end",
    { rewrite: (body) => body.replace("<Name>", `<Name>${"x".repeat(17 << 20)}`) },
  ],
];
for (const [what, fault] of faults) {
  test(`P1: ${what} tells nothing: the SDK asks, and answers`, async () => {
    const archives = await experienced();
    onFirst(fault);
    const seen = await look(archives);
    expect([...seen.byWorkspace.keys()] as string[]).toEqual(IDS);
    expect([...seen.byWorkspace.values()].every(({ sizeBytes }) => sizeBytes === 1)).toBe(true);
    expect(new Set(listing.gateway.signatures).size).toBe(2);
    // What the SDK asked is what is repeated from now on.
    expect(await look(archives)).toBe(seen);
  });
}

test("a connection that is reset before the answer is opened again", async () => {
  const archives = await experienced();
  onFirst({ reset: true });
  expect(await list(archives)).toEqual(IDS);
});

test("a fault that stays is told by its name", async () => {
  const archives = await experienced();
  listing.gateway.spoil(() => ({ status: 403, body: errorBody("AccessDenied") }));
  expect((await failure(archives)).fault).toBe("denied");
  listing.gateway.spoil(() => undefined);
  expect(await list(archives)).toEqual(IDS);
});

test("P12: an answer that never comes ends at the page's deadline, and keeps no connection", async () => {
  const archives = await experienced({ pageTimeoutMs: 300 });
  listing.gateway.spoil(() => ({ hang: true }));
  expect((await failure(archives)).fault).toBe("timeout");
  expect(listing.gateway.pagesAsked).toHaveLength(1);
  listing.gateway.spoil(() => undefined);
  expect(await list(archives)).toEqual(IDS);
});

test("a proxy that the environment names is not asked: the SDK doesn't ask it either", async () => {
  const before = process.env.http_proxy;
  process.env.http_proxy = "http://127.0.0.1:1";
  try {
    const archives = await experienced();
    await list(archives);
    expect(new Set(listing.gateway.signatures).size).toBe(1);
  } finally {
    if (before === undefined) delete process.env.http_proxy;
    else process.env.http_proxy = before;
  }
});
