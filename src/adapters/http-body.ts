/** A bounded body of an answer. */

export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
  readonly start: Uint8Array;

  constructor(limitBytes: number, start: Uint8Array) {
    super(`longer than ${limitBytes} bytes, so it is no listing`);
    this.start = start;
  }
}

/** Throws BodyTooLarge, or whatever the connection fails with; either way nothing is read any more. */
export async function readBody(response: Response, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  if (response.body !== null) {
    const reader = response.body.getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      chunks.push(read.value);
      sizeBytes += read.value.length;
      if (sizeBytes > limitBytes) {
        await reader.cancel();
        throw new BodyTooLarge(limitBytes, Buffer.concat(chunks, limitBytes));
      }
    }
  }
  return Buffer.concat(chunks, sizeBytes);
}
