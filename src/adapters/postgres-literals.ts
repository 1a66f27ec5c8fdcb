/**
 * SQL with its values written into it, so that a whole transaction is one message and one answer: the driver's
 * parameters cost a question of their own for their types, and the statements around them one each.
 *
 *     sql`update observer_lease set holder = ${holder} where scope = ${scope}`
 *
 * A string becomes `E'…'`, which reads the same whatever `standard_conforming_strings` says. The client's encoding is
 * UTF-8 (the driver sets it), in which no character hides a quote.
 */
import type { JsonObject } from "../observer/conditions.ts";

/** Text that is SQL already. */
export class Sql {
  constructor(readonly text: string) {}
}

export type SqlValue = Sql | string | number | boolean | null;

export function sql(strings: TemplateStringsArray, ...values: readonly SqlValue[]): Sql {
  return new Sql(strings.reduce((text, part, index) => text + literal(values[index - 1] as SqlValue) + part));
}

/** SQL from elsewhere in this program: a format, a type's name out of the catalog. */
export const verbatim = (text: string): Sql => new Sql(text);

/** @throws TypeError for what JSON has no text for */
export const json = (value: JsonObject | readonly unknown[]): Sql =>
  new Sql(`${quoted(JSON.stringify(value))}::jsonb`);

function literal(value: SqlValue): string {
  if (value instanceof Sql) return value.text;
  if (value === null) return "null";
  if (typeof value === "string") return quoted(value);
  if (typeof value === "boolean") return String(value);
  if (!Number.isFinite(value)) throw new TypeError(`Bug: ${value} is no number of SQL's`);
  // In parentheses, or a minus would make a comment of another before it.
  return `(${value})`;
}

function quoted(text: string): string {
  // PostgreSQL keeps no such character in a text, and the message would end there.
  if (text.includes("\0")) throw new TypeError("Bug: a text for the database holds a NUL character");
  return `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}
