/** Builders of the domain's values, and small fakes of its ports, for the tests beside this file. */
import type { EngineListing, GuardConfig } from "../../../src/observer/absence.ts";
import type { Rows } from "../../../src/observer/believe.ts";
import { isJsonObject, type Json, type JsonObject } from "../../../src/observer/conditions.ts";
import { formatInstant, type Instant, instant } from "../../../src/observer/instant.ts";
import type { WorkspaceId } from "../../../src/observer/names.ts";
import type {
  ArchiveSeen,
  ContainerSeen,
  Lease,
  Listing,
  Log,
  VolumeSeen,
  WorkspaceRow,
} from "../../../src/observer/ports.ts";

export const id = (text: string): WorkspaceId => text as WorkspaceId;
/** A second of one fixed day, as the database's clock. */
export const second = (seconds: number): Instant => instant(1_795_464_000_000_000 + seconds * 1_000_000);
export const stampOf = (seconds: number): string => formatInstant(second(seconds));
export const ids = (count: number): WorkspaceId[] => Array.from({ length: count }, (_, n) => id(`w${n}`));

export const container = (over: Partial<ContainerSeen> = {}): ContainerSeen => ({
  state: "running",
  health: "none",
  exitCode: null,
  containerId: "98781810ea4c",
  image: "code:1",
  ...over,
});
export const volume = (name = "ws-a-home"): VolumeSeen => ({ name, driver: "local" });
export const archive = (over: Partial<ArchiveSeen> = {}): ArchiveSeen => ({
  key: "ws-a/op/home.tar.zst",
  sizeBytes: 42,
  uploadedAt: "2026-11-23T20:00:00.000Z",
  ...over,
});

export const listing = <Seen>(entries: Iterable<readonly [string, Seen]> = []): Listing<Seen> => ({
  byWorkspace: new Map(entries as Iterable<readonly [WorkspaceId, Seen]>),
  contested: [],
});
export const engineListing = (
  containers: Iterable<readonly [string, ContainerSeen]> = [],
  volumes: Iterable<readonly [string, VolumeSeen]> = [],
): EngineListing => ({ containers: listing(containers), volumes: listing(volumes), identity: "one" });

/** As a cycle holds them. */
export const asRows = (rows: readonly WorkspaceRow[]): Rows => ({
  has: (id) => rows.some((row) => row.id === id),
  holds: ({ conditions }, kind) => isJsonObject(conditions[kind]),
  values: () => rows.map((row) => ({ row })),
});

export const row = (
  text: string,
  conditions: JsonObject = {},
  over: Partial<WorkspaceRow> = {},
): WorkspaceRow => ({
  id: id(text),
  operationInFlight: false,
  deleted: false,
  conditions,
  observedAt: null,
  ...over,
});
/** Any object under a key is a resource that the table holds as present. */
export const present: Json = { reason: "Running", message: "" };

export const guardConfig: GuardConfig = { enabled: true, min: 5, ratio: 0.5, confirm: 3 };
export const lease: Lease = { scope: "workspaces", holder: "one", epoch: "1" };

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
export function recordingLog(): Log & { readonly entries: { level: string; event: string }[] } {
  const entries: { level: string; event: string }[] = [];
  const at = (level: string) => (event: string) => void entries.push({ level, event });
  return { entries, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A promise and its ends, for calls that answer when the test says so. */
export function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (cause: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
