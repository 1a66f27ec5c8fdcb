/**
 * Goal: the journal gets each line's priority, and only the journal; the level goes to debug and back.
 * Method: real file descriptors for JOURNAL_STREAM, pino on a stream that remembers, and a log that remembers.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import type { LogOptions, ProcessLog } from "../../src/log.ts";
import { leadsToJournal, withPriority } from "../../src/log-journal.ts";
import { levelSwitch } from "../../src/log-level.ts";
import { load } from "./config-support.ts";

const folder = mkdtempSync(join(tmpdir(), "observer-log-"));
const fd = openSync(join(folder, "out"), "w");
afterAll(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

describe("leadsToJournal()", () => {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  test.each([
    [`${dev}:${ino}`, true],
    [`${dev}:${ino + 1n}`, false],
    [`${dev + 1n}:${ino}`, false],
    ["", false],
    ["soon", false],
    [null, false],
  ])("%s: %p", (journalStream, answer) => {
    expect(leadsToJournal(journalStream, fd)).toBe(answer);
  });

  test("a descriptor that is closed leads nowhere", () => {
    expect(leadsToJournal(`${dev}:${ino}`, 987_654)).toBe(false);
  });

  test("JOURNAL_STREAM is what is compared", () => {
    expect(load({ JOURNAL_STREAM: "8:12345" }).log.journalStream).toBe("8:12345");
  });
});

test("withPriority() puts <3> to <7> before each line, which stays what it was", () => {
  const lines: string[] = [];
  const logger = pino({ level: "debug" }, withPriority({ write: (line) => void lines.push(line) }));
  for (const level of ["error", "warn", "info", "debug", "error"] as const)
    logger[level]({ level_: level }, "x");
  expect(lines.map((line) => line.slice(0, 3))).toEqual(["<3>", "<4>", "<6>", "<7>", "<3>"]);
  for (const line of lines) expect(JSON.parse(line.slice(3))).toMatchObject({ msg: "x" });
});

describe("levelSwitch()", () => {
  const told = (configured: LogOptions["level"], times: number) => {
    const calls: string[] = [];
    const log = {
      setLevel: (level: string) => void calls.push(`set ${level}`),
      info: (event: string, _: string, { level }: { level: string }) => void calls.push(`${event} ${level}`),
    } as unknown as ProcessLog;
    const toggle = levelSwitch(log, configured);
    for (let n = 0; n < times; n++) toggle();
    return calls;
  };

  test("to debug and back, told while debug is on", () => {
    const there = ["set debug", "log.level_changed debug"];
    const back = ["log.level_changed error", "set error"];
    expect(told("error", 3)).toEqual([...there, ...back, ...there]);
  });

  test("where debug is configured it stays", () => {
    expect(told("debug", 2).filter((call) => call.startsWith("set"))).toEqual(["set debug", "set debug"]);
  });
});
