// Goal: a page of a list that is what it was is not parsed again, and nothing else is taken for it.
// Method: pages as a server writes them, with another version and token each time; parsing is counted.
import { describe, expect, test } from "bun:test";
import { foretoldToken, KnownPages, readPage } from "../../src/adapters/kubernetes-pages.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const page = (version: string, names: readonly string[], more = "", token = `token-${version}`) =>
  bytes(
    `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"${version}","continue":"${token}"},"items":[${names
      .map((name) => JSON.stringify({ metadata: { name } }))
      .join(",")}]${more}}\n`,
  );

function reader() {
  const known = new KnownPages<string>();
  let parsed = 0;
  const parse = (object: { readonly metadata?: unknown }) => {
    parsed += 1;
    return (object.metadata as { name: string }).name;
  };
  /** @returns the pages, and how many objects of them were parsed */
  return (...bodies: readonly Uint8Array[]) => {
    parsed = 0;
    const list = known.begin();
    const pages = bodies.map((body) => list.read(body, parse));
    list.done();
    return { pages, parsed };
  };
}

describe("A page that was seen before", () => {
  test("is not parsed again, however its version and its token have changed, and these are the new ones", () => {
    const read = reader();
    expect(read(page("1", ["a", "b"]), page("1", ["c"])).parsed).toBe(3);
    const again = read(page("2", ["a", "b"]), page("2", ["c"]));
    expect(again.parsed).toBe(0);
    expect(again.pages).toEqual([
      { kind: "PodList", metadata: { resourceVersion: "2", continue: "token-2" }, items: ["a", "b"] },
      { kind: "PodList", metadata: { resourceVersion: "2", continue: "token-2" }, items: ["c"] },
    ]);
  });

  test("with anything else in its items is parsed", () => {
    const read = reader();
    read(page("1", ["a", "b"]));
    const { pages, parsed } = read(page("2", ["a", "c"]));
    expect([pages[0]?.items, parsed]).toEqual([["a", "c"], 2]);
  });

  test("is forgotten with the list that doesn't show it any more", () => {
    const read = reader();
    read(page("1", ["a"]));
    read(page("2", ["b"]));
    expect(read(page("3", ["a"])).parsed).toBe(1);
  });

  test("is none that ends early: what is cut off is no JSON", () => {
    const read = reader();
    const whole = page("1", ["a", "b"]);
    read(whole);
    for (let length = 1; length < whole.length - 2; length++)
      expect(() => read(whole.subarray(0, length))).toThrow();
  });

  test("whose head is said otherwise behind its items is parsed each time", () => {
    const read = reader();
    const contradicting = (version: string) => page(version, ["a"], ',"metadata":{"resourceVersion":"9"}');
    expect(read(contradicting("1")).pages[0]?.metadata).toEqual({ resourceVersion: "9" });
    const again = read(contradicting("2"));
    expect([again.pages[0]?.metadata, again.parsed]).toEqual([{ resourceVersion: "9" }, 1]);
  });

  test("or whose items come first is parsed as it is", () => {
    const read = reader();
    const odd = bytes(
      '{"items":[{"metadata":{"name":"a"}}],"kind":"PodList","metadata":{"resourceVersion":"1"}}',
    );
    for (let time = 0; time < 2; time++)
      expect(read(odd)).toMatchObject({
        parsed: 1,
        pages: [{ kind: "PodList", metadata: { resourceVersion: "1" } }],
      });
  });
});

test("the token of the next page stands in the head; a page without one, or with a head of its own kind, foretells none", () => {
  expect(foretoldToken(page("1", ["a"], "", "next"))).toBe("next");
  expect(foretoldToken(page("1", ["a"], "", ""))).toBeNull();
  expect(foretoldToken(bytes('{"items":[]}'))).toBeNull();
  expect(foretoldToken(bytes("<html>"))).toBeNull();
});

test("a page without items has none", () => {
  expect(readPage(bytes('{"kind":"Status","metadata":{}}'), () => null).items).toBeNull();
});
