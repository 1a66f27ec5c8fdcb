/**
 * Goal: a mistyped name is an error that says the right one, and what others put into the environment is left alone.
 * Method: a table of names.
 */
import { describe, expect, test } from "bun:test";
import { load, problemsOf } from "./config-support.ts";

describe("unknown OBSERVER_ names", () => {
  test.each([
    ["OBSERVER_IDEL_INTERVAL", "is not a setting; did you mean OBSERVER_IDLE_INTERVAL?"],
    ["OBSERVER_LOGLEVEL", "is not a setting; did you mean OBSERVER_LOG_LEVEL?"],
    ["OBSERVER_STATUS_TOKEN_FIL", "is not a setting; did you mean OBSERVER_STATUS_TOKEN_FILE?"],
    ["OBSERVER_PREFIX_FILE", "is not a setting: only secrets are read from files, so set OBSERVER_PREFIX"],
  ])("%s", (name, problem) => {
    expect(problemsOf({ [name]: "some-value" })).toEqual([`${name} ${problem}`]);
  });

  test("the nearest is named however far it is", () => {
    expect(problemsOf({ OBSERVER_SOMETHING_ELSE_ENTIRELY: "1" })[0]).toMatch(
      /^OBSERVER_SOMETHING_ELSE_ENTIRELY is not a setting; the nearest is OBSERVER_[A-Z_]+ \(observer --help lists all\)$/,
    );
  });

  test("an empty one too, and the value is never shown", () => {
    expect(problemsOf({ OBSERVER_STATUS_TOKN: "hunter2", OBSERVER_X: "" }).join()).not.toContain("hunter2");
    expect(problemsOf({ OBSERVER_X: "" })).toHaveLength(1);
  });

  test("variables of a Kubernetes service or a Docker link are nobody's mistake", () => {
    const links = {
      OBSERVER_SERVICE_HOST: "10.0.0.1",
      OBSERVER_SERVICE_PORT: "9464",
      OBSERVER_SERVICE_PORT_STATUS: "9464",
      OBSERVER_PORT: "tcp://10.0.0.1:9464",
      OBSERVER_PORT_9464_TCP: "tcp://10.0.0.1:9464",
      OBSERVER_PORT_9464_TCP_PROTO: "tcp",
      OBSERVER_PORT_9464_TCP_ADDR: "10.0.0.1",
      OBSERVER_STATUS_SERVICE_HOST: "10.0.0.1",
      OBSERVER_STATUS_PORT: "tcp://10.0.0.1:9464",
    };
    expect(load(links)).toEqual(load());
    expect(problemsOf({ OBSERVER_PORT: "9464" })).toHaveLength(1);
  });
});

const bucket = { S3_BUCKET: "archives", AWS_REGION: "r1" };

describe("S3 names that are not ours", () => {
  test.each([
    ["S3_ENDPOINT", "AWS_ENDPOINT_URL_S3"],
    ["AWS_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3"],
    ["S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"],
    ["S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"],
    ["S3_USE_PATH_STYLE", "S3_FORCE_PATH_STYLE"],
    ["S3_FORCE_PATHSTYLE", "S3_FORCE_PATH_STYLE"],
  ])("%s means %s", (name, meant) => {
    expect(problemsOf({ ...bucket, [name]: "x" })).toEqual([
      `${name} is not a setting; did you mean ${meant}?`,
    ]);
  });

  test("S3_BUKET is a mistyped S3_BUCKET", () => {
    expect(problemsOf({ S3_BUKET: "archives" })).toEqual([
      "S3_BUKET is not a setting; did you mean S3_BUCKET?",
    ]);
  });

  test("they belong to somebody else where the right one is set, or no bucket", () => {
    expect(load({ ...bucket, S3_ENDPOINT: "x", AWS_ENDPOINT_URL: "http://s3" }).warnings).toEqual([]);
    expect(load({ ...bucket, S3_REGION: "x" }).warnings).toEqual([]);
    expect(load({ S3_ENDPOINT: "x", S3_ACCESS_KEY: "y", S3_LOGS: "z" }).warnings).toEqual([]);
  });

  test("a bucket under another name is worth a warning", () => {
    expect(load({ S3_BUCKET_NAME: "archives" }).warnings).toEqual([
      "S3_BUCKET_NAME is not read; the bucket of the archives is named by S3_BUCKET",
    ]);
  });
});
