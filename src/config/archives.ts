/** `S3_BUCKET` and what belongs to it, with the AWS SDK's own names. */
import type { ConfigSource } from "./source.ts";
import type { ArchivesConfig, ArchivesCredentials } from "./types.ts";
import { bucketOnly } from "./unknown-names.ts";
import { splitUrl } from "./url.ts";

/** Null without a bucket, or where something is wrong; every problem is then in `source`. */
export function readArchives(source: ConfigSource): ArchivesConfig | null {
  const before = source.problems.length;
  const bucket = source.word("S3_BUCKET");
  // Our own are checked without a bucket too: a typo is a typo. AWS's may be there for somebody else.
  const suffix = source.word("OBSERVER_ARCHIVE_SUFFIX") ?? "";
  const commitSuffix = source.word("OBSERVER_ARCHIVE_COMMIT_SUFFIX");
  const forced = source.on("S3_FORCE_PATH_STYLE", false);
  if (source.text("S3_BUCKET") === null) {
    const idle = bucketOnly.filter((name) => source.text(name) !== null);
    if (idle.length > 0)
      source.warn("S3_BUCKET", `is not set, so archives are not observed and ${idle.join(", ")} unused`);
    return null;
  }
  const endpoint = readEndpoint(source);
  const config: ArchivesConfig = {
    bucket: bucket ?? "",
    suffix,
    commitSuffix,
    forcePathStyle: source.text("S3_FORCE_PATH_STYLE") === null ? endpoint !== null : forced,
    region: readRegion(source, endpoint) ?? "",
    endpoint,
    credentials: readCredentials(source),
  };
  return source.problems.length > before ? null : config;
}

function readEndpoint(source: ConfigSource): string | null {
  const name = source.text("AWS_ENDPOINT_URL_S3") === null ? "AWS_ENDPOINT_URL" : "AWS_ENDPOINT_URL_S3";
  const text = source.text(name);
  if (text === null) return null;
  const problem = (what: string): void => source.problem(name, `${what} (got ${source.shown(name, text)})`);
  const url = splitUrl(text, "https://", problem);
  if (url === null) return null;
  if (!["http", "https"].includes(url.scheme) || !URL.canParse(text)) {
    source.problem(name, `must be a URL such as https://s3.example:9000, not ${source.shown(name, text)}`);
    return null;
  }
  if (url.user !== null || url.password !== null)
    problem("must not have a user or password; keys go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  if (url.parameters.size > 0) problem("must not have parameters");
  return text.replace(/\/+$/, "");
}

function readRegion(source: ConfigSource, endpoint: string | null): string | null {
  const name = source.text("AWS_REGION") === null ? "AWS_DEFAULT_REGION" : "AWS_REGION";
  if (source.text(name) !== null) return source.word(name);
  if (endpoint !== null) return "us-east-1";
  if (!source.isWrong("AWS_ENDPOINT_URL_S3") && !source.isWrong("AWS_ENDPOINT_URL"))
    source.problem(
      "AWS_REGION",
      "is missing; set it to the bucket's region, such as eu-central-1 (or AWS_ENDPOINT_URL_S3, if the store isn't AWS)",
    );
  return null;
}

function readCredentials(source: ConfigSource): ArchivesCredentials | null {
  const accessKeyId = source.word("AWS_ACCESS_KEY_ID");
  const secretAccessKey = source.word("AWS_SECRET_ACCESS_KEY");
  const sessionToken = source.word("AWS_SESSION_TOKEN");
  const wrong = source.isWrong("AWS_ACCESS_KEY_ID") || source.isWrong("AWS_SECRET_ACCESS_KEY");
  if (accessKeyId !== null && secretAccessKey !== null)
    return { accessKeyId, secretAccessKey, ...(sessionToken !== null && { sessionToken }) };
  if (!wrong && accessKeyId !== null)
    source.problem("AWS_SECRET_ACCESS_KEY", "is missing: AWS_ACCESS_KEY_ID is set, and needs it");
  if (!wrong && secretAccessKey !== null)
    source.problem("AWS_ACCESS_KEY_ID", "is missing: AWS_SECRET_ACCESS_KEY is set, and needs it");
  if (!wrong && sessionToken !== null && accessKeyId === null && secretAccessKey === null)
    source.problem("AWS_SESSION_TOKEN", "is set without AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  return null;
}
