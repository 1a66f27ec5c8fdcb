import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { S3Refusal } from "./s3-error.ts";

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

/** S3 takes no signature that is further off than this. */
const MAX_SKEW_MS = 15 * 60_000;

/**
 * Checks an AWS Signature Version 4 in the Authorization header, as S3 does; presigned URLs aren't known. The region
 * may be any, as with most stores that aren't AWS. The body is not hashed again: its stated hash is what is signed.
 * @throws S3Refusal AccessDenied (no signature), InvalidAccessKeyId, RequestTimeTooSkewed, SignatureDoesNotMatch
 */
export function checkSignature(request: IncomingMessage, credentials: S3Credentials, nowMs: number): void {
  const header = request.headers.authorization;
  if (header === undefined) throw new S3Refusal("AccessDenied");
  const [, accessKeyId, scope, signedHeaders, signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$/.exec(
      header,
    ) ?? [];
  if (!accessKeyId || !scope || !signedHeaders || !signature) {
    throw new S3Refusal("InvalidArgument", "Unsupported Authorization Type");
  }
  if (accessKeyId !== credentials.accessKeyId) throw new S3Refusal("InvalidAccessKeyId");

  const amzDate = String(request.headers["x-amz-date"] ?? "");
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(amzDate) ?? [];
  const signedMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(signedMs))
    throw new S3Refusal("AccessDenied", "AWS authentication requires a valid x-amz-date");
  if (Math.abs(nowMs - signedMs) > MAX_SKEW_MS) throw new S3Refusal("RequestTimeTooSkewed");

  const [date = "", region = "", service = ""] = scope.split("/");
  const toSign = ["AWS4-HMAC-SHA256", amzDate, scope, sha256(canonicalRequest(request, signedHeaders))].join(
    "\n",
  );
  const dateKey = hmac(`AWS4${credentials.secretAccessKey}`, date);
  const signingKey = hmac(hmac(hmac(dateKey, region), service), "aws4_request");
  if (!timingSafeEqual(hmac(signingKey, toSign), Buffer.from(signature, "hex"))) {
    throw new S3Refusal("SignatureDoesNotMatch");
  }
}

function canonicalRequest(request: IncomingMessage, signedHeaders: string): string {
  const url = new URL(request.url ?? "/", "http://s3");
  const [rawPath = "/"] = (request.url ?? "/").split("?");
  const query = [...url.searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join("&");
  const headers = signedHeaders
    .split(";")
    .map(
      (name) =>
        `${name}:${String(request.headers[name] ?? "")
          .trim()
          .replace(/\s+/g, " ")}\n`,
    )
    .join("");
  const payloadHash = String(request.headers["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD");
  return [request.method, rawPath, query, headers, signedHeaders, payloadHash].join("\n");
}

/** RFC 3986, as SigV4 wants it. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
