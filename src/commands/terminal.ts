/** What commands print for people. Everything foreign is made harmless first: a name can hold escape sequences. */
import { isColourful } from "../colour.ts";
import type { Log } from "../observer/ports.ts";

export { printable } from "../status/wording.ts";

/** For commands that say what they have to say by printing. */
export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Columns padded to their widest cell, two spaces between; the last one isn't padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, Bun.stringWidth(cell));
    });
  }
  const pad = (cell: string, index: number, row: readonly string[]) =>
    index === row.length - 1 ? cell : cell + " ".repeat(widths[index]! - Bun.stringWidth(cell));
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

const paint = (code: number) => (text: string) => (isColourful() ? `\u001b[${code}m${text}\u001b[0m` : text);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);
export const bold = paint(1);

/** Resolves when the text is handed to the system, so that the process may end. A reader that left is no error. */
export const print = (text: string): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.write(text.endsWith("\n") ? text : `${text}\n`, () => resolve());
  });
