// Goal: pages that are the whole answer are accepted, and one that isn't, in whatever way, proves nothing (P1).
// Method: random stores, cut into random legal pages (short and empty ones too), must come out whole; every single
// thing a page says about itself is falsified in turn, at every place of such a sequence, and must be refused.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  compareKeys,
  type ListAnswer,
  type ListEntry,
  pageSequence,
  UnbelievablePage,
} from "../../src/adapters/s3-page.ts";
import { atLeast } from "./fuzz-runs.ts";

const BUCKET = "archives";
const PREFIX = "ws-";

const entry = (key: string): ListEntry => ({ Key: key, LastModified: new Date(1_700_000_000_000), Size: 5 });

function answer(keys: readonly string[], token: string | null, next: string | null): ListAnswer {
  return {
    $metadata: { httpStatusCode: 200 },
    Name: BUCKET,
    Prefix: PREFIX,
    KeyCount: keys.length,
    IsTruncated: next !== null,
    ...(token === null ? {} : { ContinuationToken: token }),
    ...(next === null ? {} : { NextContinuationToken: next }),
    ...(keys.length === 0 ? {} : { Contents: keys.map(entry) }),
  };
}

/** Keys as S3 may have them, without what XML changes. */
const keyArb = fc
  .string({ unit: "binary", minLength: 1, maxLength: 12 })
  .filter((text) => !/[\u0000-\u001f\u007f\ufffd-\uffff]/.test(text))
  .map((text) => PREFIX + text);

/** The answers of a store, page by page. */
const listingArb = fc
  .record({
    keys: fc.uniqueArray(keyArb, { maxLength: 30 }),
    sizes: fc.array(fc.nat(5), { minLength: 1, maxLength: 8 }),
  })
  .map(({ keys, sizes }) => {
    const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const pages: string[][] = [];
    let at = 0;
    for (const size of sizes) {
      pages.push(sorted.slice(at, at + size));
      at += size;
    }
    pages.push(sorted.slice(at));
    const answers = pages.map((page, i) =>
      answer(page, i === 0 ? null : `token ${i}`, i === pages.length - 1 ? null : `token ${i + 1}`),
    );
    return { sorted, answers };
  });

function readAll(answers: readonly ListAnswer[]): { keys: string[]; complete: boolean } {
  const sequence = pageSequence(BUCKET, PREFIX);
  const keys = answers.flatMap((page) => sequence.accept(page).map((object) => object.key));
  return { keys, complete: sequence.complete };
}

test("P1: pageSequence() accepts every legal cut of a store, and is complete only after the last page", () => {
  fc.assert(
    fc.property(listingArb, ({ sorted, answers }) => {
      expect(readAll(answers)).toEqual({ keys: sorted, complete: true });
      for (let taken = 0; taken < answers.length; taken++)
        expect(readAll(answers.slice(0, taken)).complete).toBe(false);
    }),
  );
});

const falsehoods: Record<string, (page: ListAnswer) => ListAnswer | null> = {
  "an empty 200": () => ({ $metadata: { httpStatusCode: 200 } }),
  "another status": (page) => ({ ...page, $metadata: { httpStatusCode: 206 } }),
  "no status": (page) => ({ ...page, $metadata: undefined }),
  "no IsTruncated": (page) => ({ ...page, IsTruncated: undefined }),
  "IsTruncated as text": (page) => ({ ...page, IsTruncated: String(page.IsTruncated) }),
  "another bucket": (page) => ({ ...page, Name: "other" }),
  "no bucket": (page) => ({ ...page, Name: undefined }),
  "another prefix": (page) => ({ ...page, Prefix: "other-" }),
  "no KeyCount": (page) => ({ ...page, KeyCount: undefined }),
  "KeyCount too high": (page) => ({ ...page, KeyCount: Number(page.KeyCount) + 1 }),
  "KeyCount too low": (page) => ({ ...page, KeyCount: Number(page.KeyCount) - 1 }),
  "a lost entry": (page) => (page.Contents ? { ...page, Contents: page.Contents.slice(1) } : null),
  groups: (page) => ({ ...page, CommonPrefixes: [{ Prefix: "ws-a/" }] }),
  "encoded keys": (page) => ({ ...page, EncodingType: "url" }),
  "the answer to another token": (page) => ({ ...page, ContinuationToken: "token 99" }),
  "truncated without a token": (page) => ({ ...page, IsTruncated: true, NextContinuationToken: undefined }),
  "truncated with an empty token": (page) => ({ ...page, IsTruncated: true, NextContinuationToken: "" }),
  "last, with a token": (page) => ({ ...page, IsTruncated: false, NextContinuationToken: "token 99" }),
  "an entry without a key": (page) => changed(page, { Key: undefined }),
  "an entry without a time": (page) => changed(page, { LastModified: undefined }),
  "an entry with no valid time": (page) => changed(page, { LastModified: new Date(Number.NaN) }),
  "an entry without a size": (page) => changed(page, { Size: undefined }),
  "an entry with half a size": (page) => changed(page, { Size: 0.5 }),
  "an entry with a negative size": (page) => changed(page, { Size: -1 }),
  "an entry from elsewhere": (page) => changed(page, { Key: "other" }),
};

function changed(page: ListAnswer, change: ListEntry): ListAnswer | null {
  const [first, ...rest] = page.Contents ?? [];
  return first === undefined ? null : { ...page, Contents: [...rest, { ...first, ...change }] };
}

for (const [what, falsify] of Object.entries(falsehoods))
  test(`P1: pageSequence() refuses ${what}, on any page`, () => {
    fc.assert(
      fc.property(listingArb, fc.nat(), ({ answers }, nat) => {
        const at = nat % answers.length;
        const page = falsify(answers[at]!);
        if (page === null) return;
        expect(() => readAll(answers.with(at, page))).toThrow(UnbelievablePage);
      }),
    );
  });

test("P1: pageSequence() refuses a token that was given before, also over empty pages", () => {
  const sequence = pageSequence(BUCKET, PREFIX);
  sequence.accept(answer([], null, "a"));
  sequence.accept(answer([], "a", "b"));
  expect(() => sequence.accept(answer([], "b", "a"))).toThrow("given before");
});

test("P1: pageSequence() refuses a page that is repeated, reordered or left out of order", () => {
  fc.assert(
    fc.property(listingArb, fc.nat(), ({ sorted, answers }, nat) => {
      fc.pre(sorted.length >= 2);
      const at = nat % (sorted.length - 1);
      const swapped = sorted.with(at, sorted[at + 1]!).with(at + 1, sorted[at]!);
      const repeated = sorted.with(at + 1, sorted[at]!);
      for (const keys of [swapped, repeated])
        expect(() => pageSequence(BUCKET, PREFIX).accept(answer(keys, null, null))).toThrow(UnbelievablePage);
      const first = answers.findIndex((page) => page.KeyCount !== 0);
      const again = { ...answers[first]!, IsTruncated: true, NextContinuationToken: "again" };
      const sequence = pageSequence(BUCKET, PREFIX);
      sequence.accept({ ...again, ContinuationToken: undefined });
      expect(() => sequence.accept({ ...again, ContinuationToken: "again" })).toThrow(UnbelievablePage);
    }),
  );
});

test("pageSequence() takes keys that XML changed on their way out of order, and Ceph's bucket of a tenant", () => {
  const keys = ["ws-a", "ws-\ufffdx", "ws-b", "ws-\nc", "ws-c"];
  expect(pageSequence(BUCKET, PREFIX).accept(answer(keys, null, null))).toHaveLength(5);
  expect(pageSequence(`tenant:${BUCKET}`, PREFIX).accept(answer([], null, null))).toEqual([]);
});

test("pageSequence() takes a store that repeats neither prefix nor token", () => {
  const bare = { ...answer(["ws-a"], null, "t"), Prefix: undefined };
  const sequence = pageSequence(BUCKET, PREFIX);
  sequence.accept(bare);
  sequence.accept({ ...answer(["ws-b"], null, null), Prefix: "" });
  expect(sequence.complete).toBe(true);
});

test("compareKeys() is the order of the UTF-8 bytes", () => {
  const text = fc.string({
    unit: fc.constantFrom("a", "b", "/", "é", "\ud7ff", "\ue000", "\uffff", "😀", "𐀀"),
    maxLength: 6,
  });
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    atLeast(2_000),
  );
});
