/**
 * Goal: the bill of materials names every package whose code is in the executable, as CycloneDX wants it, and nothing that
 * is only there for developers.
 * Method: made from the real bun.lock and compared with what the bundler really takes in; resolution on a lock by hand.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Lock, parseLock, readLock } from "../../dev/package/lock.ts";
import { makeSbom } from "../../dev/package/sbom.ts";
import manifest from "../../package.json";

const root = join(import.meta.dir, "../..");
const lock = readLock();
const make = (of: Lock = lock) =>
  makeSbom({
    lock: of,
    version: "1.2.3",
    runtimeVersion: "1.4.5",
    timestamp: "2026-11-24T00:00:00.000Z",
    licenseOf: (place) => (place === "" ? "Apache-2.0" : "MIT"),
  });
const sbom = make();

describe("makeSbom()", () => {
  test("has what CycloneDX 1.5 requires", () => {
    expect(sbom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5", version: 1 });
    expect(sbom.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    const refs = [sbom.metadata.component, ...sbom.components].map((component) => component["bom-ref"]);
    expect(new Set(refs).size).toBe(refs.length);
    for (const component of sbom.components) {
      expect(["library", "platform"]).toContain(component.type);
      expect(component.name).not.toBe("");
      expect(component.version).toMatch(/^\d+\.\d+\.\d+/);
      expect(component.purl).toBe(`pkg:npm/${component.name.replace("@", "%40")}@${component.version}`);
      expect(component.licenses).toEqual([{ expression: "MIT" }]);
      if (component.type === "library") expect(component.hashes?.[0]?.content).toMatch(/^[0-9a-f]{128}$/);
    }
    // Every reference leads somewhere, and every component is somebody's.
    expect(sbom.dependencies.map(({ ref }) => ref).sort()).toEqual([...refs].sort());
    const used = new Set(sbom.dependencies.flatMap(({ dependsOn }) => dependsOn));
    for (const ref of used) expect(refs).toContain(ref);
    for (const component of sbom.components) expect(used).toContain(component["bom-ref"]);
  });

  test("names every package that the bundler takes in", async () => {
    const built = await Bun.build({
      entrypoints: [join(root, "src/main.ts")],
      target: "bun",
      metafile: true,
    });
    const names = new Set(
      Object.keys(built.metafile!.inputs).flatMap(
        (path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
      ),
    );
    expect(names.size).toBeGreaterThan(20);
    const listed = sbom.components.map(({ name }) => name);
    expect([...names].filter((name) => !listed.includes(name))).toEqual([]);
  });

  test("has the dependencies, the runtime and the patch; and no tool of the developers", () => {
    const byName = new Map(sbom.components.map((component) => [component.name, component]));
    for (const [name, version] of Object.entries(manifest.dependencies))
      expect(byName.get(name)).toMatchObject({ type: "library", version });
    expect(byName.get("bun")).toMatchObject({ type: "platform", version: "1.4.5" });
    expect(byName.get("postgres")?.pedigree).toEqual({ patches: [{ type: "unofficial" }] });
    for (const name of ["typescript", "fast-check", "ajv", "@biomejs/biome"])
      expect([name, byName.has(name)]).toEqual([name, false]);
  });

  test("is the same for the same lock, and another for another", () => {
    expect(make()).toEqual(sbom);
    const { "pino-pretty/sonic-boom": _, ...packages } = lock.packages;
    expect(make({ ...lock, packages }).serialNumber).not.toBe(sbom.serialNumber);
  });

  test("a package finds the version that is nearest to it; an optional one may be missing", () => {
    const of = parseLock(`{
      "workspaces": { "": { "dependencies": { "a": "1", "@s/b": "1", }, }, },
      "packages": {
        "a": ["a@1.0.0", "", { "dependencies": { "c": "1", "@s/b": "1" } }, "sha512-AA=="],
        "@s/b": ["@s/b@1.0.0", "", { "dependencies": { "c": "2" }, "optionalDependencies": { "no": "1" } }, "sha512-AA=="],
        "c": ["c@1.0.0", "", {}, "sha512-AA=="],
        "@s/b/c": ["c@2.0.0", "", { "peerDependencies": { "a": "1", "x": "1" }, "optionalPeers": ["x"] }, "sha512-AA=="],
      },
    }`);
    const needs = Object.fromEntries(make(of).dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    expect(needs).toEqual({
      "observer@1.2.3": ["bun@1.4.5", "@s/b@1.0.0", "a@1.0.0"],
      "bun@1.4.5": [],
      "a@1.0.0": ["@s/b@1.0.0", "c@1.0.0"],
      "@s/b@1.0.0": ["c@2.0.0"],
      "c@1.0.0": [],
      "c@2.0.0": ["a@1.0.0"],
    });
  });
});
