// Goal: whatever bytes an Engine answers with, a call ends in a listing that is whole or in an error that says which
// call failed, in one bounded line (P1, P12); and its event stream, cut anywhere, never throws.
// Method: a server on a unix socket that answers with what fast-check makes: noise, and real answers damaged in places.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { createDockerEngine } from "../../src/adapters/docker.ts";
import { subjectsOf } from "../../src/adapters/docker-event-lines.ts";
import { createLineSplitter } from "../../src/adapters/line-splitter.ts";
import { atLeast, atMost } from "./fuzz-runs.ts";

/** It may be about one of ours. */
const isHint = (line: string, prefix: string): boolean => subjectsOf(line, prefix)?.length !== 0;

const ID = "6ff5db3b76e55011a68bf9b4a7eba4ce9d0a926378ba3d6f3c9c280fe6568f34";
const NAMES = ["a", "b", "c"];
const DOCKER = {
  version: { ApiVersion: "1.41", MinAPIVersion: "1.12", Version: "20.10.24" },
  containers: NAMES.map((name) => ({
    Id: ID,
    Names: [`/ws-${name}`],
    Image: "code:1",
    Created: 1_795_498_188,
    State: "running",
    Status: "Up 5 minutes",
  })),
  volumes: { Volumes: NAMES.map((name) => ({ Name: `ws-${name}-home`, Driver: "local" })), Warnings: null },
  inspect: {
    Id: ID,
    RestartCount: 0,
    State: {
      Status: "exited",
      OOMKilled: true,
      ExitCode: 137,
      Error: "",
      FinishedAt: "2026-11-23T20:02:34Z",
    },
  },
  info: { ID: "ABCD:EFGH", Name: "host", ServerVersion: "20.10.24" },
};
const PODMAN: Record<keyof typeof DOCKER, unknown> = {
  ...DOCKER,
  version: { ...DOCKER.version, Version: "4.3.1", Components: [{ Name: "Podman Engine" }] },
  containers: NAMES.map((name) => ({
    Id: ID,
    Names: [`ws-${name}`],
    Image: "docker.io/library/code:1",
    Created: "2026-11-24T11:45:26.553879747Z",
    State: "running",
    Status: "healthy",
    ExitCode: 0,
  })),
};
type Call = keyof typeof DOCKER;
const CALLS: readonly Exclude<Call, "version">[] = ["containers", "volumes", "inspect", "info"];

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const folder = mkdtempSync(join(tmpdir(), "obs-fuzz-"));
const socketPath = join(folder, "engine.sock");
let real: Record<Call, unknown> = DOCKER;
let spoilt: { call: Call; status: number; body: Uint8Array } | null = null;
let server: Bun.Server<undefined>;
let engine: ReturnType<typeof createDockerEngine>;

beforeAll(() => {
  server = Bun.serve({
    unix: socketPath,
    fetch({ url }) {
      const { pathname } = new URL(url);
      const call = CALLS.find((name) =>
        pathname.endsWith(name === "containers" ? "/containers/json" : `/${name}`),
      );
      const asked = pathname === "/version" ? "version" : (call ?? "inspect");
      if (spoilt?.call === asked)
        return new Response(spoilt.body as Uint8Array<ArrayBuffer>, { status: spoilt.status });
      return Response.json(real[asked]);
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  rmSync(folder, { recursive: true });
});

/** Makes the call. Returns its answer, or the error's message, which has to be fit for a line of a log. */
async function ask(call: Exclude<Call, "version">): Promise<{ answer: unknown } | { refused: string }> {
  const signal = new AbortController().signal;
  const look = { signal };
  try {
    switch (call) {
      case "containers":
        return { answer: [...(await engine.listAll("ws-", look)).byWorkspace.keys()].map(String).sort() };
      case "volumes":
        return { answer: [...(await engine.listVolumes("ws-", look)).byWorkspace.keys()].map(String).sort() };
      case "inspect":
        return { answer: await engine.explainDeath(ID, signal) };
      case "info":
        return { answer: await engine.info(signal) };
    }
  } catch (error) {
    const { message } = error as Error;
    expect(message).toMatch(
      /^Cannot (list containers|list volumes|inspect a container|ask the Engine who it is): \S/,
    );
    expect(message).not.toMatch(/[\u0000-\u001f\u007f]/);
    expect(message.length).toBeLessThan(1_000);
    return { refused: message };
  }
}

const someCall = fc.constantFrom<Call>("version", ...CALLS);
const isList = (call: Call): call is "containers" | "volumes" => call === "containers" || call === "volumes";

/** Tries the spoilt answer where it is asked for. */
async function tryWith(call: Call, body: Uint8Array, status = 200) {
  spoilt = { call, status, body };
  try {
    return await ask(call === "version" ? "containers" : call);
  } finally {
    spoilt = null;
    // A version is asked for once until something fails.
    if (call !== "version") await ask("containers");
  }
}

describe.each([
  ["an Engine", DOCKER, "/"],
  ["Podman", PODMAN, ""],
] as const)("answers of %s", (_, answers, slash) => {
  beforeAll(() => {
    real = answers;
    engine = createDockerEngine({ endpoint: { kind: "unix", socketPath } });
  });

  test("whole, they show every workspace", async () => {
    expect([await ask("containers"), await ask("volumes")]).toEqual([{ answer: NAMES }, { answer: NAMES }]);
  });

  test("noise is refused, or is a document without workspaces", async () => {
    await fc.assert(
      fc.asyncProperty(
        someCall,
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.json().map((text) => new TextEncoder().encode(text)),
          fc.constantFrom("", "null", "[]", "{}", "<html>").map((text) => new TextEncoder().encode(text)),
        ),
        fc.constantFrom(200, 200, 200, 201, 206, 301, 400, 403, 404, 500, 503),
        async (call, body, status) => {
          const outcome = await tryWith(call, body, status);
          if (isList(call) && "answer" in outcome) {
            expect(status).toBe(200);
            expect(outcome.answer).toEqual([]);
          }
        },
      ),
      atLeast(100),
    );
  });

  test("P1: a real answer that is cut off anywhere is refused", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...CALLS),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (call, share) => {
          const whole = encode(real[call]);
          const outcome = await tryWith(call, whole.slice(0, Math.floor(share * (whole.length - 1))));
          expect(outcome).toHaveProperty("refused");
        },
      ),
      atLeast(100),
    );
  });

  test("P1: a changed byte anywhere is refused, or hides no more than the name that it stands in", async () => {
    await fc.assert(
      fc.asyncProperty(someCall, fc.nat(), fc.integer({ min: 0, max: 255 }), async (call, at, byte) => {
        const body = encode(real[call]);
        body[at % body.length] = byte;
        const outcome = await tryWith(call, body);
        if (!isList(call) || !("answer" in outcome)) return;
        const lost = NAMES.filter((name) => !(outcome.answer as string[]).includes(name));
        expect(lost.length).toBeLessThanOrEqual(1);
        // What hides it is that the Engine, so to speak, told another name.
        if (lost.length === 1)
          expect(new TextDecoder().decode(body)).not.toContain(
            call === "containers" ? `"Names":["${slash}ws-${lost[0]}"]` : `"Name":"ws-${lost[0]}-home"`,
          );
      }),
      atLeast(100),
    );
  });

  test("P1: any JSON in any place is refused, or hides nobody else", async () => {
    await fc.assert(
      fc.asyncProperty(someCall, fc.nat(), fc.jsonValue(), async (call, at, value) => {
        const outcome = await tryWith(call, encode(replacedAt(real[call], at, value)));
        if (!isList(call) || !("answer" in outcome)) return;
        const answer = outcome.answer as string[];
        const isWhole = JSON.stringify(value).includes("ws-");
        if (!isWhole)
          expect(NAMES.filter((name) => !answer.includes(name)).length).toBeLessThanOrEqual(
            // All at once only where the whole list was replaced by a list.
            Array.isArray(value) || value === null ? 3 : 1,
          );
      }),
      atLeast(100),
    );
  });
});

/** A copy with the value in another's place, chosen among all places by number. */
function replacedAt(document: unknown, at: number, value: unknown): unknown {
  const paths: (string | number)[][] = [];
  const walk = (node: unknown, path: (string | number)[]) => {
    paths.push(path);
    if (typeof node === "object" && node !== null)
      for (const key of Object.keys(node)) walk((node as Record<string, unknown>)[key], [...path, key]);
  };
  walk(document, []);
  const path = paths[at % paths.length]!;
  if (path.length === 0) return value;
  const copy = structuredClone(document) as Record<string | number, unknown>;
  let node = copy;
  for (const key of path.slice(0, -1)) node = node[key] as Record<string | number, unknown>;
  node[path.at(-1)!] = value;
  return copy;
}

describe("the event stream", () => {
  test("any bytes in any pieces make lines, and every line is a hint or none", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }), (pieces) => {
        const split = createLineSplitter(50);
        for (const line of pieces.flatMap((bytes) => split(bytes))) {
          if (line === null) continue;
          expect(line.length).toBeLessThanOrEqual(50);
          expect(typeof isHint(line, "ws-")).toBe("boolean");
        }
      }),
    );
  });

  test("P8: an event of ours that is cut off or damaged is a hint, for it can't be understood", () => {
    const line = JSON.stringify({
      Type: "container",
      Action: "die",
      Actor: { ID, Attributes: { name: "ws-a" } },
      time: 1,
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: line.length }), (length) => {
        expect(isHint(line.slice(0, length), "ws-")).toBe(true);
      }),
      atMost(line.length),
    );
  });
});
