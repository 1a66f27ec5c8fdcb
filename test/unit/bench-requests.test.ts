// Goal: the benchmark counts and times what it says. Method: request targets, event lines and a signed URL, known ones.
import { expect, test } from "bun:test";
import { callOf } from "../../dev/bench/counting-proxy.ts";
import { parseEvent } from "../../dev/bench/engine-events.ts";
import { archiveKey, workspaceId, workspaceIds } from "../../dev/bench/names.ts";
import { presign } from "../../dev/bench/s3-requests.ts";

const filtered = (filters: unknown) =>
  `/v1.41/containers/json?all=1&filters=${encodeURIComponent(JSON.stringify(filters))}`;

test("callOf() takes a filter that all pass for a whole list", () => {
  expect(callOf("/v1.41/containers/json?all=1")).toBe("whole lists");
  expect(callOf(filtered({ name: ["ws-"] }))).toBe("whole lists");
  expect(callOf(filtered({ name: [`ws-${workspaceId(1)}`] }))).toBe("filtered lists");
  expect(callOf(filtered({ id: ["98781810ea4c98781810ea4c"] }))).toBe("filtered lists");
  expect(callOf("/v1.41/containers/98781810ea4c/json")).toBe("inspects");
  expect(callOf("/v1.41/volumes?filters=x")).toBe("volumes");
  expect(callOf("/v1.41/events?filters=x")).toBe("others");
});

test("parseEvent() keeps the microseconds of a time that no double holds", () => {
  const line = `{"Type":"container","Action":"die","Actor":{"ID":"1","Attributes":{"name":"ws-a"}},"time":1764000000,"timeNano":1764000000123456789}`;
  expect(parseEvent(line)).toEqual([{ action: "die", container: "ws-a", atMs: 1764000000123.456 }]);
  expect(parseEvent("  ")).toEqual([]);
});

test("workspaceId() is a UUID, the same in every run", () => {
  expect(workspaceId(0)).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(new Set(workspaceIds(1_000)).size).toBe(1_000);
  expect(workspaceIds(2)[1]).toBe(workspaceId(1));
});

// The example in the documentation of signature version 4 in a query, where the bucket is part of the host's name.
test("presign() signs as the documentation's example has it", () => {
  const access = {
    endpoint: "https://examplebucket.s3.amazonaws.com",
    region: "us-east-1",
    bucket: "",
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  };
  const url = new URL(presign(access, "GET", "test.txt", {}, new Date("2013-05-24T00:00:00Z")));
  expect(url.pathname).toBe("/test.txt");
  expect(url.searchParams.get("X-Amz-Signature")).toBe(
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
  );
});

test("presign() names bucket and key in the path, encoded, and signs nothing for a store that is open", () => {
  const access = {
    endpoint: "http://127.0.0.1:9",
    region: "r",
    bucket: "b",
    accessKeyId: "a",
    secretAccessKey: "s",
  };
  expect(new URL(presign(access, "HEAD", archiveKey("a b"))).pathname).toBe("/b/ws-a%20b/op-1/home.tar.zst");
  const open = presign({ ...access, isOpen: true }, "GET", "", { "list-type": "2" });
  expect(open).toBe("http://127.0.0.1:9/b?list-type=2");
});
