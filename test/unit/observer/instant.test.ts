/**
 * Goal: stamps keep their microseconds, and their texts are in the order of time.
 * Method: properties over all instants of four-digit years.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { addMs, ageMs, formatInstant, instant, parseInstant } from "../../../src/observer/instant.ts";

// Up to the year 2255, where microseconds still fit a double exactly.
const instants = fc.integer({ min: 0, max: 2 ** 53 - 1 }).map(instant);

test("formatInstant() writes microseconds at a fixed width", () => {
  expect(formatInstant(instant(1_795_464_154_123_456))).toBe("2026-11-23T20:02:34.123456Z");
  expect(formatInstant(instant(0))).toBe("1970-01-01T00:00:00.000000Z");
});

test("parseInstant() is the inverse of formatInstant()", () => {
  fc.assert(fc.property(instants, (at) => expect(parseInstant(formatInstant(at))).toBe(at)));
});

test("P3: the order of the texts is the order of the instants", () => {
  fc.assert(
    fc.property(instants, instants, (left, right) => {
      expect(formatInstant(left) < formatInstant(right)).toBe(left < right);
    }),
  );
});

for (const text of [
  "2026-11-23T20:02:34.123Z",
  "2026-11-23T20:02:34.123456+00:00",
  "2026-13-23T20:02:34.123456Z",
  " 2026-11-23T20:02:34.123456Z",
  "zzz",
  "",
  null,
  undefined,
  42,
  {},
]) {
  test(`parseInstant() refuses ${JSON.stringify(text)}`, () => expect(parseInstant(text)).toBeNull());
}

test("parseInstant() never throws", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.anything()), (value) => {
      const at = parseInstant(value);
      expect(at === null || Number.isSafeInteger(at)).toBe(true);
    }),
  );
});

test("addMs() and ageMs() agree", () => {
  const at = instant(1_795_464_154_123_456);
  expect(addMs(at, 1.5)).toBe(instant(at + 1500));
  expect(ageMs(at, addMs(at, 250))).toBe(250);
});
