/** Streams of events, from bytes to lines. */

/** An event is less than 2 KB, unless somebody has put a novel into labels. */
const LINE_LIMIT_CHARACTERS = 1024 * 1024;

/**
 * Puts lines together that came in pieces.
 *
 * @returns the lines that are complete; null stands for one that was too long to keep
 */
export function createLineSplitter(
  limitCharacters = LINE_LIMIT_CHARACTERS,
): (bytes: Uint8Array) => (string | null)[] {
  const decoder = new TextDecoder();
  let rest = "";
  let skipping = false;
  return (bytes) => {
    const lines: (string | null)[] = [];
    const pieces = decoder.decode(bytes, { stream: true }).split("\n");
    pieces.forEach((piece, index) => {
      const ends = index < pieces.length - 1;
      if (!skipping) rest += piece;
      if (!skipping && rest.length > limitCharacters) {
        lines.push(null);
        rest = "";
        skipping = true;
      }
      if (!ends) return;
      if (!skipping) lines.push(rest);
      rest = "";
      skipping = false;
    });
    return lines;
  };
}
