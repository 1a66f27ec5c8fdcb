// Goal: whatever stands in a pod or a claim, what is made of it is a document of the contract, or an error by name; and a
// change that means nothing is told as nothing.
// Method: pods and claims as fast-check makes them, of all the words that the reading looks at and of noise.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { seeClaim } from "../../src/adapters/kubernetes-claims.ts";
import { KubernetesFault } from "../../src/adapters/kubernetes-fault.ts";
import type { Fields } from "../../src/adapters/kubernetes-fields.ts";
import { deathOf, seePod } from "../../src/adapters/kubernetes-pods.ts";
import { composeContainer, composeVolume } from "../../src/observer/conditions.ts";
import { parseWorkspaceId } from "../../src/observer/names.ts";
import { conditionsValidator } from "../e2e/support-platform.ts";
import { atLeast } from "./fuzz-runs.ts";

const id = parseWorkspaceId("a")!;
const AT = "2026-11-24T00:00:00.000000Z";
const validate = conditionsValidator();
const stamps = { containers: AT, volumes: AT };

const words = fc.oneof(
  fc.constantFrom(
    "Running",
    "Pending",
    "Failed",
    "Succeeded",
    "Unknown",
    "Bound",
    "Lost",
    "True",
    "False",
    "Ready",
  ),
  fc.constantFrom(
    "PodScheduled",
    "NodeLost",
    "OOMKilled",
    "Error",
    "Completed",
    "CrashLoopBackOff",
    "ContainerCreating",
  ),
  fc.string(),
  fc.string({ unit: "binary" }),
);
const anything = fc.oneof(
  words,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.object({ maxDepth: 1 }),
);
const maybe = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 6, arbitrary: value }, { weight: 1, arbitrary: anything });
const record = (model: Record<string, fc.Arbitrary<unknown>>) => fc.record(model, { requiredKeys: [] });
const ended = record({
  exitCode: maybe(fc.integer({ min: 0, max: 255 })),
  reason: maybe(words),
  finishedAt: maybe(words),
});
const state = maybe(
  fc.oneof(
    fc.record({ running: record({ startedAt: words }) }),
    fc.record({ waiting: maybe(record({ reason: maybe(words), message: words })) }),
    fc.record({ terminated: maybe(ended) }),
  ),
);
const status = record({
  name: fc.constantFrom("main", "other"),
  state,
  lastState: state,
  restartCount: maybe(fc.nat()),
  started: maybe(fc.boolean()),
});
const container = record({
  name: fc.constantFrom("main", "other"),
  image: maybe(words),
  readinessProbe: record({}),
});
const metadata = record({
  name: maybe(fc.constant("ws-a")),
  uid: maybe(fc.uuid()),
  deletionTimestamp: fc.option(maybe(words)),
  annotations: maybe(fc.constant({ "kubectl.kubernetes.io/default-container": "other" })),
});
const pods = fc.record({
  metadata: maybe(metadata),
  spec: maybe(record({ containers: maybe(fc.array(maybe(container), { maxLength: 3 })) })),
  status: maybe(
    record({
      phase: maybe(words),
      reason: fc.option(maybe(words)),
      message: maybe(words),
      conditions: maybe(fc.array(maybe(record({ type: words, status: words, reason: maybe(words) })))),
      containerStatuses: maybe(fc.array(maybe(status), { maxLength: 3 })),
      initContainerStatuses: maybe(fc.array(maybe(status), { maxLength: 2 })),
    }),
  ),
});
const claims = fc.record({
  metadata: maybe(metadata),
  spec: maybe(record({ storageClassName: maybe(words) })),
  status: maybe(record({ phase: maybe(words) })),
});

/** Null where it is refused, and then by name. */
function see<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    expect(error).toBeInstanceOf(KubernetesFault);
    return null;
  }
}

function expectValid(document: object): void {
  const isValid = validate(JSON.parse(JSON.stringify(document)));
  if (!isValid) throw new Error(`${JSON.stringify(document)} ${JSON.stringify(validate.errors)}`);
}

describe("P1: what is read", () => {
  test("of pods is a document of the contract, and the same each time", () => {
    let read = 0;
    fc.assert(
      fc.property(pods, (pod) => {
        const seen = see(() => seePod(pod as Fields));
        if (seen === null) return;
        read += 1;
        const condition = composeContainer(id, seen, undefined, AT)!;
        expectValid({ container: condition, volume: null, observed: stamps });
        expect(condition.running).toBe(seen.state === "running");
        expect(condition.message.length).toBeLessThan(400);
        for (const text of Object.values(seen))
          if (typeof text === "string") expect(text.isWellFormed()).toBe(true);
        expect(seePod(pod as Fields)).toEqual(seen);
        const death = deathOf(pod as Fields);
        if (death !== null) expect(Number.isSafeInteger(death.exitCode)).toBe(true);
      }),
      atLeast(1_000),
    );
    expect(read).toBeGreaterThan(100);
  });

  test("of claims is one that exists, whatever is said of it", () => {
    fc.assert(
      fc.property(claims, (claim) => {
        const seen = see(() => seeClaim(claim as Fields));
        if (seen === null) return;
        const volume = composeVolume(id, seen, undefined, AT)!;
        expect(volume.exists).toBe(true);
        expectValid({ container: null, volume, observed: stamps });
      }),
      atLeast(500),
    );
  });
});
