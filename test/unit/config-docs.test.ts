/**
 * Goal: docs/configuration.md and `--help` tell of every setting, with its default, and of none that isn't there.
 * Method: the page's tables are made anew and compared; every name that looks like a setting must be one; every
 * example and default must be accepted.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { configurationPage, renderConfiguration } from "../../dev/docs.ts";
import { settingsHelp } from "../../src/config/help.ts";
import { formatDuration, parseDuration } from "../../src/config/parse.ts";
import { knownNames, settings } from "../../src/config/settings.ts";
import { ownSettings } from "../../src/config/settings-own.ts";
import { limits } from "../../src/observer/limits.ts";
import { load, problemsOf } from "./config-support.ts";

const bucket = { S3_BUCKET: "archives", AWS_REGION: "eu-1" };
const page = readFileSync(configurationPage, "utf8");

describe("docs/configuration.md", () => {
  test("its tables are up to date (else: bun dev/docs.ts --write)", () => {
    expect(page).toBe(renderConfiguration(page));
  });

  test.each(settings.map((setting) => [setting.name, setting.default] as const))(
    "has %s, default %s",
    (name, text) => {
      const rows = page.split("\n").filter((line) => line.startsWith(`| \`${name}\` |`));
      expect(rows).toHaveLength(1);
      if (text !== null) expect(rows[0]).toStartWith(`| \`${name}\` | \`${text}\` |`);
    },
  );

  test("names nothing that is not a setting", () => {
    const names =
      page.match(/\b(?:OBSERVER|AWS|S3|DOCKER|DATABASE|REDIS)_[A-Z0-9_]*[A-Z0-9]\b|\bPG[A-Z]+\b/g) ?? [];
    expect([...new Set(names)].filter((name) => !knownNames.includes(name))).toEqual([]);
  });

  test("says how long a lease lives", () => {
    expect(page).toContain(`lease lives (${limits.leaseMs / 1000} s)`);
  });

  test("its URLs are accepted", () => {
    const urls = [...page.matchAll(/`((?:postgres(?:ql)?|redis[a-z+-]*|unix):\/\/[^`]*)`/g)].map(
      ([, url]) => url!,
    );
    const whole = urls.filter((url) => /:\/\/./.test(url) && !/^unix:\/\/\/(?:path|var)/.test(url));
    expect(whole.length).toBeGreaterThan(10);
    for (const url of whole)
      expect(problemsOf({ [url.startsWith("postgres") ? "DATABASE_URL" : "REDIS_URL"]: url })).toEqual([]);
  });
});

describe("the table of settings", () => {
  test.each(ownSettings.map((setting) => [setting.name, setting.example, setting.default] as const))(
    "the example of %s is accepted, and so is its default",
    (name, example, text) => {
      expect(problemsOf({ [name]: example })).toEqual([]);
      if (text !== null) expect(load({ ...bucket, [name]: text })).toEqual(load(bucket));
    },
  );

  test("no name twice", () => {
    expect(new Set(knownNames).size).toBe(knownNames.length);
  });

  test("--help has every name", () => {
    for (const { name } of settings) expect(settingsHelp()).toContain(`  ${name} `);
    expect(settingsHelp()).not.toContain("`");
  });

  test.each(["1ms", "500ms", "1s", "90s", "5m", "1h", "24h", "0s"])(
    "formatDuration() is the inverse for %s",
    (text) => {
      const answer = parseDuration(text, "0ms", "99h");
      expect(answer.ok && formatDuration(answer.value)).toBe(text);
    },
  );
});
