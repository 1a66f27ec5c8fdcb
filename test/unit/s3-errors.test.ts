// Goal: whatever fails is told by name with what to do about it, and no secret is ever told.
// Method: errors as the SDK and the runtime throw them, in a table; those of real servers are in the integration tests.
import { expect, test } from "bun:test";
import { inspect } from "node:util";
import { BodyTooLong, DeadlinePassed } from "../../src/adapters/s3-calls.ts";
import { type ArchivesFault, archivesError, type StoreContext } from "../../src/adapters/s3-errors.ts";
import { UnbelievablePage } from "../../src/adapters/s3-page.ts";

const context: StoreContext = {
  bucket: "archives",
  endpoint: "http://store:9000",
  forcePathStyle: true,
  pageTimeoutMs: 5_000,
  secrets: ["the-secret-key", "the-session-token"],
};

const served = (name: string, status: number, more: object = {}) =>
  Object.assign(new Error("UnknownError"), { name, $metadata: { httpStatusCode: status }, ...more });
const failed = (code: string, message = code, name = "Error") =>
  Object.assign(new Error(message), { code, name });

const table: [what: string, error: unknown, fault: ArchivesFault, says: string][] = [
  ["no bucket", served("NoSuchBucket", 404), "no-bucket", "S3_BUCKET"],
  ["an unknown key", served("InvalidAccessKeyId", 403), "unknown-key", "AWS_ACCESS_KEY_ID"],
  ["a wrong secret", served("SignatureDoesNotMatch", 403), "wrong-secret", "AWS_SECRET_ACCESS_KEY"],
  ["an old token", served("ExpiredToken", 400), "expired-token", "AWS_SESSION_TOKEN"],
  ["a refusal", served("AccessDenied", 403), "denied", "s3:ListBucket"],
  ["a refusal without a name", served("Unknown", 403), "denied", "s3:ListBucket"],
  ["a wrong clock", served("RequestTimeTooSkewed", 403), "clock-skew", "clock"],
  ["another region", served("PermanentRedirect", 301), "wrong-region", "AWS_REGION"],
  ["a redirect without a name", served("Unknown", 307), "wrong-region", "AWS_REGION"],
  [
    "a region that is told",
    served("PermanentRedirect", 301, { $response: { headers: { "x-amz-bucket-region": "eu-central-1" } } }),
    "wrong-region",
    "AWS_REGION=eu-central-1",
  ],
  [
    "a region in the body",
    served("AuthorizationHeaderMalformed", 400, { Region: "eu-west-3" }),
    "wrong-region",
    "=eu-west-3",
  ],
  ["too many requests", served("SlowDown", 503), "unavailable", "503 SlowDown"],
  ["a broken store", served("InternalError", 500), "unavailable", "500 InternalError"],
  ["a gateway's page", served("Error", 502), "unavailable", "502"],
  ["a page of the wrong kind", served("Error", 200), "incomplete", "no S3 listing"],
  ["another 404", served("NotFound", 404), "not-s3", "AWS_ENDPOINT_URL_S3"],
  ["another 400", served("InvalidRequest", 400), "refused", "400 InvalidRequest"],
  ["no connection", failed("ECONNREFUSED"), "unreachable", "ECONNREFUSED"],
  [
    "a reset that the SDK calls a time-out",
    failed("ECONNRESET", "read", "TimeoutError"),
    "unreachable",
    "ECONNRESET",
  ],
  ["a name that doesn't exist", failed("ENOTFOUND"), "dns", "AWS_ENDPOINT_URL_S3"],
  ["no TLS", failed("ERR_SSL_WRONG_VERSION_NUMBER"), "tls", "http or https"],
  ["an unknown authority", failed("SELF_SIGNED_CERT_IN_CHAIN"), "tls", "NODE_EXTRA_CA_CERTS"],
  ["no HTTP", failed("HPE_INVALID_CONSTANT"), "not-s3", "HTTP"],
  ["the SDK's time-out", failed("ETIMEDOUT", "…", "TimeoutError"), "timeout", "OBSERVER_LIST_TIMEOUT"],
  ["our own time-out", new DeadlinePassed("…"), "timeout", "5000 ms"],
  ["a page that proves nothing", new UnbelievablePage("it is empty"), "incomplete", "it is empty"],
  ["a body without end", new BodyTooLong("too long"), "incomplete", "too long"],
  [
    "no credentials",
    Object.assign(new Error("none"), { name: "CredentialsProviderError" }),
    "no-credentials",
    "AWS_PROFILE",
  ],
  ["no region", new Error("Region is missing"), "no-region", "AWS_REGION"],
  ["something else", new TypeError("undefined is not a function"), "refused", "TypeError"],
  ["no error at all", "text", "refused", "text"],
];

for (const [what, error, fault, says] of table)
  test(`archivesError() tells ${what}`, () => {
    const told = archivesError(error, 3, context);
    expect(told.fault).toBe(fault);
    expect(told.message).toStartWith(
      'Cannot list archives (bucket "archives" at http://store:9000, page 3): ',
    );
    expect(told.message).toContain(says);
    expect(told.message).not.toContain("UnknownError");
    expect(told.cause).toBeInstanceOf(Error);
  });

test("archivesError() repeats no secret, not even in what hangs on the SDK's errors", () => {
  const error = served("SignatureDoesNotMatch", 403, {
    message: "computed with the-secret-key",
    CanonicalRequest: "x-amz-security-token:the-session-token",
    $response: { headers: {}, body: "the-session-token" },
  });
  const told = archivesError(error, 1, context);
  expect(inspect(told, { depth: 10, showHidden: true })).not.toMatch(/the-secret-key|the-session-token/);
  expect(told.message).toContain("computed with ***");
});

test("archivesError() names path style where a bucket in the host name is the likely cause", () => {
  const told = archivesError(failed("ENOTFOUND"), 1, { ...context, forcePathStyle: false });
  expect(told.message).toContain("S3_FORCE_PATH_STYLE=true");
  const amazon = archivesError(failed("ENOTFOUND"), 1, { ...context, endpoint: null, forcePathStyle: false });
  expect(amazon.message).not.toContain("S3_FORCE_PATH_STYLE");
});
