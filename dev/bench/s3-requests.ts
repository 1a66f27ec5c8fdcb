// Signed URLs of an S3 store, so that a request costs no more than the request: signature version 4 in the query.
import { createHash, createHmac } from "node:crypto";

export interface S3Access {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Serves everybody, and knows nothing of signatures in a query. */
  readonly isOpen?: boolean;
}

const VALID_SECONDS = 86_400;

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();

/**
 * A URL that is valid for a day.
 * @param key of an object; "" for the bucket
 */
export function presign(
  access: S3Access,
  method: "GET" | "HEAD" | "PUT" | "DELETE",
  key: string,
  query: Readonly<Record<string, string>> = {},
  now = new Date(),
): string {
  const path = `/${[access.bucket, ...key.split("/")]
    .filter((part) => part !== "")
    .map(encode)
    .join("/")}`;
  if (access.isOpen) return `${access.endpoint}${path}?${new URLSearchParams(query)}`;
  const { host } = new URL(access.endpoint);
  const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
  const day = time.slice(0, 8);
  const scope = `${day}/${access.region}/s3/aws4_request`;
  const parameters = Object.entries({
    ...query,
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": `${access.accessKeyId}/${scope}`,
    "X-Amz-Date": time,
    "X-Amz-Expires": String(VALID_SECONDS),
    "X-Amz-SignedHeaders": "host",
  })
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join("&");
  const request = [method, path, parameters, `host:${host}\n`, "host", "UNSIGNED-PAYLOAD"].join("\n");
  const digest = createHash("sha256").update(request).digest("hex");
  const signingKey = [day, access.region, "s3", "aws4_request"].reduce<string | Buffer>(
    hmac,
    `AWS4${access.secretAccessKey}`,
  );
  const signature = hmac(signingKey as Buffer, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${digest}`).toString(
    "hex",
  );
  return `${access.endpoint}${path}?${parameters}&X-Amz-Signature=${signature}`;
}

/** Sends a request and reads the answer to its last byte; throws on any status but 2xx. */
export async function send(
  url: string,
  method: "GET" | "HEAD" | "PUT" | "DELETE" = "GET",
  body?: string,
): Promise<ArrayBuffer> {
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body }) });
  const bytes = await response.arrayBuffer();
  if (!response.ok) {
    throw new Error(
      `Cannot ${method} ${new URL(url).pathname}: the store answered ${response.status} ${new TextDecoder().decode(bytes).slice(0, 300)}`,
    );
  }
  return bytes;
}
