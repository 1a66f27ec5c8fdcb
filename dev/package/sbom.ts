/**
 * The bill of materials of the executable, in CycloneDX 1.5 JSON: the runtime, and every package that the production
 * dependencies lead to, as bun.lock has them. Development dependencies are not in the executable, so not in here.
 */
import { createHash } from "node:crypto";
import type { Lock } from "./lock.ts";

export interface SbomOptions {
  readonly lock: Lock;
  readonly version: string;
  /** Of the runtime, Bun. */
  readonly runtimeVersion: string;
  readonly timestamp: string;
  /** SPDX expression of the package at that place of the lock, `bun` included; undefined where it says none. */
  readonly licenseOf: (place: string) => string | undefined;
}

interface Component {
  readonly type: "library" | "platform" | "application";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly licenses?: readonly { readonly expression: string }[];
  readonly hashes?: readonly { readonly alg: "SHA-512"; readonly content: string }[];
  readonly pedigree?: { readonly patches: readonly { readonly type: "unofficial" }[] };
}

export interface Sbom {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.5";
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: { readonly timestamp: string; readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

export function makeSbom({ lock, version, runtimeVersion, timestamp, licenseOf }: SbomOptions): Sbom {
  const licensed = (place: string) => {
    const expression = licenseOf(place);
    return expression === undefined ? {} : { licenses: [{ expression }] };
  };
  const component = {
    type: "application" as const,
    "bom-ref": `observer@${version}`,
    name: "observer",
    version,
    ...licensed(""),
  };
  const runtime: Component = {
    type: "platform",
    "bom-ref": `bun@${runtimeVersion}`,
    name: "bun",
    version: runtimeVersion,
    purl: `pkg:npm/bun@${runtimeVersion}`,
    ...licensed("bun"),
  };

  const needs = new Map<string, readonly string[]>();
  const visit = (place: string): void => {
    if (needs.has(place)) return;
    const found = Object.keys(wantedBy(lock, place)).flatMap((name) => placeOf(lock, place, name) ?? []);
    needs.set(place, found);
    for (const next of found) visit(next);
  };
  const roots = Object.keys(lock.workspaces[""].dependencies).map((name) => {
    const place = placeOf(lock, "", name);
    if (place === null) throw new Error(`Cannot make the bill of materials: bun.lock has no ${name}`);
    visit(place);
    return place;
  });

  const byRef = new Map<string, { component: Component; dependsOn: Set<string> }>();
  for (const [place, dependsOn] of needs) {
    const ref = refOf(lock, place);
    const known = byRef.get(ref) ?? {
      component: libraryOf(lock, place, licensed(place)),
      dependsOn: new Set(),
    };
    for (const next of dependsOn) known.dependsOn.add(refOf(lock, next));
    byRef.set(ref, known);
  }
  const libraries = [...byRef.values()].sort((left, right) =>
    left.component["bom-ref"] < right.component["bom-ref"] ? -1 : 1,
  );
  const components = [runtime, ...libraries.map((library) => library.component)];
  const dependencies = [
    {
      ref: component["bom-ref"],
      dependsOn: [runtime["bom-ref"], ...roots.map((place) => refOf(lock, place)).sort()],
    },
    { ref: runtime["bom-ref"], dependsOn: [] },
    ...libraries.map((library) => ({
      ref: library.component["bom-ref"],
      dependsOn: [...library.dependsOn].sort(),
    })),
  ];
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: serialNumber(JSON.stringify([component, components, dependencies])),
    version: 1,
    metadata: { timestamp, component },
    components,
    dependencies,
  };
}

function wantedBy(lock: Lock, place: string): Readonly<Record<string, string>> {
  const {
    dependencies,
    optionalDependencies,
    peerDependencies,
    optionalPeers = [],
  } = lock.packages[place]![2];
  const peers = Object.entries(peerDependencies ?? {}).filter(([name]) => !optionalPeers.includes(name));
  return { ...dependencies, ...optionalDependencies, ...Object.fromEntries(peers) };
}

/** As a module is resolved: the nearest one, from the place of who asks upwards. Null for an optional one of elsewhere. */
function placeOf(lock: Lock, from: string, name: string): string | null {
  for (let at = from; ; at = parentOf(lock, at)) {
    const place = at === "" ? name : `${at}/${name}`;
    if (lock.packages[place] !== undefined) return place;
    if (at === "") return null;
  }
}

/** Names may have a slash of their own, so the longest place before this one counts. */
function parentOf(lock: Lock, place: string): string {
  for (let end = place.lastIndexOf("/"); end > 0; end = place.lastIndexOf("/", end - 1)) {
    const parent = place.slice(0, end);
    if (lock.packages[parent] !== undefined) return parent;
  }
  return "";
}

const refOf = (lock: Lock, place: string): string => lock.packages[place]![0];

function libraryOf(lock: Lock, place: string, licensed: Pick<Component, "licenses">): Component {
  const [ref, , , integrity] = lock.packages[place]!;
  const at = ref.lastIndexOf("@");
  const [name, version] = [ref.slice(0, at), ref.slice(at + 1)];
  return {
    type: "library",
    "bom-ref": ref,
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    ...licensed,
    hashes: [
      { alg: "SHA-512", content: Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex") },
    ],
    ...(lock.patchedDependencies?.[ref] !== undefined && { pedigree: { patches: [{ type: "unofficial" }] } }),
  };
}

/** A UUID that follows from the content: the same build has the same one. */
function serialNumber(content: string): string {
  const hex = createHash("sha256").update(content).digest("hex");
  const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
