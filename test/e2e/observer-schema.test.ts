// Goal: schema/conditions.schema.json says what docs/contract.md says: no less, or every document would do, and no more,
// or a new key would break whoever checks by it. That what is really written keeps to it, each file here proves at its end.
// Method: the contract's own example, and changes of it that have to be refused or let through.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { conditionsValidator } from "./support-platform.ts";

const contract = readFileSync(join(import.meta.dir, "../../docs/contract.md"), "utf8");
const example = JSON.parse(/```json\n([\s\S]*?)```/.exec(contract)?.[1] ?? "");
const validate = conditionsValidator();
type Json = { [key: string]: Json };

const archive = {
  workspace_id: "7f3c",
  exists: true,
  reason: "ArchiveUploaded",
  message: "archive of 9 bytes uploaded",
  archive_key: "ws-7f3c/op1/home.tar.zst",
  size_bytes: 9,
  uploaded_at: "2026-11-23T20:02:33.000Z",
  last_transition_at: "2026-11-23T20:02:33.870114Z",
};

/** The example with other values at some paths; undefined leaves the key out. */
function changed(changes: Readonly<Record<string, unknown>>): Json {
  const document = structuredClone({ ...example, archive }) as Json;
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split(".");
    const last = keys.pop()!;
    const parent = keys.reduce((at, key) => at[key]!, document);
    if (value === undefined) delete parent[last];
    else parent[last] = value as Json;
  }
  return document;
}

test("The contract's example is valid, and so is a row that was never observed", () => {
  expect([validate(example), validate.errors]).toEqual([true, null]);
  expect(validate({})).toBe(true);
});

test.each([
  ["all is there", {}],
  ["all is proven absent", { container: null, volume: null, archive: null }],
  ["archives are not observed", { archive: undefined, "observed.archives": undefined }],
  [
    "only archives were observed",
    { container: undefined, volume: undefined, observed: { archives: example.observed.archives } },
  ],
  [
    "an end",
    {
      "container.running": false,
      "container.reason": "Exited",
      "container.health": "none",
      "container.exit_code": 137,
    },
  ],
  [
    "a telling reason",
    { "container.running": false, "container.reason": "OOMKilled", "container.health": "none" },
  ],
  [
    "a state of a newer Engine",
    { "container.running": false, "container.reason": "Hibernating", "container.health": "none" },
  ],
  ["of a fleet's host", { "container.host": "vm-1", "volume.host": "vm-2" }],
  ["of a fleet, the volume alone", { container: undefined, "volume.host": "vm-1" }],
  [
    "of a host that is lost",
    {
      "container.host": "vm-1",
      "container.unknown": true,
      "container.reason": "HostLost",
      "volume.host": "vm-1",
      "volume.unknown": true,
      "volume.reason": "HostLost",
    },
  ],
  [
    "new keys anywhere",
    { node: {}, "container.node": "a", "volume.node": "a", "archive.etag": "x", "observed.nodes": 1 },
  ],
] as const)("valid: %s", (_, changes) => {
  expect([validate(changed(changes)), validate.errors]).toEqual([true, null]);
});

test.each([
  ["absence as false", { volume: false }],
  ["a volume that doesn't exist", { "volume.exists": false }],
  ["no running", { "container.running": undefined }],
  ["running in another state", { "container.reason": "Paused" }],
  ["stopped, though its state is Running", { "container.running": false }],
  ["running with an exit code", { "container.exit_code": 0 }],
  [
    "an exit code as text",
    { "container.running": false, "container.reason": "Exited", "container.exit_code": "137" },
  ],
  ["an unknown health", { "container.health": "fine" }],
  ["a stopped container that is healthy", { "container.running": false, "container.reason": "Exited" }],
  ["a whole container id", { "container.container_id": "9".repeat(64) }],
  ["a lower-case reason", { "container.running": false, "container.reason": "exited" }],
  ["a container without its volume's key", { volume: undefined }],
  ["a container without its stamp", { "observed.containers": undefined, "observed.volumes": undefined }],
  ["an archive without its stamp", { "observed.archives": undefined }],
  ["containers and volumes not stamped together", { "observed.volumes": undefined }],
  ["a stamp without its six decimals", { "observed.archives": "2026-11-23T20:05:12Z" }],
  ["a time with an offset", { "volume.last_transition_at": "2026-11-23T20:02:33.870114+01:00" }],
  ["a time that is none", { "archive.uploaded_at": "yesterday" }],
  ["of a fleet, a volume without its stamp", { "volume.host": "vm-1", "observed.volumes": undefined }],
  ["known not to be known, but of no host", { "volume.unknown": true, "volume.reason": "HostLost" }],
  ["known, and called lost", { "container.host": "vm-1", "container.unknown": false }],
  ["a size that is none", { "archive.size_bytes": -1 }],
] as const)("invalid: %s", (_, changes) => {
  expect(validate(changed(changes))).toBe(false);
});
