// Goal: nothing but a complete list of the right kind proves anything (P1), and nothing hangs (P12).
// Method: a simulated API server that answers wrongly in one way at a time.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { Fault } from "../../dev/fakes/faults.ts";
import { type SimulatedKubernetes, startSimulatedKubernetes } from "../../dev/fakes/kubernetes.ts";
import { kubernetesClient } from "../../dev/services/kubernetes-client.ts";
import { createKubernetesEngine, createKubernetesEvents } from "../../src/adapters/kubernetes.ts";
import { identityOf } from "../../src/adapters/kubernetes-transport.ts";
import { parseWorkspaceId } from "../../src/observer/names.ts";
import { deadline, listenTo, realClock } from "../contract/engine-support.ts";
import { endpointOf } from "../contract/kubernetes-support.ts";

let fake: SimulatedKubernetes;
const access = () => ({ server: fake.server, ca: null, token: "admin-token", namespace: fake.namespace });
const engine = () => createKubernetesEngine({ endpoint: endpointOf(access()), pageItems: 2 });
const list = (ms?: number) => engine().listBoth("ws-", { signal: deadline(ms) });
const events = (more: { watchMs?: number } = {}) =>
  createKubernetesEvents({
    endpoint: endpointOf(access()),
    prefix: "ws-",
    clock: realClock,
    random: Math.random,
    ...more,
  });

beforeAll(async () => {
  fake = await startSimulatedKubernetes({ listen: { port: 0 } });
  const client = kubernetesClient(access());
  for (const id of ["a", "b", "c"]) await client.engine.create({ name: `ws-${id}`, volume: `ws-${id}-home` });
});
afterEach(() => {
  fake.faults.clear();
  fake.onList = null;
});
afterAll(() => fake.stop());

type Page = Readonly<Record<string, unknown>> & { readonly metadata: object };
const edit = (change: (page: Page) => object): Fault => ({
  rewrite: (body) => JSON.stringify(change(JSON.parse(body))),
});
const withMetadata =
  (change: () => object) =>
  (page: Page): object => ({ ...page, metadata: { ...page.metadata, ...change() } });

const fieldOf = (object: object, name: string): unknown =>
  Object.entries(object).find(([key]) => key === name)?.[1];

describe("P1: a list that isn't one, or not all of it", () => {
  const faults: [what: string, fault: Fault, message: string][] = [
    ["cut off", { truncateAfterBytes: 200 }, "was closed before the answer was complete"],
    ["cut off without a sign", { rewrite: (body) => body.slice(0, 200) }, "is not JSON, or not all of it"],
    ["empty", { body: "" }, "an empty body"],
    [
      "a page of a proxy",
      { body: "<html>login</html>" },
      'is not JSON, or not all of it: "<html>login</html>"',
    ],
    ["another kind", edit((page) => ({ ...page, kind: "Table" })), "200 with no PodList"],
    ["null", { body: "null" }, "200 with no PodList"],
    ["no items", edit((page) => ({ ...page, items: null })), "200 with no PodList"],
    [
      "a nameless object",
      edit((page) => ({ ...page, items: [{ metadata: { uid: "u" } }] })),
      "no name or no uid",
    ],
    ["no version", edit((page) => ({ ...page, metadata: {} })), "a list without a version"],
    ["an end that isn't told", edit(withMetadata(() => ({ continue: 1 }))), "whose end is not told"],
    [
      "an end before the end",
      edit((page) => ({ ...page, metadata: { resourceVersion: "1", remainingItemCount: 1 } })),
      "the list ends 1 objects before its end",
    ],
    [
      "an error of the server",
      { status: 500, body: "boom" },
      'answered 500 "boom": see the API server\'s own log',
    ],
    ["too many requests", { status: 429, body: '{"message":"slow down"}' }, 'answered 429 "slow down"'],
    ["not found", { status: 404, body: "" }, "answered 404: is this a Kubernetes API server?"],
    ["expired for ever", { status: 410, body: '{"message":"too old"}' }, 'answered 410 "too old"'],
    ["part of it", { status: 206 }, "answered 206"],
    [
      "somewhere else",
      { redirectTo: "http://127.0.0.1:1/" },
      "answered 307, a redirect, which is not followed",
    ],
    ["reset", { reset: true }, "was closed before the answer was complete"],
  ];
  test.each(faults)("%s", async (_, fault, message) => {
    fake.faults.set("list pods", fault);
    await expect(list()).rejects.toThrow(message);
    await expect(list()).rejects.toThrow(/^Cannot list pods: /);
    fake.faults.clear();
    expect((await list()).containers.byWorkspace.size).toBe(3);
  });

  test("P2: a list never asks for a version, for that could be answered from a cache that lags behind", async () => {
    await list();
    const lists = fake.asked.filter(({ verb }) => verb === "list");
    expect(lists.length).toBeGreaterThan(3);
    expect(lists.filter(({ parameters }) => parameters.resourceVersion !== undefined)).toEqual([]);
  });

  test("pages of different versions", async () => {
    let page = 0;
    fake.faults.set("list pods", edit(withMetadata(() => ({ resourceVersion: String(++page) }))));
    await expect(list()).rejects.toThrow("the pages of the list are of different versions");
  });

  test("what only looks like the next page's token is none: the page that is asked for ahead is no page of the list", async () => {
    const misleading = (page: Page) => {
      const { metadata, items } = page;
      return { ...page, metadata: { elsewhere: { continue: "wrong" }, ...metadata }, items };
    };
    fake.faults.set("list pods", edit(misleading));
    const { containers } = await list();
    expect([...containers.byWorkspace.keys()]).toEqual(["a", "b", "c"].map((id) => parseWorkspaceId(id)!));
  });

  test("pages that come round in a circle", async () => {
    let first: unknown;
    const back = (page: Page) => {
      first ??= fieldOf(page.metadata, "continue");
      return { ...page, metadata: { ...page.metadata, continue: first } };
    };
    fake.faults.set("list pods", edit(back));
    await expect(list()).rejects.toThrow("the list comes round in a circle");
  });

  test("P5: when claims fail, pods are nothing either", async () => {
    fake.faults.set("list persistentvolumeclaims", { status: 503 });
    await expect(list()).rejects.toThrow(/^Cannot list claims: the API server answered 503/);
  });

  test("what is still under way when the other list fails is given up at once", async () => {
    fake.faults.set("list pods", { hang: true });
    fake.faults.set("list persistentvolumeclaims", { status: 503 });
    await expect(list(60_000)).rejects.toThrow(/^Cannot list claims: the API server answered 503/);
  });

  test("a glance is no proof either", async () => {
    const only = new Set([parseWorkspaceId("a")!, parseWorkspaceId("nowhere")!]);
    const glance = () => engine().listBoth("ws-", { only, signal: deadline() });
    expect([...(await glance()).containers.byWorkspace.keys()].map(String)).toEqual(["a"]);
    fake.faults.set("list pods", { times: 1, status: 404, body: "" });
    await expect(glance()).rejects.toThrow("Cannot list pods: the API server answered 404");
  });
});

test("P7: another certificate authority, or another server, is another world", () => {
  const here = endpointOf(access());
  const under = (ca: string) => identityOf({ ...here, tls: { ...here.tls, ca } });
  const ids = [
    identityOf(here),
    under("one"),
    under("two"),
    identityOf({ ...here, server: "https://other" }),
  ];
  expect(new Set(ids).size).toBe(4);
  // The same text with other line ends.
  expect(under("o\r\nne\n")).toBe(under("one"));
});

describe("P12", () => {
  test.each([
    ["an answer that never comes", { hang: true }],
    ["a body that never ends", { dripIntervalMs: 50 }],
  ] as [string, Fault][])("%s is given up at the deadline", async (_, fault) => {
    fake.faults.set("list pods", fault);
    const startedMs = performance.now();
    await expect(list(300)).rejects.toThrow(/Cannot list (pods|claims): given up while/);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  test("nobody there is an error that says so", async () => {
    const gone = await startSimulatedKubernetes({ listen: { port: 0 } });
    await gone.stop();
    const nobody = createKubernetesEngine({ endpoint: endpointOf({ ...access(), server: gone.server }) });
    await expect(nobody.listAll("ws-", { signal: deadline() })).rejects.toThrow(
      `Cannot list pods: nobody listens at ${gone.server}`,
    );
  });
});

describe("watches", () => {
  test("garbage in the stream may be about anything; an error in it ends it, and all begins anew", async () => {
    const lines = [
      "{",
      '{"type":"ADDED","object":{"metadata":{}}}',
      '{"type":"ERROR","object":{"code":500,"message":"etcd"}}',
    ];
    fake.faults.set("watch pods", { times: 1, body: `${lines.join("\n")}\n` });
    const ear = listenTo(events());
    try {
      await ear.heard({ downs: 1, hints: 1, about: ["*"] });
      expect(String(ear.downs[0])).toContain('Cannot watch pods: the API server says 500 "etcd"');
      await ear.heard({ ups: 1 });
    } finally {
      await ear.stop();
    }
  });

  test("a watch that ends at once, again and again, is no watch", async () => {
    fake.faults.set("watch pods", { body: "" });
    const ear = listenTo(events());
    try {
      await ear.heard({ downs: 2 });
      expect(String(ear.downs[0])).toContain("Cannot watch pods: the API server ended the watch at once");
      fake.faults.clear();
      await ear.heard({ ups: 1 });
    } finally {
      await ear.stop();
    }
  });

  test("bookmarks move it on while nothing of ours happens, so that a compaction harms nothing", async () => {
    const ear = listenTo(events({ watchMs: 600_000 }));
    try {
      await ear.heard({ ups: 1 });
      fake.world.touch();
      fake.bookmark();
      await Bun.sleep(50);
      expect(ear.hints).toBe(0);
      fake.world.compact();
      fake.cutWatches();
      await ear.heard({ ups: 2 });
      expect(String(ear.downs[0])).toMatch(
        /^Error: Cannot watch \w+: the connection to .* was closed before/,
      );
      // Two breaks, one of each watch, and no 410.
      expect(ear.downs.map(String).filter((text) => text.includes("410"))).toEqual([]);
      expect(fake.asked.filter(({ verb }) => verb === "watch").at(-1)?.parameters.resourceVersion).toBe(
        String(fake.world.version),
      );
    } finally {
      await ear.stop();
    }
  });
});
