import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { FakeS3 } from "../../../dev/fakes/s3.ts";

/** The real SDK against the stub, with the options that stores other than AWS need. */
export function clientFor(s3: FakeS3, config: S3ClientConfig = {}): S3Client {
  return new S3Client({
    endpoint: s3.endpoint,
    region: s3.region,
    forcePathStyle: true,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    credentials: s3.credentials ?? { accessKeyId: "any", secretAccessKey: "any" },
    maxAttempts: 1,
    ...config,
  });
}

/** Name and HTTP status of the SDK's error. */
export async function sdkFailure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    const { name, code, $metadata } = error as {
      name: string;
      code?: string;
      $metadata?: { httpStatusCode?: number };
    };
    return `${code ?? name} ${$metadata?.httpStatusCode ?? "-"}`;
  }
  return "no failure";
}
