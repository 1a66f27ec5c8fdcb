// P1 in the parsing of listings: whatever an Engine sends, it is refused or every workspace in it is found.
//
// Method: listings made of known workspaces among strangers, and then damaged in one place.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { CONTAINERS_SCHEMA, collectContainers } from "../../src/adapters/docker-containers.ts";
import { collectVolumes, VOLUMES_SCHEMA } from "../../src/adapters/docker-volumes.ts";
import { parseWorkspaceId, type WorkspaceId } from "../../src/observer/names.ts";
import type { ContainerSeen, Listing, VolumeSeen } from "../../src/observer/ports.ts";
import { atLeast } from "./fuzz-runs.ts";

const workspace = (text: string): WorkspaceId => parseWorkspaceId(text)!;

const containersIn = (json: unknown, only?: ReadonlySet<WorkspaceId>): Listing<ContainerSeen> | "refused" => {
  const result = v.safeParse(CONTAINERS_SCHEMA, json, { abortEarly: true });
  return result.success ? collectContainers(result.output, "ws-", only) : "refused";
};
const volumesIn = (json: unknown, only?: ReadonlySet<WorkspaceId>): Listing<VolumeSeen> | "refused" => {
  const result = v.safeParse(VOLUMES_SCHEMA, json, { abortEarly: true });
  if (!result.success) return "refused";
  try {
    return collectVolumes(result.output, "ws-", only);
  } catch {
    return "refused";
  }
};

const hexId = fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 64, maxLength: 64 });
const nameEnd = fc.stringMatching(/^[a-zA-Z0-9_.-]{1,20}$/);
const stranger = fc.oneof(
  nameEnd.map((end) => `/xws-${end}`),
  fc.tuple(nameEnd, nameEnd).map(([left, right]) => `/${left}/ws-${right}`),
  fc.tuple(nameEnd, nameEnd).map(([left, right]) => `/ws-${left}/${right}`),
  nameEnd.map((end) => `ws-${end}`),
  fc.constantFrom("/ws-", "/ws", "", "/"),
);

const containerWith = (names: fc.Arbitrary<string[] | null>) =>
  fc.record({
    Id: hexId,
    Names: names,
    Image: fc.string(),
    Created: fc.integer(),
    State: fc.constantFrom("running", "exited", "paused", "Created", "something new"),
    Status: fc.oneof(fc.constant("Up 5 minutes (healthy)"), fc.constant("Exited (3) now"), fc.string()),
    Health: fc.option(fc.record({ Status: fc.constantFrom("healthy", "none", "x") }), { nil: undefined }),
    Labels: fc.jsonValue(),
  });
/** A container of ours, its own name somewhere among aliases. */
const ours = nameEnd.chain((end) =>
  fc.record({
    end: fc.constant(end),
    json: containerWith(
      fc
        .tuple(fc.array(stranger, { maxLength: 2 }), fc.array(stranger, { maxLength: 2 }))
        .map(([before, after]) => [...before, `/ws-${end}`, ...after]),
    ),
  }),
);
const theirs = containerWith(fc.oneof(fc.constant(null), fc.array(stranger, { maxLength: 3 })));

const listing = fc
  .record({
    ours: fc.uniqueArray(ours, { selector: ({ end }) => end, maxLength: 8 }),
    theirs: fc.array(theirs, { maxLength: 5 }),
  })
  .map(({ ours, theirs }) => ({
    ids: ours.map(({ end }) => end).sort(),
    json: [...theirs, ...ours.map(({ json }) => json)] as Record<string, unknown>[],
  }));

describe("containers", () => {
  test("P1: exactly the workspaces in a listing are found, among any strangers", () => {
    fc.assert(
      fc.property(listing, ({ ids, json }) => {
        const found = containersIn(json);
        expect(found).not.toBe("refused");
        expect([...(found as Listing<ContainerSeen>).byWorkspace.keys()].sort()).toEqual(ids.map(workspace));
      }),
    );
  });

  test("P1: one damaged place makes a workspace absent in no case", () => {
    const anything = fc.oneof(fc.jsonValue(), fc.constant(undefined));
    fc.assert(
      fc.property(
        listing.filter(({ json }) => json.length > 0),
        fc.nat(),
        fc.constantFrom("Id", "Names", "Image", "Created", "State", "Status", "Health", "*"),
        anything,
        ({ ids, json }, at, key, damage) => {
          // An array of texts is a legal value of Names, and `null` is what a removal looks like.
          fc.pre(key !== "Names" || (damage !== null && !isTexts(damage)));
          const index = at % json.length;
          const damaged: unknown[] = [...json];
          damaged[index] = key === "*" ? damage : { ...json[index], [key]: damage };
          const found = containersIn(damaged);
          if (found !== "refused") expect([...found.byWorkspace.keys()].sort()).toEqual(ids.map(workspace));
        },
      ),
      atLeast(500),
    );
  });

  test("any JSON at all is refused, or holds no container of ours", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        const found = containersIn(json);
        if (found !== "refused") expect(found.byWorkspace.size).toBe(0);
      }),
    );
  });

  test("a targeted look answers only what was asked for", () => {
    fc.assert(
      fc.property(listing, fc.func(fc.boolean()), ({ ids, json }, pick) => {
        const only = new Set(ids.filter((id) => pick(id)).map(workspace));
        const found = containersIn(json, only) as Listing<ContainerSeen>;
        expect([...found.byWorkspace.keys()].sort()).toEqual([...only].sort());
      }),
    );
  });

  const claim = (id: string, changes: Record<string, unknown> = {}) => ({
    Id: id.padEnd(64, "0"),
    Names: ["/ws-a"],
    Image: "i",
    Created: 100,
    State: "exited",
    Status: "Exited (1) 5 minutes ago",
    ...changes,
  });

  test.each([
    ["running beats newer", claim("a", { State: "running", Created: 1 }), claim("b", { Created: 200 })],
    ["running beats paused", claim("a", { State: "Running", Created: 1 }), claim("b", { State: "paused" })],
    ["newer beats older", claim("a", { Created: 101 }), claim("b")],
    [
      "newer beats older among running ones",
      claim("a", { State: "running", Created: 101 }),
      claim("b", { State: "running" }),
    ],
    ["the id decides the rest", claim("b"), claim("a")],
  ])("two containers of one workspace: %s, in either order, and it is told", (_, winner, loser) => {
    for (const json of [
      [winner, loser],
      [loser, winner],
      [loser, winner, loser],
    ]) {
      const found = containersIn(json) as Listing<ContainerSeen>;
      expect(found.byWorkspace.get(workspace("a"))?.containerId).toBe(winner.Id.slice(0, 12));
      expect(found.contested).toEqual([workspace("a")]);
    }
  });

  test("one container seen twice, or with two names, contests nothing", () => {
    const twice = claim("a", { Names: ["/ws-a", "/ws-b", "/ws-a"] });
    const found = containersIn([twice, twice]) as Listing<ContainerSeen>;
    expect([...found.byWorkspace.keys()].sort()).toEqual([workspace("a"), workspace("b")]);
    expect(found.contested).toEqual([]);
  });

  test("states that aren't known pass in lower case", () => {
    const found = containersIn([claim("a", { State: "Hibernating" })]) as Listing<ContainerSeen>;
    expect(found.byWorkspace.get(workspace("a"))?.state).toBe("hibernating");
  });
});

describe("volumes", () => {
  const volume = fc.record({
    Name: fc.oneof(
      nameEnd,
      nameEnd.map((end) => `ws-${end}-home`),
    ),
    Driver: fc.string(),
  });

  test("P1: exactly the volumes in a listing are found", () => {
    fc.assert(
      fc.property(fc.array(volume), (json) => {
        const expected = new Set(json.flatMap(({ Name }) => /^ws-(.+)-home$/.exec(Name)?.[1] ?? []));
        const found = volumesIn({ Volumes: json, Warnings: null }) as Listing<VolumeSeen>;
        expect([...found.byWorkspace.keys()].sort()).toEqual([...expected].map(workspace).sort());
      }),
    );
  });

  test("P1: any warning refuses the listing", () => {
    fc.assert(
      fc.property(fc.array(volume), fc.array(fc.string(), { minLength: 1 }), (json, warnings) => {
        expect(volumesIn({ Volumes: json, Warnings: warnings })).toBe("refused");
      }),
    );
  });

  test("P1: any JSON at all is refused, unless it has Volumes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        if (volumesIn(json) !== "refused") expect(json).toHaveProperty("Volumes");
      }),
    );
  });

  test("P1: one damaged place makes a volume absent in no case", () => {
    fc.assert(
      fc.property(
        fc.array(volume, { minLength: 1 }),
        fc.nat(),
        fc.constantFrom("Name", "*"),
        fc.oneof(fc.jsonValue(), fc.constant(undefined)),
        (json, at, key, damage) => {
          fc.pre(key === "*" || typeof damage !== "string");
          const damaged: unknown[] = [...json];
          const index = at % json.length;
          damaged[index] = key === "*" ? damage : { ...json[index], [key]: damage };
          expect(volumesIn({ Volumes: damaged })).toBe("refused");
        },
      ),
    );
  });

  test("a volume of two drivers is contested, and which one counts doesn't hang on the order", () => {
    const two = ["nfs", "local"].map((Driver) => ({ Name: "ws-a-home", Driver }));
    for (const Volumes of [two, [...two].reverse()]) {
      const found = volumesIn({ Volumes }) as Listing<VolumeSeen>;
      expect(found.byWorkspace.get(workspace("a"))?.driver).toBe("local");
      expect(found.contested).toEqual([workspace("a")]);
    }
    const same = volumesIn({ Volumes: [two[0], two[0]] }) as Listing<VolumeSeen>;
    expect(same.contested).toEqual([]);
  });
});

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
