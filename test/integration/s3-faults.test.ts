// Goal: whatever the store and the network do, a look ends at its deadline or with the signal and leaves no connection
// (P12); whatever an operator may have set wrong is told by name; no secret is told.
// Method: Ceph's gateway with wrong keys, without permission, without bucket, frozen and killed; pages that hang.
import { afterAll, afterEach, beforeAll, expect, setSystemTime, test } from "bun:test";
import { inspect } from "node:util";
import type { Fault } from "../../dev/fakes/faults.ts";
import { freePort } from "../../dev/services/ports.ts";
import { waitFor } from "../../dev/services/wait.ts";
import type { S3ArchivesOptions } from "../../src/adapters/s3.ts";
import type { ArchivesError, ArchivesFault } from "../../src/adapters/s3-errors.ts";
import { parseWorkspaceId, type WorkspaceId } from "../../src/observer/names.ts";
import { deadline } from "../contract/engine-support.ts";
import {
  errorBody,
  failure,
  IDS,
  type Listing,
  list,
  onPage,
  startListing,
  withEnvironment,
} from "./s3-support.ts";

const only = new Set(IDS.map((text) => parseWorkspaceId(text) as WorkspaceId));

let listing: Listing;

beforeAll(async () => {
  listing = await startListing();
}, 300_000);
afterEach(() => listing.reset());
afterAll(async () => await listing.stop(), 60_000);

for (const [what, fault] of [
  ["that never comes", { hang: true }],
  ["that drips", { dripIntervalMs: 200 }],
] as [string, Fault][])
  test(`P12: a page ${what} ends at its deadline, and with the signal, and keeps no connection`, async () => {
    listing.gateway.spoil(onPage(3, fault));
    const error = await failure(listing.archivesAt(listing.gateway.endpoint, { pageTimeoutMs: 500 }));
    expect(error).toMatchObject({ name: "ArchivesError", fault: "timeout" });
    const controller = new AbortController();
    const reason = new Error("enough");
    const archives = listing.archivesAt(listing.gateway.endpoint);
    listing.gateway.spoil(onPage(3, fault));
    const outcome = failure(archives, controller.signal);
    await waitFor("page 3 to be asked for", 10_000, () => listing.gateway.pagesAsked.includes(3));
    controller.abort(reason);
    expect(await outcome).toBe(reason as ArchivesError);
    listing.reset();
    await waitFor("no connection", 10_000, () => listing.gateway.openConnections === 0);
  });

test("P12: an answer without end is cut off", async () => {
  const endless = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () =>
      new Response(
        new ReadableStream({
          pull: (stream) => stream.enqueue(new Uint8Array(1 << 20).fill(32)),
        }),
      ),
  });
  const error = await failure(listing.archivesAt(`http://127.0.0.1:${endless.port}`));
  expect(error.fault).toBe("incomplete");
  expect(error.message).toContain("more than 16777216 bytes");
  await endless.stop(true);
});

test("P12: of several prefixes one fails: the others are aborted, and nothing goes on", async () => {
  const archives = listing.archivesAt(listing.gateway.endpoint, { pageKeys: 1_000 });
  let asked = 0;
  listing.gateway.spoil(() =>
    ++asked === 1 ? { status: 403, body: errorBody("AccessDenied") } : { hang: true },
  );
  await expect(archives.listArchives("ws-", { signal: deadline(), only })).rejects.toMatchObject({
    fault: "denied",
  });
  archives.destroy();
  await waitFor("no connection", 10_000, () => listing.gateway.openConnections === 0);
});

test("destroy() closes the idle connections", async () => {
  const archives = listing.archivesAt(listing.gateway.endpoint);
  await list(archives);
  archives.destroy();
  await waitFor("no connection", 10_000, () => listing.gateway.openConnections === 0);
});

test("wrong key, wrong secret, no permission: each by name, and no secret is told", async () => {
  const { accessKeyId, secretAccessKey, otherAccessKeyId } = listing.s3;
  const withKeys = (credentials: S3ArchivesOptions["credentials"]) =>
    listing.archivesAt(listing.s3.endpoint, { credentials });
  const secrets = { secretAccessKey: "wrong-secret-never-told", sessionToken: "token-never-told" };
  const cases = {
    "unknown-key": { accessKeyId: "NOBODY", secretAccessKey },
    "wrong-secret": { accessKeyId, secretAccessKey: secrets.secretAccessKey },
    denied: { accessKeyId: otherAccessKeyId, secretAccessKey },
  };
  for (const [fault, credentials] of Object.entries(cases)) {
    const error = await failure(withKeys(credentials));
    expect(error.fault).toBe(fault as ArchivesFault);
    await expect(withKeys(credentials).head("ws-", deadline())).rejects.toMatchObject({ fault });
    for (const secret of [secretAccessKey, ...Object.values(secrets)])
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(secret);
  }
});

test("no bucket, a name that doesn't exist, nobody there, and TLS where there is none: each by name", async () => {
  expect((await failure(listing.archivesAt(listing.s3.endpoint, { bucket: "nowhere" }))).fault).toBe(
    "no-bucket",
  );
  expect((await failure(listing.archivesAt("http://store.invalid:9000"))).fault).toBe("dns");
  expect((await failure(listing.archivesAt(`http://127.0.0.1:${await freePort()}`))).fault).toBe(
    "unreachable",
  );
  expect((await failure(listing.archivesAt(listing.s3.endpoint.replace("http:", "https:")))).fault).toBe(
    "tls",
  );
});

test("the SDK's default chain: found in the environment, or told that there is nothing", async () => {
  const { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY } = listing.s3;
  const listed = withEnvironment({ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY }, () =>
    list(listing.archivesAt(listing.s3.endpoint, { credentials: null })),
  );
  expect(await listed).toEqual(IDS);
  const error = await withEnvironment({ AWS_EC2_METADATA_DISABLED: "true" }, () =>
    failure(listing.archivesAt(listing.s3.endpoint, { credentials: null })),
  );
  expect(error.fault).toBe("no-credentials");
});

test("P12: a service of credentials that never answers ends at the page's deadline", async () => {
  const silent = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Promise<Response>(() => {}) });
  const uri = `http://127.0.0.1:${silent.port}/`;
  const error = await withEnvironment({ AWS_CONTAINER_CREDENTIALS_FULL_URI: uri }, () =>
    failure(listing.archivesAt(listing.s3.endpoint, { credentials: null, pageTimeoutMs: 200 })),
  );
  expect(error.fault).toBe("timeout");
  await silent.stop(true);
});

test("a clock that is off by an hour: the SDK takes the store's, and the listing completes", async () => {
  setSystemTime(new Date(Date.now() - 3_600_000));
  try {
    expect(await list(listing.archivesAt(listing.s3.endpoint))).toEqual(IDS);
  } finally {
    setSystemTime();
  }
});

test("P12: a frozen gateway ends at the page's deadline, and is right again when it goes on", async () => {
  const archives = listing.archivesAt(listing.s3.endpoint, { pageTimeoutMs: 500 });
  listing.s3.killGateway("SIGSTOP");
  try {
    expect((await failure(archives)).fault).toBe("timeout");
    await expect(archives.listArchives("ws-", { signal: deadline(), only })).rejects.toMatchObject({
      fault: "timeout",
    });
    await expect(archives.head("ws-", deadline())).rejects.toMatchObject({ fault: "timeout" });
  } finally {
    listing.s3.killGateway("SIGCONT");
  }
  expect(await list(listing.archivesAt(listing.s3.endpoint))).toEqual(IDS);
}, 30_000);

test("a killed gateway is unreachable, and the same adapter goes on when it is back", async () => {
  const archives = listing.archivesAt(listing.s3.endpoint);
  expect(await list(archives)).toEqual(IDS);
  listing.s3.killGateway("SIGKILL");
  await waitFor("the gateway to refuse", 10_000, async () => {
    const error = await list(archives).catch((cause: unknown) => cause as ArchivesError);
    return !Array.isArray(error) && error.fault === "unreachable";
  });
  await listing.s3.restartGateway();
  expect(await list(archives)).toEqual(IDS);
}, 60_000);
