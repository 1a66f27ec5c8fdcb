/**
 * Goal: the archive source follows S3_BUCKET and the AWS SDK's own variables.
 * Method: tables of environments.
 */
import { describe, expect, test } from "bun:test";
import type { ArchivesConfig, Environment } from "../../src/config.ts";
import { load, problemsOf } from "./config-support.ts";

const plain: ArchivesConfig = {
  bucket: "archives",
  suffix: "/home.tar.zst",
  commitSuffix: null,
  forcePathStyle: false,
  region: "eu-1",
  endpoint: null,
  credentials: null,
};
const base = { S3_BUCKET: "archives", AWS_REGION: "eu-1" };
const endpoint = { endpoint: "http://s3:9000", forcePathStyle: true };
const keys = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "se/cr+et=" };

describe("archives", () => {
  const good: [Environment, Partial<ArchivesConfig>][] = [
    [base, {}],
    [{ ...base, AWS_REGION: undefined, AWS_DEFAULT_REGION: "eu-1" }, {}],
    [{ ...base, AWS_DEFAULT_REGION: "other" }, {}],
    [{ ...base, AWS_ENDPOINT_URL: "http://s3:9000" }, endpoint],
    [{ ...base, AWS_ENDPOINT_URL: "http://other", AWS_ENDPOINT_URL_S3: "http://s3:9000/" }, endpoint],
    [
      { S3_BUCKET: "archives", AWS_ENDPOINT_URL_S3: "http://s3:9000" },
      { ...endpoint, region: "us-east-1" },
    ],
    [
      { ...base, AWS_ENDPOINT_URL: "http://s3:9000", S3_FORCE_PATH_STYLE: "false" },
      { ...endpoint, forcePathStyle: false },
    ],
    [{ ...base, S3_FORCE_PATH_STYLE: "on" }, { forcePathStyle: true }],
    [{ ...base, ...keys }, { credentials: { accessKeyId: "id", secretAccessKey: "se/cr+et=" } }],
    [
      { ...base, ...keys, AWS_SESSION_TOKEN: "t" },
      { credentials: { accessKeyId: "id", secretAccessKey: "se/cr+et=", sessionToken: "t" } },
    ],
    [
      { ...base, OBSERVER_ARCHIVE_SUFFIX: "/a/b.tar", OBSERVER_ARCHIVE_COMMIT_SUFFIX: ".meta" },
      { suffix: "/a/b.tar", commitSuffix: ".meta" },
    ],
  ];
  test.each(good)("%j", (env, differs) => {
    expect(load(env).archives).toEqual({ ...plain, ...differs });
  });

  test("without a bucket there are none, and settings that then do nothing are a warning", () => {
    const env = {
      S3_FORCE_PATH_STYLE: "on",
      AWS_ENDPOINT_URL_S3: "http://s3",
      OBSERVER_ARCHIVE_COMMIT_SUFFIX: ".m",
    };
    expect(load(env)).toMatchObject({
      archives: null,
      warnings: [
        "S3_BUCKET is not set, so archives are not observed and S3_FORCE_PATH_STYLE, AWS_ENDPOINT_URL_S3, OBSERVER_ARCHIVE_COMMIT_SUFFIX unused",
      ],
    });
    // These may be there for anybody.
    expect(load({ AWS_REGION: "no region", AWS_ACCESS_KEY_ID: "x", AWS_ENDPOINT_URL: "y" }).warnings).toEqual(
      [],
    );
  });

  const name = "must be a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens, not";
  const bad: [Environment, string][] = [
    ...["ab", "Archives", "a..b", "-ab", "ab-", "10.0.0.1", "a_b", "s3://archives", "x".repeat(64)].map(
      (bucket): [Environment, string] => [{ ...base, S3_BUCKET: bucket }, `S3_BUCKET ${name} "${bucket}"`],
    ),
    [
      { S3_BUCKET: "archives" },
      "AWS_REGION is missing; set it to the bucket's region, such as eu-central-1 (or AWS_ENDPOINT_URL_S3, if the store isn't AWS)",
    ],
    [{ ...base, AWS_REGION: "eu/1" }, 'AWS_REGION must be a region such as eu-central-1, not "eu/1"'],
    [
      { S3_BUCKET: "archives", AWS_ENDPOINT_URL: "ftp://s3" },
      'AWS_ENDPOINT_URL must be a URL such as https://s3.example:9000, not "ftp://s3"',
    ],
    [
      { ...base, AWS_ENDPOINT_URL_S3: "s3:9000" },
      'AWS_ENDPOINT_URL_S3 must be a URL, such as one that begins with https:// (got "s3:9000")',
    ],
    [
      { ...base, AWS_ENDPOINT_URL_S3: "http://id:key@s3" },
      'AWS_ENDPOINT_URL_S3 must not have a user or password; keys go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (got "http://id:***@s3")',
    ],
    [{ ...base, S3_FORCE_PATH_STYLE: "path" }, 'S3_FORCE_PATH_STYLE must be on or off, not "path"'],
    [
      { ...base, AWS_ACCESS_KEY_ID: "id" },
      "AWS_SECRET_ACCESS_KEY is missing: AWS_ACCESS_KEY_ID is set, and needs it",
    ],
    [
      { ...base, AWS_SECRET_ACCESS_KEY: "key" },
      "AWS_ACCESS_KEY_ID is missing: AWS_SECRET_ACCESS_KEY is set, and needs it",
    ],
    [
      { ...base, AWS_SESSION_TOKEN: "t" },
      "AWS_SESSION_TOKEN is set without AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ],
    [
      { ...base, ...keys, AWS_SECRET_ACCESS_KEY: "a b" },
      "AWS_SECRET_ACCESS_KEY must be visible ASCII characters without spaces, not ***",
    ],
  ];
  test.each(bad)("%j: %s", (env, problem) => {
    expect(problemsOf(env)).toEqual([problem]);
  });
});
