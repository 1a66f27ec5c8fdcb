/** What others said, made fit for a message of ours. */
import { storableText } from "../observer/names.ts";

/** Enough to recognise an error page, and short enough for one line of a log. */
const EXCERPT_CHARACTERS = 200;

/** Foreign text for a message: one line, bounded, and such that the database takes it. */
export function excerpt(text: string): string {
  const line = storableText(text.slice(0, 4 * EXCERPT_CHARACTERS))
    .replaceAll(/[\u0001-\u001f\u007f\s]+/g, " ")
    .trim();
  return line.length > EXCERPT_CHARACTERS ? `${line.slice(0, EXCERPT_CHARACTERS).toWellFormed()}…` : line;
}

/** The code of what `fetch` throws: its messages mislead, its codes are right. */
export const codeOf = (error: unknown): string => {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
};
