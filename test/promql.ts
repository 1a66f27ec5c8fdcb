// Which metrics and labels a PromQL expression names: as much of its grammar as alerts and dashboards here use.

export interface Named {
  readonly metrics: ReadonlySet<string>;
  /** Matchers in braces: of which metric, label and value. */
  readonly matchers: readonly { metric: string; label: string; operator: string; value: string }[];
  /** In `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`. */
  readonly grouping: ReadonlySet<string>;
}

const WORDS = new Set(
  "by without on ignoring group_left group_right and or unless offset bool inf nan start end".split(" "),
);
const LISTS = /\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/gi;

export function namesIn(expr: string): Named {
  const metrics = new Set<string>();
  const matchers: Named["matchers"][number][] = [];
  const grouping = new Set<string>();
  const bare = expr
    .replace(/([a-z_:][a-z0-9_:]*)?\s*\{([^}]*)\}/gi, (_, metric: string | undefined, inside: string) => {
      if (metric === undefined) throw new Error(`A selector without a metric's name: {${inside}}`);
      for (const [, label, operator, value] of inside.matchAll(/([a-z_]\w*)\s*(=~|!~|!=|=)\s*"([^"]*)"/gi))
        matchers.push({ metric, label: label!, operator: operator!, value: value! });
      return `${metric} `;
    })
    .replace(LISTS, (_, _word, list: string) => {
      for (const label of list.split(",")) if (label.trim() !== "") grouping.add(label.trim());
      return " ";
    })
    // Ranges, and numbers with their units.
    .replace(/\[[^\]]*\]/g, " ")
    .replace(/\b\d[\w.]*/g, " ");
  for (const [, word, opens] of bare.matchAll(/([a-z_:$][\w:]*)\s*(\()?/gi)) {
    if (opens === undefined && !WORDS.has(word!.toLowerCase())) metrics.add(word!);
  }
  return { metrics, matchers, grouping };
}
