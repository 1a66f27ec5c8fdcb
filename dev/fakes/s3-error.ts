import type { Answer, Fault } from "./faults.ts";

/** Error codes of S3 with their HTTP status and text. */
const ERRORS = {
  AccessDenied: [403, "Access Denied."],
  BucketAlreadyOwnedByYou: [
    409,
    "Your previous request to create the named bucket succeeded and you already own it.",
  ],
  InternalError: [500, "We encountered an internal error. Please try again."],
  InvalidAccessKeyId: [403, "The AWS Access Key Id you provided does not exist in our records."],
  InvalidArgument: [400, "Invalid Argument"],
  MethodNotAllowed: [405, "The specified method is not allowed against this resource."],
  NoSuchBucket: [404, "The specified bucket does not exist"],
  NoSuchKey: [404, "The specified key does not exist."],
  NotImplemented: [501, "A header or query you provided implies functionality that is not implemented."],
  RequestTimeTooSkewed: [403, "The difference between the request time and the current time is too large."],
  ServiceUnavailable: [503, "Service is unable to handle request."],
  SignatureDoesNotMatch: [
    403,
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
  ],
  SlowDown: [503, "Please reduce your request rate."],
} as const satisfies Record<string, readonly [number, string]>;

export type S3ErrorCode = keyof typeof ERRORS;

/** What the store answers instead of a result. */
export class S3Refusal extends Error {
  constructor(
    readonly code: S3ErrorCode,
    message?: string,
  ) {
    super(message ?? ERRORS[code][1]);
    this.name = "S3Refusal";
  }
}

export function errorAnswer(refusal: S3Refusal, resource: string): Answer {
  const body =
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    `<Error><Code>${refusal.code}</Code><Message>${escapeXml(refusal.message)}</Message>` +
    `<Resource>${escapeXml(resource)}</Resource><RequestId>0000000000000000</RequestId></Error>`;
  return { status: ERRORS[refusal.code][0], headers: { "Content-Type": "application/xml" }, body };
}

/** The fault that answers this error code, to be set on a FaultBoard. */
export function s3ErrorFault(code: S3ErrorCode): Fault {
  const { status, headers, body } = errorAnswer(new S3Refusal(code), "/");
  return { status, headers, body: body.toString() };
}

/** Control characters become references too, which XML 1.0 forbids but S3 sends all the same. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"\u0000-\u001f]/g, (char) =>
    char === "&"
      ? "&amp;"
      : char === "<"
        ? "&lt;"
        : char === ">"
          ? "&gt;"
          : char === '"'
            ? "&quot;"
            : `&#x${char.charCodeAt(0).toString(16).toUpperCase()};`,
  );
}
