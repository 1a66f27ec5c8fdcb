// A strict little reader of the Prometheus text format, for tests.

export interface Family {
  type: string;
  readonly help: string;
  readonly samples: Sample[];
}
export interface Sample {
  /** With `_bucket`, `_sum`, `_count` where it is a histogram's. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** @throws {Error} on anything that is not a comment, a sample of the family announced before it, or a blank line */
export function parseExposition(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let name = "";
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const help = /^# HELP ([a-z_]+) (.+)$/.exec(line);
    if (help) {
      name = help[1]!;
      if (families.has(name)) throw new Error(`announced twice: ${name}`);
      families.set(name, { type: "", help: help[2]!, samples: [] });
      continue;
    }
    const family = families.get(name);
    if (!family) throw new Error(`stands before any HELP: ${line}`);
    const type = /^# TYPE ([a-z_]+) (gauge|counter|histogram)$/.exec(line);
    if (type && type[1] === name) {
      family.type = type[2]!;
      continue;
    }
    const sample = parseSample(line);
    const base = family.type === "histogram" ? sample.name.replace(/_(bucket|sum|count)$/, "") : sample.name;
    if (base !== name) throw new Error(`${sample.name} stands under ${name}`);
    family.samples.push(sample);
  }
  return families;
}

function parseSample(line: string): Sample {
  const match = /^([a-z_]+)(?:\{(.*)\})? (\+Inf|-?[0-9.e+-]+)$/.exec(line);
  if (!match) throw new Error(`not the Prometheus text format: ${line}`);
  const [, name, labels = "", value] = match;
  return {
    name: name!,
    labels: Object.fromEntries(
      [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map((label) => [label[1]!, label[2]!]),
    ),
    value: value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value),
  };
}

/** The value of one sample; undefined where there is none. */
export function sampleValue(
  text: string,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const family =
    parseExposition(text).get(name) ?? parseExposition(text).get(name.replace(/_(sum|count)$/, ""));
  return family?.samples.find(
    (sample) => sample.name === name && JSON.stringify(sample.labels) === JSON.stringify(labels),
  )?.value;
}
