/** `Authorization: Bearer …`, compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/**
 * @param token null: everybody is let in
 * @returns whether the value of an `Authorization` header lets in
 */
export function bearerCheck(token: string | null): (authorization: string | undefined) => boolean {
  if (token === null) return () => true;
  const expected = digest(token);
  return (authorization) => {
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    // Digests are of one length, so neither the token's length nor a common beginning can be measured.
    return given !== undefined && timingSafeEqual(digest(given), expected);
  };
}
